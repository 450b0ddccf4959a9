package metric

import (
	"fmt"
	"regexp"
)

// Kind says how the values of a metric are combined.
type Kind uint8

// The kinds of metrics.
const (
	Counter Kind = iota // values are added
	Gauge               // the last value counts; the smallest and the largest are kept
	Rate                // the share of values that are not zero
	Trend               // the distribution of the values
)

var kindNames = [...]string{"counter", "gauge", "rate", "trend"}

// String is the kind's name in scripts and outputs: "counter", "gauge", "rate" or "trend".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Contains is the unit of a metric's values.
type Contains uint8

// The units.
const (
	Default Contains = iota // plain numbers
	Time                    // milliseconds
	Data                    // bytes
)

var containsNames = [...]string{"default", "time", "data"}

// String is the unit's name in outputs: "default", "time" or "data".
func (c Contains) String() string {
	if int(c) < len(containsNames) {
		return containsNames[c]
	}
	return fmt.Sprintf("contains(%d)", uint8(c))
}

// Metric is the definition of one metric. It never changes once it is registered.
type Metric struct {
	ID       int // dense from 0 within its Registry
	Name     string
	Kind     Kind
	Contains Contains
}

// additive says whether the values of several machines add up to the hive's: true for the gauges
// that count VUs, of which every machine reports its own part.
func additive(name string) bool { return name == "vus" || name == "vus_max" }

var validName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{1,128}$`)

// Value is one measured value of a metric.
type Value struct {
	Metric *Metric
	V      float64
}
