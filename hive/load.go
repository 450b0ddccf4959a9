package hive

import (
	"time"

	"hive/engine/executor"
)

// loadWindow is over how long of the run's clock the rates of a run are taken: nodes report once a second, each in its
// own time.
const loadWindow = 5 * time.Second

// loadSettle is after how long a leader has heard from all nodes.
const loadSettle = 2 * time.Second

// loadMeter compares what arrival-rate scenarios were to start with what they did.
type loadMeter struct {
	samples []loadSample // oldest first, at most loadWindow apart
}

// loadSample is how far a run had come at a moment on its clock.
type loadSample struct {
	at      time.Duration
	started []int64 // by scenario
}

// read takes how many iterations of each scenario have been started by now, a moment on the run's clock, and gives the
// rates since the window began. It is nil until there are two moments to compare.
func (m *loadMeter) read(scenarios []executor.Scenario, now time.Duration, started []int64) []Load {
	m.samples = append(m.samples, loadSample{now, started})
	for len(m.samples) > 2 && now-m.samples[0].at > loadWindow {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	passed := (now - first.at).Seconds()
	if passed <= 0 {
		m.samples = m.samples[:1]
		return nil
	}
	var loads []Load
	for i, s := range scenarios {
		arrives := s.Executor == executor.ConstantArrivalRate || s.Executor == executor.RampingArrivalRate
		if !arrives || i >= len(started) || i >= len(first.started) {
			continue
		}
		loads = append(loads, Load{
			Scenario: s.Name,
			Planned:  float64(s.DueBefore(now)-s.DueBefore(first.at)) / passed,
			Actual:   max(0, float64(started[i]-first.started[i])/passed),
		})
	}
	return loads
}

// progressEvent is how far the hive has come, for those who follow the run.
func (d *driver) progressEvent() ProgressEvent {
	e := ProgressEvent{Phase: d.st.Phase, Paused: d.st.Halt != nil, Nodes: len(d.living()), Epoch: d.st.Epoch, Unowned: d.st.Unowned, Progress: d.progress()}
	if d.st.Anchor.Gen == 0 {
		return e // there is no load yet
	}
	e.Ledger, _ = d.ledger(false) // what does not add up is told at the end
	if d.at() < loadSettle {
		return e
	}
	started := make([]int64, len(d.opts.Scenarios))
	count := func(ledgers []executor.Ledger) {
		for i := range min(len(ledgers), len(started)) {
			started[i] += ledgers[i].Started
		}
	}
	for _, c := range d.n.inbox.all() {
		count(c.Ledger)
	}
	if f := d.n.inbox.sum(); f != nil {
		for _, ledgers := range f.Ledgers {
			count(ledgers)
		}
	}
	e.Load = d.meter.read(d.opts.Scenarios, d.now(), started)
	return e
}
