package executor

import (
	"context"
	"slices"
	"sync"
	"time"

	"hive/engine/share"
)

// forever lets a VU's last iteration run on for as long as it takes.
const forever time.Duration = -1

// trade is what VUs of a crew do, which differs between executors.
type trade interface {
	// work runs iterations on a VU until it may begin no more, or may for a while not.
	work(ctx context.Context, l *looper)
	// ended reports that there is nothing left for a VU to do. It is read without and with crew.mu held.
	ended(l *looper) bool
	// allowed reports whether the marks let a VU begin an iteration.
	allowed(l *looper) bool
	// takeUp replaces what may still begin by the work of an epoch, as soon as that is committed; crew.mu is held.
	takeUp(e Epoch)
	// joins is told of each VU that comes; crew.mu is held.
	joins(l *looper)
	// owes reports that there is work which no other node will do.
	owes() bool
	// beyond is an iteration number that no VU had come to before an epoch, 0 where marks and work tell of each.
	beyond(epoch int) int64
}

// crew keeps the VUs of the own slots looping as a plan wants them, while slots come and go with epochs. One goroutine
// starts and releases VUs at the moments of the plan and of the epochs; each VU that loops has one of its own.
type crew struct {
	*base
	trade trade
	plan  plan
	rest  time.Duration // what a VU's last iteration is given when the plan does not want it any more
	all   sync.WaitGroup

	mu       sync.Mutex // guards what follows
	line     line
	holding  *Epoch          // the promise that loopers are held for
	number   int             // of the epoch in force
	slots    []int           // own, ascending
	of       map[int]*looper // own, and those that leave
	count    int             // VUs of the whole test that the plan wants at this moment
	running  int             // goroutines of loopers
	cuts     []*looper       // released, with a last iteration that is to be cut
	leavers  []*looper       // slots to be let go as soon as they have ended
	released map[int]Handover
	sheet    timesheet
	more     chan struct{} // closed when marks are raised
	over     bool          // Run has returned
	arrivals []Handover    // slots that were handed over
	opens    time.Duration // when the first epoch begins
	resume   bool          // there is work for VUs that had none left
	pace     pacer
	pulse    pulse
}

func newCrew(b *base, p plan) *crew {
	return &crew{
		base: b, plan: p, rest: forever,
		of: map[int]*looper{}, released: map[int]Handover{}, more: make(chan struct{}),
	}
}

// enlist takes the slots of the first epoch; nothing runs yet.
func (c *crew) enlist(t trade, e Epoch) {
	c.trade, c.opens, c.line.last = t, e.From, e.Number
	c.take(e, true)
}

// Run runs the crew until the scenario is over for this node.
func (c *crew) Run(ctx context.Context) error {
	defer c.close()
	if !c.Marked && len(c.slots) == 0 {
		c.finish()
		return nil
	}
	return c.run(ctx, c.conduct)
}

// conduct starts and releases VUs as the plan and the epochs say.
func (c *crew) conduct(ctx context.Context) {
	timer := newTimer()
	halted := c.halted
	now := c.Clock.Now()
	for {
		next := c.update(ctx, now)
		if c.complete(halted == nil) {
			break
		}
		switch c.Clock.wait(timer, next, c.wake, halted, ctx.Done()) {
		case signalTime:
			now = max(next, c.Clock.Now())
		case signalWake:
			now = max(now, c.Clock.Now())
		case signalStop:
			halted = nil
			now = c.halt(ctx, now)
		case signalOver:
			c.all.Wait()
			return
		}
	}
	c.all.Wait()
}

// complete reports whether the body is over: when all loopers have ended after the halt, or, on one machine, when there
// is nothing left to do for any.
func (c *crew) complete(halted bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running > 0 || c.departing() && len(c.leavers) > 0 { // what others have yet to let go has to be passed on
		return false
	}
	return halted || !c.Marked && c.counted() && c.count > 0
}

