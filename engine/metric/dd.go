package metric

import "math"

// sum adds float64s with twice their precision (the value is hi+lo), so that adding the parts of a
// whole in any grouping rounds to the same float64.
type sum struct{ hi, lo float64 }

// add adds x, which must be finite. When the sum itself leaves the range it stays at the largest
// float64.
func (s *sum) add(x float64) {
	hi, err := twoSum(s.hi, x)
	hi, err = quickTwoSum(hi, err+s.lo)
	s.set(hi, err)
}

func (s *sum) merge(o sum) {
	hi, err := twoSum(s.hi, o.hi)
	lo, err2 := twoSum(s.lo, o.lo)
	hi, err = quickTwoSum(hi, err+lo)
	hi, err = quickTwoSum(hi, err+err2)
	s.set(hi, err)
}

// set replaces the sum unless it has left the range.
func (s *sum) set(hi, lo float64) {
	if hi-hi != 0 || lo != lo { // infinite or no number
		hi, lo = math.Copysign(math.MaxFloat64, s.hi), 0
	}
	s.hi, s.lo = hi, lo
}

func (s sum) float() float64 { return s.hi + s.lo }

// twoSum returns a+b and its rounding error (Knuth).
func twoSum(a, b float64) (s, err float64) {
	s = a + b
	bb := s - a
	return s, (a - (s - bb)) + (b - bb)
}

// quickTwoSum is twoSum for |a| >= |b| (Dekker).
func quickTwoSum(a, b float64) (s, err float64) {
	s = a + b
	return s, b - (s - a)
}
