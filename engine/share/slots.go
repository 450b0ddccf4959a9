package share

import (
	"encoding/json"
	"fmt"
	"iter"
)

// maxSlots bounds what a stored set may unfold to, so that a damaged one cannot fill the memory.
const maxSlots = 100_000_000

// Slots is an ascending set of slot numbers, kept as progressions: a share of equal nodes is a single one
// ("every third slot from 1 on"), and any set can be expressed.
type Slots struct {
	runs []run
}

// run is the progression first, first+step, … of n slots.
type run struct{ first, n, step int }

func (r run) last() int { return r.first + (r.n-1)*r.step }

// NewSlots makes a set of slots given in ascending order.
func NewSlots(slots []int) Slots {
	var s Slots
	for _, slot := range slots {
		s.add(slot)
	}
	return s
}

// add appends a slot above all others.
func (s *Slots) add(slot int) {
	if k := len(s.runs); k > 0 {
		r := &s.runs[k-1]
		switch gap := slot - r.last(); {
		case r.n == 1:
			r.n, r.step = 2, gap
			return
		case gap == r.step:
			r.n++
			return
		}
	}
	s.runs = append(s.runs, run{first: slot, n: 1, step: 1})
}

// Len is the number of slots.
func (s Slots) Len() int {
	n := 0
	for _, r := range s.runs {
		n += r.n
	}
	return n
}

// Values yields the slots in ascending order.
func (s Slots) Values() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, r := range s.runs {
			for i := range r.n {
				if !yield(r.first + i*r.step) {
					return
				}
			}
		}
	}
}

// within counts the slots from base up to, not including, end.
func (s Slots) within(base, end int) int {
	n := 0
	for _, r := range s.runs {
		n += r.below(end) - r.below(base)
	}
	return n
}

// below counts the run's slots under limit.
func (r run) below(limit int) int {
	if limit <= r.first {
		return 0
	}
	return min(r.n, (limit-r.first+r.step-1)/r.step)
}

// end is the highest slot + 1, or 0.
func (s Slots) end() int {
	if len(s.runs) == 0 {
		return 0
	}
	return s.runs[len(s.runs)-1].last() + 1
}

// MarshalJSON writes [first, last] for adjacent slots and [first, last, step] for others.
func (s Slots) MarshalJSON() ([]byte, error) {
	out := make([][]int, 0, len(s.runs))
	for _, r := range s.runs {
		if r.step == 1 {
			out = append(out, []int{r.first, r.last()})
		} else {
			out = append(out, []int{r.first, r.last(), r.step})
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote: ascending progressions that do not overlap.
func (s *Slots) UnmarshalJSON(data []byte) error {
	var in [][]int
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("share: slots: %w", err)
	}
	var read Slots
	for _, v := range in {
		r, err := parseRun(v)
		if err != nil {
			return err
		}
		if r.first < read.end() {
			return fmt.Errorf("share: slots %v: want ascending progressions", v)
		}
		read.runs = append(read.runs, r)
	}
	*s = read
	return nil
}

func parseRun(v []int) (run, error) {
	if len(v) == 2 {
		v = append(v, 1)
	}
	if len(v) != 3 {
		return run{}, fmt.Errorf("share: slots %v: want [first, last] or [first, last, step]", v)
	}
	first, last, step := v[0], v[1], v[2]
	if first < 0 || last < first || last >= maxSlots || step < 1 || (last-first)%step != 0 {
		return run{}, fmt.Errorf("share: slots %v: want 0 <= first <= last < %d, and steps that end at last", v, maxSlots)
	}
	return run{first: first, n: (last-first)/step + 1, step: step}, nil
}
