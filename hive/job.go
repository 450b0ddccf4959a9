package hive

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"hive/engine"
	"hive/engine/metric"
	"hive/engine/share"
)

// Job is what an engine is made from: one node's share of one run.
type Job struct {
	Run     string          // id of the run
	Archive []byte          // the packed archive, its digest checked
	Options json.RawMessage // the consolidated options
	Flags   Flags
	Share   share.Share
	Log     *slog.Logger // the script's console and the engine's own messages
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
	// Run starts the share at start and returns when it has ended. ctx done
	// interrupts all iterations at once.
	Run(ctx context.Context, start time.Time, setup json.RawMessage) error
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
