// Package metrics is the k6/metrics module: metrics that scripts define.
package metrics

import (
	"fmt"
	"math"
	"time"

	"github.com/dop251/goja"

	"hive/engine/js"
	"hive/engine/metric"
)

// Path is what scripts import.
const Path = "k6/metrics"

var exports = js.NewTable(
	class("Counter", metric.Counter),
	class("Gauge", metric.Gauge),
	class("Rate", metric.Rate),
	class("Trend", metric.Trend),
)

// New returns the module.
func New() js.Module {
	return js.Module{Path: Path, Names: exports.Names(), Open: func(vu *js.VU) *goja.Object {
		return exports.Object(vu.Runtime(), vu)
	}}
}

// class is a constructor: new Trend(name, isTime).
func class(name string, kind metric.Kind) js.Entry[*js.VU] {
	return js.Constructor(name, func(vu *js.VU, call goja.ConstructorCall) *goja.Object {
		vu.OnlyInInit("new " + name + "()")
		contains := metric.Default
		if kind == metric.Trend && call.Argument(1).ToBoolean() {
			contains = metric.Time
		}
		title := ""
		if v := call.Argument(0); !goja.IsUndefined(v) {
			title = v.String()
		}
		m, err := vu.Registry().Register(title, kind, contains)
		if err != nil {
			js.Throw(vu.Runtime(), err)
		}
		obj := methods.Object(vu.Runtime(), &custom{vu: vu, metric: m})
		if err := obj.SetPrototype(call.This.Prototype()); err != nil {
			js.Throw(vu.Runtime(), err)
		}
		return obj
	})
}

// custom is a script's metric in one VU.
type custom struct {
	vu     *js.VU
	metric *metric.Metric
}

var methods = js.NewTable(
	js.Property("name", func(c *custom) goja.Value { return c.vu.Runtime().ToValue(c.metric.Name) }),
	js.Method("add", (*custom).add),
)

// add is add(value, tags).
func (c *custom) add(call goja.FunctionCall) goja.Value {
	rt := c.vu.Runtime()
	c.vu.NotIn("the add() of a metric", js.StageInit)
	v, err := c.value(call)
	if err != nil {
		if c.vu.Throws() {
			js.Throw(rt, err)
		}
		c.vu.Log().Warn(err.Error())
		return rt.ToValue(false)
	}
	ts, err := c.vu.WithTags(c.vu.Tags(), call.Argument(1))
	if err != nil {
		js.Throw(rt, fmt.Errorf("metric '%s': %w", c.metric.Name, err))
	}
	c.vu.Record(ts, "", time.Now(), metric.Value{Metric: c.metric, V: v})
	return rt.ToValue(true)
}

// value is what the call adds.
func (c *custom) value(call goja.FunctionCall) (float64, error) {
	arg := call.Argument(0)
	if goja.IsUndefined(arg) {
		return 0, fmt.Errorf("metric '%s': no value to add; a number or a boolean is needed", c.metric.Name)
	}
	v := arg.ToFloat()
	if goja.IsNull(arg) || math.IsNaN(v) {
		return 0, fmt.Errorf("metric '%s': '%s' is not a value to add; a number or a boolean is needed", c.metric.Name, arg)
	}
	if c.metric.Kind == metric.Rate && v != 0 {
		v = 1
	}
	return v, nil
}
