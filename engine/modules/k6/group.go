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
	f, ok := js.Function(rt, call.Argument(1))
	if !ok {
		js.Throw(rt, errNoGroup)
	}
	if js.IsAsync(call.Argument(1)) {
		js.Throw(rt, errAsyncGroup)
	}
	g := enter(vu, name)
	defer g.leave()
	return f(goja.FunctionCall{This: goja.Undefined()})
}

// grouping is one call of group.
type grouping struct {
	vu     *js.VU
	start  time.Time
	tagged bool
	outer  string // the value of the tag `group` outside
	had    bool   // there was one
}

// enter sets the tag `group` until it is left. Other tags that the script
// changes meanwhile stay changed.
func enter(vu *js.VU, name string) grouping {
	g := grouping{vu: vu, tagged: vu.Tags() != nil && vu.SystemTags().Has(metric.TagGroup)}
	if g.tagged {
		g.outer, g.had = vu.Tags().Get("group")
		vu.SetTags(vu.Tags().With("group", g.outer+separator+name))
	}
	g.start = time.Now()
	return g
}

// leave records how long the group took, however it ended.
func (g *grouping) leave() {
	vu, end := g.vu, time.Now()
	if vu.Measures() {
		vu.Record(vu.Tags(), "", end, metric.Value{
			Metric: vu.Registry().Builtin().GroupDuration,
			V:      float64(end.Sub(g.start)) / float64(time.Millisecond),
		})
	}
	switch {
	case !g.tagged:
	case g.had:
		vu.SetTags(vu.Tags().With("group", g.outer))
	default:
		vu.SetTags(vu.Tags().Without("group"))
	}
}
