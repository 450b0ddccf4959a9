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
	all, now := true, time.Now()
	for _, name := range sets.Keys() {
		checkName(vu, name)
		ok, err := holds(sets.Get(name), call.Argument(0))
		if errors.Is(err, errAsyncCheck) {
			js.Throw(rt, err)
		}
		record(vu, ts, name, ok, now)
		if err != nil {
			js.Throw(rt, err)
		}
		all = all && ok
	}
	return rt.ToValue(all)
}

// holds is the outcome of one check.
func holds(check, value goja.Value) (bool, error) {
	predicate, ok := goja.AssertFunction(check)
	if !ok {
		return check != nil && check.ToBoolean(), nil
	}
	if js.IsAsync(check) {
		return false, errAsyncCheck
	}
	v, err := predicate(goja.Undefined(), value)
	if err != nil {
		return false, err
	}
	return v.ToBoolean(), nil
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
