package share

import (
	"container/heap"
	"fmt"
)

// Dealer deals an endless row of units (slots, iterations) to owners in proportion to their weights by the
// quota method: unit k goes, among the owners that have had fewer than their proportional count of the first
// k units, to the one whose next unit is due earliest; the lower number wins a tie.
//
// After any number of units each owner has had the floor or the ceiling of its proportional count, so it has
// never had more than its weight while the sum of the weights has not been exceeded. The row repeats itself
// with the period sum(weights)/gcd(weights). An owner of weight 0 gets nothing.
type Dealer struct {
	period int // units after which every owner has had exactly its reduced weight
	dealt  int // units dealt in this period

	waiting releases  // owners that have had their count so far, by the unit that lets them in again
	ready   deadlines // owners that have had fewer, by when their next unit is due
}

// hand is one owner's place in the current period.
type hand struct {
	owner, weight int
	count         int // units had in this period
	release       int // first unit (0-based) of the period that may be its next one
}

// NewDealer starts a deal. Negative weights count as zero.
func NewDealer(weights []int) *Dealer {
	divisor := 0
	for _, w := range weights {
		divisor = gcd(divisor, max(w, 0))
	}
	d := &Dealer{}
	for owner, w := range weights {
		if w > 0 {
			d.period += w / divisor
			d.ready = append(d.ready, &hand{owner: owner, weight: w / divisor})
		}
	}
	heap.Init(&d.ready)
	return d
}

// Next returns the owner of the next unit, or -1 when nobody has any weight.
func (d *Dealer) Next() int {
	if d.period == 0 {
		return -1
	}
	for len(d.waiting) > 0 && d.waiting[0].release <= d.dealt {
		heap.Push(&d.ready, heap.Pop(&d.waiting))
	}
	h := heap.Pop(&d.ready).(*hand)
	h.count++
	h.release = h.count * d.period / h.weight
	heap.Push(&d.waiting, h)
	if d.dealt++; d.dealt == d.period {
		d.restart()
	}
	return h.owner
}

// restart begins the next period, in which everything is as at the beginning. Starting over keeps the
// numbers small however long the deal goes on.
func (d *Dealer) restart() {
	d.dealt = 0
	for _, h := range d.waiting {
		h.count, h.release = 0, 0
		d.ready = append(d.ready, h)
	}
	d.waiting = d.waiting[:0]
	heap.Init(&d.ready)
}

// Deal returns the owner of each of n slots. It fails when the capacities together are smaller than n.
func Deal(capacities []int, n int) ([]int, error) {
	total := 0
	for i, c := range capacities {
		if c < 0 {
			return nil, fmt.Errorf("share: node %d has a capacity of %d, want 0 or more", i, c)
		}
		total += c
	}
	if n > total {
		return nil, &TooLargeError{VUs: n, Capacity: total, Nodes: len(capacities)}
	}
	owners := make([]int, n)
	for i, d := 0, NewDealer(capacities); i < n; i++ {
		owners[i] = d.Next()
	}
	return owners, nil
}

// TooLargeError refuses a test that needs more VUs than the hive can carry.
type TooLargeError struct{ VUs, Capacity, Nodes int }

// Error says what is needed and what there is.
func (e *TooLargeError) Error() string {
	nodes := "nodes have"
	if e.Nodes == 1 {
		nodes = "node has"
	}
	return fmt.Sprintf("share: the test needs %d VUs, but the %d %s a capacity of %d together (%d short)",
		e.VUs, e.Nodes, nodes, e.Capacity, e.VUs-e.Capacity)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// deadlines is a heap of hands by when their next unit is due, (count+1)/weight periods, then by number.
type deadlines []*hand

func (q deadlines) Len() int      { return len(q) }
func (q deadlines) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q deadlines) Less(i, j int) bool {
	a, b := q[i], q[j]
	if x, y := (a.count+1)*b.weight, (b.count+1)*a.weight; x != y {
		return x < y
	}
	return a.owner < b.owner
}
func (q *deadlines) Push(x any) { *q = append(*q, x.(*hand)) }
func (q *deadlines) Pop() any {
	last := len(*q) - 1
	h := (*q)[last]
	*q = (*q)[:last]
	return h
}

// releases is a heap of hands by the unit from which they may have another.
type releases []*hand

func (q releases) Len() int           { return len(q) }
func (q releases) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q releases) Less(i, j int) bool { return q[i].release < q[j].release }
func (q *releases) Push(x any)        { *q = append(*q, x.(*hand)) }
func (q *releases) Pop() any {
	last := len(*q) - 1
	h := (*q)[last]
	*q = (*q)[:last]
	return h
}
