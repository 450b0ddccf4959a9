package hive

import (
	"maps"

	"hive/engine/executor"
)

// Settled is what became of one scenario's iterations on incarnations of which nothing more is to come, taken together.
type Settled struct {
	Completed   int64            `json:"completed,omitempty"`
	Interrupted int64            `json:"interrupted,omitempty"`
	Dropped     map[string]int64 `json:"dropped,omitempty"`
	Lost        int64            `json:"lost,omitempty"`
	Unknown     int64            `json:"unknown,omitempty"`
	Active      float64          `json:"active,omitempty"`   // VU-seconds
	Handover    float64          `json:"handover,omitempty"` // VU-seconds
	// NotBegun had an owner that ended before they could begin.
	NotBegun int64 `json:"notBegun,omitempty"`
	// Missing is for how many seconds VUs were missing that belonged to incarnations that were lost.
	Missing float64 `json:"missing,omitempty"`
}

// Settle closes the accounts of lives by scenario: they have ended, or are gone and replaced, and report no more.
func Settle(scenarios []executor.Scenario, lives []Life) []Settled {
	b := &books{LedgerInput: LedgerInput{Scenarios: scenarios, Lives: lives}, deals: deals{}}
	all := make([]Settled, len(scenarios))
	for i, s := range scenarios {
		a := &account{books: b, index: i, scenario: s}
		if _, counted := s.PlannedIterations(); counted {
			a.livesIterations()
			all[i].NotBegun = a.notBegun(s.ArrivalSchedule() != nil)
		} else {
			a.livesSeconds()
			all[i].Missing = a.lostSoFar()
		}
		all[i].take(a.ScenarioLedger)
	}
	return all
}

// take notes the classes of an account.
func (s *Settled) take(l ScenarioLedger) {
	s.Completed, s.Interrupted, s.Lost, s.Unknown = int64(l.Completed), int64(l.Interrupted), int64(l.Lost), int64(l.Unknown)
	s.Active, s.Handover = l.Active, l.Handover
	for reason, n := range l.Dropped {
		if s.Dropped == nil {
			s.Dropped = map[string]int64{}
		}
		s.Dropped[reason] = int64(n)
	}
}

// Plus adds two sums by scenario.
func Plus(a, b []Settled) []Settled {
	sum := make([]Settled, max(len(a), len(b)))
	for i := range sum {
		for _, of := range [][]Settled{a, b} {
			if i < len(of) {
				sum[i] = sum[i].plus(of[i])
			}
		}
	}
	return sum
}

func (s Settled) plus(o Settled) Settled {
	dropped := maps.Clone(s.Dropped)
	for reason, n := range o.Dropped {
		if dropped == nil {
			dropped = map[string]int64{}
		}
		dropped[reason] += n
	}
	return Settled{Completed: s.Completed + o.Completed, Interrupted: s.Interrupted + o.Interrupted, Dropped: dropped, Lost: s.Lost + o.Lost,
		Unknown: s.Unknown + o.Unknown, Active: s.Active + o.Active, Handover: s.Handover + o.Handover,
		NotBegun: s.NotBegun + o.NotBegun, Missing: s.Missing + o.Missing}
}

// settled is what was settled of the account's scenario.
func (a *account) settled() Settled {
	if a.index < len(a.Settled) {
		return a.Settled[a.index]
	}
	return Settled{}
}
