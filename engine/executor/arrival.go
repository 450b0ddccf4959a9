package executor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"hive/engine/share"
)

// comingLook is how often an arrival that waits for VUs to come from another node looks for one.
const comingLook = 5 * time.Millisecond

// arrival starts each iteration at its computed time, whatever the iterations before it do: one goroutine
// waits for the next due time and hands the iteration to a VU that is free. It serves both the constant and
// the ramping rate.
//
// Iteration i of the whole test belongs to the epoch in which it is due. In each epoch the iterations are dealt afresh
// from its first one on, by the VUs that each node has; so every one belongs to one node, as long as none is started by
// an epoch that is over.
type arrival struct {
	*base
	due func(int64) (time.Duration, bool)
	vus sync.WaitGroup

	mu      sync.Mutex // guards what follows
	line    line
	opens   time.Duration   // when the first epoch begins
	moved   time.Duration   // when the epoch in force began
	first   int64           // its first iteration
	numbers *share.Sequence // the own ones, from first on
	turn    int64           // which of them is next
	number  int64           // its number in the whole test
	at      time.Duration   // when it is due on the run's clock; Never when there is none
	excused time.Duration   // what was due before and could not be started in time is lost, not stalled
	past    int64           // the first iteration of the test that may still be started here
	manned  bool            // the planned VUs are being made
	shut    bool            // no iteration is started any more
	given   int64           // iterations given to VUs

	slots       []int // own, ascending
	later       []int // own slots without a server, ascending
	vacant      map[int]*vacancy
	servers     map[int]*server
	free        queue
	growing     bool // an unplanned VU is being initialised
	warned      bool
	initialised int
	leavers     []*server
	released    map[int]Handover
	arrivals    []Handover
	over        bool
	final       time.Duration // what was reached then
}

// vacancy is an own slot that has no server yet, or one that left before it had any.
type vacancy struct {
	next    int64         // the VU's next iteration number
	since   time.Duration // when the slot came
	awaited bool          // another node has yet to let it go
}

func newArrival(b *base, e Epoch) *arrival {
	a := &arrival{
		base: b, due: b.scenario.ArrivalSchedule(), opens: e.From, excused: -1,
		vacant: map[int]*vacancy{}, servers: map[int]*server{}, released: map[int]Handover{},
	}
	a.line.last = e.Number
	a.take(e)
	a.initialised = a.planned()
	return a
}

// planned is the number of own VUs that are initialised before they are needed.
func (e *arrival) planned() int {
	n, _ := slices.BinarySearch(e.slots, e.scenario.PreAllocatedVUs)
	return n
}

// Run starts iterations along the schedule.
func (e *arrival) Run(ctx context.Context) error {
	defer e.close()
	if !e.Marked && len(e.slots) == 0 {
		e.finish()
		return nil
	}
	return e.run(ctx, e.conduct)
}

// conduct gives iterations to VUs when they are due, and follows the epochs.
func (e *arrival) conduct(ctx context.Context) {
	timer := newTimer()
	halted := e.halted
	now := e.Clock.Now()
	e.excuse(now)
	for {
		next := e.update(ctx, now)
		if halted == nil && e.quiet() {
			break
		}
		switch e.Clock.wait(timer, next, e.wake, halted, ctx.Done()) {
		case signalTime:
			now = max(next, e.Clock.Now())
		case signalWake:
			now = max(now, e.Clock.Now())
		case signalStop:
			halted = nil
			now = max(now, e.Clock.Now())
			e.halt()
		case signalOver:
			e.dismiss()
			return
		}
	}
	e.dismiss()
}

// halt lets nothing begin any more but what was due by the regular end, and makes no VUs.
func (e *arrival) halt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shut = !e.expired
	for _, s := range e.servers {
		if s.making && s.fresh {
			s.halt()
		}
	}
}

// quiet reports that nothing runs, and nothing waits for the end of a promise or has to be passed on.
func (e *arrival) quiet() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.servers {
		if s.busy || s.making {
			return false
		}
	}
	return (e.shut || e.at == Never) && (len(e.leavers) == 0 || !e.departing())
}

