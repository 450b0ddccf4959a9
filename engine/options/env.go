package options

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hive/engine/executor"
)

// FromEnv reads the options that K6_* variables set; lookup is os.LookupEnv or alike. A variable that is set to
// nothing is not set.
func FromEnv(lookup func(name string) (value string, ok bool)) (Layer, error) {
	layer := Layer{Origin: "the environment"}
	var errs []error
	for _, e := range entries() {
		text, ok := "", false
		if e.env != "" {
			text, ok = lookup(e.env)
		}
		if !ok || text == "" {
			continue
		}
		if err := parse(text, e.at(&layer)); err != nil {
			errs = append(errs, &Error{Origin: "environment", Option: e.env, Err: err})
		}
	}
	return layer, errors.Join(errs...)
}

// parse reads one option's text into its place in a Layer.
func parse(text string, at any) (err error) {
	switch v := at.(type) {
	case **bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("found %q, want true or false", text)
		}
		*v = &b
	case **int, **int64:
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return fmt.Errorf("found %q, want an integer, e.g. 10", text)
		}
		return decode(json.RawMessage(strings.TrimPrefix(text, "+")), at)
	case **time.Duration:
		d, err := executor.ParseDuration(text)
		if err != nil {
			return fmt.Errorf(`found %q, want a duration, e.g. "30s", "2d" or a number of milliseconds`, text)
		}
		*v = &d
	case **string:
		*v = &text
	case *[]string:
		*v = splitList(text)
	case *map[string]string:
		*v, err = parsePairs(text)
	case *[]executor.Stage:
		*v, err = ParseStages(text)
	case **DNSLayer:
		*v, err = ParseDNS(text)
	default:
		err = errors.New("cannot be set by a variable")
	}
	return err
}

func splitList(text string) []string {
	list := strings.Split(text, ",")
	for i, item := range list {
		list[i] = strings.TrimSpace(item)
	}
	return list
}

func parsePairs(text string) (map[string]string, error) {
	pairs := map[string]string{}
	for _, item := range splitList(text) {
		key, value, ok := strings.Cut(item, ":")
		if !ok || key == "" {
			return nil, fmt.Errorf("found %q, want name:value, several with commas between them", item)
		}
		pairs[key] = value
	}
	return pairs, nil
}

// ParseStages reads stages as they are written on the command line: "30s:10,1m:0".
func ParseStages(text string) ([]executor.Stage, error) {
	stages := []executor.Stage{}
	for _, item := range splitList(text) {
		length, target, ok := strings.Cut(item, ":")
		d, err := executor.ParseDuration(length)
		n, err2 := strconv.ParseInt(target, 10, 64)
		if !ok || err != nil || err2 != nil {
			return nil, fmt.Errorf("found %q, want duration:target, e.g. 30s:10", item)
		}
		stages = append(stages, executor.Stage{Duration: d, Target: n})
	}
	return stages, nil
}

// ParseDNS reads the option dns as it is written on the command line: "ttl=5m,select=random,policy=preferIPv4",
// each part optional.
func ParseDNS(text string) (*DNSLayer, error) {
	d := &DNSLayer{}
	for _, item := range splitList(text) {
		key, value, ok := strings.Cut(item, "=")
		switch {
		case ok && key == "ttl":
			d.TTL = &value
		case ok && key == "select":
			d.Select = &value
		case ok && key == "policy":
			d.Policy = &value
		default:
			return nil, fmt.Errorf("found %q, want ttl=…, select=… or policy=…", item)
		}
	}
	_, err := d.resolve()
	return d, err
}
