package data

import (
	"errors"
	"fmt"

	"github.com/dop251/goja"

	"hive/engine/js"
)

var (
	errNoName     = errors.New("new SharedArray(name, function): the name is empty")
	errNoFunction = errors.New("new SharedArray(name, function): the second argument is not a function")
	errAsync      = errors.New("new SharedArray(name, function): the function must not be async")
	errNoArray    = errors.New("new SharedArray(name, function): the function must return an array")
	errNested     = errors.New("new SharedArray(name, function): the function asks for the very array that it makes")
	errUnfinished = errors.New("new SharedArray(name, function): the function did not end")
)

// newSharedArray is new SharedArray(name, function).
func newSharedArray(s *state, call goja.ConstructorCall) *goja.Object {
	vu, rt := s.vu, s.vu.Runtime()
	vu.OnlyInInit("new SharedArray()")
	name := ""
	if v := call.Argument(0); !goja.IsUndefined(v) {
		name = v.String()
	}
	f, ok := goja.AssertFunction(call.Argument(1))
	switch {
	case name == "":
		js.Throw(rt, errNoName)
	case !ok:
		js.Throw(rt, errNoFunction)
	case js.IsAsync(call.Argument(1)):
		js.Throw(rt, errAsync)
	}
	elements, err := s.arrays.get(vu.Context(), name, vu, func() ([]string, error) { return s.encode(f) })
	if err != nil {
		if vu.Context().Err() != nil {
			vu.Interrupt(nil)
		}
		js.Throw(rt, err)
	}
	obj := rt.NewDynamicArray(&view{state: s, elements: elements})
	if err := inherit(obj, call.This.Prototype()); err != nil {
		js.Throw(rt, err)
	}
	return obj
}

// inherit makes a shared array an instance of its class and of Array.
func inherit(obj, class *goja.Object) error {
	if base := obj.Prototype(); class.Prototype() != base {
		if err := class.SetPrototype(base); err != nil {
			return err
		}
	}
	return obj.SetPrototype(class)
}

// encode calls the script's function and makes JSON of each element.
func (s *state) encode(f goja.Callable) ([]string, error) {
	v, err := f(goja.Undefined())
	if err != nil {
		return nil, err
	}
	list, ok := v.(*goja.Object)
	if !ok || list.ClassName() != "Array" {
		return nil, errNoArray
	}
	rt := s.vu.Runtime()
	stringify, ok := goja.AssertFunction(rt.GlobalObject().Get("JSON").ToObject(rt).Get("stringify"))
	if !ok {
		return nil, errors.New("JSON.stringify was replaced by something that is not a function")
	}
	elements := make([]string, list.Get("length").ToInteger())
	for i := range elements {
		text, err := stringify(goja.Undefined(), list.Get(fmt.Sprint(i)))
		if err != nil {
			return nil, err
		}
		elements[i] = "null"
		if !goja.IsUndefined(text) {
			elements[i] = text.String()
		}
	}
	return elements, nil
}

// view is a shared array as one VU sees it: each access makes a new, frozen
// element. It implements goja.DynamicArray.
type view struct {
	state    *state
	elements []string
}

func (v *view) Len() int { return len(v.elements) }

func (v *view) Get(i int) goja.Value {
	if i < 0 || i >= len(v.elements) {
		return nil
	}
	rt := v.state.vu.Runtime()
	element, err := js.ParseJSON(rt, v.elements[i])
	if err == nil {
		err = js.Freeze(rt, element)
	}
	if err != nil {
		js.Throw(rt, err)
	}
	return element
}

func (v *view) Set(int, goja.Value) bool { return v.refuse() }

func (v *view) SetLen(int) bool { return v.refuse() }

func (v *view) refuse() bool {
	panic(v.state.vu.Runtime().NewTypeError("a SharedArray cannot be changed"))
}
