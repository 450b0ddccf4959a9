package executor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Error is a fault in a scenario as the author wrote it.
type Error struct {
	Scenario string
	Field    string // "" when the fault is not in one field
	Err      error
}

// Error names the scenario, the field, what was found and what would be right.
func (e *Error) Error() string {
	if strings.HasPrefix(e.Err.Error(), "[") {
		return e.Path() + e.Err.Error() // an element of it
	}
	return e.Path() + ": " + e.Err.Error()
}

// Path says where the fault is, e.g. "scenarios.main.vus".
func (e *Error) Path() string {
	if e.Field == "" {
		return "scenarios." + e.Scenario
	}
	return "scenarios." + e.Scenario + "." + e.Field
}

// Unwrap returns the fault without its place.
func (e *Error) Unwrap() error { return e.Err }

// common are the fields that every scenario has, in the order in which they are written.
var common = []string{"executor", "startTime", "gracefulStop", "env", "exec", "tags", "options"}

// fieldsOf are the fields of a kind besides the common ones, in the order in which they are written.
func fieldsOf(k Kind) []string {
	switch k {
	case SharedIterations, PerVUIterations:
		return []string{"vus", "iterations", "maxDuration"}
	case ConstantVUs:
		return []string{"vus", "duration"}
	case RampingVUs:
		return []string{"startVUs", "stages", "gracefulRampDown"}
	case ConstantArrivalRate:
		return []string{"rate", "timeUnit", "duration", "preAllocatedVUs", "maxVUs"}
	case RampingArrivalRate:
		return []string{"startRate", "timeUnit", "stages", "preAllocatedVUs", "maxVUs"}
	case ExternallyControlled:
		return []string{"vus", "duration", "maxVUs"}
	}
	return nil
}

// Kinds lists the executors that exist.
func Kinds() []Kind {
	return []Kind{SharedIterations, PerVUIterations, ConstantVUs, RampingVUs, ConstantArrivalRate, RampingArrivalRate, ExternallyControlled}
}

// field returns a pointer to the variable that holds a field.
func (s *Scenario) field(name string) any {
	switch name {
	case "startTime":
		return &s.StartTime
	case "gracefulStop":
		return &s.GracefulStop
	case "env":
		return &s.Env
	case "exec":
		return &s.Exec
	case "tags":
		return &s.Tags
	case "options":
		return &s.Options
	case "vus":
		return &s.VUs
	case "iterations":
		return &s.Iterations
	case "maxDuration":
		return &s.MaxDuration
	case "duration":
		return &s.Duration
	case "startVUs":
		return &s.StartVUs
	case "stages":
		return &s.Stages
	case "gracefulRampDown":
		return &s.GracefulRampDown
	case "rate":
		return &s.Rate
	case "startRate":
		return &s.StartRate
	case "timeUnit":
		return &s.TimeUnit
	case "preAllocatedVUs":
		return &s.PreAllocatedVUs
	case "maxVUs":
		return &s.VULimit
	}
	return nil
}

// Defaults of fields that were not given.
const (
	defaultGracefulStop = 30 * time.Second
	defaultRampDown     = 30 * time.Second
	defaultMaxDuration  = 10 * time.Minute
	defaultTimeUnit     = time.Second
	defaultExec         = "default"
)

// defaults returns a scenario of which nothing but name and executor is given.
func defaults(name string, k Kind) Scenario {
	s := Scenario{
		Name: name, Executor: k, Exec: defaultExec, GracefulStop: defaultGracefulStop, VUs: 1, Iterations: 1,
		MaxDuration: defaultMaxDuration, StartVUs: 1, GracefulRampDown: defaultRampDown, TimeUnit: defaultTimeUnit,
	}
	if k == ExternallyControlled {
		s.GracefulStop = 0
	}
	return s
}

