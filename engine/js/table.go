package js

import (
	"slices"

	"github.com/dop251/goja"
)

// Table describes an object of native functions and constants, such as a
// module. The description is shared by all VUs; a VU's object makes each
// property when it is first touched, from the VU's own state S, so that an
// import costs next to nothing. Scripts may replace, add and delete properties.
type Table[S any] struct {
	names   []string
	entries map[string]Entry[S]
}

// Entry is one property of a [Table].
type Entry[S any] struct {
	Name string
	Make func(rt *goja.Runtime, state S) goja.Value
}

// NewTable returns the table of the entries.
func NewTable[S any](entries ...Entry[S]) *Table[S] {
	t := &Table[S]{entries: make(map[string]Entry[S], len(entries))}
	for _, e := range entries {
		t.names = append(t.names, e.Name)
		t.entries[e.Name] = e
	}
	return t
}

// Method is the entry of a function that works on the VU's state.
func Method[S any](name string, f func(state S, call goja.FunctionCall) goja.Value) Entry[S] {
	return Entry[S]{name, func(rt *goja.Runtime, state S) goja.Value {
		return Func(rt, name, func(call goja.FunctionCall) goja.Value { return f(state, call) })
	}}
}

// Constructor is the entry of a class. f fills call.This and returns nil, or
// returns the new object.
func Constructor[S any](name string, f func(state S, call goja.ConstructorCall) *goja.Object) Entry[S] {
	return Entry[S]{name, func(rt *goja.Runtime, state S) goja.Value {
		return Class(rt, name, func(call goja.ConstructorCall) *goja.Object { return f(state, call) })
	}}
}

// Constant is the entry of a value that needs no state: anything that
// goja.Runtime.ToValue takes.
func Constant[S any](name string, v any) Entry[S] {
	return Entry[S]{name, func(rt *goja.Runtime, _ S) goja.Value { return rt.ToValue(v) }}
}

// Property is the entry of a value that is made from the VU's state when it is
// first touched.
func Property[S any](name string, f func(state S) goja.Value) Entry[S] {
	return Entry[S]{name, func(_ *goja.Runtime, state S) goja.Value { return f(state) }}
}

// Names lists the properties in the order of the entries.
func (t *Table[S]) Names() []string { return slices.Clone(t.names) }

// Object returns a new object of the table for the runtime.
func (t *Table[S]) Object(rt *goja.Runtime, state S) *goja.Object {
	return rt.NewDynamicObject(&lazyObject[S]{table: t, rt: rt, state: state})
}

// lazyObject is a table's object in one VU. It implements goja.DynamicObject.
type lazyObject[S any] struct {
	table *Table[S]
	rt    *goja.Runtime
	state S
	made  []made   // in the order in which they were touched: a script uses a handful
	added []string // names that are not in the table, in order
}

// made is a property of a lazyObject that is no longer as the table has it.
type made struct {
	key   string
	value goja.Value // nil when it is deleted
}

// find returns the property that was made, nil when there is none.
func (o *lazyObject[S]) find(key string) *made {
	for i := range o.made {
		if o.made[i].key == key {
			return &o.made[i]
		}
	}
	return nil
}

func (o *lazyObject[S]) Get(key string) goja.Value {
	if m := o.find(key); m != nil {
		return m.value
	}
	e, ok := o.table.entries[key]
	if !ok {
		return nil
	}
	v := e.Make(o.rt, o.state)
	o.put(key, v)
	return v
}

func (o *lazyObject[S]) put(key string, v goja.Value) {
	if m := o.find(key); m != nil {
		m.value = v
		return
	}
	o.made = append(o.made, made{key, v})
}

func (o *lazyObject[S]) Set(key string, v goja.Value) bool {
	if _, known := o.table.entries[key]; !known && !slices.Contains(o.added, key) {
		o.added = append(o.added, key)
	}
	o.put(key, v)
	return true
}

func (o *lazyObject[S]) Has(key string) bool {
	if m := o.find(key); m != nil {
		return m.value != nil
	}
	_, ok := o.table.entries[key]
	return ok
}

func (o *lazyObject[S]) Delete(key string) bool {
	if o.Has(key) {
		o.put(key, nil)
	}
	return true
}

func (o *lazyObject[S]) Keys() []string {
	keys := make([]string, 0, len(o.table.names)+len(o.added))
	for _, names := range [][]string{o.table.names, o.added} {
		for _, name := range names {
			if o.Has(name) {
				keys = append(keys, name)
			}
		}
	}
	return keys
}

// Func makes a native function that shows as name in stack traces.
func Func(rt *goja.Runtime, name string, f func(call goja.FunctionCall) goja.Value) *goja.Object {
	return named(rt, rt.ToValue(f), name)
}

// Class makes a native constructor that shows as name in stack traces.
func Class(rt *goja.Runtime, name string, f func(call goja.ConstructorCall) *goja.Object) *goja.Object {
	return named(rt, rt.ToValue(f), name)
}

func named(rt *goja.Runtime, fn goja.Value, name string) *goja.Object {
	obj := fn.(*goja.Object)
	// A function's name is configurable, so that this cannot fail.
	_ = obj.DefineDataProperty("name", rt.ToValue(name), goja.FLAG_FALSE, goja.FLAG_TRUE, goja.FLAG_FALSE)
	return obj
}