// dismiss ends all servers.
func (e *arrival) dismiss() {
	e.mu.Lock()
	e.shut = true
	for _, s := range e.servers {
		close(s.work)
	}
	e.mu.Unlock()
	e.vus.Wait()
}

// close gives the VUs back. What a promise has kept until now is lost.
func (e *arrival) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	reached := e.reached()
	for slot, s := range e.servers {
		s.cut()
		if s.busy || s.making { // given up: it may be in use for ever
			continue
		}
		if s.made {
			e.Pool.Put(e.index, e.offset+slot)
		}
		if s.leaving {
			e.Pool.Release(e.offset + slot)
			e.released[slot] = e.handover(s)
		} else {
			e.vacant[slot] = &vacancy{next: s.next}
		}
	}
	if e.expired && e.at < Never {
		e.skip(e.ends() + 1)
		reached = max(reached, e.ends())
	}
	clear(e.servers)
	e.leavers = slices.DeleteFunc(e.leavers, func(s *server) bool { return !s.awaited })
	e.over, e.final = true, reached
	e.settleOver()
}

// settleOver follows epochs after the end.
func (e *arrival) settleOver() {
	for epoch, ok := e.line.begin(Never); ok; epoch, ok = e.line.begin(Never) {
		e.take(epoch)
		e.at = Never
	}
	e.welcome(context.Background()) // nothing starts any more
	e.letGo()
}

// excuse notes that what is due before now and has not been started could not be.
func (e *arrival) excuse(now time.Duration) { e.excused = max(e.excused, now) }

// update does all that is due at now, and returns when there is something to do next.
func (e *arrival) update(ctx context.Context, now time.Duration) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if open := max(e.opens, e.begins()); now < open {
		return e.wait(ctx, now, open)
	}
	e.man(ctx)
	next := e.dispatch(ctx, now)
	e.welcome(ctx)
	next = min(next, e.cutDue(now))
	e.letGo()
	return next
}

// wait follows epochs while the scenario has yet to begin.
func (e *arrival) wait(ctx context.Context, now, open time.Duration) time.Duration {
	if now < e.opens {
		return e.opens
	}
	for epoch, ok := e.line.begin(now); ok; epoch, ok = e.line.begin(now) {
		e.take(epoch)
	}
	e.letGo()
	return min(open, e.line.next())
}

// dispatch goes through the own iterations in order of their times, and through the epochs between them.
func (e *arrival) dispatch(ctx context.Context, now time.Duration) time.Duration {
	for !e.shut {
		next := e.line.next()
		switch {
		case next <= now && next <= e.at:
			epoch, _ := e.line.begin(now)
			e.take(epoch)
			e.recruit(ctx)
		case e.at > now:
			return min(e.at, next)
		case e.at >= e.line.holds():
			return next
		case now-e.at > tooLate:
			e.skip(min(e.missed(now), next, e.line.holds()))
		case e.free.first == nil && e.moved > 0 && now < addTimes(e.moved, tooLate) && e.comes():
			return min(now+comingLook, next)
		default:
			e.give(ctx)
			e.advance()
		}
	}
	for epoch, ok := e.line.begin(now); ok; epoch, ok = e.line.begin(now) {
		e.take(epoch)
	}
	return e.line.next()
}

// comes reports whether VUs are on their way here that the present epoch moved; what is due just after its beginning
// waits for them.
func (e *arrival) comes() bool {
	for slot, v := range e.vacant {
		if v.awaited && slot < e.scenario.PreAllocatedVUs {
			return true
		}
	}
	for _, s := range e.servers {
		if s.making && !s.grown && !s.leaving {
			return true
		}
	}
	return false
}

// give starts the next iteration, where that can be.
func (e *arrival) give(ctx context.Context) {
	if !e.Fence.Open() {
		e.counts.lost.Add(1)
		return
	}
	s := e.free.pop()
	if s == nil {
		e.drop(1, NoFreeVU, NoSlot)
		e.grow(ctx)
		return
	}
	s.busy = true
	e.counts.started.Add(1)
	s.work <- arrivalTask{number: e.number, count: e.given, due: e.at}
	e.given++
}

// advance goes on to the next own iteration.
func (e *arrival) advance() {
	e.turn++
	e.past = e.number + 1
	e.look()
}

