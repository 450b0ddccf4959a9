package html

import (
	"slices"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"github.com/dop251/goja"
	"golang.org/x/net/html"

	"hive/engine/js"
)

// element is an Element: any node of a document, a text or the document itself included.
type element struct {
	page *page
	node *html.Node
}

// elementMembers are the methods that all Elements have.
var elementMembers = js.NewTable(
	calc("id", func(e *element) any { return attrOr(e.node, "id", "") }),
	calc("className", func(e *element) any { return e.optional("class") }),
	calc("classList", func(e *element) any { return strings.Fields(attrOr(e.node, "class", "")) }),
	calc("lang", func(e *element) any { return e.optional("lang") }),
	calc("nodeName", func(e *element) any { return goquery.NodeName(e.self()) }),
	calc("nodeType", func(e *element) any { return nodeTypes[e.node.Type] }),
	calc("nodeValue", (*element).nodeValue),
	calc("textContent", func(e *element) any { return e.text() }),
	calc("innerHTML", func(e *element) any { return e.page.markup(e.self()) }),
	calc("toString", (*element).describe),
	calc("selection", func(e *element) any { return e.self() }),
	calc("namespaceURI", func(e *element) any { return namespaceURI(e.node.Namespace) }),
	calc("isDefaultNamespace", func(e *element) any { return e.node.Namespace == "" }),

	calc("ownerDocument", func(e *element) any { return e.page.root() }),
	calc("parentNode", func(e *element) any { return e.node.Parent }),
	calc("parentElement", (*element).parentElement),
	calc("firstChild", func(e *element) any { return e.node.FirstChild }),
	calc("lastChild", func(e *element) any { return e.node.LastChild }),
	calc("previousSibling", func(e *element) any { return e.node.PrevSibling }),
	calc("nextSibling", func(e *element) any { return e.node.NextSibling }),
	calc("firstElementChild", func(e *element) any { return nearest(e.node.FirstChild, next) }),
	calc("lastElementChild", func(e *element) any { return nearest(e.node.LastChild, previous) }),
	calc("previousElementSibling", func(e *element) any { return nearest(e.node.PrevSibling, previous) }),
	calc("nextElementSibling", func(e *element) any { return nearest(e.node.NextSibling, next) }),
	calc("childNodes", func(e *element) any { return slices.Collect(e.node.ChildNodes()) }),
	calc("children", func(e *element) any { return e.self().Children().Nodes }),
	calc("childElementCount", func(e *element) any { return e.self().Children().Length() }),
	calc("hasChildNodes", func(e *element) any { return e.node.FirstChild != nil }),

	calc("attributes", (*element).attributes),
	calc("hasAttributes", func(e *element) any { return len(e.node.Attr) > 0 }),
	asking("hasAttribute", func(e *element, name string) any { return has(e.node, name) }),
	asking("getAttribute", func(e *element, name string) any { return e.optional(name) }),
	asking("getAttributeNode", (*element).attributeNode),
	asking("getElementsByClassName", (*element).byClass),
	asking("getElementsByTagName", func(e *element, tag string) any { return e.self().Find(tag).Nodes }),
	asking("querySelector", (*element).querySelector),
	asking("querySelectorAll", func(e *element, selector string) any { return e.self().Find(selector).Nodes }),
	asking("matches", func(e *element, selector string) any { return e.self().Is(selector) }),

	comparing("contains", func(e, other *element) bool { return slices.Contains(slices.Collect(other.node.Ancestors()), e.node) }),
	comparing("isSameNode", func(e, other *element) bool { return e.node == other.node }),
	comparing("isEqualNode", func(e, other *element) bool { return equal(e.node, other.node) }),
)

// onElement is a method of Elements. What f returns is shown by page.value.
func onElement(name string, f func(e *element, call goja.FunctionCall) any) member {
	return js.Method(name, func(r *realm, call goja.FunctionCall) goja.Value {
		e := this[*element](r, call, name)
		return e.page.value(f(e, call))
	})
}

// calc is a method without arguments.
func calc(name string, f func(e *element) any) member {
	return onElement(name, func(e *element, _ goja.FunctionCall) any { return f(e) })
}

// asking is a method of a string.
func asking(name string, f func(e *element, question string) any) member {
	return onElement(name, func(e *element, call goja.FunctionCall) any { return f(e, textOf(call.Argument(0))) })
}

// comparing is a method of another Element; with anything else the answer is no.
func comparing(name string, f func(e, other *element) bool) member {
	return onElement(name, func(e *element, call goja.FunctionCall) any {
		other, ok := unwrap[*element](call.Argument(0))
		return ok && f(e, other)
	})
}

// self is the node for goquery.
func (e *element) self() *goquery.Selection { return e.page.single(e.node) }

func (e *element) text() string { return e.self().Text() }

// optional is an attribute, nil when it is missing.
func (e *element) optional(name string) any {
	if v, ok := attr(e.node, name); ok {
		return v
	}
	return nil
}

// nodeTypes are the numbers of the DOM.
var nodeTypes = map[html.NodeType]int{
	html.ElementNode: 1, html.TextNode: 3, html.CommentNode: 8, html.DocumentNode: 9, html.DoctypeNode: 10,
}

func (e *element) nodeValue() any {
	if e.node.Type == html.TextNode || e.node.Type == html.CommentNode {
		return e.text()
	}
	return nil
}

func (e *element) describe() any {
	if e.node.Type == html.ElementNode {
		return "[object html.Node]"
	}
	return "[object " + goquery.NodeName(e.self()) + "]"
}

// namespaceURI gives the URI of a namespace by the name that the parser has for it.
func namespaceURI(name string) string {
	switch name {
	case "svg":
		return "http://www.w3.org/2000/svg"
	case "math":
		return "http://www.w3.org/1998/Math/MathML"
	}
	return "http://www.w3.org/1999/xhtml"
}

func (e *element) parentElement() any {
	if p := e.node.Parent; p != nil && p.Type == html.ElementNode {
		return p
	}
	return nil
}

func next(n *html.Node) *html.Node     { return n.NextSibling }
func previous(n *html.Node) *html.Node { return n.PrevSibling }

// nearest is the first element among n and what follows it; nil when there is none.
func nearest(n *html.Node, following func(*html.Node) *html.Node) *html.Node {
	for n != nil && n.Type != html.ElementNode {
		n = following(n)
	}
	return n
}

func (e *element) byClass(names string) any {
	classes := strings.Fields(names)
	if len(classes) == 0 {
		return []*html.Node(nil)
	}
	return e.self().Find("." + strings.Join(classes, ".")).Nodes
}

func (e *element) querySelector(selector string) any {
	found := e.self().FindMatcher(goquery.Single(selector)).Nodes
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// equal tells whether two nodes and what is below them are the same, except for the order of attributes.
func equal(a, b *html.Node) bool {
	if a.Type != b.Type || a.Data != b.Data || a.Namespace != b.Namespace || len(a.Attr) != len(b.Attr) {
		return false
	}
	for _, x := range a.Attr {
		if !slices.Contains(b.Attr, x) {
			return false
		}
	}
	x, y := a.FirstChild, b.FirstChild
	for ; x != nil && y != nil; x, y = x.NextSibling, y.NextSibling {
		if !equal(x, y) {
			return false
		}
	}
	return x == nil && y == nil
}
