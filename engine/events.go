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
func (e *events) Dropped(scenario int, n int64, why executor.Reason, slot int) {
	e.tallies[scenario].dropped.Add(n)
	var x metric.Extra
	if slot != executor.NoSlot {
		x.VU = int64(slot) + 1
	}
	tags := e.scenarioTags(scenario).With("reason", why.String())
	e.store.Recorder(scenario).Record(tags, x, time.Now(), metric.Value{Metric: e.builtin.DroppedIterations, V: float64(n)})
}

// scenarioTags are those of a value of a scenario that is no VU's: the run's, and the scenario's name.
func (e *events) scenarioTags(scenario int) *metric.TagSet {
	if !e.opts.SystemTags.Has(metric.TagScenario) {
		return e.tags
	}
	return e.tags.With("scenario", e.opts.Scenarios[scenario].Name)
}

// Lateness implements executor.Events.
func (e *events) Lateness(scenario int, d time.Duration) {
	e.tallies[scenario].late.record(d)
	e.store.Recorder(scenario).Record(e.scenarioTags(scenario), metric.Extra{}, time.Now(),
		metric.Value{Metric: e.builtin.IterationLateness, V: float64(d) / float64(time.Millisecond)})
}

// Warn implements executor.Events.
func (e *events) Warn(scenario int, message string) {
	s := e.opts.Scenarios[scenario]
	e.log.Warn(message, slog.String("executor", string(s.Executor)), slog.String("scenario", s.Name))
}