// look finds out about the next own iteration.
func (e *arrival) look() {
	e.at = Never
	if e.numbers.Empty() {
		return
	}
	e.number = e.first + e.numbers.At(e.turn)
	if due, ok := e.due(e.number); ok {
		e.at = e.begins() + due
	}
}

// missed is the moment before which everything is given up when the next iteration is too late: all until now after a stall,
// and only what is too late itself when a promise kept it back.
func (e *arrival) missed(now time.Duration) time.Duration {
	if e.at < e.excused {
		return now - tooLate
	}
	return now
}

// skip gives up the own iterations that were due before a moment, and the next one in any case.
func (e *arrival) skip(before time.Duration) {
	lost := e.ordinal(min(before, e.excused))
	if !e.Fence.Open() || e.stopping.Load() && e.line.held != nil {
		lost = e.ordinal(before)
	}
	if n := lost - e.turn; n > 0 {
		e.counts.lost.Add(n)
		e.turn = lost
	}
	if n := e.ordinal(before) - e.turn; n > 0 {
		e.drop(n, Stalled, NoSlot)
		e.turn += n
	}
	e.past = max(e.past, e.scenario.DueBefore(before))
	e.look()
}

// ordinal is which of the own iterations is the first that is due at a moment on the run's clock or later.
func (e *arrival) ordinal(t time.Duration) int64 {
	return e.numbers.Before(e.scenario.DueBefore(t) - e.first)
}

// take makes an epoch the one in force; the iterations due before it are done with.
func (e *arrival) take(epoch Epoch) {
	e.first, e.moved = e.scenario.DueBefore(epoch.From), epoch.From
	e.numbers, e.turn = epoch.Share.Iterations(e.index), 0
	if n := e.numbers.Before(e.past - e.first); n > 0 { // no promise was made for it: they may have been started
		e.counts.lost.Add(n)
		e.turn = n
	}
	e.look()
	old := e.slots
	e.slots, e.later = epoch.Share.Slots(e.index), nil
	var work share.Work
	if len(epoch.Work) > 0 {
		work = epoch.Work[e.index]
	}
	awaits := map[int]bool{}
	for slot := range epoch.Awaits.Values() {
		awaits[slot-e.offset] = true
	}
	for _, slot := range e.slots {
		v := vacancy{next: work.Next[slot], since: epoch.From, awaited: awaits[slot]}
		if !v.awaited {
			v.next = max(v.next, e.first) // it may come from a node that nobody can ask any more
		}
		e.gain(slot, v)
	}
	for _, slot := range old {
		if _, still := slices.BinarySearch(e.slots, slot); !still {
			e.depart(slot, epoch.From)
		}
	}
}

// gain makes sure of an own slot's server or vacancy.
func (e *arrival) gain(slot int, v vacancy) {
	v.next = max(v.next, e.released[slot].Next) // it may come back from a node that never began it
	delete(e.released, slot)
	for _, s := range e.leavers {
		if s.slot == slot { // it has not been let go: nobody else can have it
			s.leaving = false
			if e.servers[slot] == nil {
				v = vacancy{next: s.next, since: v.since, awaited: s.awaited}
			}
		}
	}
	if e.servers[slot] != nil {
		return
	}
	if e.vacant[slot] == nil {
		e.vacant[slot] = &v
	}
	e.later = append(e.later, slot)
}

// depart begins to give a slot up.
func (e *arrival) depart(slot int, at time.Duration) {
	s := e.servers[slot]
	if s == nil {
		v := e.vacant[slot]
		delete(e.vacant, slot)
		none := func() {}
		s = &server{slot: slot, next: v.next, awaited: v.awaited, work: make(chan arrivalTask), cut: none, halt: none}
	}
	s.leaving = true
	s.cutAt = addTimes(at, e.part)
	s.halt()
	e.free.remove(s)
	e.leavers = append(e.leavers, s)
}

// man lets the planned VUs serve, which were initialised before.
func (e *arrival) man(ctx context.Context) {
	if e.manned {
		return
	}
	e.recruit(ctx)
	e.manned = true
}

