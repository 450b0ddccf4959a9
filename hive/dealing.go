package hive

import (
	"fmt"
	"slices"

	"hive/engine/share"
)

// dealing is how the slots of a test are owned in one epoch.
type dealing struct {
	Members []Member // with their VUs
	Leavers []Member // living members of the epoch before that own nothing any more
	shares  []share.Share
	gains   []([]Gain) // by index in Members
	Moved   int        // slots that change their owner, from and to none included
	Unowned int
}

// allocs are the allocations of the epoch, of members and leavers, in that order.
func (d dealing) allocs(epoch int) (members []Member, allocs []Alloc) {
	members = slices.Concat(d.Members, d.Leavers)
	for i, m := range members {
		a := Alloc{Epoch: epoch, Incarnation: m.Incarnation, Boot: m.Boot, Share: d.shares[i]}
		if i < len(d.Members) {
			a.Member = true
			a.Gains = d.gains[i]
		}
		allocs = append(allocs, a)
	}
	return members, allocs
}

// tenure says who owns each slot in an epoch, by incarnation; 0 is nobody.
type tenure []int64

// tenureOf reads the owners back from the allocations of an epoch.
func tenureOf(layout share.Plan, allocs map[int64]Alloc, members []Member) tenure {
	t := make(tenure, layout.Slots)
	for _, m := range members {
		a, ok := allocs[m.Incarnation]
		if !ok {
			continue
		}
		for slot := range a.Share.All().Values() {
			if slot < len(t) {
				t[slot] = m.Incarnation
			}
		}
	}
	return t
}

// redeal deals the slots to next, moving as few as can be. old says who owned them; living are the incarnations among
// these that can hand over. holes says that slots without an owner, or whose owner is lost, stay so. waits are slots
// that their present owner still waits for, with who has to let them go.
func redeal(layout share.Plan, old tenure, living, next []Member, holes bool, waits map[int]Gain) (dealing, error) {
	index := map[int64]int{}
	weights, capacities := make([]int, len(next)), make([]int, len(next))
	for i, m := range next {
		index[m.Incarnation] = i
		weights[i], capacities[i] = m.Weight, m.Capacity
	}
	owners := make([]int, len(old))
	for slot, life := range old {
		owners[slot] = -1
		if i, ok := index[life]; ok && life != 0 {
			owners[slot] = i
		}
	}
	dealt := make([]int, len(owners))
	for slot := range dealt {
		dealt[slot] = -1
	}
	if len(next) > 0 {
		dealt = share.Redeal(slices.Clone(owners), weights, capacities)
	}
	d := dealing{Members: slices.Clone(next)}
	alive := map[int64]Member{}
	for _, m := range living {
		alive[m.Incarnation] = m
		if _, stays := index[m.Incarnation]; !stays {
			d.Leavers = append(d.Leavers, m)
		}
	}
	for slot, o := range dealt {
		_, held := alive[old[slot]]
		if holes && !held {
			dealt[slot], o = -1, -1
		}
		if o < 0 {
			d.Unowned++
		}
		if o != owners[slot] || o < 0 && held {
			d.Moved++
		}
	}
	for i := range next {
		d.Members[i].VUs = 0
	}
	for _, o := range dealt {
		if o >= 0 {
			d.Members[o].VUs++
		}
	}
	nodes := len(next) + len(d.Leavers)
	if holes && d.Unowned > 0 {
		// Somebody who is not there keeps the holes, so that the others do not take their part of the arrivals.
		for slot, o := range dealt {
			if o < 0 {
				dealt[slot] = nodes
			}
		}
		nodes++
	}
	var err error
	if d.shares, err = share.Assign(layout, dealt, nodes); err != nil {
		return dealing{}, fmt.Errorf("deal the slots anew: %w", err)
	}
	d.gains = gainsOf(d.Members, dealt, old, alive, waits)
	return d, nil
}

// gainsOf lists for each member the slots that it has to wait for, by who has to let them go.
func gainsOf(members []Member, dealt []int, old tenure, alive map[int64]Member, waits map[int]Gain) [][]Gain {
	type from struct {
		to    int
		giver int64
	}
	slots := map[from][]int{}
	givers := map[int64]Gain{}
	for slot, o := range dealt {
		if o < 0 || o >= len(members) {
			continue
		}
		giver, life := Gain{}, int64(0)
		if w, ok := waits[slot]; ok {
			giver, life = w, w.Incarnation // it has not let go yet, whoever owned the slot since
		} else if m, ok := alive[old[slot]]; ok {
			giver, life = Gain{Node: m.ID, Incarnation: m.Incarnation}, m.Incarnation
		}
		if life == 0 || life == members[o].Incarnation {
			continue
		}
		givers[life] = giver
		slots[from{o, life}] = append(slots[from{o, life}], slot)
	}
	gains := make([][]Gain, len(members))
	for k, own := range slots {
		g := givers[k.giver]
		g.Slots = share.NewSlots(own)
		gains[k.to] = append(gains[k.to], g)
	}
	for _, g := range gains {
		slices.SortFunc(g, func(a, b Gain) int { return int(a.Incarnation - b.Incarnation) })
	}
	return gains
}
