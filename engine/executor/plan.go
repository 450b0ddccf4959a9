package executor

import (
	"math/bits"
	"slices"
	"time"
)

// plan says how many VUs of the whole test loop at a moment, counted from the scenario's own start: those of the first
// so many slots. It is pure.
type plan interface {
	count(t time.Duration) int
	// since is when the VU of a slot came to loop, or to rest, as it does at t.
	since(slot int, t time.Duration) time.Duration
	// next is the first moment after t at which one of the given slots (ascending) begins or ends to loop.
	next(t time.Duration, slots []int) time.Duration
}

// level is a plan of always the same VUs.
type level int

func (n level) count(t time.Duration) int {
	if t < 0 {
		return 0
	}
	return int(n)
}

func (n level) since(int, time.Duration) time.Duration { return 0 }

func (n level) next(t time.Duration, slots []int) time.Duration {
	if t < 0 && len(slots) > 0 {
		return 0
	}
	return Never
}

// slope is the plan of a ramping-vus scenario: what RampingSchedule lists, in closed form.
type slope struct {
	start  int64
	stages []Stage
}

// rise is a stage of a slope: from a to b VUs, over a length from an offset on. Step i, from 1, comes at length·i/|b-a|.
type rise struct {
	offset, length time.Duration
	a, b           int64
}

func (r rise) steps() int64 { return max(r.a, r.b) - min(r.a, r.b) }

// passed is how many steps have been taken at t.
func (r rise) passed(t time.Duration) int64 {
	t -= r.offset
	switch {
	case t < 0:
		return 0
	case t >= r.length:
		return r.steps()
	}
	hi, lo := bits.Mul64(uint64(t)+1, uint64(r.steps()))
	lo, borrow := bits.Sub64(lo, 1, 0)
	if hi == 0 && borrow == 1 {
		return 0 // no steps at all
	}
	q, _ := bits.Div64(hi-borrow, lo, uint64(r.length))
	return int64(q)
}

// crossing is the step that starts or stops a slot, if one does.
func (r rise) crossing(slot int64) (step int64, ok bool) {
	if r.b > r.a {
		return slot + 1 - r.a, slot >= r.a && slot < r.b
	}
	return r.a - slot, slot >= r.b && slot < r.a
}

func (r rise) at(step int64) time.Duration {
	d, _ := mulDiv(uint64(r.length), uint64(step), uint64(r.steps()))
	return r.offset + d
}

// rises yields the stages one by one.
func (s slope) rises(yield func(rise) bool) {
	r := rise{b: s.start}
	for _, st := range s.stages {
		r = rise{offset: r.offset + r.length, length: st.Duration, a: r.b, b: st.Target}
		if !yield(r) {
			return
		}
	}
}

func (s slope) count(t time.Duration) int {
	if t < 0 {
		return 0
	}
	n := s.start
	for r := range s.rises {
		if r.offset > t {
			break
		}
		n = r.a + r.passed(t)
		if r.b < r.a {
			n = r.a - r.passed(t)
		}
	}
	return int(n)
}

func (s slope) since(slot int, t time.Duration) time.Duration {
	var since time.Duration
	for r := range s.rises {
		if step, ok := r.crossing(int64(slot)); ok && r.at(step) <= t {
			since = r.at(step)
		}
	}
	return since
}

func (s slope) next(t time.Duration, slots []int) time.Duration {
	if len(slots) == 0 {
		return Never
	}
	if t < 0 {
		return 0
	}
	for r := range s.rises {
		if r.offset+r.length < t || r.a == r.b {
			continue
		}
		done := r.passed(t)
		if done == r.steps() {
			continue
		}
		k, slot := 0, int64(-1)
		if r.b > r.a {
			k, _ = slices.BinarySearch(slots, int(r.a+done))
		} else {
			k, _ = slices.BinarySearch(slots, int(r.a-done))
			k--
		}
		if k >= 0 && k < len(slots) {
			slot = int64(slots[k])
		}
		if step, ok := r.crossing(slot); ok {
			return r.at(step)
		}
	}
	return Never
}
