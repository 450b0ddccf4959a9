package executor

import (
	"iter"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"sort"
	"time"
)

// ArrivalSchedule returns the moment at which iteration i of the whole test is due, from the scenario's own
// start, and whether there is such an iteration. It is pure, and nil for other than arrival-rate executors.
//
// At a constant rate the first iteration is due at 0 and the others follow evenly, up to but not including the
// end. On a ramp, iteration i (from 0) is due when the integral of the rate reaches i+1, up to and including
// the end; what remains at the end of a stage is carried into the next.
func (s Scenario) ArrivalSchedule() func(i int64) (due time.Duration, ok bool) {
	switch s.Executor {
	case ConstantArrivalRate:
		return s.constantSchedule()
	case RampingArrivalRate:
		return s.rampSchedule()
	}
	return nil
}

func (s Scenario) constantSchedule() func(int64) (time.Duration, bool) {
	rate, unit, end := uint64(s.Rate), uint64(s.TimeUnit), s.Duration
	return func(i int64) (time.Duration, bool) {
		due, ok := mulDiv(uint64(i), unit, rate)
		return due, ok && i >= 0 && due < end
	}
}

// leg is the part of a ramp in which iterations first, first+1, … are due. Rates are per nanosecond.
type leg struct {
	first, end int64         // iterations due in this leg: first to end-1
	offset     time.Duration // where it begins
	length     time.Duration
	from       float64 // rate at the beginning
	slope      float64 // change of the rate per nanosecond
	missing    float64 // what the integral lacks at the beginning until iteration first is due, in (0, 1]
}

func (s Scenario) rampSchedule() func(int64) (time.Duration, bool) {
	legs := s.legs()
	return func(i int64) (time.Duration, bool) {
		k := sort.Search(len(legs), func(k int) bool { return i < legs[k].end })
		if i < 0 || k == len(legs) {
			return 0, false
		}
		return legs[k].due(i), true
	}
}

// legs lays out the ramp. Integrals are summed exactly, as fractions, so that an iteration that is due right at
// the end of a stage is not lost to rounding.
func (s Scenario) legs() []leg {
	var legs []leg
	var offset time.Duration
	sum, from, unit := new(big.Rat), s.StartRate, float64(s.TimeUnit)
	for _, st := range s.Stages {
		first, missing := splitIntegral(sum)
		// The stage's integral: mean rate times duration.
		area := new(big.Int).Mul(big.NewInt(from+st.Target), big.NewInt(int64(st.Duration)))
		sum.Add(sum, new(big.Rat).SetFrac(area, new(big.Int).Mul(big.NewInt(2), big.NewInt(int64(s.TimeUnit)))))
		end, _ := splitIntegral(sum)
		if st.Duration > 0 && end > first {
			legs = append(legs, leg{
				first: first, end: end, offset: offset, length: st.Duration, missing: missing,
				from: float64(from) / unit, slope: float64(st.Target-from) / unit / float64(st.Duration),
			})
		}
		offset, from = offset+st.Duration, st.Target
	}
	return legs
}

// splitIntegral returns the whole part of an integral and what it lacks to the next whole number.
func splitIntegral(sum *big.Rat) (whole int64, missing float64) {
	q := new(big.Int).Quo(sum.Num(), sum.Denom())
	if !q.IsInt64() {
		return math.MaxInt64, 1
	}
	rest := new(big.Rat).Sub(new(big.Rat).SetInt(q), sum) // -fraction
	missing, _ = rest.Add(rest, big.NewRat(1, 1)).Float64()
	return q.Int64(), missing
}

// due solves from·t + slope·t²/2 = x for t, in the form that loses no digits when the slope is small or falls.
func (l leg) due(i int64) time.Duration {
	x := float64(i-l.first) + l.missing
	t := 2 * x / (l.from + math.Sqrt(max(0, l.from*l.from+2*l.slope*x)))
	return l.offset + time.Duration(min(t, float64(l.length)))
}

// RateAt is the planned rate of an arrival-rate scenario of the whole test, in iterations per second, at a
// moment counted from the scenario's own start.
func (s Scenario) RateAt(t time.Duration) float64 {
	perSecond := float64(time.Second) / float64(s.TimeUnit)
	if s.Executor == ConstantArrivalRate {
		return float64(s.Rate) * perSecond
	}
	from := s.StartRate
	for _, st := range s.Stages {
		if t < st.Duration {
			done := float64(t) / float64(st.Duration)
			return (float64(from) + float64(st.Target-from)*done) * perSecond
		}
		t, from = t-st.Duration, st.Target
	}
	return float64(from) * perSecond
}

// PeakRate is the highest planned rate of an arrival-rate scenario, in iterations per second.
func (s Scenario) PeakRate() float64 {
	most := max(s.Rate, s.StartRate)
	for _, st := range s.Stages {
		most = max(most, st.Target)
	}
	return float64(most) * float64(time.Second) / float64(s.TimeUnit)
}

// Step is a change in a ramp of VUs: at At, from the scenario's own start, the VU of a slot (counted from the
// scenario's base) starts or is asked to stop.
type Step struct {
	At   time.Duration
	Slot int
	Up   bool
}

// RampingSchedule yields the steps of the given slots (ascending) of a ramping-vus scenario, in order of time.
// VUs start and stop one by one, spaced evenly over each stage, the last step at its end; the VU that started
// last stops first.
func (s Scenario) RampingSchedule(slots []int) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		if !ramp(0, 0, 0, int64(s.StartVUs), slots, yield) {
			return
		}
		var offset time.Duration
		from := int64(s.StartVUs)
		for _, st := range s.Stages {
			if !ramp(offset, st.Duration, from, st.Target, slots, yield) {
				return
			}
			offset, from = offset+st.Duration, st.Target
		}
	}
}

// ramp yields one stage's steps from a to b VUs.
func ramp(offset, length time.Duration, a, b int64, slots []int, yield func(Step) bool) bool {
	lo, _ := slices.BinarySearch(slots, int(min(a, b)))
	hi, _ := slices.BinarySearch(slots, int(max(a, b)))
	for i := range hi - lo {
		slot, up := slots[lo+i], b > a
		nth := int64(slot) + 1 - a
		if !up {
			slot = slots[hi-1-i]
			nth = a - int64(slot)
		}
		at, _ := mulDiv(uint64(length), uint64(nth), uint64(max(a, b)-min(a, b)))
		if !yield(Step{At: offset + at, Slot: slot, Up: up}) {
			return false
		}
	}
	return true
}

// mulDiv is a·b/c without running over in between; ok is false when the result does.
func mulDiv(a, b, c uint64) (d time.Duration, ok bool) {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return math.MaxInt64, false
	}
	q, _ := bits.Div64(hi, lo, c)
	if q > math.MaxInt64 {
		return math.MaxInt64, false
	}
	return time.Duration(q), true
}
