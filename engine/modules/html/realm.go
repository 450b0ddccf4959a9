package html

import (
	"github.com/dop251/goja"
	"golang.org/x/net/html"

	"hive/engine/js"
)

// member is a property of a prototype.
type member = js.Entry[*realm]

// realm holds the prototypes of one VU. Each is made when the first object needs it.
type realm struct {
	rt         *goja.Runtime
	selections *goja.Object
	elements   map[string]*goja.Object // by tag; "" is the one of all the others

	selectionTable *js.Table[*realm]
	elementTable   *js.Table[*realm]
	typedTables    map[string]*js.Table[*realm]
}

// home is the hidden global property that leads to a runtime's realm.
var home = goja.NewSymbol("k6/html")

func realmOf(rt *goja.Runtime) *realm {
	global := rt.GlobalObject()
	if v := global.GetSymbol(home); v != nil {
		if r, ok := v.Export().(*realm); ok {
			return r
		}
	}
	r := &realm{
		rt: rt, elements: make(map[string]*goja.Object),
		selectionTable: selectionMembers, elementTable: elementMembers, typedTables: typedMembers,
	}
	// This fails when the script froze its global object; each document then has prototypes of its own.
	_ = global.DefineDataPropertySymbol(home, rt.ToValue(r), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
	return r
}

// selectionPrototype has the methods of Selections, and their url.
func (r *realm) selectionPrototype() *goja.Object {
	if r.selections == nil {
		url := js.Func(r.rt, "url", func(call goja.FunctionCall) goja.Value {
			return r.rt.ToValue(this[*selected](r, call, "url").page.url)
		})
		r.selections = r.rt.CreateObject(r.selectionTable.Object(r.rt, r))
		// Nothing keeps a new object from having it.
		_ = r.selections.DefineAccessorProperty("url", url, nil, goja.FLAG_TRUE, goja.FLAG_TRUE)
	}
	return r.selections
}

// elementPrototype has the methods of the Element of a node.
func (r *realm) elementPrototype(n *html.Node) *goja.Object {
	tag := ""
	if _, typed := r.typedTables[n.Data]; typed && n.Type == html.ElementNode {
		tag = n.Data
	}
	return r.prototype(tag)
}

func (r *realm) prototype(tag string) *goja.Object {
	if made, ok := r.elements[tag]; ok {
		return made
	}
	var proto *goja.Object
	if tag == "" {
		proto = r.elementTable.Object(r.rt, r)
	} else {
		proto = r.typedTables[tag].Object(r.rt, r)
		r.inherit(proto, r.prototype(""))
	}
	r.elements[tag] = proto
	return proto
}

// object shows v, which has no exported fields or methods, to scripts.
func (r *realm) object(v any, proto *goja.Object) *goja.Object {
	obj := r.rt.ToValue(v).(*goja.Object)
	r.inherit(obj, proto)
	return obj
}

func (r *realm) inherit(obj, proto *goja.Object) {
	if err := obj.SetPrototype(proto); err != nil {
		js.Throw(r.rt, err)
	}
}

// put defines a property of a new object.
func put(obj *goja.Object, name string, v goja.Value) {
	// A new object takes any property.
	_ = obj.DefineDataProperty(name, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE)
}

// this is what a method of name was called on.
func this[T any](r *realm, call goja.FunctionCall, name string) T {
	v, ok := unwrap[T](call.This)
	if !ok {
		panic(r.rt.NewTypeError("%s was called on %s, which has no such method: a method of k6/html needs its object before the dot", name, call.This))
	}
	return v
}

// unwrap gives what an object of this package stands for.
func unwrap[T any](v goja.Value) (T, bool) {
	obj, ok := v.(*goja.Object)
	if !ok {
		var none T
		return none, false
	}
	t, ok := obj.Export().(T)
	return t, ok
}
