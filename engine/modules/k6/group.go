package k6

import (
	"errors"
	"time"

	"github.com/dop251/goja"

	"hive/engine/js"
	"hive/engine/metric"
)

var (
	errNoGroup    = errors.New("group() needs a function as its second argument")
	errAsyncGroup = errors.New("group() cannot wait for async functions")
)

// group is group(name, f): what f measures is tagged with the group.
func group(vu *js.VU, call goja.FunctionCall) goja.Value {
	vu.NotIn("group()", js.StageInit)
	rt := vu.Runtime()
	name := call.Argument(0).String()
	checkName(vu, name)
	f, ok := goja.AssertFunction(call.Argument(1))
	if !ok {
		js.Throw(rt, errNoGroup)
	}
	if js.IsAsync(call.Argument(1)) {
		js.Throw(rt, errAsyncGroup)
	}
	defer enter(vu, name)()
	start := time.Now()
	v, err := f(goja.Undefined())
	end := time.Now()
	if vu.Measures() {
		vu.Record(vu.Tags(), "", end, metric.Value{
			Metric: vu.Registry().Builtin().GroupDuration,
			V:      float64(end.Sub(start)) / float64(time.Millisecond),
		})
	}
	if err != nil {
		js.Throw(rt, err)
	}
	return v
}

// enter sets the tag `group` until leave is called. Other tags that the script
// changes meanwhile stay changed.
func enter(vu *js.VU, name string) (leave func()) {
	if vu.Tags() == nil || !vu.SystemTags().Has(metric.TagGroup) {
		return func() {}
	}
	outer, had := vu.Tags().Get("group")
	vu.SetTags(vu.Tags().With("group", outer+separator+name))
	return func() {
		if had {
			vu.SetTags(vu.Tags().With("group", outer))
		} else {
			vu.SetTags(vu.Tags().Without("group"))
		}
	}
}
