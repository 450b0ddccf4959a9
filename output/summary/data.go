package summary

import (
	"encoding/json"
	"time"

	"hive/engine/metric"
)

// Data returns the argument of handleSummary, ready for encoding/json.
func Data(in Input) map[string]any {
	metrics := map[string]any{}
	for key, a := range in.entries() {
		m := map[string]any{"type": a.Kind.String(), "contains": a.Contains.String(), "values": in.values(a)}
		if results := in.Judgement.Results[key]; len(results) > 0 {
			oks := map[string]any{}
			for _, r := range results {
				oks[r.Source] = map[string]any{"ok": r.OK}
			}
			m["thresholds"] = oks
		}
		metrics[key] = m
	}
	data := map[string]any{
		"root_group": groupTree(in.View).list(),
		"options": map[string]any{
			"summaryTrendStats": in.stats(), "summaryTimeUnit": in.TimeUnit, "noColor": in.NoColor,
		},
		"state": map[string]any{
			"isStdOutTTY": in.StdoutTTY, "isStdErrTTY": in.StderrTTY,
			"testRunDurationMs": float64(in.Duration) / float64(time.Millisecond),
		},
		"metrics": metrics,
	}
	if len(in.SetupData) > 0 {
		data["setup_data"] = in.SetupData
	}
	if in.Hive != nil {
		data["hive"] = in.Hive
	}
	return data
}

// values are the numbers of a metric by their names in k6.
func (in *Input) values(a *metric.Aggregate) map[string]any {
	switch a.Kind {
	case metric.Counter:
		return map[string]any{"count": a.Sum, "rate": in.perSecond(a.Sum)}
	case metric.Gauge:
		return map[string]any{"value": a.Last, "min": a.Min, "max": a.Max}
	case metric.Rate:
		return map[string]any{"rate": rate(a), "passes": a.Trues, "fails": a.Total - a.Trues}
	}
	values := map[string]any{}
	for _, name := range in.stats() {
		values[name] = finite(stat(a, name))
	}
	return values
}

// Export returns the file that --summary-export writes. Mind that a threshold is true there when it
// failed.
func Export(in Input) ([]byte, error) {
	metrics := map[string]any{}
	for key, a := range in.entries() {
		m := in.values(a)
		if a.Kind == metric.Rate {
			m["value"] = m["rate"]
			delete(m, "rate")
		}
		if results := in.Judgement.Results[key]; len(results) > 0 {
			failed := map[string]any{}
			for _, r := range results {
				failed[r.Source] = !r.OK
			}
			m["thresholds"] = failed
		}
		metrics[key] = m
	}
	out := map[string]any{"metrics": metrics, "root_group": groupTree(in.View).byName()}
	if len(in.SetupData) > 0 {
		out["setup_data"] = in.SetupData
	}
	if in.Hive != nil {
		out["hive"] = in.Hive
	}
	return json.MarshalIndent(out, "", "    ")
}
