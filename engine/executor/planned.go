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

// PlannedVUTime is for how long the VUs of a looping scenario are to loop, all together: of an externally-controlled
// one, if it stays at the scale that it begins with. It is 0 for other executors, and for a scenario without an end.
func (s Scenario) PlannedVUTime() time.Duration {
	sum := new(big.Int)
	switch s.Executor {
	case ConstantVUs, ExternallyControlled:
		sum.Mul(big.NewInt(int64(s.VUs)), big.NewInt(int64(s.Duration)))
	case RampingVUs:
		for r := range (slope{int64(s.StartVUs), s.Stages}).rises {
			sum.Add(sum, r.area())
		}
	}
	if !sum.IsInt64() {
		return math.MaxInt64
	}
	return time.Duration(sum.Int64())
}

// area is the VUs' time over the stage. Step i comes at floor(length·i/m), and the sum of these over i = 1 to m is
// ((length-1)·(m-1) + gcd(length, m) - 1)/2 + length.
func (r rise) area() *big.Int {
	length, m := big.NewInt(int64(r.length)), big.NewInt(r.steps())
	area := new(big.Int).Mul(length, big.NewInt(r.a))
	if r.length == 0 || r.a == r.b {
		return area
	}
	one := big.NewInt(1)
	sum := new(big.Int).Mul(new(big.Int).Sub(length, one), new(big.Int).Sub(m, one))
	sum.Add(sum, new(big.Int).GCD(nil, nil, length, m)).Sub(sum, one).Rsh(sum, 1).Add(sum, length)
	// A VU that starts at the step loops for the rest of the stage; one that stops does not.
	rest := new(big.Int).Sub(new(big.Int).Mul(length, m), sum)
	if r.b > r.a {
		return area.Add(area, rest)
	}
	return area.Sub(area, rest)
}
