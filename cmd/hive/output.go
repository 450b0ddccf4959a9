package main

import (
	"slices"
	"strings"
)

// outputSpec is one --out.
type outputSpec struct {
	Type string // json or csv
	Arg  string // what stood after "="; "" for the output's default
}

// parseOutput reads one --out: type or type=argument.
func parseOutput(word string) (outputSpec, error) {
	kind, arg, _ := strings.Cut(word, "=")
	switch {
	case kind == "json", kind == "csv":
		return outputSpec{Type: kind, Arg: arg}, nil
	case slices.Contains(k6Outputs, kind):
		return outputSpec{}, usageError("--out %s: hive does not have this output yet; there are json and csv", kind)
	default:
		return outputSpec{}, usageError("--out %s: unknown output type %q; there are json and csv", word, kind)
	}
}

// k6Outputs are the types that k6 has beyond hive's.
var k6Outputs = []string{
	"cloud", "influxdb", "experimental-prometheus-rw", "opentelemetry", "experimental-opentelemetry",
	"statsd", "datadog", "kafka", "web-dashboard", "dashboard",
}

// describeOutputs is the header's line on outputs.
func describeOutputs(specs []outputSpec) string {
	if len(specs) == 0 {
		return "-"
	}
	words := make([]string, len(specs))
	for i, s := range specs {
		words[i] = s.Type
		if s.Arg != "" {
			words[i] += " (" + s.Arg + ")"
		}
	}
	return strings.Join(words, ", ")
}