// halt ends looping for all: at the regular end exactly, when that is why. On a node that is stopped since its share has
// been handed over, last iterations are none the less what VUs do until they end.
func (c *crew) halt(ctx context.Context, now time.Duration) time.Duration {
	now = max(now, c.Clock.Now())
	end := now
	if c.expired {
		end = c.ends()
	}
	c.update(ctx, end) // the steps of a ramp at its very end belong to it, and slots may have left
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alive(now)
	for _, l := range c.of {
		if c.expired || !c.departing() || !l.ending() {
			l.book(unused, max(l.since, end))
		}
	}
	return now
}

// update does all that is due at now, and returns when there is something to do next.
func (c *crew) update(ctx context.Context, now time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alive(now)
	if now < c.opens {
		return c.opens
	}
	for e, ok := c.line.begin(now); ok; e, ok = c.line.begin(now) {
		c.follow(ctx, e.From)
		c.take(e, false)
		c.launch(ctx, e.From)
	}
	c.welcome(ctx)
	c.hold(ctx, now)
	c.follow(ctx, now)
	if c.resume {
		c.resume = false
		c.launch(ctx, now)
	}
	next := c.cutDue(now)
	c.letGo()
	return min(next, c.line.next(), c.holdsNext(now), c.planNext(now), c.beatNext(now))
}

// beatNext is when the crew notes that it is alive.
func (c *crew) beatNext(now time.Duration) time.Duration {
	if c.Fence == nil || c.counted() {
		return Never
	}
	return now + pulseEvery
}

func (c *crew) holdsNext(now time.Duration) time.Duration {
	if at := c.line.holds(); !c.counted() && at > now {
		return at
	}
	return Never
}

func (c *crew) planNext(now time.Duration) time.Duration {
	next := Never
	if !c.stopping.Load() {
		next = c.plan.next(now-c.begins(), c.slots)
	}
	if slots := c.endingSlots(); len(slots) > 0 {
		next = min(next, c.plan.next(now-c.begins(), slots))
	}
	if next == Never {
		return Never
	}
	return addTimes(c.begins(), next)
}

// endingSlots are those that have left, and whose VUs are in their last iterations, ascending.
func (c *crew) endingSlots() (slots []int) {
	for _, l := range c.leavers {
		if l.ending() {
			slots = append(slots, l.slot)
		}
	}
	slices.Sort(slots)
	return slots
}

// take makes the slots of an epoch the own ones; crew.mu is held.
func (c *crew) take(e Epoch, first bool) {
	old := c.slots
	c.number, c.slots = e.Number, e.Share.Slots(c.index)
	fresh := make(map[int]bool, len(c.slots))
	for _, slot := range c.slots {
		fresh[slot] = true
	}
	awaits := make(map[int]bool)
	for slot := range e.Awaits.Values() {
		awaits[slot-c.offset] = true
	}
	var work share.Work
	if len(e.Work) > 0 {
		work = e.Work[c.index]
	}
	for _, slot := range c.slots {
		c.gain(e, slot, first, awaits[slot], work.Next[slot])
	}
	for _, slot := range old {
		if !fresh[slot] {
			c.depart(c.of[slot], e.From)
		}
	}
}

// gain makes sure of the looper of an own slot.
func (c *crew) gain(e Epoch, slot int, first, awaited bool, next int64) {
	l := c.of[slot]
	if l != nil && !l.leaving {
		return
	}
	if l != nil { // it has not been let go: nobody else can have it
		l.leaving = false
		return
	}
	l = &looper{
		crew: c, slot: slot, gained: !first || e.From > 0, awaited: awaited, since: e.From,
		untouched: e.From <= c.begins(),
	}
	next = max(next, c.released[slot].Next) // it may come back from a node that never began it
	if !awaited && !l.untouched {
		next = max(next, c.trade.beyond(e.Number)) // or from one that nobody can ask any more
	}
	l.n.Store(next)
	l.half.Store(next)
	c.of[slot] = l
	c.trade.joins(l)
	delete(c.released, slot)
}

