package executor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// exact bounds the integers that JavaScript can tell from their neighbours.
const exact = 1 << 53

// Decode reads one option's JSON value into the variable that into points to: *bool, *int, *int64, *string,
// *time.Duration, *[]string, *map[string]string, *[]Stage or *json.RawMessage. It is strict about types; its
// errors name what was found and what would be right. Null is an error: it means "not set", which the caller
// knows how to treat.
func Decode(raw json.RawMessage, into any) error {
	switch v := into.(type) {
	case *bool:
		if json.Unmarshal(raw, v) != nil || isNull(raw) {
			return mismatch(raw, "a boolean, true or false")
		}
	case *int:
		n, err := decodeInt(raw)
		if err != nil {
			return err
		}
		*v = int(n)
	case *int64:
		n, err := decodeInt(raw)
		if err != nil {
			return err
		}
		*v = n
	case *string:
		if json.Unmarshal(raw, v) != nil || isNull(raw) {
			return mismatch(raw, "a string")
		}
	case *time.Duration:
		return decodeDuration(raw, v)
	case *[]string:
		return decodeStrings(raw, v)
	case *map[string]string:
		return decodeStringMap(raw, v)
	case *[]Stage:
		return decodeStages(raw, v)
	case *json.RawMessage:
		*v = bytes.Clone(raw)
	default:
		return fmt.Errorf("executor: cannot decode into %T", into)
	}
	return nil
}

func decodeInt(raw json.RawMessage) (int64, error) {
	const want = "an integer, e.g. 10"
	// Scripts often pass on what came from the environment, so "10" is as good as 10.
	if text := ""; len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n > exact || n < -exact {
			return 0, mismatch(raw, want)
		}
		return n, nil
	}
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, mismatch(raw, want)
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return 0, mismatch(raw, want)
	}
	return int64(f), nil
}

func decodeDuration(raw json.RawMessage, into *time.Duration) error {
	text := string(raw)
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return mismatch(raw, wantDuration)
		}
	} else if n := strings.TrimLeft(text, "-"); n == "" || n[0] < '0' || n[0] > '9' {
		return mismatch(raw, wantDuration)
	}
	d, err := ParseDuration(text)
	if err != nil {
		return mismatch(raw, wantDuration)
	}
	*into = d
	return nil
}

func decodeStrings(raw json.RawMessage, into *[]string) error {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil || isNull(raw) {
		return mismatch(raw, "an array of strings")
	}
	list := make([]string, len(items))
	for i, item := range items {
		if err := Decode(item, &list[i]); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	*into = list
	return nil
}

func decodeStringMap(raw json.RawMessage, into *map[string]string) error {
	var items map[string]json.RawMessage
	if json.Unmarshal(raw, &items) != nil || isNull(raw) {
		return mismatch(raw, `an object of strings, e.g. {"name": "value"}`)
	}
	m := make(map[string]string, len(items))
	for key, item := range items {
		var value string
		if err := Decode(item, &value); err != nil {
			return fmt.Errorf("[%q]: %w", key, err)
		}
		m[key] = value
	}
	*into = m
	return nil
}

func decodeStages(raw json.RawMessage, into *[]Stage) error {
	var items []map[string]json.RawMessage
	if json.Unmarshal(raw, &items) != nil || isNull(raw) {
		return mismatch(raw, wantStages)
	}
	stages := make([]Stage, len(items))
	for i, item := range items {
		if err := decodeStage(item, &stages[i]); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	*into = stages
	return nil
}

const (
	wantStages   = `an array of stages, e.g. [{"duration": "30s", "target": 10}]`
	wantDuration = `a duration, e.g. "30s", "1m30s", "2d" or a number of milliseconds`
)

func decodeStage(item map[string]json.RawMessage, into *Stage) error {
	FoldKeys(item, []string{"duration", "target"})
	for key, raw := range item {
		switch key {
		case "duration":
			if err := Decode(raw, &into.Duration); err != nil {
				return fmt.Errorf("duration: %w", err)
			}
		case "target":
			if err := Decode(raw, &into.Target); err != nil {
				return fmt.Errorf("target: %w", err)
			}
		default:
			return fmt.Errorf("unknown field %q, want duration and target", key)
		}
	}
	for _, key := range []string{"duration", "target"} {
		if _, given := item[key]; !given {
			return fmt.Errorf("%s is missing, want e.g. {\"duration\": \"30s\", \"target\": 10}", key)
		}
	}
	return nil
}

// ParseDuration reads a duration as k6 does: Go's syntax, optionally with days ("2d12h"), or a plain number of
// milliseconds.
func ParseDuration(text string) (time.Duration, error) {
	if ms, err := strconv.ParseFloat(text, 64); err == nil {
		return scaleDuration(ms, time.Millisecond, text)
	}
	days, rest, found := strings.Cut(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseFloat(days, 64)
	if err != nil {
		return 0, fmt.Errorf("invalid duration %q", text)
	}
	d, err := scaleDuration(n, 24*time.Hour, text)
	if err != nil || rest == "" {
		return d, err
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 || strings.HasPrefix(rest, "+") {
		return 0, fmt.Errorf("invalid duration %q", text)
	}
	if strings.HasPrefix(text, "-") {
		return d - more, nil
	}
	return addTimes(d, more), nil
}

func scaleDuration(n float64, unit time.Duration, text string) (time.Duration, error) {
	ns := n * float64(unit)
	if math.IsNaN(ns) || math.Abs(ns) >= math.MaxInt64 {
		return 0, fmt.Errorf("invalid duration %q", text)
	}
	return time.Duration(math.Round(ns)), nil
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

// mismatch words a type error.
func mismatch(raw json.RawMessage, want string) error {
	return fmt.Errorf("found %s, want %s", found(raw), want)
}

// found shows a value and names its type.
func found(raw json.RawMessage) string {
	const most = 40
	text := string(raw)
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	if text == "" {
		return "nothing"
	}
	switch text[0] {
	case '"':
		return text + " (string)"
	case '{':
		return text + " (object)"
	case '[':
		return text + " (array)"
	case 't', 'f':
		return text + " (boolean)"
	case 'n':
		return text
	}
	return text + " (number)"
}
