package hive

import (
	"time"

	"hive/engine/executor"
)

const (
	// loadWindow is over how long of the run's clock the rates of a run are taken.
	loadWindow = 3 * time.Second
	// loadSettle is after how long a leader has heard from all nodes.
	loadSettle = 2 * time.Second
	// loadLate is how old the newest report of a node may be that counts as going on in the same way. Reports come once
	// a second.
	loadLate = 2500 * time.Millisecond
)

// loadMeter compares what arrival-rate scenarios were to start with what they did. Nodes report at moments of their own,
// so each node's rate is taken between two of its reports.
type loadMeter struct {
	known int64                  // incarnations up to this one began before the meter
	lines map[int64][]*loadTrack // by incarnation, then scenario; nil before the first look
}

// loadTrack is how far one incarnation had come with one scenario.
type loadTrack struct {
	points []loadPoint // oldest first
	young  bool        // it had started nothing before the first of them
}

// loadPoint says how many iterations were started of those due before a moment on the run's clock.
type loadPoint struct {
	at      time.Duration
	started int64
}

// add takes a report.
func (t *loadTrack) add(l executor.Ledger) {
	if n := len(t.points); n > 0 && l.Reached <= t.points[n-1].at {
		t.points[n-1].started = l.Started
		return
	}
	t.points = append(t.points, loadPoint{l.Reached, l.Started})
}

// last is the newest point.
func (t *loadTrack) last() loadPoint { return t.points[len(t.points)-1] }

// since is the newest moment up to from of which it is known how many had been started, or the first one after it. What
// is older is forgotten.
func (t *loadTrack) since(from time.Duration) (at time.Duration, started float64) {
	for len(t.points) > 1 && t.points[1].at <= from {
		t.points, t.young = t.points[1:], false
	}
	first := t.points[0]
	switch {
	case first.at > from && t.young:
		return from, 0
	case first.at > from || len(t.points) == 1:
		return first.at, float64(first.started)
	}
	next := t.points[1]
	part := float64(from-first.at) / float64(next.at-first.at)
	return from, float64(first.started) + part*float64(next.started-first.started)
}

// read takes the newest reports of all incarnations at now, a moment on the run's clock, and gives the rates of late.
// Incarnations have been numbered up to lives. It is nil until there are two reports of each node to compare.
func (m *loadMeter) read(scenarios []executor.Scenario, now time.Duration, lives int64, reports []Report, living func(life int64) bool) []Load {
	m.take(len(scenarios), lives, reports)
	var loads []Load
	for i, s := range scenarios {
		if s.Executor != executor.ConstantArrivalRate && s.Executor != executor.RampingArrivalRate {
			continue
		}
		load, ok := m.load(i, s, now, living)
		if !ok {
			return nil
		}
		loads = append(loads, load)
	}
	return loads
}

// take notes what is new in the reports.
func (m *loadMeter) take(scenarios int, lives int64, reports []Report) {
	was := m.lines
	if was == nil {
		m.known = lives
	}
	m.lines = map[int64][]*loadTrack{}
	for _, r := range reports {
		if len(r.Ledger) != scenarios {
			continue // it has not begun
		}
		tracks := was[r.Incarnation]
		for i, l := range r.Ledger {
			if i == len(tracks) {
				tracks = append(tracks, &loadTrack{young: r.Incarnation > m.known})
			}
			tracks[i].add(l)
		}
		m.lines[r.Incarnation] = tracks
	}
}

// load is how scenario i fares; ok is false while a node's rate cannot be told.
func (m *loadMeter) load(i int, s executor.Scenario, now time.Duration, living func(life int64) bool) (load Load, ok bool) {
	load.Scenario = s.Name
	planned := func(from, until time.Duration) float64 {
		return float64(s.DueBefore(until)-s.DueBefore(from)) / (until - from).Seconds()
	}
	going := 0
	for life, tracks := range m.lines {
		t := tracks[i]
		last, end := t.last(), now
		fresh := living(life) && now-last.at <= loadLate
		if fresh {
			end = last.at
		}
		from, started := t.since(max(0, end-loadWindow))
		switch {
		case end > from:
			load.Actual += max(0, float64(last.started)-started) / (end - from).Seconds()
		case fresh && last.at > 0:
			return Load{}, false
		}
		if fresh && end > from {
			load.Planned += planned(from, end)
			going++
		}
	}
	if going > 0 {
		load.Planned /= float64(going)
	} else if from := max(0, now-loadWindow); now > from {
		load.Planned = planned(from, now)
	}
	return load, len(m.lines) > 0
}

// progressEvent is how far the hive has come, for those who follow the run.
func (d *driver) progressEvent() ProgressEvent {
	living := d.living()
	e := ProgressEvent{Phase: d.st.Phase, Paused: d.st.paused() != nil, Nodes: len(living), Epoch: d.st.Epoch, Unowned: d.st.Unowned, Progress: d.progress()}
	if d.st.Anchor.Gen == 0 {
		return e // there is no load yet
	}
	e.Ledger, _ = d.ledger(false) // what does not add up is told at the end
	if d.at() < loadSettle {
		return e
	}
	var reports []Report
	for _, c := range d.n.inbox.all() {
		reports = append(reports, c.Report)
	}
	e.Load = d.meter.read(d.opts.Scenarios, d.now(), d.st.Lives, reports, func(life int64) bool { return hasLife(living, life) })
	return e
}
