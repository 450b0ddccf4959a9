package threshold

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Rule is one criterion as a script states it.
type Rule struct {
	Threshold      string        // "p(95)<500"
	AbortOnFail    bool          // a failure ends the test
	DelayAbortEval time.Duration // but not before the test has run for so long
}

// ruleJSON is the object form of a rule.
type ruleJSON struct {
	Threshold      string          `json:"threshold"`
	AbortOnFail    bool            `json:"abortOnFail"`
	DelayAbortEval json.RawMessage `json:"delayAbortEval,omitempty"`
}

// UnmarshalJSON reads a rule from a string, which is the expression, or from an object with
// threshold, abortOnFail and delayAbortEval.
func (r *Rule) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if len(data) > 0 && data[0] == '"' {
		*r = Rule{}
		return json.Unmarshal(data, &r.Threshold)
	}
	if len(data) == 0 || data[0] != '{' {
		return fmt.Errorf("a threshold must be a string or an object, not %s", data)
	}
	var o ruleJSON
	if err := json.Unmarshal(data, &o); err != nil {
		return fmt.Errorf("threshold %s: %w", data, err)
	}
	delay, err := parseDelay(o.DelayAbortEval)
	if err != nil {
		return fmt.Errorf("delayAbortEval of threshold %q: %w", o.Threshold, err)
	}
	*r = Rule{o.Threshold, o.AbortOnFail, delay}
	return nil
}

// MarshalJSON writes the string form where it says all, else the object form.
func (r Rule) MarshalJSON() ([]byte, error) {
	if !r.AbortOnFail && r.DelayAbortEval == 0 {
		return json.Marshal(r.Threshold)
	}
	o := ruleJSON{Threshold: r.Threshold, AbortOnFail: r.AbortOnFail}
	if r.DelayAbortEval != 0 {
		o.DelayAbortEval, _ = json.Marshal(r.DelayAbortEval.String())
	}
	return json.Marshal(o)
}

// parseDelay reads a duration: a string such as "10s" or "1d12h", or a number of milliseconds.
func parseDelay(data json.RawMessage) (time.Duration, error) {
	if len(data) == 0 || string(data) == "null" {
		return 0, nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		text = string(data)
	}
	d, err := parseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("found %s, it must be a duration such as \"10s\" or a number of milliseconds", data)
	}
	return d, nil
}

func parseDuration(text string) (time.Duration, error) {
	if ms, err := strconv.ParseFloat(text, 64); err == nil {
		return milliseconds(ms)
	}
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseFloat(days, 64)
	if err != nil {
		return 0, err
	}
	whole, err := milliseconds(n * 24 * 3600 * 1000)
	if err != nil || rest == "" {
		return whole, err
	}
	part, err := time.ParseDuration(rest)
	return whole + part, err
}

func milliseconds(ms float64) (time.Duration, error) {
	ns := ms * float64(time.Millisecond)
	if !(math.Abs(ns) < math.MaxInt64) {
		return 0, fmt.Errorf("%v ms is out of range", ms)
	}
	return time.Duration(ns), nil
}
