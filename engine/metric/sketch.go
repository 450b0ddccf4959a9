package metric

import (
	"math"
	"math/bits"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Sketch is the distribution of the values of a trend, within a relative error of 0.1%.
//
// It takes any finite value. Magnitudes are cut into classes of 52 binary orders: class k holds
// 2^(52k-20) <= |v| < 2^(52k+32), scaled by 2^(31-52k) and rounded to a whole number of an HDR
// histogram of 3 digits, which keeps the first 11 bits. Almost every metric stays in class 0 (1e-6
// to 4e9). Values are reported as the smallest of their bucket, so whole numbers up to 2,048 are
// exact, and never below the smallest or above the largest value recorded, which are exact too.
//
// NaN is counted apart and otherwise ignored; an infinity counts as the largest float64.
// A Sketch is not safe for concurrent use. Make one with NewSketch.
type Sketch struct {
	first   *hdr.PackedHistogram // positive values of class 0
	others  []class              // the other classes, in ascending order of their values
	zeros   uint64
	count   uint64 // all values, zeros included
	ignored uint64
	sum     sum
	min     float64
	max     float64
}

// class is a histogram of the magnitudes of one class and sign.
type class struct {
	neg  bool
	k    int
	hist *hdr.PackedHistogram
}

const (
	classBits = 52                                             // binary orders per class
	classLow  = -20                                            // where class 0 starts
	classTop  = classLow + classBits                           // and where it ends
	lowest    = 1.0 / (1 << -classLow)                         // the smallest magnitude of class 0
	highest   = 1 << classTop                                  // the first magnitude above class 0
	scale     = 1 << (63 - classTop)                           // of class 0
	minClass  = (-1074 - classLow - classBits + 1) / classBits // of the smallest float64
	maxClass  = (1023 - classLow) / classBits                  // of the largest float64
)

func newHistogram() *hdr.PackedHistogram { return hdr.NewPacked(1, math.MaxInt64, 3) }

// NewSketch returns an empty sketch.
func NewSketch() *Sketch { return &Sketch{} }

// Record adds one value.
func (s *Sketch) Record(v float64) {
	switch {
	case math.IsNaN(v):
		s.ignored++
		return
	case math.IsInf(v, 0):
		v = math.Copysign(math.MaxFloat64, v)
	}
	if s.count == 0 || v < s.min {
		s.min = v
	}
	if s.count == 0 || v > s.max {
		s.max = v
	}
	s.count++
	s.sum.add(v)
	switch {
	case v >= lowest && v < highest:
		if s.first == nil {
			s.first = newHistogram()
		}
		record(s.first, int64(v*scale+0.5), 1)
	case v == 0:
		s.zeros++
	default:
		k := classOf(math.Abs(v))
		record(s.histogram(v < 0, k), scaled(math.Abs(v), k), 1)
	}
}

// record cannot fail: every positive int64 is in range, and counts do not reach 2^63.
func record(h *hdr.PackedHistogram, v int64, n int64) { _ = h.RecordValues(v, n) }

// classOf returns the class of a positive value.
func classOf(v float64) int {
	exp := math.Ilogb(v) - classLow
	if exp < 0 {
		exp -= classBits - 1
	}
	return exp / classBits
}

// scaled returns a positive value of class k as the whole number that the histogram counts.
func scaled(v float64, k int) int64 { return int64(math.Ldexp(v, 63-classTop-classBits*k) + 0.5) }

// unscaled is the reverse of scaled.
func unscaled(n int64, k int) float64 { return math.Ldexp(float64(n), classTop-63+classBits*k) }

// histogram returns the histogram of a class and sign, making it when it is new.
func (s *Sketch) histogram(neg bool, k int) *hdr.PackedHistogram {
	if !neg && k == 0 {
		if s.first == nil {
			s.first = newHistogram()
		}
		return s.first
	}
	at := 0
	for ; at < len(s.others); at++ {
		c := s.others[at]
		if c.neg == neg && c.k == k {
			return c.hist
		}
		if order(c.neg, c.k) > order(neg, k) {
			break
		}
	}
	s.others = append(s.others, class{})
	copy(s.others[at+1:], s.others[at:])
	s.others[at] = class{neg, k, newHistogram()}
	return s.others[at].hist
}

// order sorts classes by their values.
func order(neg bool, k int) int {
	if neg {
		return -1 - (k - minClass)
	}
	return 1 + (k - minClass)
}

// Merge adds what o holds. o is not changed.
func (s *Sketch) Merge(o *Sketch) {
	s.ignored += o.ignored
	if o.count == 0 {
		return
	}
	if s.count == 0 || o.min < s.min {
		s.min = o.min
	}
	if s.count == 0 || o.max > s.max {
		s.max = o.max
	}
	s.count += o.count
	s.zeros += o.zeros
	s.sum.merge(o.sum)
	o.each(func(c class) {
		s.histogram(c.neg, c.k).Merge(c.hist)
	})
}

// Clone returns a copy that shares nothing with s.
func (s *Sketch) Clone() *Sketch {
	c := *s
	if s.first != nil {
		c.first = s.first.Clone()
	}
	c.others = make([]class, len(s.others))
	for i, o := range s.others {
		c.others[i] = class{o.neg, o.k, o.hist.Clone()}
	}
	return &c
}

// each calls f for every class, in ascending order of their values; zeros are not among them.
func (s *Sketch) each(f func(class)) {
	done := s.first == nil
	for _, c := range s.others {
		if !done && order(c.neg, c.k) > order(false, 0) {
			f(class{hist: s.first})
			done = true
		}
		f(c)
	}
	if !done {
		f(class{hist: s.first})
	}
}

// Count is the number of values recorded.
func (s *Sketch) Count() uint64 { return s.count }

// Ignored is the number of NaNs that were not recorded.
func (s *Sketch) Ignored() uint64 { return s.ignored }

// Sum is the exact sum of the values, rounded once.
func (s *Sketch) Sum() float64 { return s.sum.float() }

// Min is the smallest value, 0 when there is none.
func (s *Sketch) Min() float64 { return s.min }

// Max is the largest value, 0 when there is none.
func (s *Sketch) Max() float64 { return s.max }

// Mean is the average, 0 when there is no value.
func (s *Sketch) Mean() float64 {
	if s.count == 0 {
		return 0
	}
	return min(max(s.Sum()/float64(s.count), s.min), s.max)
}

// Quantile returns the value below which the share q (0 to 1) of the values lies, interpolated
// linearly between the two values next to rank q*(n-1), as k6 does; 0 when there is no value.
func (s *Sketch) Quantile(q float64) float64 {
	if s.count == 0 {
		return 0
	}
	switch rank := q * float64(s.count-1); {
	case !(rank > 0):
		return s.min
	case rank >= float64(s.count-1):
		return s.max
	default:
		low := uint64(rank)
		a, b := s.neighbours(low)
		return a + (b-a)*(rank-float64(low))
	}
}

// neighbours returns the values of ranks r and r+1, counted from 0 and below count, to within the
// error of their buckets.
func (s *Sketch) neighbours(r uint64) (a, b float64) {
	var seen uint64
	found := false
	for v, n := range s.Buckets {
		seen += n
		if v = min(max(v, s.min), s.max); !found && seen > r {
			a, found = v, true
		}
		if seen > r+1 {
			b = v
			break
		}
	}
	if r == 0 {
		a = s.min
	}
	if r+2 >= s.count {
		b = s.max
	}
	return a, b
}

// Buckets calls f for every bucket with its value and its count, in ascending order of the values,
// until f returns false.
func (s *Sketch) Buckets(f func(value float64, count uint64) bool) {
	more, passed := true, false
	zeros := func() {
		if passed = true; s.zeros > 0 {
			more = more && f(0, s.zeros)
		}
	}
	s.each(func(c class) {
		if !c.neg && !passed {
			zeros()
		}
		if !more {
			return
		}
		if c.neg {
			more = c.descending(f)
			return
		}
		for v, count := range c.hist.ForEachBucket {
			if more = f(unscaled(v, c.k), uint64(count)); !more {
				return
			}
		}
	})
	if !passed {
		zeros()
	}
}

func (c class) descending(f func(value float64, count uint64) bool) bool {
	type bucket struct{ v, n int64 }
	all := make([]bucket, 0, c.hist.Populated())
	for v, n := range c.hist.ForEachBucket {
		all = append(all, bucket{v, n})
	}
	for i := len(all) - 1; i >= 0; i-- {
		if !f(-unscaled(all[i].v, c.k), uint64(all[i].n)) {
			return false
		}
	}
	return true
}

// bucketIndex numbers the buckets of a histogram of 11 significant bits by the smallest value in
// them; bucketValue is its reverse.
func bucketIndex(v int64) uint64 {
	shift := max(bits.Len64(uint64(v))-11, 0)
	return uint64(shift)<<10 + uint64(v)>>shift
}

func bucketValue(i uint64) int64 {
	if i < 1<<11 {
		return int64(i)
	}
	shift := i>>10 - 1
	return int64((i - shift<<10) << shift)
}

// maxBucket is the index of the last bucket.
const maxBucket = 52<<10 + 1<<11 - 1