// depart begins to give a slot up.
func (c *crew) depart(l *looper, at time.Duration) {
	l.leaving, l.held = true, false
	if !l.running || len(c.slots) > 0 || !c.trade.owes() {
		c.dismiss(l, at)
	}
	c.leavers = append(c.leavers, l)
}

// launch starts what the plan wants of the slots that have come, and makes the VUs of the others ready.
func (c *crew) launch(ctx context.Context, at time.Duration) {
	if at < c.begins() {
		return
	}
	for _, slot := range c.slots {
		l := c.of[slot]
		switch {
		case slot < c.count:
			c.start(ctx, l, max(at, addTimes(c.begins(), c.plan.since(slot, at-c.begins()))))
		case l.gained && l.vu == nil && !l.running && !l.awaited:
			l.warming = true
			c.spawn(ctx, l)
		}
	}
}

// welcome takes slots over that other nodes have let go. One that has left meanwhile is passed on.
func (c *crew) welcome(ctx context.Context) {
	c.arrivals = slices.DeleteFunc(c.arrivals, func(h Handover) bool {
		l := c.of[h.Slot-c.offset]
		if l == nil || !l.awaited {
			return len(c.line.queue) == 0
		}
		l.awaited = false
		if h.Lost {
			h.At = c.Clock.Now() // nobody knows for how long it ran there
		}
		l.since = max(l.since, h.At)
		if !l.untouched { // what was handed over may be the count of a scenario before
			l.n.Store(max(l.n.Load(), c.handed(h)))
		}
		if l.slot < c.count && ctx != nil {
			c.start(ctx, l, l.since)
		}
		c.ask()
		return true
	})
}

// handed is the iteration number at which the VU of a slot that was handed over goes on.
func (c *crew) handed(h Handover) int64 {
	if h.Lost {
		return max(h.Next, c.trade.beyond(c.number))
	}
	return h.Next
}

// hold keeps the promise that is made, and lets go of an earlier one.
func (c *crew) hold(ctx context.Context, now time.Duration) {
	held := c.line.held
	if c.counted() || held != nil && held.From > now {
		held = nil
	}
	if held == c.holding {
		return
	}
	c.holding = held
	keep := map[int]bool{}
	if held != nil {
		for _, slot := range held.Share.Slots(c.index) {
			keep[slot] = true
		}
	}
	for _, slot := range c.slots {
		l := c.of[slot]
		switch parts := held != nil && !keep[slot]; {
		case parts && !l.held:
			l.held = true
			c.dismiss(l, max(held.From, l.since))
		case !parts && l.held:
			l.held = false
			if slot < c.count {
				c.start(ctx, l, now)
			}
		}
	}
}

// follow starts and releases VUs as the plan has it at now.
func (c *crew) follow(ctx context.Context, now time.Duration) {
	t := min(now-c.begins(), c.regular)
	from, to := c.count, c.plan.count(t)
	c.count = to
	c.followEnding(from, to, t)
	if c.stopping.Load() && !c.expired {
		return // a scenario that was stopped gives its iterations the time for that
	}
	lo, _ := slices.BinarySearch(c.slots, min(from, to))
	hi, _ := slices.BinarySearch(c.slots, max(from, to))
	for _, slot := range c.slots[lo:hi] {
		at := addTimes(c.begins(), c.plan.since(slot, t))
		if l := c.of[slot]; to > from {
			c.start(ctx, l, at)
		} else {
			c.release(l, at, c.rest)
		}
	}
}

// followEnding books for VUs that have left whether the plan, which had from VUs before, has them loop at t: as long as
// their last iterations go on, that is here.
func (c *crew) followEnding(from, to int, t time.Duration) {
	if from == to {
		return
	}
	use := looping
	if to < from {
		use = unused
	}
	for _, l := range c.leavers {
		if l.ending() && l.slot >= min(from, to) && l.slot < max(from, to) {
			l.since = max(l.since, addTimes(c.begins(), c.plan.since(l.slot, t)))
			l.book(use, l.since)
		}
	}
}

