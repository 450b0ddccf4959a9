// Package executor decides when iterations start. It reads scenarios, computes their schedules as pure
// functions of the plan, and runs one node's share of them on VUs that it takes from a Pool. A VU is anything
// with Iterate, so there is no JavaScript here, and no metrics: what happens is told to Events.
//
//	plan := executor.Layout(scenarios)
//	first := executor.Epoch{Number: 1, Share: share.Whole(plan)}
//	ex, err := executor.New(scenarios[0], 0, first, executor.Config{Pool: pool, Events: events, Clock: executor.NewClock(start)})
//	err = ex.Run(ctx)
//
// In a hive a share changes while a run goes on: Propose, Commit and Withdraw take an executor from epoch to epoch, so
// that every iteration has one owner at every moment. A Clock tells all executors of a node the run's time, which stands
// still in a pause; a Fence keeps them from starting anything when the node may not.
package executor

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"time"
)

// Kind is the name of an executor.
type Kind string

// The executors.
const (
	SharedIterations     Kind = "shared-iterations"
	PerVUIterations      Kind = "per-vu-iterations"
	ConstantVUs          Kind = "constant-vus"
	RampingVUs           Kind = "ramping-vus"
	ConstantArrivalRate  Kind = "constant-arrival-rate"
	RampingArrivalRate   Kind = "ramping-arrival-rate"
	ExternallyControlled Kind = "externally-controlled"
)

// Stage is one leg of a ramp: Target is reached at the end of Duration.
type Stage struct {
	Duration time.Duration
	Target   int64
}

// Scenario is one entry of a test's scenarios, with defaults filled in. Which fields mean something depends on
// Executor. It is immutable once read; use ParseScenario to make one.
type Scenario struct {
	Name         string
	Executor     Kind
	Exec         string        // exported function that is run
	StartTime    time.Duration // after the start of the test
	GracefulStop time.Duration // for running iterations after the regular end
	Env, Tags    map[string]string
	Options      json.RawMessage // opaque; nil when not given

	VUs              int           // shared-, per-vu-iterations, constant-vus, externally-controlled
	Iterations       int64         // shared-iterations: in total; per-vu-iterations: of each VU
	MaxDuration      time.Duration // shared-, per-vu-iterations
	Duration         time.Duration // constant-vus, constant-arrival-rate, externally-controlled (0: no end)
	StartVUs         int           // ramping-vus
	Stages           []Stage       // ramping-vus (VUs), ramping-arrival-rate (iterations per TimeUnit)
	GracefulRampDown time.Duration // ramping-vus
	Rate             int64         // constant-arrival-rate: iterations per TimeUnit
	StartRate        int64         // ramping-arrival-rate
	TimeUnit         time.Duration // arrival-rate executors
	PreAllocatedVUs  int           // arrival-rate executors: initialised before the start
	VULimit          int           // maxVUs: arrival-rate executors, externally-controlled

	given []string // fields that were written by the author, the others being defaults
}

// MaxVUs is the most VUs the scenario may use in the whole test.
func (s Scenario) MaxVUs() int {
	switch s.Executor {
	case RampingVUs:
		most := int64(s.StartVUs)
		for _, st := range s.Stages {
			most = max(most, st.Target)
		}
		return int(most)
	case ConstantArrivalRate, RampingArrivalRate, ExternallyControlled:
		return s.VULimit
	}
	return s.VUs
}

// Planned is how many VUs of the whole test are initialised before it starts: the first ones of the
// scenario's slots.
func (s Scenario) Planned() int {
	switch s.Executor {
	case ConstantArrivalRate, RampingArrivalRate:
		return s.PreAllocatedVUs
	}
	return s.MaxVUs()
}

// Regular is how long new iterations may start, from the scenario's own start. An externally-controlled
// scenario without an end returns the longest time there is.
func (s Scenario) Regular() time.Duration {
	switch s.Executor {
	case SharedIterations, PerVUIterations:
		return s.MaxDuration
	case RampingVUs, RampingArrivalRate:
		return sumStages(s.Stages)
	case ExternallyControlled:
		if s.Duration == 0 {
			return math.MaxInt64
		}
	}
	return s.Duration
}

// Tail is how long iterations may run on after the regular end.
func (s Scenario) Tail() time.Duration {
	if n := len(s.Stages); s.Executor == RampingVUs && n > 0 && s.Stages[n-1].Target == 0 {
		return min(s.GracefulStop, s.GracefulRampDown) // every VU has been asked to stop by the regular end
	}
	return s.GracefulStop
}

// End is when the last iteration has ended at the latest, from the start of the test. A scenario without an
// end returns the longest time there is.
func (s Scenario) End() time.Duration {
	return addTimes(addTimes(s.StartTime, s.Regular()), s.Tail())
}

// Sort orders scenarios as they are numbered: by start time, then by name.
func Sort(scenarios []Scenario) {
	slices.SortFunc(scenarios, func(a, b Scenario) int {
		return cmp.Or(cmp.Compare(a.StartTime, b.StartTime), cmp.Compare(a.Name, b.Name))
	})
}

func sumStages(stages []Stage) time.Duration {
	var sum time.Duration
	for _, st := range stages {
		sum = addTimes(sum, st.Duration)
	}
	return sum
}

// addTimes adds without running over.
func addTimes(a, b time.Duration) time.Duration {
	if b > math.MaxInt64-a {
		return math.MaxInt64
	}
	return a + b
}
