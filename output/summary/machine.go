package summary

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"hive/engine/metric"
)

// About tells the machine-readable summary of what run it is.
type About struct {
	Script    string    // the script's text
	Source    string    // where it came from; "" when that is not known
	Version   string    // of the program
	Generated time.Time // when the summary was made
}

// MachineReadable returns the summary in the shape of k6's opt-in format, which is also what
// handleSummary gets when that is on.
func MachineReadable(in Input, about About) ([]byte, error) {
	config := map[string]any{"duration": in.Duration.Seconds(), "execution": "local", "script": about.Script}
	if about.Source != "" {
		config["source"] = about.Source
	}
	metrics := []any{}
	all := in.entries()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if a := all[key]; !hidden[a.Name] {
			metrics = append(metrics, machineMetric(key, a))
		}
	}
	out := map[string]any{
		"version":  "1.0.0",
		"config":   config,
		"metadata": map[string]any{"generated_at": about.Generated.UTC().Format(time.RFC3339Nano), "k6_version": about.Version},
		"results":  map[string]any{"checks": machineChecks(in.View), "metrics": metrics},
	}
	if in.Hive != nil {
		out["hive"] = in.Hive
	}
	return json.MarshalIndent(out, "", "    ")
}

func machineMetric(name string, a *metric.Aggregate) map[string]any {
	values := map[string]any{}
	switch a.Kind {
	case metric.Counter:
		values["count"] = a.Sum
	case metric.Gauge:
		values["value"], values["min"], values["max"] = a.Last, a.Min, a.Max
	case metric.Rate:
		values["matches"], values["total"], values["rate"] = a.Trues, a.Total, rate(a)
	default:
		for key, stats := range map[string]string{"avg": "avg", "min": "min", "max": "max", "med": "med", "p90": "p(90)", "p95": "p(95)"} {
			values[key] = finite(stat(a, stats))
		}
	}
	return map[string]any{"name": name, "type": a.Kind.String(), "contains": a.Contains.String(), "values": values}
}

func machineChecks(v *metric.View) map[string]any {
	metrics, results := []any{}, []any{}
	if a := v.Get("checks"); a != nil {
		failed := &metric.Aggregate{Kind: metric.Rate, Trues: a.Total - a.Trues, Total: a.Total}
		metrics = append(metrics,
			machineMetric("checks_total", &metric.Aggregate{Kind: metric.Counter, Sum: float64(a.Total)}),
			machineMetric("checks_failed", failed),
			machineMetric("checks_succeeded", a),
		)
	}
	for _, c := range checks(v) {
		results = append(results, map[string]any{"name": c.name, "passes": c.passes, "fails": c.fails})
	}
	return map[string]any{"metrics": metrics, "results": results}
}
