package options

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"hive/engine/executor"
)

// Consolidate lays the layers over each other, lowest first, derives the scenarios from the shortcuts, fills in
// defaults and checks the whole. Of duration, iterations, stages and scenarios only those of the highest layer
// that sets any of them count.
func Consolidate(layers ...Layer) (Options, []string, error) {
	var merged Layer
	for _, l := range layers {
		if err := l.conflict(); err != nil {
			return Options{}, nil, err
		}
		merged = merged.under(l)
	}
	warnings, err := merged.derive()
	if err != nil {
		return Options{}, warnings, err
	}
	o, err := merged.resolve()
	return o, append(warnings, o.doubts()...), err
}

// shortcuts names the options of the group that the layer sets.
func (l Layer) shortcuts() []string {
	var set []string
	for _, s := range []struct {
		name string
		set  bool
	}{
		{"iterations", l.Iterations != nil}, {"duration", l.Duration != nil},
		{"stages", l.Stages != nil}, {"scenarios", l.Scenarios != nil},
	} {
		if s.set {
			set = append(set, s.name)
		}
	}
	return set
}

// conflict reports two options of the group that contradict each other within one layer.
func (l Layer) conflict() error {
	set := l.shortcuts()
	if len(set) < 2 || len(set) == 2 && set[0] == "iterations" && set[1] == "duration" {
		return nil
	}
	return &Error{Origin: l.Origin, Err: fmt.Errorf("%s and %s cannot be used together: each says what is run", set[0], set[1])}
}

// under returns the layer with another one laid over it.
func (l Layer) under(over Layer) Layer {
	if len(over.shortcuts()) > 0 {
		l.Duration, l.Iterations, l.Stages, l.Scenarios = nil, nil, nil, nil
	}
	dns := over.DNS
	if over.DNS != nil && l.DNS != nil {
		merged := *l.DNS
		overlay(&merged, *over.DNS)
		dns = &merged
	}
	overlay(&l, over)
	if dns != nil {
		l.DNS = dns
	}
	l.Origin = ""
	return l
}

// overlay copies every field that is set. All fields of layers are pointers, slices and maps, but for Origin.
func overlay[T any](onto *T, over T) {
	to, from := reflect.ValueOf(onto).Elem(), reflect.ValueOf(over)
	for i := range to.NumField() {
		if !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
}

// derive turns the shortcuts into a scenario called "default", and keeps nothing but scenarios.
func (l *Layer) derive() (warnings []string, err error) {
	kind, given := executor.PerVUIterations, map[string]any{}
	switch {
	case l.Iterations != nil:
		kind, given["vus"], given["iterations"] = executor.SharedIterations, value(l.VUs, 1), *l.Iterations
		if l.Duration != nil {
			given["maxDuration"] = l.Duration.String()
		}
	case l.Duration != nil:
		if *l.Duration <= 0 {
			return nil, &Error{Option: "duration", Err: fmt.Errorf("found %v, want more than 0; only an externally-controlled scenario can run without an end", *l.Duration)}
		}
		kind, given["vus"], given["duration"] = executor.ConstantVUs, value(l.VUs, 1), l.Duration.String()
	case len(l.Stages) > 0:
		kind, given["stages"] = executor.RampingVUs, l.stagesJSON()
		if l.VUs != nil {
			given["startVUs"] = *l.VUs
		}
	case l.Stages != nil:
		warnings = append(warnings, "stages is empty: the script runs 1 iteration in 1 VU")
	case l.VUs != nil:
		kind, given["vus"], given["iterations"] = executor.SharedIterations, *l.VUs, *l.VUs
		if len(l.Scenarios) > 0 {
			warnings = append(warnings, fmt.Sprintf("vus=%d overrides the scenarios: %d iterations shared among %d VUs are run instead", *l.VUs, *l.VUs, *l.VUs))
		}
	case len(l.Scenarios) > 0:
		given = nil
	case l.Scenarios != nil:
		warnings = append(warnings, "scenarios is empty: the script runs 1 iteration in 1 VU")
	}
	if given != nil {
		given["executor"] = string(kind)
		if l.Scenarios, err = derived(given); err != nil {
			return warnings, err
		}
	}
	l.VUs, l.Duration, l.Iterations, l.Stages = nil, nil, nil, nil
	return warnings, nil
}

// derived reads a derived scenario like a written one, so that the same rules hold.
func derived(scenario map[string]any) ([]executor.Scenario, error) {
	data, err := json.Marshal(scenario)
	if err != nil {
		return nil, &Error{Err: err}
	}
	s, err := executor.ParseScenario("default", data)
	if err != nil {
		return nil, errors.Join(place("", "scenarios", err)...)
	}
	return []executor.Scenario{s}, nil
}

func (l *Layer) stagesJSON() json.RawMessage {
	data, _ := executor.Encode(&l.Stages) // text and integers: cannot fail
	return data
}

func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
