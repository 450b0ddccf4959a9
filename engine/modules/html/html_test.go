package html

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dop251/goja"
	"go.uber.org/goleak"

	"hive/engine/js"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// helpers are what the expressions of the tests use: show(v) writes any result as text, with nodes as <tag#id> and
// Selections as {…}.
const helpers = `
const node = (e) => '<' + e.nodeName() + (e.id() ? '#' + e.id() : '') + '>';
const show = (v) => {
	if (v === undefined || v === null || typeof v === 'number' || typeof v === 'boolean') return String(v);
	if (typeof v === 'string') return JSON.stringify(v);
	if (Array.isArray(v)) return '[' + v.map(show).join() + ']';
	if (v.nodeName) return node(v);
	if (v.find) return '{' + v.get().map(node).join() + '}';
	return '(' + Object.keys(v).sort().map((k) => k + ':' + show(v[k])).join() + ')';
};
const ask = (f) => { try { return show(f()) } catch (e) { return 'throws ' + e } };
`

// script is a script that answers expressions about html: doc is its Selection, get(id) an Element.
func script(html, body string) string {
	return helpers + "const doc = parseHTML(" + quote(html) + "), $ = (s) => doc.find(s), get = (id) => $('#' + id).get(0);\n" + body
}

func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// answer is what an expression of the helpers gives.
type answer struct{ expr, want string }

// check asks about a document.
func check(t *testing.T, document string, answers []answer) {
	t.Helper()
	var code strings.Builder
	code.WriteString("exports.r = [")
	for _, a := range answers {
		code.WriteString("ask(() => " + a.expr + "),\n")
	}
	code.WriteString("]")
	var got []string
	vu := newVU(t, script(document, code.String()))
	if err := vu.Runtime().ExportTo(vu.Export("r"), &got); err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		if got[i] != a.want {
			t.Errorf("%s\n\tgot  %s\n\twant %s", a.expr, got[i], a.want)
		}
	}
}

