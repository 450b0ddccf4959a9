package executor

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"hive/engine/share"
)

// nest is a hive in a bubble: executors of one scenario on several nodes, and somebody who leads them through epochs.
type nest struct {
	t       *testing.T
	s       Scenario
	plan    share.Plan
	field   *field
	random  *rand.Rand
	clock   *Clock // goes as all others do
	epoch   int
	lives   int
	members []*bee
	gone    []*bee
	owners  []int         // by slot, an index into members
	next    map[int]int64 // by slot, what nodes that died may have begun
	known   map[int]int64 // the same, as far as counted in unknown
	weights []int         // of the first deal
	holes   int64         // arrivals that were due on dead nodes
	empty   time.Duration // VU time of slots on dead nodes
	unknown int64         // iterations that dead nodes may have begun by their marks
	moved   int           // slots
	log     []string
}

// bee is one life of a node.
type bee struct {
	name   string
	ex     Executor
	clock  *Clock
	need   chan struct{}
	cancel context.CancelFunc
	done   chan error
	terms  []Epoch       // in order
	marks  Marks         // as everybody knows them
	row    []share.Piece // of shared-iterations
	awaits map[int]*bee
	dead   bool
}

func newNest(t *testing.T, text string, seed uint64, take time.Duration) *nest {
	s := parse(t, text)
	f := newField(take)
	n := &nest{
		t: t, s: s, plan: Layout([]Scenario{s}), field: f, random: rand.New(rand.NewPCG(seed, 1)),
		clock: NewClock(f.began.Add(time.Second)), next: map[int]int64{}, known: map[int]int64{},
	}
	f.clock = n.clock
	return n
}

func (n *nest) note(format string, args ...any) {
	n.log = append(n.log, fmt.Sprintf("%v: ", n.clock.Now())+fmt.Sprintf(format, args...))
}

// life makes a node that has not begun.
func (n *nest) life() *bee {
	n.lives++
	return &bee{name: fmt.Sprint("n", n.lives), need: make(chan struct{}, 1), awaits: map[int]*bee{}, done: make(chan error, 1)}
}

// begin starts a node with its first epoch.
func (n *nest) begin(b *bee, e Epoch) {
	b.clock = NewClock(time.Now().Add(-n.clock.Now()))
	ex, err := New(n.s, 0, e, Config{Pool: n.field, Events: n.field, Clock: b.clock, Marked: true, NeedMarks: b.need})
	if err != nil {
		n.t.Fatal(err)
	}
	b.ex, b.terms = ex, []Epoch{e}
	n.mark(b)
	ctx, cancel := context.WithCancel(n.t.Context())
	b.cancel = cancel
	go func() { b.done <- ex.Run(ctx) }()
}

func (n *nest) mark(b *bee) {
	b.marks = b.ex.Marks()
	b.ex.Allow(b.marks)
}

// found starts the run with some nodes.
func (n *nest) found(nodes int) {
	n.epoch = 1
	capacities := make([]int, nodes)
	for i := range capacities {
		capacities[i] = n.plan.Slots
		n.members = append(n.members, n.life())
	}
	var err error
	if n.owners, err = share.Deal(capacities, n.plan.Slots); err != nil {
		n.t.Fatal(err)
	}
	shares, err := share.Assign(n.plan, n.owners, nodes)
	if err != nil {
		n.t.Fatal(err)
	}
	n.weights = shares[0].Nodes(0)
	for i, b := range n.members {
		b.row = []share.Piece{{Owner: i, To: shares[i].Iterations(0).Before(n.s.Iterations)}}
		n.begin(b, Epoch{Number: 1, Share: shares[i]})
	}
}

// sleep lets time pass, with all that goes on between nodes.
func (n *nest) sleep(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(5*time.Millisecond, time.Until(end)))
		synctest.Wait()
		n.pump()
	}
}

