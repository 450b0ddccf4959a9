package http

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dop251/goja"
)

// expectation tells which statuses are a success. It is what expectedStatuses returns, immutable.
type expectation struct {
	single []int
	ranges []statusRange
}

type statusRange struct{ min, max int }

var defaultExpectation = &expectation{ranges: []statusRange{{200, 399}}}

// unauthorized is what the first exchange of digest authentication must end with.
var unauthorized = &expectation{single: []int{401}}

func (e *expectation) met(status int) bool {
	for _, r := range e.ranges {
		if r.min <= status && status <= r.max {
			return true
		}
	}
	return slices.Contains(e.single, status)
}

// or returns an expectation that another status meets too; nil stays nil.
func (e *expectation) or(status int) *expectation {
	if e == nil {
		return nil
	}
	return &expectation{single: append(slices.Clone(e.single), status), ranges: e.ranges}
}

// opaque is a JS object without properties that carries an expectation.
type opaque struct{ *expectation }

func (opaque) Get(string) goja.Value       { return nil }
func (opaque) Set(string, goja.Value) bool { return false }
func (opaque) Has(string) bool             { return false }
func (opaque) Delete(string) bool          { return true }
func (opaque) Keys() []string              { return nil }

// jsExpectedStatuses is http.expectedStatuses(...(status | {min, max})).
func (s *State) jsExpectedStatuses(call goja.FunctionCall) goja.Value {
	if len(call.Arguments) == 0 {
		s.throw(errors.New("expectedStatuses() needs at least one status or {min, max}"))
	}
	e := new(expectation)
	for i, arg := range call.Arguments {
		if !e.add(arg) {
			s.throw(fmt.Errorf("expectedStatuses(): argument %d is %s; it must be an integer or an object like {min: 200, max: 299}", i+1, arg))
		}
	}
	return s.rt.NewDynamicObject(opaque{e})
}

func (e *expectation) add(arg goja.Value) bool {
	if n, ok := integer(arg); ok {
		e.single = append(e.single, n)
		return true
	}
	obj, ok := arg.(*goja.Object)
	if !ok {
		return false
	}
	low, okLow := integer(obj.Get("min"))
	high, okHigh := integer(obj.Get("max"))
	e.ranges = append(e.ranges, statusRange{low, high})
	return okLow && okHigh
}

// integer reads a JS number without a fraction.
func integer(v goja.Value) (int, bool) {
	if v == nil {
		return 0, false
	}
	n, ok := v.Export().(int64)
	return int(n), ok
}

// jsSetResponseCallback is http.setResponseCallback(callback | null).
func (s *State) jsSetResponseCallback(call goja.FunctionCall) goja.Value {
	if len(call.Arguments) == 0 {
		return goja.Undefined()
	}
	e, ok := expectationOf(call.Argument(0))
	if !ok {
		s.throw(errors.New("setResponseCallback() takes what expectedStatuses() returns, or null"))
	}
	s.expect = e
	return goja.Undefined()
}

// expectationOf reads a response callback; null is one that tracks nothing.
func expectationOf(v goja.Value) (*expectation, bool) {
	if goja.IsNull(v) {
		return nil, true
	}
	if obj, ok := v.(*goja.Object); ok {
		if o, ok := obj.Export().(opaque); ok {
			return o.expectation, true
		}
	}
	return nil, false
}
