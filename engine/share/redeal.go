package share

import (
	"cmp"
	"container/heap"
	"math/bits"
	"slices"
)

// Nobody is the owner of a slot that no node has.
const Nobody = -1

// Redeal deals slots anew after the nodes, their weights or their capacities have changed, and moves as few as it can.
// owners says whose each slot is, as an index into weights, or [Nobody]; the owners returned are meant likewise.
//
// Each node ends with the floor or the ceiling of its quota by weight, whichever is nearer to what it had. A node whose
// quota is above its capacity gets its capacity, and the others share the rest. When the capacities together do not
// suffice, the last of the free slots stay without an owner. A node without weight gives everything away.
//
// Only free slots and what nodes have above their count move. Among the choices that leaves, slots go where every
// prefix of the row is as near to the quotas as can be found quickly: within 8 after any history that was tried, as
// long as the capacities sufficed. A row without any owner is dealt as by [Deal].
func Redeal(owners, weights, capacities []int) []int {
	r := newRedealing(owners, weights, capacities)
	if !slices.ContainsFunc(r.owners, owned) {
		return r.afresh()
	}
	r.move()
	newSmoothing(r).run()
	return r.owners
}

// owned reports that somebody has a slot.
func owned(owner int) bool { return owner != Nobody }

// redealing is one Redeal under way.
type redealing struct {
	before, owners      []int
	weights, capacities []int
	counts, targets     []int
}

// newRedealing copies what it is given, reading what makes no sense as nothing: negative numbers and unknown owners.
func newRedealing(owners, weights, capacities []int) *redealing {
	n := len(weights)
	r := &redealing{owners: slices.Clone(owners), weights: make([]int, n), capacities: make([]int, n), counts: make([]int, n)}
	for i := range weights {
		if i < len(capacities) && weights[i] > 0 && capacities[i] > 0 {
			r.weights[i], r.capacities[i] = weights[i], capacities[i]
		}
	}
	for slot, owner := range r.owners {
		if owner < 0 || owner >= n {
			r.owners[slot] = Nobody
			continue
		}
		r.counts[owner]++
	}
	r.before = slices.Clone(r.owners)
	r.targets = targets(len(owners), r.counts, r.weights, r.capacities)
	return r
}

// targets says how many of n slots each node is to have.
func targets(n int, counts, weights, capacities []int) []int {
	out := make([]int, len(weights))
	open, n, total := fill(out, n, weights, capacities)
	var odd []int // nodes whose quota is not a whole number
	rest := make([]int, len(weights))
	left := n
	for _, i := range open {
		out[i], rest[i] = quota(n, weights[i], total)
		left -= out[i]
		if rest[i] > 0 {
			odd = append(odd, i)
		}
	}
	// As many as are left get the ceiling: those who have that much already, then those who miss most.
	keeps := func(i int) int {
		if counts[i] > out[i] {
			return 0
		}
		return 1
	}
	slices.SortFunc(odd, func(a, b int) int {
		return cmp.Or(keeps(a)-keeps(b), cmp.Compare(rest[b], rest[a]), a-b)
	})
	for _, i := range odd[:min(left, len(odd))] {
		out[i]++
	}
	return out
}

// fill gives the nodes whose quota is at or above their capacity just that, and returns the others with the number of
// slots that is left for them and the sum of their weights.
func fill(out []int, n int, weights, capacities []int) (open []int, left, total int) {
	for i, w := range weights {
		if w > 0 {
			open, total = append(open, i), total+w
		}
	}
	// Whoever has the least capacity for its weight is full first.
	slices.SortFunc(open, func(a, b int) int {
		return cmp.Or(compareProducts(capacities[a], weights[b], capacities[b], weights[a]), a-b)
	})
	for len(open) > 0 {
		i := open[0]
		if compareProducts(n, weights[i], capacities[i], total) < 0 {
			break
		}
		out[i] = capacities[i]
		n, total, open = n-capacities[i], total-weights[i], open[1:]
	}
	return open, n, total
}