func (n *nest) pump() {
	for _, b := range slices.Concat(n.members, n.gone) {
		if b.dead {
			continue
		}
		select {
		case <-b.need:
			n.mark(b)
		default:
		}
		for slot, giver := range b.awaits {
			k := slices.IndexFunc(giver.ex.Released(), func(h Handover) bool { return h.Slot == slot })
			switch {
			case k >= 0:
				b.ex.Receive([]Handover{giver.ex.Released()[k]})
			case giver.dead && giver.awaits[slot] != nil && giver.awaits[slot] != b:
				b.awaits[slot] = giver.awaits[slot] // it never had it
				continue
			case giver.dead:
				b.ex.Receive([]Handover{{Slot: slot, Next: n.begun(giver, slot), Lost: true}})
			default:
				continue
			}
			delete(b.awaits, slot)
		}
	}
}

// begun is the first iteration of a slot that a node has certainly not begun.
func (n *nest) begun(b *bee, slot int) int64 {
	if n.s.Executor == PerVUIterations {
		return b.marks.Slots[slot]
	}
	return b.marks.Limit
}

// change goes over to other members.
func (n *nest) change(stay, leave, join []*bee, lead, late time.Duration, commit bool) {
	n.epoch++
	members := slices.Concat(stay, join)
	weights := make([]int, len(members))
	for i := range weights {
		weights[i] = n.plan.Slots
	}
	owners := make([]int, len(n.owners))
	for slot, owner := range n.owners {
		owners[slot] = -1
		if owner >= 0 {
			owners[slot] = slices.Index(members, n.members[owner])
		}
	}
	owners = share.Redeal(owners, weights, weights)
	shares, err := share.Assign(n.plan, owners, len(members)+len(leave))
	if err != nil {
		n.t.Fatal(err)
	}
	from := n.clock.Now() + lead
	living := slices.Concat(stay, leave)
	epochs := map[*bee]Epoch{}
	for i, b := range slices.Concat(members, leave) {
		epochs[b] = Epoch{Number: n.epoch, From: from, Share: shares[i]}
	}
	n.note("epoch %d from %v: %d stay, %d leave, %d join, commit %v after %v", n.epoch, from, len(stay), len(leave), len(join), commit, lead+late)
	for _, b := range living {
		if err := b.ex.Propose(epochs[b]); err != nil {
			n.t.Fatal(err)
		}
	}
	n.sleep(max(0, lead+late))
	if !commit {
		for _, b := range living {
			b.ex.Withdraw()
		}
		return
	}
	work := n.work(members, shares)
	for slot, owner := range owners {
		n.hand(slot, owner, members, work)
	}
	for i, b := range slices.Concat(members, leave) {
		e := epochs[b]
		e.Work = []share.Work{work[i]}
		awaits := []int{}
		for slot := range b.awaits {
			if e.Share.All().Has(slot) {
				awaits = append(awaits, slot)
			}
		}
		slices.Sort(awaits)
		e.Awaits = share.NewSlots(awaits)
		if slices.Contains(join, b) {
			n.begin(b, e)
			continue
		}
		if err := b.ex.Commit(e); err != nil {
			n.t.Fatal(err)
		}
		b.terms = append(b.terms, e)
	}
	for _, b := range leave {
		b.ex.Stop()
	}
	for _, b := range n.members {
		if b.dead {
			n.bury(b, from)
		}
		if !slices.Contains(stay, b) {
			n.gone = append(n.gone, b)
		}
	}
	n.members, n.owners = members, owners
}

// hand says where a slot comes from.
func (n *nest) hand(slot, owner int, members []*bee, work []share.Work) {
	old := n.members[n.owners[slot]]
	taker := members[owner]
	if old == taker {
		return
	}
	n.moved++
	if taker.awaits[slot] != nil {
		return // it left before it came, and comes back
	}
	if !old.dead {
		taker.awaits[slot] = old
		return
	}
	if giver := old.awaits[slot]; giver != nil && !giver.dead && giver != taker {
		taker.awaits[slot] = giver // it never had it
	}
	if n.s.Executor == SharedIterations { // its marks are of the node, not of the VU
		return
	}
	n.next[slot] = max(n.next[slot], n.begun(old, slot))
	if work[owner].Next == nil {
		work[owner].Next = map[int]int64{}
	}
	work[owner].Next[slot] = n.next[slot]
}

