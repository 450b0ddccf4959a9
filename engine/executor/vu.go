package executor

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrInterrupted is what a VU's Iterate returns, alone or wrapped, when the iteration was cut short because
// its context ended.
var ErrInterrupted = errors.New("executor: iteration interrupted")

// ErrInFlight is ErrInterrupted for an iteration that was cut in the middle of a request: whether that arrived is not known.
var ErrInFlight = fmt.Errorf("%w in the middle of a request", ErrInterrupted)

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
	// Release says that the slot is no longer this node's, so that the memory of its VU can be freed once nobody
	// holds it. It comes after Put, or without Get, from each scenario that the slot belongs to. A Get of the slot in
	// a later epoch makes another VU.
	Release(slot int)
}

// Reason says why iterations were dropped.
type Reason uint8

// Reasons for dropped iterations.
const (
	NoFreeVU    Reason = iota + 1 // it was due, and every VU was busy
	MaxDuration                   // maxDuration came before it could begin
	Stalled                       // it was due more than 250 ms ago when this node came to it
)

// String gives the reason as a tag value.
func (r Reason) String() string {
	switch r {
	case NoFreeVU:
		return "no-free-vu"
	case MaxDuration:
		return "max-duration"
	case Stalled:
		return "stalled"
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

// Config is what an executor works with.
type Config struct {
	Pool   Pool
	Events Events
	Clock  *Clock // of the run
	Fence  *Fence // nil is always open
	// Marked says that iterations that are counted go no further than Allow permits, and that an executor that has
	// nothing left to do waits for more until Stop. A run on one machine is not marked.
	Marked bool
	// NeedMarks is told without blocking that Marks want to be raised; it may be shared by several executors, and nil.
	NeedMarks chan<- struct{}
	// Begun is by scenario where executors of counted iterations write down how far they have come; nil is nowhere.
	Begun []Begun
}

// Executor starts the iterations of one scenario's share on this machine.
type Executor interface {
	// Run executes the scenario along the run's clock, from the first epoch on. It returns when the last iteration
	// has ended and nothing of it is left running: after the scenario's regular end or Stop, with running iterations
	// given gracefulStop, or, when ctx ends, at once with running iterations interrupted. The error is the first one
	// of Pool.Get, or that iterations did not end within [StuckAfter] of being interrupted, in which case they are left
	// running; an end by Stop or ctx is none. Run is called once.
	Run(ctx context.Context) error
	// Progress may be called at any time.
	Progress() Progress
	// Stop ends the scenario gracefully and returns at once; it may be called at any time, again too.
	Stop()

	// Propose is a promise: from e.From on nothing starts that e takes away from this node, until Commit of that
	// epoch or a later one, or Withdraw, or another Propose. Arrivals that are due from then on wait; marks of counted
	// iterations are not raised. It is refused when arrivals due after e.From have begun already.
	Propose(e Epoch) error
	// Commit makes e what is executed from e.From on, be that ahead or past. Epochs may queue up; one that is known
	// already changes nothing.
	Commit(e Epoch) error
	// Withdraw ends a promise.
	Withdraw()
	// Receive lets the VUs of slots begin that an epoch's Awaits held back. Slots of other scenarios are ignored.
	Receive(slots []Handover)
	// Released are the slots of the scenario that this node gave up and does not use any more.
	Released() []Handover
	// Marks are what the executor wants to be allowed; what it got counts from Allow on. While a promise is kept,
	// those of counted iterations stay what was allowed last.
	Marks() Marks
	// Allow raises the marks; lower ones change nothing.
	Allow(Marks)
	// Ledger is what became of the iterations.
	Ledger() Ledger
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
	// ScaleAt is Scale from a moment on the run's clock on.
	ScaleAt(vus int, run time.Duration) error
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
	Idle     bool     // nothing is left to do here, and nothing runs; where iterations are counted, Run may go on
}
