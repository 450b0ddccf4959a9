// Package execution is the k6/execution module: what a script can learn of the
// run, the scenario and the VU that it is in, and how it can end the test. The
// engine answers through [Run].
package execution

import (
	"time"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// Path is what scripts import.
const Path = "k6/execution"

// Run is one engine's part of a run, as far as scripts may see it. Its methods
// are called by VUs on different goroutines.
type Run interface {
	// Instance is the state of this engine now.
	Instance() Instance
	// Scenario is the state now of the scenario that the VU is in.
	Scenario(vu *js.VU) Scenario
	// Iteration numbers the VU's current iteration.
	Iteration(vu *js.VU) Iteration
	// Options are the consolidated options as a JSON object.
	Options() []byte
	// Abort is told that a script has ended the test; the VU that called is
	// being interrupted with an *Aborted.
	Abort(vu *js.VU, message string)
	// Fail marks the test as failed; it goes on.
	Fail(vu *js.VU, message string)
}

// Instance counts what one engine does.
type Instance struct {
	IterationsCompleted   int64
	IterationsInterrupted int64
	VUsActive             int64
	VUsInitialized        int64
	Elapsed               time.Duration // since the start of the test
}

// Scenario describes a scenario that runs.
type Scenario struct {
	Name     string
	Executor string
	Start    time.Time
	Progress float64 // 0 to 1
}

// Iteration numbers an iteration, always from 0.
type Iteration struct {
	InTest     int64 // over the scenario, unique on all machines
	InInstance int64 // over the scenario on this one
	InVU       int64 // over the VU's iterations of the scenario
}

// Aborted is in the error of the call in which a script aborted the test.
type Aborted struct{ Message string }

// Error says that the test was aborted, and why.
func (a *Aborted) Error() string {
	if a.Message == "" {
		return "test aborted"
	}
	return "test aborted: " + a.Message
}

// New returns the module. run is nil for looking at a script before there is a
// run; init code then finds what it may use in init code all the same.
func New(run Run) js.Module {
	return js.Module{Path: Path, Names: exports.Names(), Open: func(vu *js.VU) *goja.Object {
		return exports.Object(vu.Runtime(), newState(vu, run))
	}}
}

var exports = js.NewTable(
	js.Property("instance", func(s *state) goja.Value { return s.live(instanceFields) }),
	js.Property("scenario", func(s *state) goja.Value { return s.live(scenarioFields) }),
	js.Property("test", func(s *state) goja.Value { return testExports.Object(s.vu.Runtime(), s) }),
	js.Property("vu", func(s *state) goja.Value { return s.live(vuFields) }),
)

// state is what the module knows in one VU.
type state struct {
	vu       *js.VU
	run      Run
	metrics  goja.Value        // exec.vu.metrics, once made
	tags     goja.Value        // exec.vu.metrics.tags, once made
	metadata map[string]string // exec.vu.metrics.metadata
}

func newState(vu *js.VU, run Run) *state {
	s := &state{vu: vu, run: run}
	vu.OnActivate(func() { clear(s.metadata) })
	return s
}
