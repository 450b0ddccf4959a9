package html

import (
	"net/url"

	"github.com/PuerkitoBio/goquery"
	"github.com/dop251/goja"
	"golang.org/x/net/html"
)

// val is the value of a form control: a string, or a list of them where several can be chosen. It is nil for other
// nodes.
func (p *page) val(n *html.Node) any {
	if n == nil || n.Type != html.ElementNode {
		return nil
	}
	switch n.Data {
	case "input":
		otherwise := ""
		if kind := attrOr(n, "type", ""); kind == "checkbox" || kind == "radio" {
			otherwise = "on"
		}
		return attrOr(n, "value", otherwise)
	case "button":
		return attrOr(n, "value", "")
	case "textarea":
		return p.markup(p.single(n))
	case "option":
		return p.given(n)
	case "select":
		return p.selectValue(n)
	}
	return nil
}

// given is the value attribute of an element, or else its markup.
func (p *page) given(n *html.Node) string {
	if v, ok := attr(n, "value"); ok {
		return v
	}
	return p.markup(p.single(n))
}

func (p *page) selectValue(n *html.Node) any {
	chosen := selectedOptions(n)
	if has(n, "multiple") {
		values := make([]string, len(chosen))
		for i, option := range chosen {
			values[i] = p.given(option)
		}
		return values
	}
	return p.firstValue(chosen)
}

// firstValue is the value of the first of some options, "" when there is none.
func (p *page) firstValue(options []*html.Node) string {
	if len(options) == 0 {
		return ""
	}
	return p.given(options[0])
}

// selectedOptions lists the options of a select that are marked as selected.
func selectedOptions(n *html.Node) []*html.Node {
	var chosen []*html.Node
	for _, option := range all(n, "option") {
		if has(option, "selected") {
			chosen = append(chosen, option)
		}
	}
	return chosen
}

// The controls that are serialized.
const (
	controls = `input[name],select[name],textarea[name],keygen[name]`
	silent   = `[name=""],[type="submit"],[type="button"],[type="image"],[type="reset"],[type="file"],` +
		`[type="checkbox"]:not([checked="checked"]),[type="radio"]:not([checked="checked"])`
)

// field is what a form would send of one control.
type field struct {
	name  string
	value any // a string, a []string, or nil
}

// fields collects those of the controls that are selected, or in forms that are.
func (s *selected) fields() []field {
	var fields []field
	in := s.nodes.Filter("form").Find(controls).AddSelection(s.nodes.Filter(controls)).Not(silent)
	in.Each(func(_ int, c *goquery.Selection) {
		n := c.Nodes[0]
		fields = append(fields, field{attrOr(n, "name", ""), s.page.val(n)})
	})
	return fields
}

// serializeArray is serializeArray(): [{name, value}, …].
func (s *selected) serializeArray(goja.FunctionCall) any {
	rt := s.page.realm.rt
	items := []any{}
	for _, f := range s.fields() {
		item := rt.NewObject()
		put(item, "name", rt.ToValue(f.name))
		put(item, "value", s.page.value(f.value))
		items = append(items, item)
	}
	return rt.NewArray(items...)
}

// serializeObject is serializeObject(): {name: value, …}, in which the last control of a name counts.
func (s *selected) serializeObject(goja.FunctionCall) any {
	obj := s.page.realm.rt.NewObject()
	for _, f := range s.fields() {
		if f.value != nil {
			put(obj, f.name, s.page.value(f.value))
		}
	}
	return obj
}

// serialize is serialize(): the same, URL-encoded and in the order of the names.
func (s *selected) serialize(goja.FunctionCall) any {
	values := url.Values{}
	for _, f := range s.fields() {
		switch v := f.value.(type) {
		case string:
			values[f.name] = []string{v}
		case []string:
			values[f.name] = v
		}
	}
	return values.Encode()
}
