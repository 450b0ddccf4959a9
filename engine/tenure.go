package engine

import (
	"math"
	"slices"
	"sync"
	"time"

	"hive/engine/executor"
	"hive/engine/share"
)

// tenure is what this node has of the test, and is going to have, as far as it has been told.
type tenure struct {
	counted bool // claims count VUs, which the option rps asks for

	mu     sync.Mutex   // guards what follows
	claims []*claim     // by from: the one in force and those to come; never empty
	held   *claim       // of a promise; nil without one
	warmed *share.Slots // of VUs that were made for what is still to be agreed upon; nil for none

	// If claims count VUs, slots that move while an iteration is under way on them count where that is.
	awaited share.Slots // of the newest claim: another node has yet to let them go
	going   share.Slots // not of the newest claim: this node has yet to let them go
}

// claim is what the node has in an epoch.
type claim struct {
	number int
	from   time.Duration
	slots  share.Slots
	index  int // this node among all
	plan   share.Plan
	own    [][]int // by scenario, if counted: its slots, counted from the scenario's base, ascending
	all    []int   // by scenario, if counted: VUs that have an owner
	nodes  [][]int // by scenario, if counted: VUs of each node
}

func (t *tenure) claim(e executor.Epoch) *claim {
	c := &claim{number: e.Number, from: e.From, slots: e.Share.All()}
	if !t.counted {
		return c
	}
	c.index, c.plan = e.Share.Index(), e.Share.Plan()
	for i := range c.plan.Scenarios {
		all := 0
		for _, n := range e.Share.Nodes(i) {
			all += n
		}
		c.own, c.all, c.nodes = append(c.own, e.Share.Slots(i)), append(c.all, all), append(c.nodes, e.Share.Nodes(i))
	}
	return c
}

// within lists what of some slots is a scenario's, counted from its base, ascending.
func (c *claim) within(slots share.Slots, scenario int) (list []int) {
	r := c.plan.Scenarios[scenario]
	for slot := range slots.Values() {
		if r.Base <= slot && slot < r.Base+r.Max {
			list = append(list, slot-r.Base)
		}
	}
	return list
}

// newTenure begins with a share of which it is not known yet from when on it counts.
func newTenure(s share.Share, counted bool) *tenure {
	t := &tenure{counted: counted}
	t.claims = []*claim{t.claim(executor.Epoch{From: math.MinInt64, Share: s})}
	return t
}

// begin forgets all but the first epoch of a run.
func (t *tenure) begin(e executor.Epoch) {
	c := t.claim(e)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.claims, t.held, t.awaited, t.going = []*claim{c}, nil, e.Awaits, share.Slots{}
}

// propose notes a promise; an epoch that has no beginning yet asks for none, but its slots may come.
func (t *tenure) propose(e executor.Epoch) {
	c := t.claim(e)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case e.Number <= t.claims[len(t.claims)-1].number:
		t.held = nil
	case e.From < 0:
		t.held, t.warmed = nil, &c.slots
	default:
		t.held = c
	}
}

// commit adds an epoch and ends promises. What lies before the one in force at the moment now is forgotten.
func (t *tenure) commit(e executor.Epoch, now time.Duration) {
	c := t.claim(e)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held, t.warmed = nil, nil
	if t.claims[len(t.claims)-1].number >= c.number {
		return
	}
	if t.counted {
		last := t.claims[len(t.claims)-1].slots
		t.going = t.going.Union(last.Minus(t.awaited)).Minus(c.slots)
		t.awaited = e.Awaits
	}
	t.claims = append(t.claims, c)
	t.claims = slices.Delete(t.claims, 0, t.place(now))
}

// letGo notes slots whose VUs have ended here, or elsewhere. It reports whether that was not known.
func (t *tenure) letGo(slots []executor.Handover) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.awaited.Len() == 0 && t.going.Len() == 0 {
		return false
	}
	list := make([]int, 0, len(slots))
	for _, h := range slots {
		news = news || t.awaited.Has(h.Slot) || t.going.Has(h.Slot)
		list = append(list, h.Slot)
	}
	slices.Sort(list)
	free := share.NewSlots(slices.Compact(list))
	t.awaited, t.going = t.awaited.Minus(free), t.going.Minus(free)
	return news
}

// moving are the slots that count elsewhere than their owner is.
func (t *tenure) moving() (awaited, going share.Slots) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.awaited, t.going
}

// withdraw ends a promise, and what was made for it is not needed.
func (t *tenure) withdraw() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held, t.warmed = nil, nil
}

// warm notes that the VUs of these slots are being made.
func (t *tenure) warm(s share.Slots) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.warmed = &s
}

// place is the claim in force at a moment: the newest that has begun. The caller holds mu.
func (t *tenure) place(now time.Duration) int {
	for i := len(t.claims) - 1; i > 0; i-- {
		if t.claims[i].from <= now {
			return i
		}
	}
	return 0
}

// at gives the claim in force at a moment, the one that follows it and the one that was promised; nil where there is
// none.
func (t *tenure) at(now time.Duration) (present, next, held *claim) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.place(now)
	if i+1 < len(t.claims) {
		next = t.claims[i+1]
	}
	return t.claims[i], next, t.held
}

// latest is when the newest epoch begins.
func (t *tenure) latest() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.claims[len(t.claims)-1].from
}

// wanted marks, in a row of n slots, those that the node has at a moment or may have later, and says whether that will
// change by itself.
func (t *tenure) wanted(now time.Duration, n int) (row []bool, changes bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	row = make([]bool, n)
	mark := func(s share.Slots) {
		for slot := range s.Values() {
			row[slot] = true
		}
	}
	first := t.place(now)
	for _, c := range t.claims[first:] {
		mark(c.slots)
	}
	if t.held != nil {
		mark(t.held.slots)
	}
	if t.warmed != nil {
		mark(*t.warmed)
	}
	return row, first < len(t.claims)-1
}
