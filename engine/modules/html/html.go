// Package html is the module k6/html: documents, which scripts search and walk through like with jQuery.
//
// parseHTML(text) gives a Selection of the document. Selections hand out further Selections, and Elements, which are
// their nodes with what the DOM knows of them; unlike in the DOM everything that an Element tells is a method:
// el.id(), link.href(), select.selectedOptions(). Selectors, and most of the walking, are goquery's.
//
// Answers are those of k6, also where browsers would give others: a checkbox is serialized only with
// checked="checked", selectors that are no selectors match nothing, a textarea's val() is its markup. Where k6 itself
// fails, on slices beyond the end or siblings that are not there, the answer is what jQuery and the DOM say.
//
// Documents are read only. What scripts hold are small objects whose methods are on prototypes of the VU.
package html

import (
	"strings"

	"github.com/PuerkitoBio/goquery"
	"github.com/dop251/goja"

	"hive/engine/js"
)

// Path is what scripts import.
const Path = "k6/html"

var exports = js.NewTable(js.Method("parseHTML", parseHTML))

// New returns the module.
func New() js.Module {
	return js.Module{Path: Path, Names: exports.Names(), Open: func(vu *js.VU) *goja.Object {
		return exports.Object(vu.Runtime(), vu)
	}}
}

// parseHTML is parseHTML(text).
func parseHTML(vu *js.VU, call goja.FunctionCall) goja.Value {
	return Parse(vu, textOf(call.Argument(0)), "")
}

// Parse gives the Selection of the document that src is, nearly any text being one. References in it are relative to
// baseURL; with "" they stay as they are. It throws what a script gets to see when the document is nested too deeply.
func Parse(vu *js.VU, src, baseURL string) goja.Value {
	r := realmOf(vu.Runtime())
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(src))
	if err != nil {
		js.Throw(r.rt, err)
	}
	p := &page{realm: r, doc: doc, url: baseURL}
	return p.selection(doc.Selection)
}

// Find gives what selection.find(selector) would; selection is a result of [Parse].
func Find(selection goja.Value, selector string) goja.Value {
	s, ok := unwrap[*selected](selection)
	if !ok {
		return goja.Undefined()
	}
	return s.page.selection(s.nodes.Find(selector))
}

// textOf is an argument as a string, "" when it is missing.
func textOf(v goja.Value) string {
	if missing(v) {
		return ""
	}
	return v.String()
}

// missing tells whether an argument is undefined or null.
func missing(v goja.Value) bool { return goja.IsUndefined(v) || goja.IsNull(v) }
