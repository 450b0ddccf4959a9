package executor

import (
	"math"
	"sync/atomic"
)

// Begun is memory that may outlive the process, in which the executors of counted iterations write down how far they
// have come before they go there: who still has it when the process is gone knows what was never begun.
type Begun []atomic.Int64

// BegunSize is how many numbers it takes for the scenarios of a test.
func BegunSize(scenarios []Scenario) (n int) {
	for _, s := range scenarios {
		n += s.begunSize()
	}
	return n
}

// begunSize is one number for iterations that VUs share, which is how many of the own row have begun, and one for each VU
// that has its own: one more than how many it has begun, here and before, and 0 where that is not known here.
func (s Scenario) begunSize() int {
	switch s.Executor {
	case SharedIterations:
		return 1
	case PerVUIterations:
		return int(s.MaxVUs())
	}
	return 0
}

// ByScenario takes the memory apart. Scenarios that keep nothing there, and all when there is too little of it, have none.
func (b Begun) ByScenario(scenarios []Scenario) []Begun {
	parts := make([]Begun, len(scenarios))
	if len(b) < BegunSize(scenarios) {
		return parts
	}
	for i, s := range scenarios {
		n := s.begunSize()
		parts[i], b = b[:n:n], b[n:]
	}
	return parts
}

// Marks are what is written there, as marks beyond which nothing was begun. Scenarios that keep nothing there have none
// that bind.
func (b Begun) Marks(scenarios []Scenario) []Marks {
	marks := make([]Marks, len(scenarios))
	for i, part := range b.ByScenario(scenarios) {
		marks[i].Limit = math.MaxInt64
		if len(part) == 0 {
			continue
		}
		if scenarios[i].Executor == SharedIterations {
			marks[i].Limit = part[0].Load()
			continue
		}
		marks[i].Slots = make(map[int]int64, len(part))
		for slot := range part {
			if n := part[slot].Load(); n > 0 {
				marks[i].Slots[slot] = n - 1
			}
		}
	}
	return marks
}

// Lower is m, but nowhere more than b says. Of a slot that b does not have it says nothing.
func (m Marks) Lower(b Marks) Marks {
	m.Limit = min(m.Limit, b.Limit)
	if len(b.Slots) == 0 || len(m.Slots) == 0 {
		return m
	}
	slots := make(map[int]int64, len(m.Slots))
	for slot, limit := range m.Slots {
		slots[slot] = limit
		if begun, ok := b.Slots[slot]; ok {
			slots[slot] = min(limit, begun)
		}
	}
	m.Slots = slots
	return m
}
