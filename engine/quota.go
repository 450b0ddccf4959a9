package engine

import (
	"math"
	"slices"
	"time"

	"hive/engine/executor"
	"hive/engine/share"
)

// quota is this node's part of the option rps, which holds for the whole hive. At each moment t of the run
//
//	limit(t) = rps · own(t) / all(t)
//
// where all(t) are the VUs of the test that may be running an iteration at t by the schedule (see reach), and own(t)
// those of them whose slots are this node's in the epoch that t lies in. A slot that moves counts on the node that it
// leaves until its last iteration there has ended. Where nobody's VUs are due, all slots count.
// Every node knows from its share how many VUs of each scenario all others have, so each computes its part without a
// word from the others, and the parts add up to rps exactly; while slots have no owner, to no more than that. A node
// that has promised to let go counts with the smaller of its two parts until it knows what came of the promise. The
// parts are computed anew ten times a second of the run's clock, on all nodes for the same moments.
//
// Nodes that go by nothing but their own rates send at the same moments now and then, and together one call more in a
// second for each of them. Where the schedule has all VUs of its scenarios at work, every node knows how many each one
// has, and time itself is dealt out: the run's clock is cut into turns of one call, as iterations are dealt to nodes, and
// a node has all of rps in its own turns and nothing in between. Rates of more than turnsMost are left alone.
//
// Before and after the load nobody else sends anything, and setup() or teardown() may use rps in full.
type quota struct {
	rps       float64
	scenarios []executor.Scenario
	tenure    *tenure

	// What follows is changed within Pace.Change only, and so never while rate is running.
	clock  *executor.Clock // nil while no load is running
	scales []scaled        // in the order in which they were given

	// The deal of turns that was used last.
	weights []int
	index   int
	turns   *share.Sequence
}

// scaled is an order to an externally-controlled scenario.
type scaled struct {
	scenario, vus int
	at            time.Duration
}

// quotaStep is how often parts are computed anew.
const quotaStep = 100 * time.Millisecond

// turnsMost is the highest rate, in calls a second, that is dealt out by turns: one is then as short as timers are exact.
const turnsMost = 200

// scaleGrace is for how long VUs that an order has stopped count on: they may be ending an iteration.
const scaleGrace = 30 * time.Second

// rate is the [http.Rate] of this node.
func (q *quota) rate(at time.Time) (perSecond float64, until time.Time) {
	if q.clock == nil {
		return q.rps, at.Add(quotaStep)
	}
	t := q.clock.Now() - time.Since(at)
	standing := q.clock.Standing()
	if standing {
		t = q.clock.Now() // iterations end in a pause, too
	}
	if t < 0 {
		return 0, at.Add(min(-t, quotaStep))
	}
	step := t - t%quotaStep
	end := step + quotaStep
	c, next, held := q.tenure.at(t)
	if next != nil {
		end = min(end, next.from)
	}
	switch {
	case held == nil:
	case held.from <= t:
		return q.rps * min(q.part(c, step), q.part(held, step)), at.Add(end - t)
	default:
		end = min(end, held.from)
	}
	if turns := q.deal(c, step); turns != nil && !standing {
		own, until := q.turn(turns, t)
		return own, at.Add(max(1, min(end, until)-t))
	}
	return q.rps * q.part(c, step), at.Add(end - t)
}

// head is how much of a call a node owes when its load begins, so that the first calls of all nodes do not go at once.
func (q *quota) head(s share.Share) float64 {
	nodes := 1
	if len(s.Plan().Scenarios) > 0 {
		nodes = len(s.Nodes(0))
	}
	switch {
	case nodes == 1:
		return 0
	case q.rps > turnsMost:
		return float64(s.Index()+1) / float64(nodes)
	}
	return 1
}

// deal is the deal of turns at t; nil when the rate is not dealt out by turns.
func (q *quota) deal(c *claim, t time.Duration) *share.Sequence {
	if q.rps > turnsMost || len(c.nodes) == 0 || len(c.nodes[0]) == 1 {
		return nil
	}
	if awaited, going := q.tenure.moving(); awaited.Len() > 0 || going.Len() > 0 {
		return nil
	}
	weights, some := make([]int, len(c.nodes[0])), false
	for i := range q.scenarios {
		switch n := q.working(i, t); {
		case n == 0:
		case n < q.scenarios[i].MaxVUs():
			return nil
		default:
			for node, vus := range c.nodes[i] {
				weights[node] += vus
				some = some || vus > 0
			}
		}
	}
	if !some {
		return nil
	}
	if q.turns == nil || q.index != c.index || !slices.Equal(weights, q.weights) {
		q.weights, q.index, q.turns = weights, c.index, share.NewSequence(weights, c.index)
	}
	return q.turns
}

// turn is the rate at a moment on the run's clock by a deal of turns, and until when it stays so.
func (q *quota) turn(turns *share.Sequence, t time.Duration) (perSecond float64, until time.Duration) {
	k := int64(t.Seconds() * q.rps)
	for q.turnsFrom(k+1) <= t {
		k++
	}
	next := turns.At(turns.Before(k))
	switch {
	case next < 0:
		return 0, executor.Never
	case next == k:
		return q.rps, q.turnsFrom(k + 1)
	}
	return 0, q.turnsFrom(next)
}

// turnsFrom is when a turn begins.
func (q *quota) turnsFrom(turn int64) time.Duration {
	return time.Duration(math.Round(float64(turn) / q.rps * float64(time.Second)))
}

// working is how many VUs of a scenario may be running an iteration at t, in the whole test.
func (q *quota) working(scenario int, t time.Duration) int {
	n := reach(&q.scenarios[scenario], t)
	if q.scenarios[scenario].Executor == executor.ExternallyControlled && n > 0 {
		n = q.scale(scenario, t)
	}
	return n
}

// part is the fraction that a claim gives at t.
func (q *quota) part(c *claim, t time.Duration) float64 {
	own, all := 0, 0
	awaited, going := q.tenure.moving()
	if awaited.Len() > 0 || going.Len() > 0 { // they are of the newest claim
		awaited, going = awaited.Minus(awaited.Minus(c.slots)), going.Minus(c.slots)
	}
	for i := range q.scenarios {
		n := q.working(i, t)
		own += below(c.own[i], n) - below(c.within(awaited, i), n) + below(c.within(going, i), n)
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
	return min(1, float64(own)/float64(all))
}

// below is how many of some slots, ascending, are among the first n of the scenario.
func below(slots []int, n int) int {
	first, _ := slices.BinarySearch(slots, n)
	return first
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
