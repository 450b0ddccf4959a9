package share

import "slices"

// A smoothing is bounded in the work it does, not in time, so that it ends alike on every machine.
const (
	smoothingPasses = 30
	smoothingReach  = 8       // how many moved slots ahead a partner is looked for, at most
	smoothingTrials = 200_000 // exchanges considered in all
)

// smoothing exchanges slots between nodes as long as that brings the prefixes of the row nearer to the quotas, by the
// sum of the squares of how far each node is off, over all prefixes. It keeps what each node has in all, and how many
// slots have moved.
type smoothing struct {
	*redealing
	own    [][]int // each node's slots, ascending
	moved  []int   // slots that have changed hands and have an owner
	reach  int
	trials int // left
}

func newSmoothing(r *redealing) *smoothing {
	s := &smoothing{redealing: r, own: make([][]int, len(r.targets)), trials: smoothingTrials}
	for i, target := range r.targets {
		s.own[i] = make([]int, 0, target+1)
	}
	for slot, owner := range r.owners {
		if owned(owner) {
			s.own[owner] = append(s.own[owner], slot)
			if owner != r.before[slot] {
				s.moved = append(s.moved, slot)
			}
		}
	}
	// When much has moved it is spread well already: then it is more use to come through all of it.
	s.reach = min(smoothingReach, 1+smoothingTrials/(4*(1+len(s.moved))))
	return s
}

func (s *smoothing) run() {
	for range smoothingPasses {
		exchanged := s.amongTakers()
		given := s.amongGiven()
		if !exchanged && !given || s.trials <= 0 {
			return
		}
	}
}

// amongTakers exchanges what two nodes were given.
func (s *smoothing) amongTakers() (any bool) {
	for i, p := range s.moved {
		for _, q := range s.moved[i+1 : min(len(s.moved), i+1+s.reach)] {
			if s.exchange(p, q) {
				any = true
			}
		}
	}
	return any
}

// amongGiven lets nodes give the slot before or after the one that they gave, and keep that one.
func (s *smoothing) amongGiven() (any bool) {
	for i, given := range s.moved {
		giver := s.before[given]
		if !owned(giver) {
			continue
		}
		at, _ := slices.BinarySearch(s.own[giver], given)
		for _, k := range []int{at - 1, at} {
			if k < 0 || k >= len(s.own[giver]) {
				continue
			}
			if kept := s.own[giver][k]; s.exchange(min(kept, given), max(kept, given)) {
				s.moved[i], any = kept, true
				break
			}
		}
	}
	slices.Sort(s.moved)
	return any
}

// exchange lets the owners of slots p and q change places when that is better. Between p and q the one then has one
// slot less and the other one more, so it is better when the one was ahead of the other by more than one on average.
func (s *smoothing) exchange(p, q int) bool {
	a, b := s.owners[p], s.owners[q]
	if a == b || s.trials <= 0 {
		return false
	}
	s.trials--
	n, length := len(s.owners), q-p
	// The sums, over the prefixes that end at p to q-1, of what a has more than b and of what it is to have more.
	more := s.sum(a, p, q) - s.sum(b, p, q)
	meant := (s.targets[a] - s.targets[b]) * (length * (p + q + 1) / 2)
	if more*n-meant <= length*n {
		return false
	}
	s.owners[p], s.owners[q] = b, a
	s.replace(a, p, q)
	s.replace(b, q, p)
	return true
}

// sum adds up a node's slots in each prefix that ends at p to q-1.
func (s *smoothing) sum(node, p, q int) int {
	own := s.own[node]
	before, _ := slices.BinarySearch(own, p)
	sum := before * (q - p)
	for _, slot := range own[before:] {
		if slot >= q {
			break
		}
		sum += q - slot
	}
	return sum
}

// replace puts one of a node's slots in the place of another.
func (s *smoothing) replace(node, old, slot int) {
	own := s.own[node]
	from, _ := slices.BinarySearch(own, old)
	to, _ := slices.BinarySearch(own, slot)
	if from < to {
		to--
		copy(own[from:to], own[from+1:to+1])
	} else {
		copy(own[to+1:from+1], own[to:from])
	}
	own[to] = slot
}