// quota is n·weight/total and what remains.
func quota(n, weight, total int) (whole, rest int) {
	hi, lo := bits.Mul64(uint64(n), uint64(weight))
	q, r := bits.Div64(hi, lo, uint64(total)) // weight is at most total, so the quotient is at most n
	return int(q), int(r)
}

// compareProducts compares a·b with c·d, of numbers that are not negative.
func compareProducts(a, b, c, d int) int {
	h1, l1 := bits.Mul64(uint64(a), uint64(b))
	h2, l2 := bits.Mul64(uint64(c), uint64(d))
	return cmp.Or(cmp.Compare(h1, h2), cmp.Compare(l1, l2))
}

// afresh deals a row that nobody has any slot of.
func (r *redealing) afresh() []int {
	n := 0
	for _, t := range r.targets {
		n += t
	}
	if counts := r.deal(r.weights, n); !r.fits(counts) {
		r.deal(r.targets, n)
	}
	return r.owners
}

// deal deals the first n slots by the quota method and counts what each node got.
func (r *redealing) deal(weights []int, n int) []int {
	counts := make([]int, len(weights))
	d := NewDealer(weights)
	for slot := range n {
		r.owners[slot] = d.Next()
		counts[r.owners[slot]]++
	}
	return counts
}

func (r *redealing) fits(counts []int) bool {
	for i, n := range counts {
		if n > r.capacities[i] {
			return false
		}
	}
	return true
}

// move goes through the row once. A free slot goes to the taker whose next unit is due earliest. So does a slot of a
// giver when that brings both nearer to their quotas of the row so far, or when the giver has no more slots than it
// still has to give.
func (r *redealing) move() {
	t := r.takers()
	ahead := slices.Clone(r.counts) // own slots still to come
	surplus := make([]int, len(r.targets))
	for i, target := range r.targets {
		surplus[i] = max(0, r.counts[i]-target)
	}
	for slot, owner := range r.before {
		if owned(owner) {
			ahead[owner]--
			if surplus[owner] == 0 || ahead[owner] >= surplus[owner] && !r.better(t, owner, slot+1) {
				t.had[owner]++
				continue
			}
			surplus[owner]--
		}
		r.owners[slot] = t.take()
	}
}

// better reports whether, in the first length slots of the row, the giver is further above its quota than the next
// taker, given one more, would be.
func (r *redealing) better(t *takers, giver, length int) bool {
	h := t.next()
	return h != nil && (t.had[giver]-h.count)*len(r.owners) > (r.targets[giver]-h.weight)*length
}

// takers are the nodes that are to have more slots than they have.
type takers struct {
	queue deadlines
	need  []int // slots still to be had
	had   []int // slots of every node in the row so far
}

func (r *redealing) takers() *takers {
	t := &takers{need: make([]int, len(r.targets)), had: make([]int, len(r.targets))}
	for i, target := range r.targets {
		if t.need[i] = max(0, target-r.counts[i]); t.need[i] > 0 {
			t.queue = append(t.queue, &hand{owner: i, weight: target})
		}
	}
	heap.Init(&t.queue)
	return t
}

// next is the taker whose next unit is due earliest, nil when nobody takes any more.
func (t *takers) next() *hand {
	for len(t.queue) > 0 {
		h := t.queue[0]
		if h.count == t.had[h.owner] {
			return h
		}
		h.count = t.had[h.owner] // it came by slots of its own meanwhile, so its turn is later
		heap.Fix(&t.queue, 0)
	}
	return nil
}

// take gives the next taker a slot.
func (t *takers) take() int {
	h := t.next()
	if h == nil {
		return Nobody
	}
	t.had[h.owner]++
	if t.need[h.owner]--; t.need[h.owner] == 0 {
		heap.Pop(&t.queue)
	}
	return h.owner
}
