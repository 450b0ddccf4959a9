package html

import (
	"errors"
	"fmt"

	"github.com/PuerkitoBio/goquery"
	"github.com/dop251/goja"
	"golang.org/x/net/html"

	"hive/engine/js"
)

// selected is a Selection.
type selected struct {
	page  *page
	nodes *goquery.Selection
}

type query = goquery.Selection

// selectionMembers are the methods of a Selection.
var selectionMembers = js.NewTable(
	matching("add", matchers[*query]{(*query).Add, (*query).AddSelection, nil}),
	matching("find", matchers[*query]{(*query).Find, (*query).FindSelection, nil}),
	matching("closest", matchers[*query]{(*query).Closest, (*query).ClosestSelection, nil}),
	matching("has", matchers[*query]{(*query).Has, (*query).HasSelection, nil}),
	matching("not", matchers[*query]{(*query).Not, (*query).NotSelection, (*query).NotFunction}),
	matching("filter", matchers[*query]{(*query).Filter, (*query).FilterSelection, (*query).FilterFunction}),
	matching("is", matchers[bool]{(*query).Is, (*query).IsSelection, (*query).IsFunction}),

	filtered("next", (*query).Next),
	filtered("nextAll", (*query).NextAll),
	filtered("prev", (*query).Prev),
	filtered("prevAll", (*query).PrevAll),
	filtered("parent", (*query).Parent),
	filtered("parents", (*query).Parents),
	filtered("siblings", (*query).Siblings),
	filtered("children", (*query).Children),
	until("nextUntil", matchers[*query]{(*query).NextUntil, (*query).NextUntilSelection, nil}),
	until("prevUntil", matchers[*query]{(*query).PrevUntil, (*query).PrevUntilSelection, nil}),
	until("parentsUntil", matchers[*query]{(*query).ParentsUntil, (*query).ParentsUntilSelection, nil}),

	onSelection("single", (*selected).single),
	onSelection("first", func(s *selected, _ goja.FunctionCall) any { return s.nodes.First() }),
	onSelection("last", func(s *selected, _ goja.FunctionCall) any { return s.nodes.Last() }),
	onSelection("end", func(s *selected, _ goja.FunctionCall) any { return s.nodes.End() }),
	onSelection("contents", func(s *selected, _ goja.FunctionCall) any { return s.nodes.Contents() }),
	onSelection("eq", func(s *selected, call goja.FunctionCall) any { return s.nodes.Eq(integer(call.Argument(0))) }),
	onSelection("slice", (*selected).slice),

	onSelection("size", func(s *selected, _ goja.FunctionCall) any { return s.nodes.Length() }),
	onSelection("text", func(s *selected, _ goja.FunctionCall) any { return s.nodes.Text() }),
	onSelection("html", func(s *selected, _ goja.FunctionCall) any { return s.page.markup(s.nodes) }),
	onSelection("attr", (*selected).attr),
	onSelection("val", func(s *selected, _ goja.FunctionCall) any { return s.page.val(s.first()) }),
	onSelection("data", (*selected).data),
	onSelection("index", (*selected).index),
	onSelection("get", (*selected).get),
	onSelection("toArray", (*selected).toArray),
	onSelection("each", (*selected).each),
	onSelection("map", (*selected).mapped),
	onSelection("serialize", (*selected).serialize),
	onSelection("serializeArray", (*selected).serializeArray),
	onSelection("serializeObject", (*selected).serializeObject),
)

// onSelection is a method of Selections. What f returns is shown by page.value.
func onSelection(name string, f func(s *selected, call goja.FunctionCall) any) member {
	return js.Method(name, func(r *realm, call goja.FunctionCall) goja.Value {
		s := this[*selected](r, call, name)
		return s.page.value(f(s, call))
	})
}

// matchers is a method of goquery in its variants: for a selector, for a selection, and for a function if it takes one.
type matchers[T any] struct {
	selector  func(*query, string) T
	selection func(*query, *query) T
	function  func(*query, func(int, *query) bool) T
}

// matching is a method name(selector | Selection), or name(selector | Selection | function).
func matching[T any](name string, m matchers[T]) member {
	return onSelection(name, func(s *selected, call goja.FunctionCall) any { return match(s, m, name, call.Argument(0)) })
}

func match[T any](s *selected, m matchers[T], name string, v goja.Value) T {
	if goja.IsString(v) {
		return m.selector(s.nodes, v.String())
	}
	if other, ok := unwrap[*selected](v); ok {
		return m.selection(s.nodes, other.nodes)
	}
	f, ok := goja.AssertFunction(v)
	if ok && m.function != nil {
		return m.function(s.nodes, s.test(f))
	}
	wanted := "a selector or a Selection"
	if m.function != nil {
		wanted = "a selector, a Selection or a function"
	}
	js.Throw(s.page.realm.rt, fmt.Errorf("%s() got %s, want %s", name, v, wanted))
	var none T
	return none
}

