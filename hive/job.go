package hive

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"hive/engine"
	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/share"
)

// Job is what an engine is made from: one node's share of one run.
type Job struct {
	Run     string          // id of the run
	Node    string          // name of the node, for messages
	Archive []byte          // the packed archive, its digest checked
	Options json.RawMessage // the consolidated options
	Flags   Flags
	Share   share.Share
	// Fenced says that the engine starts nothing before the first Extend, and nothing after the last deadline given;
	// a run on one machine has no fence.
	Fenced bool
	// Marked says that counted iterations go no further than Allow permits.
	Marked bool
	// Begun is where the engine writes down how far it has come with counted iterations; nil is nowhere.
	Begun executor.Begun `json:"-"`
	Log   *slog.Logger   // the script's console and the engine's own messages
}

// Factory makes an engine for a job: it compiles the script and checks the
// options. Nothing runs yet. Its errors are [*Failure] where the kind matters.
type Factory func(ctx context.Context, job Job) (Engine, error)

// Engine executes one share of a test. The calls come in the order Init,
// Setup (on one node of the hive), Run, Teardown (on one node), HandleSummary
// (on one node), Close; any may be left out, and an engine that was never
// initialised can still do Teardown and HandleSummary. Errors that decide how
// the run ends are [*Failure]; any other error counts as internal.
type Engine interface {
	// Init initialises every planned VU.
	Init(ctx context.Context) error
	// Setup runs the script's setup and returns its data as JSON.
	Setup(ctx context.Context) (json.RawMessage, error)
	// Run executes from the epoch given on, the first one that this engine takes part in, and returns when all has
	// ended. start is when the run's clock reads (or read, in the past) 0. ctx done interrupts all iterations at once.
	Run(ctx context.Context, start time.Time, e executor.Epoch, setup json.RawMessage) error
	// Warm initialises the VUs that s adds to what the engine has, while it runs.
	Warm(ctx context.Context, s share.Share) error
	// Propose is a promise: from e.From on nothing starts that e takes away from this engine, until Commit of that
	// epoch (or a later one), or Withdraw. Arrivals due from then on wait, marks are not raised.
	Propose(e executor.Epoch) error
	// Commit makes e what the engine executes from e.From on, be that ahead or past.
	Commit(e executor.Epoch) error
	// Withdraw ends a promise: the engine goes on as before.
	Withdraw()
	// Receive starts VUs of slots that e.Awaits held back.
	Receive(slots []executor.Handover)
	// Released are the slots given up in the present epoch whose VUs have ended.
	Released() []executor.Handover
	// Marks are what the engine wants to be allowed, by scenario; NeedMarks says when to ask. The channel is never closed.
	Marks() []executor.Marks
	NeedMarks() <-chan struct{}
	Allow(marks []executor.Marks)
	// Begun are, of an engine whose process is gone, marks beyond which it certainly has begun nothing; nil when that is not
	// known.
	Begun() []executor.Marks
	// PauseAt makes the run's clock stand still at a moment on it; in-flight iterations end as they would, nothing
	// starts, no time passes for any executor. ResumeAt lets it go on at an instant of this machine.
	PauseAt(run time.Duration)
	ResumeAt(at time.Time)
	// Adjust moves the run's clock gently: by d in all, at most 500 ppm fast or slow.
	Adjust(d time.Duration)
	// ScaleAt sets the VUs of an externally-controlled scenario in the whole test, from a moment on the run's clock on.
	ScaleAt(scenario string, vus int, run time.Duration) error
	// Extend moves the fence: until deadline the engine may start iterations and send requests. When it passes,
	// nothing starts and what runs is interrupted; a later Extend lets it go on.
	Extend(deadline time.Time)
	// Ledger is what became of the iterations here, by scenario.
	Ledger() []executor.Ledger
	// Health is how the engine's process fares.
	Health() Health
	// Done is closed when the engine has broken down or its process has ended before Close; Err then says why.
	Done() <-chan struct{}
	Err() error
	// Stop ends Run gracefully: nothing new starts, and what runs has
	// gracefulStop to end.
	Stop()
	// Teardown runs the script's teardown.
	Teardown(ctx context.Context, setup json.RawMessage) error
	// HandleSummary gives data to the script's handleSummary; ran is false
	// when there is none or it returned nothing.
	HandleSummary(ctx context.Context, data []byte) (files map[string][]byte, ran bool, err error)
	// Traits says what the script exports.
	Traits() Traits
	// Registry holds the definitions of the metrics, the script's own included.
	Registry() *metric.Registry
	// Snapshot is the cumulative state of all series.
	Snapshot() *metric.Snapshot
	// Progress is how far the share has come.
	Progress() Progress
	// MarkedFailed says whether, and why, the script marked the test as failed.
	MarkedFailed() (reason string, failed bool)
	// Close frees what the engine holds.
	Close() error
}

// Health is how an engine's process fared over the last second.
type Health = engine.Health

// Traits are the optional parts of a script's life cycle.
type Traits struct {
	Setup         bool `json:"setup,omitempty"`
	Teardown      bool `json:"teardown,omitempty"`
	HandleSummary bool `json:"handleSummary,omitempty"`
}

// Progress is how far a share of a test, or the merge of all, has come.
type Progress = engine.Progress

// ScenarioProgress is one progress bar.
type ScenarioProgress = engine.ScenarioProgress

// MergeProgress adds up the shares' progress. A scenario's fraction is the
// mean over the shares, its lateness the worst; its text is kept when there is one share, and the sum
// of the VUs otherwise.
func MergeProgress(parts ...Progress) Progress {
	if len(parts) == 1 {
		return parts[0]
	}
	var sum Progress
	at := map[string]int{}
	counts := map[string]int{}
	for i, p := range parts {
		if i == 0 || p.Elapsed > sum.Elapsed {
			sum.Elapsed = p.Elapsed
		}
		sum.VUs += p.VUs
		sum.VUsMax += p.VUsMax
		sum.Iterations += p.Iterations
		sum.Interrupted += p.Interrupted
		sum.Dropped += p.Dropped
		for _, s := range p.Scenarios {
			k, ok := at[s.Name]
			if !ok {
				k = len(sum.Scenarios)
				at[s.Name] = k
				sum.Scenarios = append(sum.Scenarios, ScenarioProgress{Name: s.Name, Executor: s.Executor})
			}
			counts[s.Name]++
			sum.Scenarios[k].Fraction += s.Fraction
			sum.Scenarios[k].VUs += s.VUs
			sum.Scenarios[k].VUsMax += s.VUsMax
			sum.Scenarios[k].Late = max(sum.Scenarios[k].Late, s.Late)
		}
	}
	for i := range sum.Scenarios {
		s := &sum.Scenarios[i]
		s.Fraction /= float64(counts[s.Name])
		s.Text = vusText(s.VUs, s.VUsMax, counts[s.Name])
	}
	return sum
}
