package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hive/engine/executor"
	"hive/engine/options"
	"hive/hive"
	"hive/hive/hivetest"
)

const (
	// look is how often a counter looks at its clock.
	look = 100 * time.Millisecond
	// stale is how late a counter may begin an iteration: on a machine that
	// carries a thousand nodes nothing is to be lost that no node lost.
	stale = time.Minute
)

// engine counts in the place of running a script, and writes down what it
// executed.
type engine struct {
	*hivetest.Engine
	life *life
}

// Counters makes engines whose record nobody keeps, for nodes beside a swarm.
func Counters() hive.Factory { return factory(&Record{}, "", 0) }

// factory makes the counters of one node.
func factory(r *Record, node string, capacity int) hive.Factory {
	return func(_ context.Context, job hive.Job) (hive.Engine, error) {
		var opts options.Options
		if err := json.Unmarshal(job.Options, &opts); err != nil {
			return nil, fmt.Errorf("simulation: options: %w", err)
		}
		e := &engine{life: newLife(node, capacity)}
		e.Engine = hivetest.New(hivetest.Config{Scenarios: opts.Scenarios, Share: job.Share, Fenced: job.Fenced, Marked: job.Marked,
			Tick: look, Stale: stale, Begun: e.life.began})
		e.life.clock = e.Engine.Now
		r.add(e.life)
		return e, nil
	}
}

// Run is where the load of this engine begins and ends.
func (e *engine) Run(ctx context.Context, start time.Time, first executor.Epoch, setup json.RawMessage) error {
	e.life.take(first, time.Since(start))
	err := e.Engine.Run(ctx, start, first, setup)
	reached, _ := e.come()
	e.life.end(reached)
	if errors.Is(err, hivetest.ErrInterrupted) {
		return &hive.Failure{Kind: hive.KindInterrupted, Message: "interrupted"}
	}
	return err
}

func (e *engine) Propose(next executor.Epoch) error {
	e.life.promise(next)
	return e.Engine.Propose(next)
}

func (e *engine) Withdraw() {
	e.life.withdraw(e.Now())
	e.Engine.Withdraw()
}

func (e *engine) Commit(next executor.Epoch) error {
	e.life.take(next, e.Now())
	return e.Engine.Commit(next)
}

func (e *engine) Receive(slots []executor.Handover) {
	reached, _ := e.come()
	e.life.receive(slots, reached)
	e.Engine.Receive(slots)
}

// Released waits for the record, so that the taker goes on after the last
// iteration that is in it.
func (e *engine) Released() []executor.Handover { return e.life.released(e.come()) }

// come is how far the arrivals have come, and how many iterations were begun.
func (e *engine) come() (reached time.Duration, started int64) {
	for _, scenario := range e.Ledger() {
		reached, started = max(reached, scenario.Reached), started+scenario.Started
	}
	return reached, started
}

func (e *engine) Extend(deadline time.Time) {
	e.life.extend(deadline)
	e.Engine.Extend(deadline)
}

func (e *engine) Setup(context.Context) (json.RawMessage, error) { return json.RawMessage("null"), nil }

func (e *engine) Teardown(context.Context, json.RawMessage) error { return nil }

func (e *engine) HandleSummary(context.Context, []byte) (map[string][]byte, bool, error) {
	return nil, false, nil
}

func (e *engine) Traits() hive.Traits { return hive.Traits{} }

func (e *engine) MarkedFailed() (string, bool) { return "", false }

var _ hive.Engine = (*engine)(nil)
