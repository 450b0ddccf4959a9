package options

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"hive/engine/executor"
	"hive/engine/threshold"
)

// FromJSON reads what a script exports as its options, or a configuration file's; origin says in errors where
// that was. Values of a wrong type, an unknown executor and an unknown field of a scenario are errors, all of
// them joined; an unknown option is a warning. Null means not set.
func FromJSON(data []byte, origin string) (Layer, []string, error) {
	return fromJSON(data, origin, notExported())
}

// FromConfig is FromJSON for a configuration file: keys that are not options of a test (out, linger, …) are
// passed over.
func FromConfig(data []byte, origin string) (Layer, []string, error) {
	var in map[string]json.RawMessage
	if json.Unmarshal(data, &in) == nil && in != nil {
		for _, key := range configOnly() {
			delete(in, key)
		}
		data, _ = json.Marshal(in)
	}
	return fromJSON(data, origin, nil)
}

// fromJSON reads a layer; options in barred are not known here.
func fromJSON(data []byte, origin string, barred []string) (Layer, []string, error) {
	layer := Layer{Origin: origin}
	data = bytes.TrimSpace(data)
	if len(data) == 0 || string(data) == "null" {
		return layer, nil, nil
	}
	var in map[string]json.RawMessage
	if err := json.Unmarshal(data, &in); err != nil {
		return Layer{}, nil, &Error{Origin: origin, Err: fmt.Errorf("want an object of options: %w", err)}
	}
	names := make([]string, 0, len(entries()))
	for _, e := range entries() {
		if !slices.Contains(barred, e.name) {
			names = append(names, e.name)
		}
	}
	executor.FoldKeys(in, names)
	var errs []error
	for _, e := range entries() {
		if slices.Contains(barred, e.name) {
			continue
		}
		if raw, ok := in[e.name]; ok && string(raw) != "null" {
			if err := decode(raw, e.at(&layer)); err != nil {
				errs = append(errs, place(origin, e.name, err)...)
			}
		}
	}
	if len(errs) > 0 {
		return Layer{}, nil, errors.Join(errs...)
	}
	return layer, unknown(in, names, origin), nil
}

// place says where an option's faults are; those of scenarios say themselves which field is meant.
func place(origin, name string, err error) []error {
	if list, joined := err.(interface{ Unwrap() []error }); joined {
		var errs []error
		for _, e := range list.Unwrap() {
			errs = append(errs, place(origin, name, e)...)
		}
		return errs
	}
	if fault, ok := errors.AsType[*executor.Error](err); ok {
		name, err = fault.Path(), fault.Err
	}
	return []error{&Error{Origin: origin, Option: name, Err: err}}
}

// unknown words a warning for every option that does not exist.
func unknown(in map[string]json.RawMessage, names []string, origin string) []string {
	var warnings []string
	for _, key := range slices.Sorted(maps.Keys(in)) {
		switch guess := Nearest(key, names); {
		case slices.Contains(names, key):
		case key == "features":
			warnings = append(warnings, fmt.Sprintf("%s.features has no effect here; use the command line, the environment or the configuration file", origin))
		case guess != "":
			warnings = append(warnings, fmt.Sprintf("%s.%s: unknown option, ignored; did you mean %s?", origin, key, guess))
		default:
			warnings = append(warnings, fmt.Sprintf("%s.%s: unknown option, ignored", origin, key))
		}
	}
	return warnings
}

// decode reads one option into its place in a Layer.
func decode(raw json.RawMessage, at any) error {
	switch v := at.(type) {
	case **bool:
		return decodeNew(raw, v)
	case **int:
		return decodeNew(raw, v)
	case **int64:
		return decodeNew(raw, v)
	case **string:
		return decodeNew(raw, v)
	case **time.Duration:
		return decodeNew(raw, v)
	case *[]executor.Stage:
		return decodeStages(raw, v)
	case *[]executor.Scenario:
		return decodeScenarios(raw, v)
	case **DNSLayer:
		return decodeDNS(raw, v)
	case **TLSVersions:
		return decodeTLSVersions(raw, v)
	case *[]TLSAuth:
		return decodeTLSAuth(raw, v)
	case *map[string][]threshold.Rule:
		return decodeThresholds(raw, v)
	}
	return executor.Decode(raw, at)
}

func decodeNew[T any](raw json.RawMessage, at **T) error {
	v := new(T)
	if err := executor.Decode(raw, v); err != nil {
		return err
	}
	*at = v
	return nil
}

