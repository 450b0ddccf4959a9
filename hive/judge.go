package hive

import (
	"fmt"
	"time"

	"hive/engine/metric"
	"hive/engine/options"
	"hive/engine/threshold"
)

// Judge holds a run's thresholds against the merged state of all its shares.
// It needs the definitions of the metrics, not the script.
type Judge struct {
	set     *threshold.Set // nil when thresholds are off
	metrics *metric.Registry
}

// NewJudge prepares the thresholds of opts over the metrics defined by defs
// (the built-in ones are known).
func NewJudge(opts options.Options, flags Flags, defs []MetricDef) (*Judge, error) {
	r := metric.NewRegistry()
	for _, d := range defs {
		if _, err := r.Register(d.Name, d.Kind, d.Contains); err != nil {
			return nil, Failf(KindConfig, "thresholds: %v", err)
		}
	}
	if flags.NoThresholds || len(opts.Thresholds) == 0 {
		return &Judge{metrics: r}, nil
	}
	set, err := threshold.New(opts.Thresholds, r)
	if err != nil {
		return nil, Failf(KindConfig, "%v", err)
	}
	return &Judge{set: set, metrics: r}, nil
}

// Judge judges v, elapsed after the test began. Final is the last look, which
// also judges metrics that never got a sample.
func (j *Judge) Judge(v *metric.View, elapsed time.Duration, final bool) threshold.Judgement {
	if j.set == nil {
		return threshold.Judgement{}
	}
	return j.set.Judge(v, elapsed, final)
}

// Metric finds the definition of a metric, nil when there is none.
func (j *Judge) Metric(name string) *metric.Metric { return j.metrics.Lookup(name) }

// Definitions lists the metrics of a registry.
func Definitions(r *metric.Registry) []MetricDef {
	var defs []MetricDef
	for _, m := range r.Metrics() {
		defs = append(defs, MetricDef{Name: m.Name, Kind: m.Kind, Contains: m.Contains})
	}
	return defs
}

// customMetrics are the definitions in r that every registry does not have.
func customMetrics(r *metric.Registry) []MetricDef {
	builtin := metric.NewRegistry()
	var defs []MetricDef
	for _, d := range Definitions(r) {
		if builtin.Lookup(d.Name) == nil {
			defs = append(defs, d)
		}
	}
	return defs
}

// agreeOnMetrics merges what the nodes report; a metric that two of them
// define otherwise is an error, since its values could not be merged.
func agreeOnMetrics(reports map[string][]MetricDef) ([]MetricDef, error) {
	seen := map[string]MetricDef{}
	var all []MetricDef
	for node, defs := range reports {
		for _, d := range defs {
			was, ok := seen[d.Name]
			if ok && was != d {
				return nil, fmt.Errorf("metric %s is a %s of %s on node %s and a %s of %s elsewhere",
					d.Name, d.Kind, d.Contains, node, was.Kind, was.Contains)
			}
			if !ok {
				seen[d.Name] = d
				all = append(all, d)
			}
		}
	}
	return all, nil
}