// recruit makes the VUs of planned slots that have none.
func (e *arrival) recruit(ctx context.Context) {
	later := e.later
	e.later = nil
	for _, slot := range later {
		v := e.vacant[slot]
		if slot >= e.scenario.PreAllocatedVUs || v.awaited || e.stopping.Load() {
			e.later = append(e.later, slot)
			continue
		}
		s := e.hire(ctx, slot)
		if !e.manned {
			e.free.push(s)
		}
	}
}

// hire begins to make the VU of a vacant slot.
func (e *arrival) hire(ctx context.Context, slot int) *server {
	v := e.vacant[slot]
	delete(e.vacant, slot)
	s := &server{
		slot: slot, next: v.next,
		work: make(chan arrivalTask, 1), making: true, fresh: e.manned,
	}
	s.ctx, s.cut = context.WithCancel(ctx)
	making, halt := context.WithCancel(s.ctx)
	s.halt = halt
	e.servers[slot] = s
	e.vus.Go(func() { e.serve(making, s) })
	return s
}

// grow initialises one more VU in the background, one at a time, up to the own part of maxVUs.
func (e *arrival) grow(ctx context.Context) {
	if e.growing || e.stopping.Load() {
		return
	}
	k := slices.IndexFunc(e.later, func(slot int) bool { return !e.vacant[slot].awaited })
	if k < 0 {
		if !e.warned && len(e.later) == 0 {
			e.warned = true
			e.Events.Warn(e.index, fmt.Sprintf("all %d VUs are busy and maxVUs is reached: iterations that are due are dropped", len(e.slots)))
		}
		return
	}
	s := e.hire(ctx, e.later[k])
	e.later = slices.Delete(e.later, k, k+1)
	s.grown, e.growing = true, true
}

// welcome takes slots over that other nodes have let go. One that has left meanwhile is passed on.
func (e *arrival) welcome(ctx context.Context) {
	came := false
	e.arrivals = slices.DeleteFunc(e.arrivals, func(h Handover) bool {
		slot := h.Slot - e.offset
		for _, s := range e.leavers {
			if s.slot == slot && s.awaited {
				s.next, s.awaited = max(s.next, e.handed(h)), false
				return true
			}
		}
		v := e.vacant[slot]
		if v == nil || !v.awaited {
			return len(e.line.queue) == 0
		}
		v.awaited = false
		if v.since > e.begins() { // before, what was handed over may be the count of another scenario
			v.next = max(v.next, e.handed(h))
		}
		came = true
		return true
	})
	if came && e.manned && !e.over {
		e.recruit(ctx)
	}
}

// handed is the iteration number at which the VU of a slot that was handed over goes on. One of which nobody knows how
// far it had come skips as many numbers as arrivals were due before the epoch: it cannot have had more iterations.
func (e *arrival) handed(h Handover) int64 {
	if h.Lost {
		return max(h.Next, e.first)
	}
	return h.Next
}

// cutDue interrupts servers that have left and were given long enough, and returns when the next one is due.
func (e *arrival) cutDue(now time.Duration) time.Duration {
	next := Never
	for _, s := range e.leavers {
		switch {
		case !s.leaving || !s.busy:
		case s.cutAt <= now:
			s.cut()
		default:
			next = min(next, s.cutAt)
		}
	}
	return next
}

// letGo gives back the VUs of slots that have left and ended. arrival.mu is given up meanwhile; only the dispatching
// goroutine comes here.
func (e *arrival) letGo() {
	var gone []*server
	e.leavers = slices.DeleteFunc(e.leavers, func(s *server) bool {
		if s.leaving && !s.busy && !s.making && !s.awaited {
			gone = append(gone, s)
			if e.servers[s.slot] == s {
				delete(e.servers, s.slot)
				if s.made {
					e.initialised--
				}
			}
			close(s.work)
			return true
		}
		return !s.leaving
	})
	if len(gone) == 0 {
		return
	}
	e.mu.Unlock()
	for _, s := range gone {
		s.cut()
		if s.made {
			e.Pool.Put(e.index, e.offset+s.slot)
		}
		e.Pool.Release(e.offset + s.slot)
	}
	e.mu.Lock()
	for _, s := range gone {
		e.released[s.slot] = e.handover(s)
	}
}

// handover is what the next node has to know of a server's slot.
func (e *arrival) handover(s *server) Handover {
	return Handover{Slot: e.offset + s.slot, Next: s.next}
}
