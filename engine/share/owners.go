package share

import (
	"fmt"
	"slices"
)

// Owners is the opposite of [Assign]: whose each slot of the plan is by the given shares, as an index into shares, or
// [Nobody]. A share without slots may be of any plan. It fails when two own the same slot.
func Owners(plan Plan, shares []Share) ([]int, error) {
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	owners := slices.Repeat([]int{Nobody}, plan.Slots)
	for i, s := range shares {
		if s.Empty() {
			continue
		}
		if s.plan.Slots != plan.Slots || !slices.Equal(s.plan.Scenarios, plan.Scenarios) {
			return nil, fmt.Errorf("share: share %d was made for a plan of %d slots and %d scenarios, want %d and %d of the same layout",
				i, s.plan.Slots, len(s.plan.Scenarios), plan.Slots, len(plan.Scenarios))
		}
		for slot := range s.slots.Values() {
			if other := owners[slot]; other != Nobody {
				return nil, fmt.Errorf("share: slot %d is in share %d and in share %d, want one owner", slot, other, i)
			}
			owners[slot] = i
		}
	}
	return owners, nil
}

// Empty reports that this node owns no slot.
func (s Share) Empty() bool { return len(s.slots.runs) == 0 }
