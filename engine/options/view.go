package options

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
)

// view says which options are written, and how.
type view struct {
	nulls     bool // options that are not set as null, instead of not at all
	omit      []string
	scenarios func(executor.Scenario) ([]byte, error)
}

// MarshalJSON writes the options that were set, with the scenarios in full; UnmarshalJSON gets the same
// options from it.
func (o Options) MarshalJSON() ([]byte, error) {
	return o.layer.encode(view{scenarios: executor.Scenario.MarshalJSON})
}

// UnmarshalJSON reads what MarshalJSON wrote, as strictly as a script's options.
func (o *Options) UnmarshalJSON(data []byte) error {
	layer, _, err := fromJSON(data, "options", nil)
	if err != nil {
		return err
	}
	read, _, err := Consolidate(layer)
	if err != nil {
		return err
	}
	*o = read
	return nil
}

// ScriptView writes the options as scripts see them in exec.test.options: consolidated, without the shortcuts
// that scenarios were derived from, and with null for what was not set.
func (o Options) ScriptView() ([]byte, error) {
	return o.filled().encode(view{
		nulls: true, omit: []string{"vus", "duration", "iterations", "stages", "cloud"}, scenarios: executor.Scenario.View,
	})
}

// filled is the layer with the defaults that k6 writes out.
func (o Options) filled() Layer {
	l := o.layer
	if l.DNS == nil {
		l.DNS = &DNSLayer{}
	}
	if l.SummaryTrendStats == nil {
		l.SummaryTrendStats = o.SummaryTrendStats
	}
	if l.SystemTags == nil {
		l.SystemTags = metric.DefaultSystemTags.Names()
		slices.Sort(l.SystemTags)
	}
	return l
}

func (l Layer) encode(v view) ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	write := func(name string, value []byte) {
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "%q:%s", name, value)
	}
	for _, e := range entries() {
		if slices.Contains(v.omit, e.name) {
			continue
		}
		value, err := v.value(e.at(&l))
		if err != nil {
			return nil, fmt.Errorf("options: %s: %w", e.name, err)
		}
		if value != nil || v.nulls {
			if value == nil {
				value = []byte("null")
			}
			write(e.name, value)
		}
		if e.name == "discardResponseBodies" && v.nulls {
			write("features", []byte("null")) // k6 lists it among the options, though scripts cannot set it
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// value writes one option, or returns nil when it is not set.
func (v view) value(at any) ([]byte, error) {
	switch p := at.(type) {
	case **time.Duration:
		if *p == nil {
			return nil, nil
		}
		return executor.Encode(*p)
	case *[]executor.Stage:
		if *p == nil {
			return nil, nil
		}
		return executor.Encode(p)
	case *[]executor.Scenario:
		if *p == nil {
			return nil, nil
		}
		return v.encodeScenarios(*p)
	case **DNSLayer:
		if *p == nil {
			return nil, nil
		}
		return v.encodeDNS(**p)
	case **TLSVersions:
		if *p == nil {
			return nil, nil
		}
		return json.Marshal(map[string]string{"min": (*p).Min, "max": (*p).Max})
	}
	data, err := json.Marshal(at)
	if string(data) == "null" {
		return nil, err
	}
	return data, err
}

func (v view) encodeScenarios(scenarios []executor.Scenario) ([]byte, error) {
	out := []byte{'{'}
	for i, s := range scenarios {
		if i > 0 {
			out = append(out, ',')
		}
		data, err := v.scenarios(s)
		if err != nil {
			return nil, err
		}
		out = fmt.Appendf(out, "%q:%s", s.Name, data)
	}
	return append(out, '}'), nil
}

func (v view) encodeDNS(d DNSLayer) ([]byte, error) {
	all := map[string]*string{"ttl": d.TTL, "select": d.Select, "policy": d.Policy}
	for name, part := range all {
		if part == nil && !v.nulls {
			delete(all, name)
		}
	}
	return json.Marshal(all)
}
