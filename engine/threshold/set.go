package threshold

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"hive/engine/metric"
)

// Set is the thresholds of a test, parsed. It is immutable and safe for concurrent use.
type Set struct {
	keys  []string // sorted
	rules map[string][]rule
	kinds map[string]metric.Kind
}

type rule struct {
	Rule
	expression
}

// New parses rules, which are listed by metric name or by submetric such as
// "http_req_duration{status:200}", checks that they fit their metrics and declares the submetrics in
// r. Its error names the metric, the expression and what would be right.
func New(rules map[string][]Rule, r *metric.Registry) (*Set, error) {
	s := &Set{rules: map[string][]rule{}, kinds: map[string]metric.Kind{}}
	for _, written := range slices.Sorted(maps.Keys(rules)) {
		sel, err := metric.ParseSelector(written)
		if err != nil {
			return nil, fmt.Errorf("thresholds: %w", err)
		}
		key := sel.Key()
		m := r.Lookup(sel.Metric)
		if m == nil {
			return nil, fmt.Errorf("thresholds: %q: there is no metric named %q; custom metrics must be created in the init code", key, sel.Metric)
		}
		s.kinds[key] = m.Kind
		for _, one := range rules[written] {
			e, err := parse(one.Threshold)
			if err == nil {
				err = e.fits(m.Kind)
			}
			if err != nil {
				return nil, fmt.Errorf("thresholds: %q on %s: %w", one.Threshold, key, err)
			}
			s.rules[key] = append(s.rules[key], rule{one, e})
		}
		if err := r.Submetric(key); err != nil {
			return nil, fmt.Errorf("thresholds: %w", err)
		}
	}
	s.keys = slices.Sorted(maps.Keys(s.kinds))
	return s, nil
}

// Empty says whether there is nothing to judge.
func (s *Set) Empty() bool { return len(s.rules) == 0 }

// Result is what became of one threshold.
type Result struct {
	Source string  // the expression as the script has it
	OK     bool    // it holds
	Left   float64 // the value observed
	Agg    string  // what was observed, such as "p(95)"
}

// Judgement is the result of all thresholds at one moment.
type Judgement struct {
	Results map[string][]Result // by metric or submetric (see metric.Selector's Key), in the script's order
	Failed  []string            // the metrics and submetrics with a failed threshold, sorted
	Abort   bool                // one that failed asks to end the test now
}

// Passed says whether no threshold failed.
func (j Judgement) Passed() bool { return len(j.Failed) == 0 }

// Judge compares what v holds with the thresholds, after elapsed time of the test. Metrics without
// samples are skipped, unless this is the final judgement: then they count as zero, except that a
// rate without samples passes. Abort is never set in the final judgement.
func (s *Set) Judge(v *metric.View, elapsed time.Duration, final bool) Judgement {
	j := Judgement{Results: map[string][]Result{}}
	for _, key := range s.keys {
		a := v.Get(key)
		if a == nil && !final {
			continue
		}
		failed := false
		for _, r := range s.rules[key] {
			res := r.judge(a, s.kinds[key], elapsed)
			j.Results[key] = append(j.Results[key], res)
			failed = failed || !res.OK
			j.Abort = j.Abort || (!final && !res.OK && r.AbortOnFail && elapsed >= r.DelayAbortEval)
		}
		if failed {
			j.Failed = append(j.Failed, key)
		}
	}
	return j
}

// judge judges one rule; a is nil when there are no samples.
func (r rule) judge(a *metric.Aggregate, k metric.Kind, elapsed time.Duration) Result {
	res := Result{Source: r.Threshold, Agg: r.agg}
	if a == nil {
		res.OK = k == metric.Rate || r.holds(0)
		return res
	}
	res.Left = r.observe(a, elapsed)
	res.OK = r.holds(res.Left) || (k == metric.Rate && a.Total == 0)
	return res
}

// observe returns the value that the expression is about.
func (e expression) observe(a *metric.Aggregate, elapsed time.Duration) float64 {
	switch a.Kind {
	case metric.Counter:
		if e.agg == "count" {
			return a.Sum
		}
		return perSecond(a.Sum, elapsed)
	case metric.Gauge:
		return a.Last
	case metric.Rate:
		if a.Total == 0 {
			return 0
		}
		return float64(a.Trues) / float64(a.Total)
	}
	switch e.agg {
	case "avg":
		return a.Sketch.Mean()
	case "min":
		return a.Sketch.Min()
	case "max":
		return a.Sketch.Max()
	default:
		return a.Sketch.Quantile(e.quantile)
	}
}

func perSecond(sum float64, elapsed time.Duration) float64 {
	if elapsed <= 0 {
		return 0
	}
	return sum / elapsed.Seconds()
}
