package share

import "slices"

// Has reports whether a slot is one of the set.
func (s Slots) Has(slot int) bool {
	i, _ := slices.BinarySearchFunc(s.runs, slot, func(r run, slot int) int { return r.last() - slot })
	return i < len(s.runs) && s.runs[i].has(slot)
}

func (r run) has(slot int) bool {
	return slot >= r.first && slot <= r.last() && (slot-r.first)%r.step == 0
}

// Minus is what is in s and not in o.
func (s Slots) Minus(o Slots) Slots {
	var out Slots
	others := o.runs
	for slot := range s.Values() {
		for len(others) > 0 && others[0].last() < slot {
			others = others[1:]
		}
		if len(others) == 0 || !others[0].has(slot) {
			out.add(slot)
		}
	}
	return out
}

// Union is what is in s, in o or in both.
func (s Slots) Union(o Slots) Slots {
	both := make([]int, 0, s.Len()+o.Len())
	both = slices.AppendSeq(slices.AppendSeq(both, s.Values()), o.Values())
	slices.Sort(both)
	return NewSlots(slices.Compact(both))
}

// Equal reports whether both hold the same slots.
func (s Slots) Equal(o Slots) bool {
	return slices.Equal(s.runs, o.runs) || s.Len() == o.Len() && len(s.Minus(o).runs) == 0
}
