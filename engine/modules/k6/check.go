package k6

import (
	"errors"
	"time"

	"github.com/dop251/goja"

	"hive/engine/js"
	"hive/engine/metric"
)

var (
	errNoChecks   = errors.New("check() needs an object of checks as its second argument")
	errAsyncCheck = errors.New("check() cannot wait for async functions; use the check() of the k6-utils library")
)

// check is check(value, checks, tags): each property of checks is a predicate
// on the value, or its outcome, and one sample of the metric `checks`.
func check(vu *js.VU, call goja.FunctionCall) goja.Value {
	vu.NotIn("check()", js.StageInit)
	rt := vu.Runtime()
	if len(call.Arguments) < 2 {
		js.Throw(rt, errNoChecks)
	}
	if goja.IsNull(call.Argument(1)) || goja.IsUndefined(call.Argument(1)) {
		panic(rt.NewTypeError("check(): the checks must be an object, not " + call.Argument(1).String()))
	}
	ts, err := vu.WithTags(vu.Tags(), call.Argument(2))
	if err != nil {
		js.Throw(rt, err)
	}
	sets := call.Argument(1).ToObject(rt)
	c := checking{vu: vu, tags: ts, at: time.Now(), args: call.Arguments[:1]}
	all := true
	for _, name := range sets.Keys() {
		checkName(vu, name)
		ok := c.holds(name, sets.Get(name))
		record(vu, ts, name, ok, c.at)
		all = all && ok
	}
	return rt.ToValue(all)
}

// checking is one call of check.
type checking struct {
	vu   *js.VU
	tags *metric.TagSet
	at   time.Time
	args []goja.Value // of the predicates
}

// holds is the outcome of one check. One that throws has failed.
func (c *checking) holds(name string, check goja.Value) bool {
	predicate, ok := js.Function(c.vu.Runtime(), check)
	if !ok {
		return check != nil && check.ToBoolean()
	}
	if js.IsAsync(check) {
		js.Throw(c.vu.Runtime(), errAsyncCheck)
	}
	returned := false
	defer func() {
		if !returned {
			record(c.vu, c.tags, name, false, c.at)
		}
	}()
	v := predicate(goja.FunctionCall{This: goja.Undefined(), Arguments: c.args})
	returned = true
	return v.ToBoolean()
}

func record(vu *js.VU, ts *metric.TagSet, name string, ok bool, at time.Time) {
	if !vu.Measures() {
		return
	}
	if vu.SystemTags().Has(metric.TagCheck) {
		ts = ts.With("check", name)
	}
	value := metric.Value{Metric: vu.Registry().Builtin().Checks}
	if ok {
		value.V = 1
	}
	vu.Record(ts, "", at, value)
}