// work deals what is left of shared-iterations to the members, and nothing for other executors.
func (n *nest) work(members []*bee, shares []share.Share) []share.Work {
	work := make([]share.Work, len(shares))
	if n.s.Executor != SharedIterations {
		return work
	}
	var rest []share.Piece
	left := map[*bee][]share.Piece{}
	for _, b := range n.members {
		used, beyond := splitRow(b.row, b.marks.Limit)
		b.row = used
		if slices.Contains(members, b) {
			left[b] = beyond
		} else {
			rest = append(rest, beyond...)
		}
	}
	weights := make([]int, len(members))
	for i := range members {
		weights[i] = shares[i].VUs(0)
	}
	for i, more := range share.Cut(rest, weights) {
		b := members[i]
		pieces := append(left[b], more...)
		b.row = append(b.row, pieces...)
		work[i] = share.Work{Weights: n.weights, Whole: true, Pieces: pieces}
	}
	for i := len(members); i < len(shares); i++ {
		work[i] = share.Work{Weights: n.weights, Whole: true}
	}
	return work
}

func splitRow(row []share.Piece, n int64) (first, rest []share.Piece) {
	for _, p := range row {
		k := min(max(0, n), p.To-p.From)
		if k > 0 {
			first = append(first, share.Piece{Owner: p.Owner, From: p.From, To: p.From + k})
		}
		if k < p.To-p.From {
			rest = append(rest, share.Piece{Owner: p.Owner, From: p.From + k, To: p.To})
		}
		n -= k
	}
	return first, rest
}

// kill ends a node.
func (n *nest) kill(b *bee) time.Duration {
	b.cancel()
	<-b.done
	b.dead = true
	n.note("%s dies", b.name)
	return n.clock.Now()
}

// bury counts what a dead node leaves undone up to the next epoch.
func (n *nest) bury(b *bee, from time.Duration) {
	l := b.ex.Ledger()
	switch n.s.Executor {
	case ConstantArrivalRate, RampingArrivalRate:
		b.each(l.Reached, from, func(e Epoch, from, to time.Duration) {
			first, own := n.s.DueBefore(e.From), e.Share.Iterations(0)
			n.holes += own.Before(n.s.DueBefore(to)-first) - own.Before(n.s.DueBefore(from)-first)
		})
	case SharedIterations:
		n.unknown += min(b.marks.Limit, share.Length(b.row)) - l.Started
	case PerVUIterations:
		for slot := range b.terms[len(b.terms)-1].Share.All().Values() {
			if b.awaits[slot] == nil {
				limit := b.marks.Slots[slot]
				n.unknown += max(0, limit-max(n.field.upTo(slot), n.known[slot]))
				n.known[slot] = max(n.known[slot], limit)
			}
		}
	}
}

// each goes through the epochs of a node that cover a stretch of time.
func (b *bee) each(from, to time.Duration, f func(e Epoch, from, to time.Duration)) {
	for i, e := range b.terms {
		end := to
		if i+1 < len(b.terms) {
			end = min(to, b.terms[i+1].From)
		}
		if start := max(from, e.From); start < end {
			f(e, start, end)
		}
	}
}

// upTo is the highest iteration number of a VU and one.
func (f *field) upTo(slot int) (n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.starts {
		if e.slot == slot {
			n = max(n, e.InVU+1)
		}
	}
	return n
}

