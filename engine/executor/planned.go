package executor

import (
	"math"
	"math/big"
	"sort"
	"time"
)

// DueBefore is how many iterations of an arrival-rate scenario are due before t in the whole test, t counted from the
// start of the test; equally the number of the first one that is due at t or later. It is 0 for other executors.
func (s Scenario) DueBefore(t time.Duration) int64 {
	due := s.ArrivalSchedule()
	t -= s.StartTime
	if due == nil || t <= 0 {
		return 0
	}
	return countWhile(func(i int64) bool {
		at, ok := due(i)
		return ok && at < t
	})
}

// PlannedIterations is how many iterations the scenario has in the whole test. It is false for those whose iterations
// nobody can count beforehand.
func (s Scenario) PlannedIterations() (n int64, counted bool) {
	switch s.Executor {
	case SharedIterations:
		return s.Iterations, true
	case PerVUIterations:
		product := new(big.Int).Mul(big.NewInt(s.Iterations), big.NewInt(int64(s.VUs)))
		if !product.IsInt64() {
			return math.MaxInt64, true
		}
		return product.Int64(), true
	case ConstantArrivalRate, RampingArrivalRate:
		due := s.ArrivalSchedule()
		return countWhile(func(i int64) bool { _, ok := due(i); return ok }), true
	}
	return 0, false
}

// countWhile is how many numbers from 0 on are so, where all that are come first.
func countWhile(so func(int64) bool) int64 {
	high := int64(1)
	for so(high - 1) {
		if high > math.MaxInt64/2 {
			return math.MaxInt64
		}
		high *= 2
	}
	return high/2 + int64(sort.Search(int(high-high/2), func(k int) bool { return !so(high/2 + int64(k)) }))
}
