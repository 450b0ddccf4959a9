package engine

import (
	"slices"
	"time"

	"hive/engine/executor"
)

// quota is this node's part of the option rps, which holds for the whole hive. At each moment t of the run
//
//	limit(t) = rps · own(t) / all(t)
//
// where all(t) are the VUs of the test that may be running an iteration at t by the schedule (see reach), and own(t)
// those of them whose slots are this node's in the epoch that t lies in. Where nobody's VUs are due, all slots count.
// Every node knows from its share how many VUs of each scenario all others have, so each computes its part without a
// word from the others, and the parts add up to rps exactly; while slots have no owner, to no more than that. A node
// that has promised to let go counts with the smaller of its two parts until it knows what came of the promise. The
// parts are computed anew ten times a second of the run's clock, on all nodes for the same moments.
//
// Before and after the load nobody else sends anything, and setup() or teardown() may use rps in full.
type quota struct {
	rps       float64
	scenarios []executor.Scenario
	tenure    *tenure

	// What follows is changed within Pace.Change only, and so never while rate is running.
	clock  *executor.Clock // nil while no load is running
	scales []scaled        // in the order in which they were given
}

// scaled is an order to an externally-controlled scenario.
type scaled struct {
	scenario, vus int
	at            time.Duration
}

// quotaStep is how often parts are computed anew.
const quotaStep = 100 * time.Millisecond

// scaleGrace is for how long VUs that an order has stopped count on: they may be ending an iteration.
const scaleGrace = 30 * time.Second

// rate is the [http.Rate] of this node.
func (q *quota) rate(at time.Time) (perSecond float64, until time.Time) {
	if q.clock == nil {
		return q.rps, at.Add(quotaStep)
	}
	t := q.clock.Now() - time.Since(at)
	step := max(0, t-t%quotaStep)
	end := step + quotaStep
	c, next, held := q.tenure.at(t)
	part := q.part(c, step)
	if next != nil {
		end = min(end, next.from)
	}
	switch {
	case held == nil:
	case held.from <= t:
		part = min(part, q.part(held, step))
	default:
		end = min(end, held.from)
	}
	return q.rps * part, at.Add(end - t)
}

// part is the fraction that a claim gives at t.
func (q *quota) part(c *claim, t time.Duration) float64 {
	own, all := 0, 0
	for i := range q.scenarios {
		n := reach(&q.scenarios[i], t)
		if q.scenarios[i].Executor == executor.ExternallyControlled && n > 0 {
			n = q.scale(i, t)
		}
		first, _ := slices.BinarySearch(c.own[i], n)
		own += first
		all += min(n, c.all[i])
	}
	if all == 0 {
		for i := range q.scenarios {
			own += len(c.own[i])
			all += c.all[i]
		}
	}
	if all == 0 {
		return 0
	}
	return float64(own) / float64(all)
}

// scale is how many VUs of an externally-controlled scenario may be running an iteration at t.
func (q *quota) scale(scenario int, t time.Duration) int {
	most, present := 0, q.scenarios[scenario].VUs
	for _, o := range q.scales {
		if o.scenario != scenario || o.at > t {
			continue
		}
		if o.at > t-scaleGrace {
			most = max(most, present)
		}
		present = o.vus
	}
	return max(most, present)
}

// reach is how many VUs of a scenario, counted from the first, may be running an iteration at a moment of the run by
// its schedule: those that are to loop, and those that have been asked to stop for as long as they are given to end.
// Which VUs an arrival rate will need nobody knows before; all of them count.
func reach(s *executor.Scenario, t time.Duration) int {
	if t < s.StartTime || t >= s.End() {
		return 0
	}
	if s.Executor != executor.RampingVUs {
		return s.MaxVUs()
	}
	return rampPeak(s, t-s.StartTime-s.GracefulRampDown, t-s.StartTime)
}

// rampPeak is the most VUs that a ramp asks for from one moment to another, counted from the scenario's own start.
func rampPeak(s *executor.Scenario, from, to time.Duration) int {
	var offset time.Duration
	peak, a := 0, int64(s.StartVUs)
	for _, st := range s.Stages {
		lo, hi := max(from, offset), min(to, offset+st.Duration)
		if lo <= hi {
			peak = max(peak, onRamp(a, st, lo-offset), onRamp(a, st, hi-offset))
		}
		offset, a = offset+st.Duration, st.Target
	}
	if to >= offset {
		peak = max(peak, int(a))
	}
	return peak
}

// onRamp is how many VUs a stage that begins with a asks for when so much of it has passed.
func onRamp(a int64, st executor.Stage, passed time.Duration) int {
	if st.Duration <= 0 {
		return int(st.Target)
	}
	return int(a + int64(float64(st.Target-a)*(float64(passed)/float64(st.Duration))))
}
