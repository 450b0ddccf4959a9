package engine

import (
	"log/slog"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
)

// events is the Engine as its executors see it.
type events Engine

// Started implements executor.Events.
func (e *events) Started(int) {}

// Ended implements executor.Events.
func (e *events) Ended(scenario int, interrupted bool) {
	if interrupted {
		e.tallies[scenario].interrupted.Add(1)
		return
	}
	e.tallies[scenario].completed.Add(1)
}

// Dropped implements executor.Events.
func (e *events) Dropped(scenario int, n int64, _ executor.Reason, slot int) {
	e.tallies[scenario].dropped.Add(n)
	var x metric.Extra
	if slot != executor.NoSlot {
		x.VU = int64(slot) + 1
	}
	e.record(scenario, x, metric.Value{Metric: e.builtin.DroppedIterations, V: float64(n)})
}

// record records a value of a scenario that is no VU's: it has the run's tags and the scenario's name.
func (e *events) record(scenario int, x metric.Extra, v metric.Value) {
	tags := e.tags
	if e.opts.SystemTags.Has(metric.TagScenario) {
		tags = tags.With("scenario", e.opts.Scenarios[scenario].Name)
	}
	e.store.Recorder(scenario).Record(tags, x, time.Now(), v)
}

// Lateness implements executor.Events.
func (e *events) Lateness(scenario int, d time.Duration) {
	e.tallies[scenario].late.record(d)
	e.record(scenario, metric.Extra{}, metric.Value{Metric: e.builtin.IterationLateness, V: float64(d) / float64(time.Millisecond)})
}

// Warn implements executor.Events.
func (e *events) Warn(scenario int, message string) {
	s := e.opts.Scenarios[scenario]
	e.log.Warn(message, slog.String("executor", string(s.Executor)), slog.String("scenario", s.Name))
}