// step does something to the hive.
func (n *nest) step() {
	pick := n.members[n.random.IntN(len(n.members))]
	others := slices.DeleteFunc(slices.Clone(n.members), func(b *bee) bool { return b == pick })
	late := time.Duration(n.random.IntN(500)-400) * time.Millisecond
	switch k := n.random.IntN(6); {
	case k == 0 && len(others) > 0: // death
		at := n.kill(pick)
		lead := 400 * time.Millisecond
		pick.each(at, at+lead, func(e Epoch, from, to time.Duration) {
			for slot := range e.Share.All().Values() {
				if pick.awaits[slot] == nil {
					n.empty += to - from
				} else {
					n.moved += 100 // it may be ended by then, or not
				}
			}
		})
		n.change(others, nil, nil, lead, late, true)
	case k == 1 && len(others) > 0: // drain
		n.change(others, []*bee{pick}, nil, 700*time.Millisecond, late, true)
	case k == 2 || k == 3: // join
		n.change(n.members, nil, []*bee{n.life()}, 700*time.Millisecond, late, true)
	case k == 4 && len(others) > 0: // a proposal that comes to nothing
		n.change(others, []*bee{pick}, nil, 500*time.Millisecond, late/2, false)
	default:
		n.pause()
	}
}

// pause stops the run's clock for a while.
func (n *nest) pause() {
	at := n.clock.Now() + 200*time.Millisecond
	n.note("pause at %v", at)
	clocks := func(f func(*Clock)) {
		f(n.clock)
		for _, b := range slices.Concat(n.members, n.gone) {
			f(b.clock)
		}
	}
	clocks(func(c *Clock) { c.PauseAt(at) })
	n.sleep(time.Duration(300+n.random.IntN(3000)) * time.Millisecond)
	on := time.Now().Add(100 * time.Millisecond)
	clocks(func(c *Clock) { c.ResumeAt(on) })
	n.sleep(150 * time.Millisecond)
}

// end lets the run come to its end and waits for all.
func (n *nest) end() {
	for !n.over() {
		n.sleep(100 * time.Millisecond)
	}
	for _, b := range slices.Concat(n.members, n.gone) {
		if b.dead {
			continue
		}
		b.ex.Stop()
		if err := <-b.done; err != nil {
			n.t.Error(err)
		}
		b.cancel()
	}
}

func (n *nest) over() bool {
	if !n.s.counted() {
		return n.clock.Now() > n.s.End()
	}
	if n.clock.Now() > n.s.Regular()/2 {
		n.t.Error("the iterations never come to an end")
		return true
	}
	return !slices.ContainsFunc(n.members, func(b *bee) bool { return !b.ex.Progress().Idle })
}

// sum adds up what all have counted.
func (n *nest) sum() (all Ledger, dropped int64) {
	for _, b := range slices.Concat(n.members, n.gone) {
		l := b.ex.Ledger()
		if l.Started != l.Completed+l.Interrupted {
			n.t.Errorf("%s: %d started, but %d completed and %d interrupted", b.name, l.Started, l.Completed, l.Interrupted)
		}
		all.Started += l.Started
		all.Lost += l.Lost
		all.Active += l.Active
		all.Handover += l.Handover
		for _, d := range l.Dropped {
			dropped += d
		}
	}
	return all, dropped
}

