// Package summary renders the end-of-test summary of a run: as text for people, as the argument of a
// script's handleSummary, and as files for machines. Names, layout and shapes are k6's, so that
// scripts and tools written for it keep working.
//
// It reads a [metric.View] and a [threshold.Judgement] and knows nothing of where they come from.
package summary

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"hive/engine/metric"
	"hive/engine/threshold"
)

// Modes of the text summary.
const (
	Compact  = "compact"  // totals only, without the phases of HTTP requests
	Full     = "full"     // everything, also by scenario and group
	Disabled = "disabled" // nothing
)

// DefaultTrendStats are the statistics shown of trends when nothing else is asked for.
var DefaultTrendStats = []string{"avg", "min", "med", "max", "p(90)", "p(95)"}

// Input is what a summary is made of.
type Input struct {
	View      *metric.View
	Judgement threshold.Judgement
	// Rules are the thresholds as the script has them. Their metrics are listed even when they have
	// no samples and even when the list of expressions is empty.
	Rules map[string][]threshold.Rule
	// Metrics finds the definition of a metric that has no samples; it may be nil when there are no
	// Rules. Use Registry.Lookup.
	Metrics func(name string) *metric.Metric

	TrendStats []string      // nil: DefaultTrendStats
	TimeUnit   string        // "s", "ms", "us" or "": whichever fits
	Duration   time.Duration // of the run, without pauses: what rates are per second of

	NoColor   bool
	StdoutTTY bool
	StderrTTY bool
	SetupData json.RawMessage // what setup() returned; nil when it did not
	Hive      *Hive           // nil for a run on one machine
}

func (in *Input) stats() []string {
	if in.TrendStats == nil {
		return DefaultTrendStats
	}
	return in.TrendStats
}

// entries are the metrics and submetrics to list: those with samples and those with thresholds, with
// the metrics of their submetrics.
func (in *Input) entries() map[string]*metric.Aggregate {
	all := map[string]*metric.Aggregate{}
	for _, key := range in.View.Keys() {
		all[key] = in.View.Get(key)
	}
	for written := range in.Rules {
		sel, err := metric.ParseSelector(written)
		if err != nil || in.Metrics == nil {
			continue
		}
		m := in.Metrics(sel.Metric)
		for _, key := range []string{sel.Key(), sel.Metric} {
			if all[key] == nil && m != nil {
				all[key] = &metric.Aggregate{Name: key, Kind: m.Kind, Contains: m.Contains}
			}
		}
	}
	return all
}

// stat returns one statistic of a trend; 0 when it has no samples.
func stat(a *metric.Aggregate, name string) float64 {
	if a.Sketch == nil {
		return 0
	}
	switch name {
	case "avg":
		return a.Sketch.Mean()
	case "min":
		return a.Sketch.Min()
	case "max":
		return a.Sketch.Max()
	case "med":
		return a.Sketch.Quantile(0.5)
	case "count":
		return float64(a.Sketch.Count())
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(name, "p("), ")"), 64)
	if err != nil {
		return 0
	}
	return a.Sketch.Quantile(n / 100)
}

// rate is the share of a rate's values that are true; 0 when there are none.
func rate(a *metric.Aggregate) float64 {
	if a.Total == 0 {
		return 0
	}
	return float64(a.Trues) / float64(a.Total)
}

// perSecond divides by the length of the run.
func (in *Input) perSecond(v float64) float64 {
	if in.Duration <= 0 {
		return 0
	}
	return finite(v / in.Duration.Seconds())
}

// finite keeps a number within what JSON can say.
func finite(v float64) float64 {
	switch {
	case math.IsNaN(v):
		return 0
	case math.IsInf(v, 0):
		return math.Copysign(math.MaxFloat64, v)
	}
	return v
}
