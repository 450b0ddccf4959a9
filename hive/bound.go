package hive

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"hive/engine/executor"
)

// What a state keeps of a run's history. Runs of days see thousands of joins and deaths, and the state is written with
// each of them.
const (
	keptGone     = 100 // incarnations without a share
	keptDeaths   = 100 // nodes whose engines ended by themselves
	keptGaps     = 50  // times in which nobody had any part of a scenario
	keptScales   = 200 // changes of externally-controlled scenarios
	keptWarnings = 200
)

// ScaleSum is what the oldest changes of an externally-controlled scenario amount to.
type ScaleSum struct {
	Until   time.Duration `json:"until"`   // on the run's clock
	Seconds float64       `json:"seconds"` // VU-seconds planned until then
}

// bound sums up what is old in a state that is to be written. What it changes it copies.
func (d *driver) bound(s *State) {
	s.boundGone()
	s.boundDeaths()
	s.boundGaps(d.opts.Scenarios)
	s.boundScales(d.opts.Scenarios)
}

// boundGone drops the oldest incarnations that have no share any more.
func (s *State) boundGone() {
	if len(s.Gone) <= keptGone {
		return
	}
	more := len(s.Gone) - keptGone
	s.Gone = slices.DeleteFunc(slices.Clone(s.Gone), func(g Gone) bool {
		if more == 0 || hasLife(s.Members, g.Incarnation) {
			return false // its share has yet to be dealt anew
		}
		more--
		s.GoneBefore++
		return true
	})
}

// boundDeaths forgets the engines that died first: of nodes that may be dealt in again, then of banned ones.
func (s *State) boundDeaths() {
	if len(s.Deaths) <= keptDeaths {
		return
	}
	var newest time.Duration
	for _, death := range s.Deaths {
		newest = max(newest, death.At)
	}
	rank := func(id string) int {
		switch death := s.Deaths[id]; {
		case newest-death.At < returnAfter:
			return 2
		case death.Banned:
			return 1
		}
		return 0
	}
	ids := slices.SortedFunc(maps.Keys(s.Deaths), func(a, b string) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(s.Deaths[a].At, s.Deaths[b].At), cmp.Compare(a, b))
	})
	s.Deaths = maps.Clone(s.Deaths)
	for _, id := range ids[:len(ids)-keptDeaths] {
		delete(s.Deaths, id)
	}
}

// boundGaps counts what was due in the oldest gaps that are closed.
func (s *State) boundGaps(scenarios []executor.Scenario) {
	if len(s.Gaps) <= keptGaps {
		return
	}
	more := len(s.Gaps) - keptGaps/2
	missed := make([]int64, max(len(scenarios), len(s.Missed)))
	copy(missed, s.Missed)
	s.Gaps = slices.DeleteFunc(slices.Clone(s.Gaps), func(g Gap) bool {
		if more == 0 || g.Until < 0 || g.Scenario >= len(scenarios) {
			return false
		}
		more--
		if sc := scenarios[g.Scenario]; sc.ArrivalSchedule() != nil && g.From < g.Until {
			missed[g.Scenario] += sc.DueBefore(g.Until) - sc.DueBefore(g.From)
		}
		return true
	})
	s.Missed = missed
}

// boundScales adds up what the oldest changes of externally-controlled scenarios planned. The last one of each scenario
// is kept: it holds until the next.
func (s *State) boundScales(scenarios []executor.Scenario) {
	if len(s.Scaled) <= keptScales {
		return
	}
	n := len(s.Scaled) - keptScales/2
	until := s.Scaled[n-1].At
	sums := maps.Clone(s.ScaledBefore)
	if sums == nil {
		sums = map[string]ScaleSum{}
	}
	var kept []Scale
	for i, sc := range scenarios {
		if sc.Executor != executor.ExternallyControlled {
			continue
		}
		was := sums[sc.Name]
		sums[sc.Name] = ScaleSum{Until: until, Seconds: was.Seconds + plannedBetween(scenarios, i, s.Scaled, was.Until, until)}
		for k := n - 1; k >= 0; k-- {
			if s.Scaled[k].Scenario == sc.Name {
				kept = append(kept, s.Scaled[k])
				break
			}
		}
	}
	s.Scaled, s.ScaledBefore = append(kept, s.Scaled[n:]...), sums
}
