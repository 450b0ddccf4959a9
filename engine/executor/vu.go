package executor

import (
	"context"
	"errors"
	"time"
)

// ErrInterrupted is what a VU's Iterate returns, alone or wrapped, when the iteration was cut short because
// its context ended.
var ErrInterrupted = errors.New("executor: iteration interrupted")

// Iteration says which iteration a VU is to run. All numbers count from 0.
type Iteration struct {
	Scenario   int   // index of the scenario
	InTest     int64 // number in the scenario, unique over all nodes
	InInstance int64 // number in the scenario on this node
	InVU       int64 // number in the scenario of this VU
}

// VU runs iterations, one at a time.
type VU interface {
	// Iterate runs one iteration. It returns nil when the iteration came to its end, thrown exception or not,
	// and an error when it was cut (ErrInterrupted) because ctx ended. It must return soon after ctx ended.
	Iterate(ctx context.Context, it Iteration) error
}

// Pool hands out VUs. Slots are numbers in the row of the whole test: the VU's id is slot + 1. Its methods are
// called from many goroutines at once, but never twice at once for the same slot and scenario.
type Pool interface {
	// Get returns the initialised VU of a slot, activated for a scenario; it initialises a VU that was not
	// planned. Scenarios that share a slot do not overlap in time, but one may begin in the instant in which
	// another ends: Get waits until the slot has been given back. Its error ends the executor, unless ctx
	// ended.
	Get(ctx context.Context, scenario, slot int) (VU, error)
	// Put gives the VU of a slot back: the scenario will not use it again.
	Put(scenario, slot int)
}

// Reason says why iterations were dropped.
type Reason uint8

// Reasons for dropped iterations.
const (
	NoFreeVU    Reason = iota + 1 // it was due, and every VU was busy
	MaxDuration                   // maxDuration came before it could begin
)

// String gives the reason as a tag value.
func (r Reason) String() string {
	switch r {
	case NoFreeVU:
		return "no-free-vu"
	case MaxDuration:
		return "max-duration"
	}
	return "unknown"
}

// NoSlot stands for "no VU in particular".
const NoSlot = -1

// Events is told what happens, from many goroutines at once; its methods must be quick and not block.
type Events interface {
	// Started is called right before each iteration.
	Started(scenario int)
	// Ended is called right after each iteration; interrupted ones were cut by their context.
	Ended(scenario int, interrupted bool)
	// Dropped reports n iterations that were planned here and will not run. Slot is the VU they were meant
	// for (per-vu-iterations), otherwise NoSlot.
	Dropped(scenario int, n int64, why Reason, slot int)
	// Lateness reports, for each iteration of the arrival-rate executors, how long after its due time it began.
	Lateness(scenario int, d time.Duration)
	// Warn reports a condition the user should know of, in a sentence, once.
	Warn(scenario int, message string)
}

// Executor starts the iterations of one scenario's share on this machine.
type Executor interface {
	// Run executes the scenario; start is the beginning of the whole test, to which the scenario's startTime is
	// added. It returns when the last iteration has ended and nothing of it is left running: after the
	// scenario's regular end or Stop, with running iterations given gracefulStop, or, when ctx ends, at once
	// with running iterations interrupted. The error is the first one of Pool.Get; an end by Stop or ctx is
	// none. Run is called once.
	Run(ctx context.Context, start time.Time) error
	// Progress may be called at any time.
	Progress() Progress
	// Stop ends the scenario gracefully and returns at once; it may be called at any time, again too.
	Stop()
}

// Controller is what the externally-controlled executor offers besides Executor. Calls may come at any time;
// before the start they set what it starts with.
type Controller interface {
	// Pause lets running iterations end and starts no new ones; the scenario's clock stands still.
	Pause()
	// Resume goes on after Pause.
	Resume()
	// Scale sets how many VUs run and may run in the whole test; this node runs its share of them. It
	// refuses negative numbers, more VUs than maxVUs, and a maxVUs other than that of the plan (which is
	// what VUs were initialised for).
	Scale(vus, maxVUs int) error
}

// Progress is a snapshot of how far a scenario is.
type Progress struct {
	Fraction float64  // 0..1
	Columns  []string // what stands right of the progress bar: VUs, time, and for some executors work
	Text     string   // the columns in one line
	Active   int      // VUs that loop, or, at an arrival rate, that are running an iteration
	Max      int      // VUs of this scenario on this node, initialised or to be at most
	Started  bool     // startTime has come
	Done     bool     // Run has returned
}
