package engine

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/dop251/goja"

	"hive/engine/executor"
	"hive/engine/js"
	"hive/engine/metric"
	"hive/engine/modules/http"
)

// vu is one virtual user: a JavaScript runtime with its connections, and what it is doing now. One goroutine uses it at
// a time.
type vu struct {
	eng  *Engine
	js   *js.VU
	http *http.State // nil until the script imports k6/http

	scenario  int                // activated for it; -1 before the first
	iteration executor.Iteration // the current or last one
	aborting  bool               // its script has called exec.test.abort
}

// newVU runs the init code in a new runtime. number is its idInInstance.
func (e *Engine) newVU(ctx context.Context, slot int, number int64) (*vu, error) {
	return e.runtime(ctx, js.VUID{InTest: int64(slot) + 1, InInstance: number})
}

// runtime makes a VU, or with the zero id one of the runtimes for setup(), teardown() and handleSummary().
func (e *Engine) runtime(ctx context.Context, id js.VUID) (v *vu, err error) {
	defer contain(&err)
	v = &vu{eng: e, scenario: -1}
	inner, err := e.newRuntime(ctx, id)
	if err != nil {
		return nil, err
	}
	v.js = inner
	if state, ok := e.states.LoadAndDelete(inner); ok {
		v.http = state.(*http.State)
	}
	e.vus.Store(inner, v)
	return v, nil
}

// newRuntime runs the init code.
func (e *Engine) newRuntime(ctx context.Context, id js.VUID) (inner *js.VU, err error) {
	err = withinInit(ctx, func(ctx context.Context) error {
		made, err := js.NewVU(ctx, e.js, id, e.store.Recorder(int(id.InInstance)))
		if err != nil {
			return err
		}
		inner = made
		return nil
	})
	if err != nil {
		return nil, scriptError(err)
	}
	return inner, nil
}

// activate readies the VU for a scenario's iterations.
func (v *vu) activate(scenario int) error {
	if v.scenario == scenario {
		return nil
	}
	v.scenario = scenario
	return v.js.Activate(v.eng.activations[scenario])
}

// Iterate implements executor.VU.
func (v *vu) Iterate(ctx context.Context, it executor.Iteration) error {
	v.iteration = it
	began := time.Now()
	err := v.run(ctx)
	took := time.Since(began)
	interrupted := err != nil && errors.Is(err, js.ErrInterrupted)
	switch {
	case err != nil && KindOf(err) == KindPanic:
		v.eng.interrupt(err)
		return executor.ErrInterrupted
	case interrupted && !v.aborting: // as in k6, the iteration that aborts the test counts as one
		v.finish(began.Add(took))
		if v.http != nil && v.http.Cut() {
			return executor.ErrInFlight
		}
		return executor.ErrInterrupted
	case err != nil && !interrupted:
		v.eng.logException(err, it.Scenario)
	}
	v.complete(began.Add(took), took)
	if interrupted {
		return executor.ErrInterrupted
	}
	if rest := v.eng.opts.MinIterationDuration - took; rest > 0 {
		pause(ctx, rest)
	}
	return nil
}

// run runs the iteration's script code.
func (v *vu) run(ctx context.Context) (err error) {
	defer contain(&err)
	return v.js.Iterate(ctx, v.eng.setupData)
}

// call runs one of the script's functions that no scenario runs.
func (v *vu) call(ctx context.Context, stage js.Stage, name string, args ...json.RawMessage) (result goja.Value, err error) {
	defer contain(&err)
	return v.js.Call(ctx, stage, name, args...)
}

// complete records an iteration that came to its end. Its values lie on the stack, and not on that part of it which a
// sleeping VU holds, as they would if the compiler put the code into Iterate.
//
//go:noinline
func (v *vu) complete(at time.Time, took time.Duration) {
	m := v.eng.builtin
	sent, received := v.traffic()
	v.js.Record(v.js.Tags(), "", at,
		metric.Value{Metric: m.IterationDuration, V: float64(took) / float64(time.Millisecond)},
		metric.Value{Metric: m.Iterations, V: 1}, sent, received)
}

// finish records what is counted of any activity.
//
//go:noinline
func (v *vu) finish(at time.Time) {
	sent, received := v.traffic()
	v.js.Record(v.js.Tags(), "", at, sent, received)
}

// traffic is what went over the wire since it was asked for last.
func (v *vu) traffic() (sent, received metric.Value) {
	sent.Metric, received.Metric = v.eng.builtin.DataSent, v.eng.builtin.DataReceived
	if v.http != nil {
		s, r := v.http.Bytes()
		sent.V, received.V = float64(s), float64(r)
	}
	return sent, received
}

func (v *vu) close() {
	v.eng.vus.Delete(v.js)
	v.js.Close()
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// logException tells the user of an exception that ended an iteration; the test goes on.
func (e *Engine) logException(err error, scenario int) {
	s := &e.opts.Scenarios[scenario]
	e.log.Error(err.Error(), slog.String("executor", string(s.Executor)), slog.String("scenario", s.Name), slog.String("source", "stacktrace"))
}
