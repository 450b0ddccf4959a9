package hive

import (
	"slices"
	"time"

	"hive/engine/executor"
)

// vuNoise is how many VU-seconds the sums may be off by rounding alone.
const vuNoise = 1e-3

// vuSeconds accounts for a scenario whose VUs loop.
func (a *account) vuSeconds() {
	a.Unit = UnitVUSeconds
	a.livesSeconds()
	a.Active += a.settled().Active
	a.Handover += a.settled().Handover
	planned, before := a.plannedTime()
	done := a.Active + a.Handover
	switch {
	case a.Over:
		a.Lost = above(before - done)
	case a.endless():
		a.Lost = above(a.lostSoFar())
	default:
		a.Lost = above(min(a.lostSoFar(), planned-done))
	}
	if a.endless() && !a.Stopped {
		planned = done + a.Lost // it has no plan but what was done so far
	}
	a.Planned = planned
	rest := planned - done - a.Lost
	if a.Over {
		a.Cancelled = above(rest)
	} else {
		a.Pending = above(rest)
	}
	if rest < -vuNoise {
		a.warn("its VUs were active for %.3f VU-seconds beyond the %.3f that were planned", -rest, planned)
	}
	a.Active = max(0, planned-a.Handover-a.Lost-a.Cancelled-a.Pending)
}

// livesSeconds adds up for how long the VUs of all lives looped, and for how long VUs that then looped had been waited for.
func (a *account) livesSeconds() {
	for _, life := range a.Lives {
		l := a.last(life)
		a.Active += l.Active
		a.Handover += l.Handover
	}
}

// above is d, or 0 when it is no more than rounding.
func above(d float64) float64 {
	if d < vuNoise {
		return 0
	}
	return d
}

// endless reports that the scenario goes on until the run is stopped.
func (a *account) endless() bool {
	return a.scenario.Executor == executor.ExternallyControlled && a.scenario.Duration == 0
}

// plannedTime is for how many seconds all VUs were to loop, and how much of that before the run was stopped.
func (a *account) plannedTime() (planned, before float64) {
	slots := make([]int, a.scenario.MaxVUs())
	for slot := range slots {
		slots[slot] = slot
	}
	sum := a.ScaledBefore[a.scenario.Name]
	until := func(end time.Duration) float64 { return sum.Seconds + a.loopTime(slots, sum.Until, end) }
	before = until(a.stop())
	switch {
	case !a.endless():
		return until(never), before
	case a.Stopped:
		return before, before
	}
	now := until(a.now())
	return now, now
}

// plannedBetween is for how many seconds the VUs of one scenario are to loop between two moments.
func plannedBetween(scenarios []executor.Scenario, i int, scales []Scale, from, until time.Duration) float64 {
	a := &account{books: &books{LedgerInput: LedgerInput{Scales: scales}}, index: i, scenario: scenarios[i]}
	a.Scenario = scenarios[i].Name
	slots := make([]int, scenarios[i].MaxVUs())
	for slot := range slots {
		slots[slot] = slot
	}
	return a.loopTime(slots, from, until)
}

// lostSoFar is for how long VUs were missing that belonged to lives that are gone, while the run goes on. It is no more
// than about right where VUs were moving when their life ended: until they have ended, they are active elsewhere.
func (a *account) lostSoFar() (lost float64) {
	lost = a.settled().Missing
	for _, life := range a.Lives {
		if life.Final || !life.Gone {
			continue
		}
		var own float64
		for k, stint := range life.Stints {
			until := min(life.end(), max(life.Proven, a.now()))
			if k+1 < len(life.Stints) {
				until = min(until, life.Stints[k+1].From)
			}
			if a.index < len(stint.Share.Plan().Scenarios) {
				own += a.loopTime(stint.Share.Slots(a.index), stint.From, until)
			}
		}
		l := a.last(life)
		lost += max(0, own-l.Active-l.Handover)
	}
	return lost
}

// loopTime is for how many seconds the VUs of slots (ascending, from the scenario's base) are to loop between two
// moments.
func (a *account) loopTime(slots []int, from, until time.Duration) float64 {
	start := a.scenario.StartTime
	c := &loopCount{from: from - start, until: min(until-start, a.scenario.Regular())}
	switch a.scenario.Executor {
	case executor.RampingVUs:
		vus := 0
		for step := range a.scenario.RampingSchedule(slots) {
			if vus--; step.Up {
				vus += 2
			}
			c.change(step.At, vus)
		}
	case executor.ExternallyControlled:
		c.change(0, countBelow(slots, a.scenario.VUs))
		for _, s := range a.Scales {
			if s.Scenario == a.Scenario {
				c.change(s.At-start, countBelow(slots, s.VUs))
			}
		}
	default:
		c.change(0, len(slots))
	}
	return c.total()
}

// countBelow counts the ascending slots below limit.
func countBelow(slots []int, limit int) int {
	n, _ := slices.BinarySearch(slots, limit)
	return n
}

// loopCount adds up the time of a changing number of VUs within a window.
type loopCount struct {
	from, until time.Duration
	vus         int
	since       time.Duration
	sum         float64 // seconds
}

// change sets how many VUs loop from a moment on; moments do not go back.
func (c *loopCount) change(at time.Duration, vus int) {
	c.sum += float64(c.vus) * max(0, min(at, c.until)-max(c.since, c.from)).Seconds()
	c.since, c.vus = max(0, at), vus
}

// total ends the counting.
func (c *loopCount) total() float64 {
	c.change(c.until, 0)
	return c.sum
}