// decodeStages reads the shortcut, in which a stage without a duration is passed over.
func decodeStages(raw json.RawMessage, at *[]executor.Stage) error {
	var items []map[string]json.RawMessage
	if json.Unmarshal(raw, &items) == nil {
		kept := slices.DeleteFunc(items, func(item map[string]json.RawMessage) bool {
			d := item["duration"]
			return item != nil && (d == nil || string(d) == "null")
		})
		raw, _ = json.Marshal(kept)
	}
	return executor.Decode(raw, at)
}

func decodeScenarios(raw json.RawMessage, at *[]executor.Scenario) error {
	var in map[string]json.RawMessage
	if err := decodeObject(raw, &in, `an object of scenarios, e.g. {"main": {"executor": "constant-vus", "vus": 10, "duration": "30s"}}`); err != nil {
		return err
	}
	list := make([]executor.Scenario, 0, len(in))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(in)) {
		s, err := executor.ParseScenario(name, in[name])
		errs = append(errs, err)
		list = append(list, s)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	executor.Sort(list)
	*at = list
	return nil
}

func decodeDNS(raw json.RawMessage, at **DNSLayer) error {
	var in map[string]json.RawMessage
	if err := decodeObject(raw, &in, `an object, e.g. {"ttl": "5m", "select": "random", "policy": "preferIPv4"}`); err != nil {
		return err
	}
	var d DNSLayer
	parts := map[string]**string{"ttl": &d.TTL, "select": &d.Select, "policy": &d.Policy}
	for key, value := range in {
		part := parts[key]
		switch {
		case part == nil:
			return fmt.Errorf("unknown field %q, want ttl, select and policy", key)
		case string(value) == "null":
			continue
		case key == "ttl" && len(value) > 0 && value[0] >= '0' && value[0] <= '9':
			text := string(value) // a number of ms
			*part = &text
		default:
			if err := decodeNew(value, part); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	if _, err := d.resolve(); err != nil {
		return err
	}
	*at = &d
	return nil
}

func decodeTLSVersions(raw json.RawMessage, at **TLSVersions) error {
	var v TLSVersions
	if len(raw) > 0 && raw[0] == '"' {
		if err := executor.Decode(raw, &v.Min); err != nil {
			return err
		}
		v.Max = v.Min
	} else {
		var in map[string]string
		if err := executor.Decode(raw, &in); err != nil {
			return err
		}
		for key := range in {
			if key != "min" && key != "max" {
				return fmt.Errorf("unknown field %q, want min and max", key)
			}
		}
		v.Min, v.Max = in["min"], in["max"]
	}
	if err := v.check(); err != nil {
		return err
	}
	*at = &v
	return nil
}

func decodeTLSAuth(raw json.RawMessage, at *[]TLSAuth) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	var in []TLSAuth
	if err := d.Decode(&in); err != nil {
		return fmt.Errorf(`want an array of client certificates, e.g. [{"cert": "-----BEGIN…", "key": "-----BEGIN…"}]: %w`, err)
	}
	for i, a := range in {
		if a.Cert == "" || a.Key == "" {
			return fmt.Errorf("[%d]: want both cert and key, in PEM", i)
		}
	}
	*at = in
	return nil
}

func decodeThresholds(raw json.RawMessage, at *map[string][]threshold.Rule) error {
	const want = `an array of expressions, e.g. ["p(95)<500"]`
	var in map[string]json.RawMessage
	if err := decodeObject(raw, &in, `an object, e.g. {"http_req_duration": ["p(95)<500"]}`); err != nil {
		return err
	}
	out := make(map[string][]threshold.Rule, len(in))
	for _, key := range slices.Sorted(maps.Keys(in)) {
		var items []json.RawMessage
		if json.Unmarshal(in[key], &items) != nil || items == nil {
			return fmt.Errorf("[%q]: found %.40s, want %s", key, in[key], want)
		}
		rules := make([]threshold.Rule, len(items))
		for i, item := range items {
			if err := json.Unmarshal(item, &rules[i]); err != nil {
				return fmt.Errorf("[%q][%d]: %w", key, i, err)
			}
		}
		out[key] = rules
	}
	*at = out
	return nil
}

func decodeObject(raw json.RawMessage, into *map[string]json.RawMessage, want string) error {
	if json.Unmarshal(raw, into) != nil || *into == nil {
		return fmt.Errorf("found %.40s, want %s", raw, want)
	}
	return nil
}
