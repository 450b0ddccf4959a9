package html

import (
	"github.com/dop251/goja"
	"golang.org/x/net/html"

	"hive/engine/js"
)

// attribute is an attribute node of an element.
type attribute struct {
	html.Attribute
	owner *element
}

// attributeMembers are its properties; what it does not store it tells by methods.
var attributeMembers = js.NewTable(
	js.Property("owner_element", func(a *attribute) goja.Value { return a.owner.page.value(a.owner.node) }),
	js.Property("name", func(a *attribute) goja.Value { return a.owner.page.value(a.Key) }),
	js.Property("value", func(a *attribute) goja.Value { return a.owner.page.value(a.Val) }),
	attributeMethod("localName", func(a *attribute) string { return a.Key }),
	attributeMethod("prefix", func(a *attribute) string { return a.Namespace }),
	attributeMethod("namespaceURI", func(a *attribute) string { return namespaceURI(a.Namespace) }),
)

func attributeMethod(name string, f func(a *attribute) string) js.Entry[*attribute] {
	return js.Method(name, func(a *attribute, _ goja.FunctionCall) goja.Value { return a.owner.page.value(f(a)) })
}

func (e *element) attribute(a html.Attribute) *goja.Object {
	return attributeMembers.Object(e.page.realm.rt, &attribute{a, e})
}

// attributeNode is getAttributeNode(name).
func (e *element) attributeNode(name string) any {
	for _, a := range e.node.Attr {
		if a.Key == name {
			return e.attribute(a)
		}
	}
	return nil
}

// attributes gives {name: attribute, …}.
func (e *element) attributes() any {
	obj := e.page.realm.rt.NewObject()
	for _, a := range e.node.Attr {
		put(obj, a.Key, e.attribute(a))
	}
	return obj
}