// test is a function (index, Selection) of the script. What it throws leaves the method that asked for it.
func (s *selected) test(f goja.Callable) func(int, *query) bool {
	rt := s.page.realm.rt
	return func(i int, one *query) bool {
		v, err := f(goja.Undefined(), rt.ToValue(i), s.page.selection(one))
		if err != nil {
			js.Throw(rt, err)
		}
		return v.ToBoolean()
	}
}

// filtered is a method name(selector?).
func filtered(name string, walk func(*query) *query) member {
	return onSelection(name, func(s *selected, call goja.FunctionCall) any { return keep(walk(s.nodes), call.Arguments) })
}

// until is a method name((selector | Selection)?, filter?).
func until(name string, m matchers[*query]) member {
	return onSelection(name, func(s *selected, call goja.FunctionCall) any {
		if missing(call.Argument(0)) {
			return keep(m.selector(s.nodes, ""), call.Arguments[min(1, len(call.Arguments)):])
		}
		return keep(match(s, m, name, call.Argument(0)), call.Arguments[1:])
	})
}

// keep filters new nodes by the selector that args may begin with. It is no step of its own for end().
func keep(nodes *query, args []goja.Value) *query {
	if len(args) > 0 {
		nodes.Nodes = nodes.Filter(args[0].String()).Nodes
	}
	return nodes
}

func integer(v goja.Value) int { return int(v.ToInteger()) }

// first is the first node; nil when there is none.
func (s *selected) first() *html.Node {
	if len(s.nodes.Nodes) == 0 {
		return nil
	}
	return s.nodes.Nodes[0]
}

// single is single(selector): the first node that find would give.
func (s *selected) single(call goja.FunctionCall) any {
	return s.nodes.FindMatcher(goquery.Single(call.Argument(0).String()))
}

// slice is slice(start, end?) with the meaning of Array's.
func (s *selected) slice(call goja.FunctionCall) any {
	size := s.nodes.Length()
	start, end := within(integer(call.Argument(0)), size), size
	if v := call.Argument(1); !goja.IsUndefined(v) {
		end = within(integer(v), size)
	}
	return s.nodes.Slice(start, max(start, end))
}

// within gives a position, which counts from the end when it is negative, between 0 and size.
func within(i, size int) int {
	if i < 0 {
		i += size
	}
	return max(0, min(i, size))
}

// attr is attr(name, default?) of the first node.
func (s *selected) attr(call goja.FunctionCall) any {
	if v, ok := s.nodes.Attr(call.Argument(0).String()); ok {
		return v
	}
	return call.Argument(1)
}

// markup is the HTML in the first node.
func (p *page) markup(nodes *query) string {
	text, err := nodes.Html()
	if err != nil {
		js.Throw(p.realm.rt, err)
	}
	return text
}

// index is index(selector?): where the first node is, among its siblings or among what the selector finds.
func (s *selected) index(call goja.FunctionCall) any {
	if len(call.Arguments) == 0 {
		return s.nodes.Index()
	}
	return s.nodes.IndexSelector(call.Argument(0).String())
}

// get is get(index?): an Element, which a negative index counts from the end, or all of them.
func (s *selected) get(call goja.FunctionCall) any {
	nodes := s.nodes.Nodes
	if len(call.Arguments) == 0 {
		return nodes
	}
	i := integer(call.Argument(0))
	if i < 0 {
		i += len(nodes)
	}
	if i < 0 || i >= len(nodes) {
		return nil
	}
	return nodes[i]
}

// toArray is toArray(): a Selection of each node.
func (s *selected) toArray(goja.FunctionCall) any {
	list := make([]*query, s.nodes.Length())
	for i := range list {
		list[i] = s.nodes.Eq(i)
	}
	return array(s.page, list)
}

// each is each(function(index, Element)).
func (s *selected) each(call goja.FunctionCall) any {
	f := s.callback("each", call)
	rt := s.page.realm.rt
	for i, n := range s.nodes.Nodes {
		if _, err := f(goja.Undefined(), rt.ToValue(i), s.page.element(n)); err != nil {
			js.Throw(rt, err)
		}
	}
	return call.This
}

// mapped is map(function(index, Selection)): an array of what the function returned. Where it threw there is nothing.
func (s *selected) mapped(call goja.FunctionCall) any {
	f := s.callback("map", call)
	rt := s.page.realm.rt
	var results []any
	for i := range s.nodes.Nodes {
		v, err := f(goja.Undefined(), rt.ToValue(i), s.page.selection(s.nodes.Eq(i)))
		var thrown *goja.Exception
		switch {
		case err == nil:
			results = append(results, v)
		case !errors.As(err, &thrown):
			js.Throw(rt, err) // the end of the iteration
		}
	}
	return rt.NewArray(results...)
}

func (s *selected) callback(name string, call goja.FunctionCall) goja.Callable {
	f, ok := goja.AssertFunction(call.Argument(0))
	if !ok {
		js.Throw(s.page.realm.rt, fmt.Errorf("%s() got %s, want a function", name, call.Argument(0)))
	}
	return f
}