// judge holds the record of the VUs against the plan.
func (n *nest) judge() {
	t := n.t
	numbers := n.field.numbers()
	if distinct := len(slices.Compact(slices.Clone(numbers))); distinct != len(numbers) {
		t.Errorf("%d iterations with %d numbers", len(numbers), distinct)
	}
	seen := map[[2]int64]int64{}
	for _, e := range n.field.starts {
		id := [2]int64{int64(e.slot), e.InVU}
		if before, twice := seen[id]; twice {
			t.Errorf("VU %d had its iteration %d twice: numbers %d and %d of the test", e.slot, e.InVU, before, e.InTest)
		}
		seen[id] = e.InTest
	}
	all, dropped := n.sum()
	if all.Started != int64(len(numbers)) {
		t.Errorf("%d are said to have started, but %d were seen", all.Started, len(numbers))
	}
	if planned, ok := n.s.PlannedIterations(); ok {
		if got := all.Started + dropped + all.Lost + n.holes + n.unknown; got != planned {
			t.Errorf("%d started, %d dropped, %d lost, %d due on dead nodes, %d unknown: %d of %d planned",
				all.Started, dropped, all.Lost, n.holes, n.unknown, got, planned)
		}
		if numbers[len(numbers)-1] >= planned {
			t.Errorf("number %d of %d", numbers[len(numbers)-1], planned)
		}
	}
	if due := n.s.ArrivalSchedule(); due != nil {
		for _, e := range n.field.starts {
			if at, _ := due(e.InTest); e.run < at || e.run > at+tooLate {
				t.Errorf("iteration %d, due at %v, began at %v", e.InTest, at, e.run)
			}
		}
	}
	if planned := vuTime(n.s); planned > 0 {
		spent := time.Duration(math.Round((all.Active + all.Handover) * float64(time.Second)))
		slack := time.Duration(n.moved) * 20 * time.Millisecond // until there are marks for VUs from elsewhere
		if short := planned - spent - n.empty; short < 0 && n.s.Executor == ConstantVUs || short > slack {
			t.Errorf("%v s active, %v s handed over, %v without a node: %v short of the planned %v", all.Active, all.Handover, n.empty, short, planned)
		}
		if took := time.Duration(all.Handover * float64(time.Second)); took > slack {
			t.Errorf("%v were handed over, want no more than %v: last iterations are no part of that", took, slack)
		}
		if spent > planned {
			t.Errorf("%v were spent of %v planned", spent, planned)
		}
	}
	if t.Failed() {
		t.Log(n.log)
	}
}

// Whatever happens to the nodes of a hive, each planned iteration is accounted for once.
func TestHistories(t *testing.T) {
	seeds := uint64(8)
	if n, err := strconv.ParseUint(os.Getenv("HIVE_HISTORIES"), 10, 64); err == nil {
		seeds = n
	}
	for _, tt := range []struct {
		text string
		take time.Duration
	}{
		{`{"executor":"constant-arrival-rate","rate":197,"duration":"40s","preAllocatedVUs":30,"maxVUs":50}`, 37 * time.Millisecond},
		{`{"executor":"ramping-arrival-rate","startRate":10,"stages":[{"duration":"15s","target":300},{"duration":"20s","target":5}],"preAllocatedVUs":30,"maxVUs":30}`, 80 * time.Millisecond},
		{`{"executor":"constant-vus","vus":17,"duration":"40s"}`, 230 * time.Millisecond},
		{`{"executor":"ramping-vus","stages":[{"duration":"12s","target":23},{"duration":"5s","target":23},{"duration":"15s","target":2}]}`, 410 * time.Millisecond},
		{`{"executor":"shared-iterations","vus":11,"iterations":3000,"maxDuration":"2h"}`, 100 * time.Millisecond},
		{`{"executor":"shared-iterations","vus":11,"iterations":100,"maxDuration":"2h"}`, 3 * time.Second},
		{`{"executor":"per-vu-iterations","vus":13,"iterations":150,"maxDuration":"2h"}`, 200 * time.Millisecond},
		{`{"executor":"externally-controlled","vus":9,"maxVUs":9,"duration":"40s"}`, 300 * time.Millisecond},
	} {
		s := parse(t, tt.text)
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s/%v/seed %d", s.Executor, tt.take, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newNest(t, tt.text, seed, tt.take)
					n.found(1 + n.random.IntN(4))
					n.sleep(time.Second)
					for n.clock.Now() < 25*time.Second {
						n.step()
						n.sleep(time.Duration(n.random.IntN(1500)) * time.Millisecond)
					}
					n.end()
					n.judge()
				})
			})
		}
	}
}
