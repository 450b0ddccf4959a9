package html

import (
	"net/url"
	"slices"

	"github.com/PuerkitoBio/goquery"
	"github.com/dop251/goja"
	"golang.org/x/net/html"
)

// page is a document of one VU.
type page struct {
	realm *realm
	doc   *goquery.Document
	url   string // where it came from, "" when that is not known
}

// selection makes the Selection of nodes.
func (p *page) selection(nodes *goquery.Selection) *goja.Object {
	// goquery appends to the nodes of one Selection to make another's, which must not overwrite those of a third.
	nodes.Nodes = slices.Clip(nodes.Nodes)
	return p.realm.object(&selected{p, nodes}, p.realm.selectionPrototype())
}

// element makes the Element of a node.
func (p *page) element(n *html.Node) *goja.Object {
	return p.realm.object(&element{p, n}, p.realm.elementPrototype(n))
}

// single is a selection of one node.
func (p *page) single(n *html.Node) *goquery.Selection {
	s := p.doc.Slice(0, 0)
	s.Nodes = []*html.Node{n}
	return s
}

// value shows the result of a method to scripts: nodes as Elements, nil and no node as undefined.
func (p *page) value(v any) goja.Value {
	switch v := v.(type) {
	case nil:
		return goja.Undefined()
	case goja.Value:
		return v
	case *goquery.Selection:
		return p.selection(v)
	case *html.Node:
		if v == nil {
			return goja.Undefined()
		}
		return p.element(v)
	case []*html.Node:
		return array(p, v)
	case []string:
		return array(p, v)
	}
	return p.realm.rt.ToValue(v)
}

func array[T any](p *page, list []T) goja.Value {
	items := make([]any, len(list))
	for i, v := range list {
		items[i] = p.value(v)
	}
	return p.realm.rt.NewArray(items...)
}

// resolve gives the URL that a reference means, "" when it is none.
func (p *page) resolve(ref string) string {
	if p.url == "" {
		return ref
	}
	base, err := url.Parse(p.url)
	if err != nil {
		return ""
	}
	u, err := base.Parse(ref)
	if err != nil {
		return ""
	}
	return u.String()
}

// byID gives the first element with that id; nil when there is none.
func (p *page) byID(id string) *html.Node {
	if id == "" {
		return nil
	}
	for n := range p.root().Descendants() {
		if value, ok := attr(n, "id"); ok && value == id {
			return n
		}
	}
	return nil
}

// root is the node of the document.
func (p *page) root() *html.Node { return p.doc.Nodes[0] }

// attr reads an attribute of a node.
func attr(n *html.Node, name string) (string, bool) {
	for i := range n.Attr {
		if n.Attr[i].Key == name {
			return n.Attr[i].Val, true
		}
	}
	return "", false
}

// attrOr reads an attribute that may be missing.
func attrOr(n *html.Node, name, otherwise string) string {
	if v, ok := attr(n, name); ok {
		return v
	}
	return otherwise
}

// has tells whether a node has an attribute.
func has(n *html.Node, name string) bool {
	_, ok := attr(n, name)
	return ok
}

// is tells whether a node is an element with one of the tags.
func is(n *html.Node, tags ...string) bool {
	return n.Type == html.ElementNode && slices.Contains(tags, n.Data)
}

// all lists the elements below a node that have one of the tags, in the order of the document.
func all(n *html.Node, tags ...string) []*html.Node {
	var found []*html.Node
	for d := range n.Descendants() {
		if is(d, tags...) {
			found = append(found, d)
		}
	}
	return found
}

// closest is the nearest element with one of the tags that a node is in; nil when there is none.
func closest(n *html.Node, tags ...string) *html.Node {
	for a := range n.Ancestors() {
		if is(a, tags...) {
			return a
		}
	}
	return nil
}