// newVU runs init code in which parseHTML is imported.
func newVU(t testing.TB, code string) *js.VU {
	t.Helper()
	program, err := js.Compile("file:///s.js", []byte("const { parseHTML } = require('k6/html');\n"+code), nil)
	if err != nil {
		t.Fatal(err)
	}
	vu, err := js.NewVU(t.Context(), &js.Config{Program: program, Modules: []js.Module{New()}}, js.VUID{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vu.Close)
	return vu
}

// TestWhereOthersFail holds what k6 itself cannot answer: jQuery and the DOM can.
func TestWhereOthersFail(t *testing.T) {
	check(t, lists, []answer{
		{`$('li').slice(5)`, `{}`},
		{`$('li').slice(1, 1)`, `{}`},
		{`$('li').slice(3, 1)`, `{}`},
		{`$('li').slice(-9, 2)`, `{<li#a>,<li#b>}`},
		{`$('li').slice(1, undefined)`, `{<li#b>,<li#c>,<li#d>,<li#e>}`},
		{`$('li').slice()`, `{<li#a>,<li#b>,<li#c>,<li#d>,<li#e>}`},
		{`[get('a').previousSibling(), get('p').nextSibling(), $('li').first().contents().get(0).firstChild(), $('li').first().contents().get(0).lastChild()]`,
			`[undefined,undefined,undefined,undefined]`},
		{`[get('a').contains(), get('a').contains(null), get('a').isSameNode(), get('a').isEqualNode(null)]`, `[false,false,false,false]`},
		{`$('body').get(0).getElementsByClassName('x x').length + $('body').get(0).getElementsByClassName(' ').length`, `3`},
		{`(() => { const first = $('li').slice(0, 1); first.add('#p'); return $('li').eq(1).add(first) })()`, `{<li#b>,<li#a>}`},
		{`(() => { const lis = $('li'); lis.slice(0, 1).add('p'); return lis })()`, `{<li#a>,<li#b>,<li#c>,<li#d>,<li#e>}`},
		{`$('li').filter((i, e) => e.attr('class') === 'x')`, `{<li#a>,<li#c>,<li#e>}`},
	})
}

func TestArguments(t *testing.T) {
	check(t, lists, []answer{
		{`doc.find()`, `throws GoError: find() got undefined, want a selector or a Selection`},
		{`doc.find(5)`, `throws GoError: find() got 5, want a selector or a Selection`},
		{`doc.find(() => true)`, `throws GoError: find() got () => true, want a selector or a Selection`},
		{`doc.add(get('a'))`, `throws GoError: add() got [object html.Node], want a selector or a Selection`},
		{`$('li').filter(null)`, `throws GoError: filter() got null, want a selector, a Selection or a function`},
		{`$('li').nextUntil({})`, `throws GoError: nextUntil() got [object Object], want a selector or a Selection`},
		{`$('li').each()`, `throws GoError: each() got undefined, want a function`},
		{`$('li').map('li')`, `throws GoError: map() got li, want a function`},
		{`$('li').each((i, e) => { throw new RangeError('mine ' + i) })`, `throws RangeError: mine 0`},
		{`(0, doc.find)('li')`, `throws TypeError: find was called on undefined, which has no such method: a method of k6/html needs its object before the dot`},
		{`doc.text.call(get('a'))`, `throws TypeError: text was called on [object html.Node], which has no such method: a method of k6/html needs its object before the dot`},
		{`get('a').id.call(5)`, `throws TypeError: id was called on 5, which has no such method: a method of k6/html needs its object before the dot`},
		{`[parseHTML().html(), parseHTML(null).text(), parseHTML(5).text()]`, `["<html><head></head><body></body></html>","","5"]`},
		{`parseHTML('<div>'.repeat(600))`, `throws GoError: html: open stack of elements exceeds 512 nodes`},
	})
}

// TestPrototypes holds that methods are there once in a VU.
func TestPrototypes(t *testing.T) {
	check(t, formPage, []answer{
		{`doc.find === $('p').find && doc.find === parseHTML('').find`, `true`},
		{`get('i1').id === get('bt').id && get('i1').form === get('i2').form && get('i1').value !== get('bt').value`, `true`},
		{`'find' in doc && 'value' in get('i1') && 'id' in get('i1') && !('value' in get('lg'))`, `true`},
		{`(() => { let n = 0; for (const name in $('form')) n++; return n })()`, `40`},
		{`Object.getOwnPropertyNames(globalThis).includes('k6/html')`, `false`},
		{`JSON.stringify([doc, get('i1')])`, `"[{},{}]"`},
		{`(() => { Object.freeze(globalThis); return parseHTML('<p>x').text() })()`, `"x"`},
	})
}

// TestParse is about documents that came from somewhere.
func TestParse(t *testing.T) {
	vu := newVU(t, helpers+`exports.ask = (doc) => ask(() => {
		const get = (id) => doc.find('#' + id).get(0);
		return [doc.url, doc.find('a').url, get('a1').href(), get('a3').href(), get('a3').host(), get('a3').search(), get('a4').href(),
			get('a5').href(), get('a7').href(), get('lk').href(), get('ba').href(), get('bt').formAction()];
	});`)
	doc := Parse(vu, anchors+`<button id=bt>`, "http://host:8080/dir/page?q=1#top")
	f, ok := goja.AssertFunction(vu.Export("ask"))
	if !ok {
		t.Fatal("no function")
	}
	got, err := f(goja.Undefined(), doc)
	want := `["http://host:8080/dir/page?q=1#top","http://host:8080/dir/page?q=1#top",` +
		`"http://user:pass%20w@example.com:80/path/x%20y?q=1&z#frag%20a","http://host:8080/rel?x","host:8080","?x","mailto:a@b.c",` +
		`"","","http://host:8080/dir/l.css","http://host:8080/b/","http://host:8080/dir/page?q=1#top"]`
	if err != nil || got.String() != want {
		t.Errorf("got  %v, %v\nwant %s", got, err, want)
	}
	if got := Find(doc, "a").ToObject(vu.Runtime()).Get("url").String(); got != "http://host:8080/dir/page?q=1#top" {
		t.Errorf("a selection of the document is from %s", got)
	}
	if got := Find(goja.Null(), "a"); !goja.IsUndefined(got) {
		t.Errorf("found %v in null", got)
	}
}

// TestInterrupt holds that map, which swallows exceptions, does not swallow the end of the iteration.
func TestInterrupt(t *testing.T) {
	vu := newVU(t, `const doc = parseHTML('<p><p>'); exports.loop = () => { doc.find('p').map(() => { for (;;); }) }`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := vu.Call(ctx, js.StageVU, "loop"); !errors.Is(err, js.ErrInterrupted) {
		t.Errorf("got %v, want %v", err, js.ErrInterrupted)
	}
}

func FuzzDocument(f *testing.F) {
	for _, document := range []string{lists, formPage, mixture, anchors, nodes, dataset, "", "<", "<a href=http://[", "<svg><a xlink:href=x>"} {
		f.Add(document, "*", "data-x")
		f.Add(document, "p:not(", "9")
	}
	f.Fuzz(func(t *testing.T, document, selector, key string) {
		vu := newVU(t, fmt.Sprintf(`const swallow = (f) => { try { f() } catch (e) { if (e.name !== 'GoError' && e.name !== 'TypeError') throw e } };
			swallow(() => {
				const doc = parseHTML(%s);
				for (const s of [doc.find('*'), doc.contents(), doc.find(%[2]s)]) {
					for (const name in s) swallow(() => s[name](%[2]s));
					swallow(() => s.data(%[3]s));
					for (const e of s.get()) for (const name in e) swallow(() => e[name](%[2]s));
				}
			})`, quote(document), quote(selector), quote(key)))
		vu.Close()
	})
}