// start lets a VU loop from at on. One that is in its last iteration goes on afterwards as if nothing had been.
func (c *crew) start(ctx context.Context, l *looper, at time.Duration) {
	if c.stopping.Load() || l.leaving || l.wanted.Load() && l.running {
		return
	}
	if l.use == unused {
		l.since = max(l.since, at)
	}
	if l.held {
		if l.ending() {
			l.book(looping, l.since)
		}
		return
	}
	if l.awaited {
		return // for as long as it is at work elsewhere, that is accounted for there
	}
	l.wanted.Store(true)
	if c.trade.ended(l) {
		return
	}
	if l.inside && !l.blocked {
		l.book(looping, l.since)
		return
	}
	l.book(waiting, l.since)
	c.spawn(ctx, l)
}

func (c *crew) spawn(ctx context.Context, l *looper) {
	if l.running || ctx == nil || ctx.Err() != nil {
		return
	}
	l.running = true
	c.running++
	c.all.Go(func() { l.run(ctx) })
}

// dismiss lets a VU end whose slot leaves this node. Its last iteration is time in which it loops, and does so here.
func (c *crew) dismiss(l *looper, at time.Duration) {
	if !l.ending() {
		l.book(unused, max(l.since, at))
	}
	c.letEnd(l, at, c.part)
}

// release lets a VU end its iteration, which is cut after the grace; it does not count as looping any more.
func (c *crew) release(l *looper, at, grace time.Duration) {
	l.book(unused, max(l.since, at))
	c.letEnd(l, at, grace)
}

func (c *crew) letEnd(l *looper, at, grace time.Duration) {
	l.wanted.Store(false)
	l.warming = false
	l.since = max(l.since, at)
	switch {
	case !l.running:
	case l.blocked || grace == 0:
		if l.cut != nil {
			l.cut()
		}
	case grace != forever:
		l.cutAt = addTimes(at, grace)
		c.cuts = append(c.cuts, l)
	}
}

// cutDue cuts the last iterations whose time is up and returns when the next one's is.
func (c *crew) cutDue(now time.Duration) time.Duration {
	next := Never
	c.cuts = slices.DeleteFunc(c.cuts, func(l *looper) bool {
		switch {
		case l.wanted.Load() || !l.running:
			return true
		case l.cutAt > now:
			next = min(next, l.cutAt)
			return false
		}
		if l.cut != nil {
			l.cut()
		}
		return true
	})
	return next
}

// letGo gives back the VUs of slots that have left and ended. crew.mu is given up meanwhile, since that may take its
// time; only the goroutine of the crew comes here.
func (c *crew) letGo() {
	var gone []*looper
	c.leavers = slices.DeleteFunc(c.leavers, func(l *looper) bool {
		if l.leaving && !l.running && !l.awaited {
			gone = append(gone, l)
			return true
		}
		return !l.leaving
	})
	if len(gone) == 0 {
		return
	}
	c.mu.Unlock()
	for _, l := range gone {
		if l.vu != nil {
			c.Pool.Put(c.index, c.offset+l.slot)
		}
		c.Pool.Release(c.offset + l.slot)
	}
	c.mu.Lock()
	for _, l := range gone {
		c.released[l.slot] = Handover{Slot: c.offset + l.slot, Next: l.n.Load(), At: l.since}
		delete(c.of, l.slot)
	}
}

// close gives the VUs back when Run is over, and does what epochs still ask for.
func (c *crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alive(c.Clock.Now())
	for _, l := range c.of {
		if l.vu != nil && !c.abandoned.Load() { // or it may be in use for ever
			c.Pool.Put(c.index, c.offset+l.slot)
			l.vu = nil
		}
		l.book(unused, max(l.since, min(c.Clock.Now(), c.ends())))
	}
	c.over = true
	c.settleOver()
}

// settleOver follows epochs after the end, when nothing runs any more.
func (c *crew) settleOver() {
	for e, ok := c.line.begin(Never); ok; e, ok = c.line.begin(Never) {
		c.take(e, false)
	}
	c.welcome(context.Background()) // nothing starts any more
	c.letGo()
}