// ParseScenario reads a scenario strictly: an unknown executor or field, a value of the wrong type and a value
// that makes no sense are each an *Error, all of them joined. Null means not given.
func ParseScenario(name string, data []byte) (Scenario, error) {
	fail := func(field string, err error) error { return &Error{Scenario: name, Field: field, Err: err} }
	if !validName(name) {
		return Scenario{}, fail("", errors.New("a scenario's name may have letters, digits, _ and - only"))
	}
	data = bytes.TrimSpace(data)
	var in map[string]json.RawMessage
	if json.Unmarshal(data, &in) != nil || in == nil {
		return Scenario{}, fail("", mismatch(data, `an object, e.g. {"executor": "constant-vus", "vus": 10, "duration": "30s"}`))
	}
	FoldKeys(in, common)
	kind, err := parseKind(in["executor"])
	if err != nil {
		return Scenario{}, fail("executor", err)
	}
	s := defaults(name, kind)
	known := append(slices.Clone(common), fieldsOf(kind)...)
	FoldKeys(in, known)
	var errs []error
	for _, field := range known[1:] {
		raw, ok := in[field]
		if !ok || isNull(raw) {
			continue
		}
		if err := Decode(raw, s.field(field)); err != nil {
			errs = append(errs, fail(field, err))
			continue
		}
		s.given = append(s.given, field)
	}
	for _, field := range slices.Sorted(maps.Keys(in)) {
		if !slices.Contains(known, field) {
			errs = append(errs, fail(field, fmt.Errorf("unknown field; %s has %s", kind, strings.Join(known, ", "))))
		}
	}
	if len(errs) > 0 {
		return Scenario{}, errors.Join(errs...)
	}
	if !s.gave("maxVUs") {
		s.VULimit = s.PreAllocatedVUs
		if kind == ExternallyControlled {
			s.VULimit = s.VUs
		}
	}
	return s, s.Validate()
}

// FoldKeys gives the keys of an object that differ from a known name in nothing but upper and lower case that name, as
// k6 reads them. A key that is spelt right goes first.
func FoldKeys(in map[string]json.RawMessage, known []string) {
	for _, key := range slices.Sorted(maps.Keys(in)) {
		i := slices.IndexFunc(known, func(name string) bool { return strings.EqualFold(name, key) })
		if i < 0 || known[i] == key {
			continue
		}
		if _, exact := in[known[i]]; !exact {
			in[known[i]] = in[key]
			delete(in, key)
		}
	}
}

func parseKind(raw json.RawMessage) (Kind, error) {
	names := make([]string, 0, len(Kinds()))
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	all := strings.Join(names, ", ")
	if raw == nil || isNull(raw) {
		return "", fmt.Errorf("missing, want one of %s", all)
	}
	var name string
	if json.Unmarshal(raw, &name) != nil || !slices.Contains(names, name) {
		return "", mismatch(raw, "one of "+all)
	}
	return Kind(name), nil
}

// gave reports whether the author wrote a field.
func (s *Scenario) gave(field string) bool { return slices.Contains(s.given, field) }

func validName(name string) bool {
	for _, c := range name {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-') {
			return false
		}
	}
	return name != ""
}

// MarshalJSON writes the fields that were given, without the name, which is the key it stands under.
func (s Scenario) MarshalJSON() ([]byte, error) { return s.encode(false) }

// View writes the scenario as scripts see it: every field of its executor, those that were not given as null.
func (s Scenario) View() ([]byte, error) { return s.encode(true) }

func (s Scenario) encode(nulls bool) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, `{"executor":%q`, string(s.Executor))
	for _, field := range append(slices.Clone(common[1:]), fieldsOf(s.Executor)...) {
		given := s.gave(field)
		if !given && (!nulls || field == "options") {
			continue
		}
		value := []byte("null")
		if given {
			var err error
			if value, err = Encode(s.field(field)); err != nil {
				return nil, fmt.Errorf("scenarios.%s.%s: %w", s.Name, field, err)
			}
		}
		fmt.Fprintf(&out, ",%q:%s", field, value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// Encode writes what Decode reads: durations as text like "1m30s".
func Encode(value any) ([]byte, error) {
	switch v := value.(type) {
	case *time.Duration:
		return json.Marshal(v.String())
	case *[]Stage:
		type stage struct {
			Duration string `json:"duration"`
			Target   int64  `json:"target"`
		}
		list := make([]stage, len(*v))
		for i, st := range *v {
			list[i] = stage{st.Duration.String(), st.Target}
		}
		return json.Marshal(list)
	}
	return json.Marshal(value)
}
