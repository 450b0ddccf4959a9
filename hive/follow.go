package hive

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"hive/engine/executor"
	"hive/engine/share"
)

const (
	// idle is how long a life sleeps that nothing wakes.
	idle = time.Minute
	// releasePoll is how often the engine is asked which slots it has let go, while there are some to go.
	releasePoll = 50 * time.Millisecond
	// leaveAfter is how long after a life's last share has ended its engine is stopped: what was due just before may be
	// begun a little late.
	leaveAfter = 300 * time.Millisecond
	// promiseShy is how long before an epoch begins it can be promised at the latest: an engine's clock and the node's
	// copy of it may differ by a little.
	promiseShy = 5 * time.Millisecond
)

// follower is how far a life has come in following the run's epochs.
type follower struct {
	epoch    int                          // the engine executes; 0 before it runs
	share    share.Share                  // in it
	held     int                          // epoch of the proposal that a promise was made about; 0 for none
	heldFrom time.Duration                // its beginning
	heldFor  time.Duration                // how long after that this life waits for its end
	going    map[int]bool                 // slots given up whose VUs have not ended
	released map[int]executor.Handover    // and those whose VUs have, of the last two epochs
	coming   map[int]Gain                 // slots that another node has yet to let go
	taking   map[int64]context.CancelFunc // by the incarnation that slots are awaited from
	halted   *Halt                        // the pause that the engine was told of
	stood    time.Duration                // where its clock stands in it
	exact    bool                         // that was told before it came there
	haltGen  int64                        // the generation of the run's clock then
	scales   map[string]Scale             // told to the engine
	stopped  StopMode
	out      bool // this life is over for the run
}

// step does what the state asks of this life, and says when to look again if
// nothing happens. It is called again soon when it fails.
func (l *life) step(ctx context.Context, st ownState) (time.Duration, error) {
	if l.going == nil {
		l.going, l.released = map[int]bool{}, map[int]executor.Handover{}
		l.coming, l.taking, l.scales = map[int]Gain{}, map[int64]context.CancelFunc{}, map[string]Scale{}
	}
	if l.out {
		return idle, nil
	}
	if f := l.deadly(); f != nil {
		l.bury(f)
		return idle, nil
	}
	member := l.t.has(st, l.inc)
	switch st.Phase {
	case Preparing, Ready, Setup:
		if !member {
			l.retire()
			return idle, nil
		}
		return idle, l.prepare(st)
	case Running:
		wait, err := l.run(ctx, st, member)
		return min(wait, l.boundHold(ctx, st.Proposal)), err
	case Draining, Teardown:
		l.drain(st.State)
	}
	return idle, nil
}

// deadly is why this life cannot go on, if so: the engine died, or VUs that it
// was to take over could not be initialised. Before its load has begun the
// latter is not deadly: it is told, and the leader decides.
func (l *life) deadly() *Failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.died == nil && l.broken != nil && l.epoch > 0 && l.stage < StageEnded {
		l.died = l.broken
	}
	return l.died
}

// part is an allocation if it is for this life; nil when it has no part in the epoch.
func (l *life) part(a *Alloc) *Alloc {
	if a == nil || a.Incarnation != l.inc {
		return nil
	}
	return a
}

var errNoAlloc = errors.New("there is no allocation for this node")

// prepare initialises this life's VUs before the load begins.
func (l *life) prepare(st ownState) error {
	a := l.part(st.now)
	if a == nil {
		return errNoAlloc
	}
	l.tellReady(st.Epoch, l.warm(a))
	return nil
}

// tellReady reports how far the VUs of an epoch are that this life is to begin with.
func (l *life) tellReady(epoch int, ready bool) {
	l.mu.Lock()
	e, broken := l.engine, l.broken
	l.mu.Unlock()
	l.say(func(s *Status) {
		s.Epoch, s.Phase = epoch, NodePreparing
		switch {
		case broken != nil:
			s.Phase, s.Failure = NodeFailed, broken
		case ready && e != nil:
			s.Phase, s.Traits, s.Metrics = NodeReady, e.Traits(), customMetrics(e.Registry())
		}
	})
}

// run follows the epochs of a run whose load is being sent.
func (l *life) run(ctx context.Context, st ownState, member bool) (time.Duration, error) {
	p := st.Proposal
	next := l.part(st.next)
	if l.epoch == 0 {
		switch {
		case member:
			return idle, l.begin(ctx, st)
		case next != nil && next.Member:
			return idle, l.join(ctx, p, next)
		}
		l.retire()
		return idle, nil
	}
	l.tellClock(st.State)
	if st.Epoch > l.epoch {
		if err := l.commit(ctx, st); err != nil || l.out {
			return idle, err
		}
	}
	if p != nil && p.Epoch > l.epoch {
		if err := l.consider(ctx, p, next); err != nil {
			return idle, err
		}
	} else if l.held != 0 {
		l.letDown()
	}
	l.look()
	if !member && !l.isRunning() {
		l.retire() // it has let go of everything
		return idle, nil
	}
	if left := st.From + leaveAfter - l.t.clock.Now(); !member && left > 0 {
		return left, nil // what it has until then is still its own
	} else if !member {
		l.engineIs().Stop()
	}
	if len(l.going) > 0 {
		return releasePoll + time.Duration(len(l.going))*time.Millisecond/20, nil
	}
	return idle, nil
}

// join gets ready for an epoch that is to be this life's first.
func (l *life) join(ctx context.Context, p *Proposal, a *Alloc) error {
	ready := l.warm(a) && l.t.clock.generation() > 0
	if ready {
		if _, err := l.t.setupData(ctx); err != nil {
			return err
		}
	}
	l.tellReady(p.Epoch, ready)
	return nil
}

// begin starts the load, in the epoch that is present.
func (l *life) begin(ctx context.Context, st ownState) error {
	a := l.part(st.now)
	if a == nil {
		l.retire()
		return nil
	}
	if !l.warm(a) || l.t.clock.generation() != st.Anchor.Gen || st.Anchor.Gen == 0 {
		l.mu.Lock()
		f := l.broken
		l.mu.Unlock()
		if f != nil { // it is a member and cannot be: the leader has to deal its slots anew
			l.mu.Lock()
			l.died = f
			l.mu.Unlock()
			l.bury(f)
		}
		return nil // what is missing wakes this life
	}
	epoch, err := l.epochOf(ctx, st.State, a)
	if err != nil {
		return err
	}
	data, err := l.t.setupData(ctx)
	if err != nil {
		return err
	}
	e := l.engineIs()
	if err := l.raise(ctx, e, st.Epoch); err != nil {
		return err
	}
	l.epoch, l.share = st.Epoch, a.Share
	l.t.clock.follow(l, e.Adjust)
	l.await(ctx, a)
	l.load(ctx, e, epoch, data)
	l.tellClock(st.State)
	number := &l.mail.epoch
	number.Store(int64(st.Epoch))
	l.beside(ctx, func(ctx context.Context) { l.keepMarks(ctx, e, func() int { return int(number.Load()) }) })
	l.say(func(s *Status) {
		s.Epoch, s.Phase = st.Epoch, NodeRunning
		l.sayWhole(s)
	})
	return nil
}

// beside runs f until the load is over.
func (l *life) beside(ctx context.Context, f func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	l.wg.Go(func() {
		defer cancel()
		f(ctx)
	})
	l.wg.Go(func() {
		_ = l.untilOver(ctx)
		cancel()
	})
}

// epochOf puts together what the engine executes in the present epoch.
func (l *life) epochOf(ctx context.Context, st State, a *Alloc) (executor.Epoch, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	e := executor.Epoch{Number: st.Epoch, From: st.From, Share: a.Share}
	if _, err := getJSON(ctx, l.t.n.etcd, l.t.n.keys.Work(l.t.run, st.Epoch, l.t.n.info.ID), &e.Work); err != nil {
		return e, err
	}
	for _, g := range a.Gains {
		e.Awaits = e.Awaits.Union(g.Slots)
	}
	var before []int
	for slot := range l.coming {
		if a.Share.All().Has(slot) {
			before = append(before, slot)
		}
	}
	slices.Sort(before)
	e.Awaits = e.Awaits.Union(share.NewSlots(before))
	return e, nil
}

// tellClock passes pauses of the run and changes of scale on to the engine.
func (l *life) tellClock(st State) {
	e := l.engineIs()
	if e == nil {
		return
	}
	if l.halted != nil {
		if at, ok := l.t.clock.resumed(l.stood, l.haltGen); ok {
			e.ResumeAt(at)
			l.halted = nil
		}
	}
	if l.halted == nil && st.Halt != nil && st.Anchor.Gen == l.t.clock.generation() {
		l.halted = st.Halt
		l.stood, l.haltGen = l.t.clock.standing()
		e.PauseAt(l.stood)
		l.exact = l.stood == st.Halt.At && l.t.clock.Now() < l.stood-promiseShy
	}
	for _, s := range st.Scales {
		if l.scales[s.Scenario] == s {
			continue
		}
		if err := e.ScaleAt(s.Scenario, s.VUs, s.At); err != nil {
			l.log.Warn("a change of scale has no effect on this node", "scenario", s.Scenario, "reason", err)
		}
		l.scales[s.Scenario] = s
	}
}

// consider does what a proposal asks of a running life: its new VUs are
// initialised, and once the epoch has a beginning the promise is given.
func (l *life) consider(ctx context.Context, p *Proposal, a *Alloc) error {
	next := nothingOf(l.share.Plan())
	ready := true
	if a != nil {
		next, ready = a.Share, l.warm(a)
	}
	if p.From < 0 {
		if l.held != 0 {
			l.letDown()
		}
		l.say(func(s *Status) {
			s.Epoch, s.Phase, s.Ready = l.epoch, NodeRunning, false
			if ready {
				s.Epoch, s.Phase = p.Epoch, NodeReady
			}
		})
		return nil
	}
	if l.t.isVetoed(p.Epoch) {
		l.promiseNothing(p)
		return nil
	}
	if l.held != p.Epoch || l.heldFrom != p.From {
		if kept, err := l.promise(p, next); !kept || err != nil {
			return err
		}
	}
	if err := l.freeze(ctx, l.epoch); err != nil {
		return err
	}
	over := !l.isRunning()
	l.say(func(s *Status) {
		s.Epoch, s.Phase, s.Ready = p.Epoch, NodeHolding, ready
		if over {
			s.Phase = NodeEnded
		}
	})
	return nil
}

// promise lets go of what an epoch takes away from its beginning on. A promise
// that comes after that is none: what was due since may have been begun.
func (l *life) promise(p *Proposal, next share.Share) (kept bool, err error) {
	e := l.engineIs()
	late := func() bool { return l.isRunning() && !l.standsBefore(p.From) && l.t.clock.Now() >= p.From-promiseShy }
	if !late() {
		if err := e.Propose(executor.Epoch{Number: p.Epoch, From: p.From, Share: next}); err != nil {
			return false, err
		}
		l.held, l.heldFrom, l.heldFor = p.Epoch, p.From, p.Hold+l.turn()
		if !late() {
			return true, nil
		}
	}
	l.promiseNothing(p)
	return false, nil
}

// promiseNothing says that a proposal came too late, or its end did.
func (l *life) promiseNothing(p *Proposal) {
	if l.held != 0 {
		l.letDown()
	}
	l.say(func(s *Status) { s.Late = p.Epoch })
}

// standsBefore says whether the engine's clock stands still, or is going to, before a moment, so that nothing which is
// due from then on has begun.
func (l *life) standsBefore(run time.Duration) bool {
	return l.halted != nil && l.exact && l.stood < run
}

// nothingOf is a share of a plan that owns nothing.
func nothingOf(plan share.Plan) share.Share {
	owners := slices.Repeat([]int{-1}, plan.Slots)
	shares, err := share.Assign(plan, owners, 1)
	if err != nil {
		return share.Share{}
	}
	return shares[0]
}

// letDown takes a promise back that came to nothing.
func (l *life) letDown() {
	l.engineIs().Withdraw()
	l.thaw()
	l.held = 0
	l.sayRunning()
}

func (l *life) sayRunning() {
	over := !l.isRunning()
	released := slices.Collect(maps.Values(l.released))
	slices.SortFunc(released, func(a, b executor.Handover) int { return a.Slot - b.Slot })
	l.say(func(s *Status) {
		s.Epoch, s.Phase, s.Ready, s.Released = l.epoch, NodeRunning, false, released
		l.sayWhole(s)
		if over {
			s.Phase = NodeEnded
		}
	})
}

// sayWhole notes since when all VUs of the present epoch run: they are initialised, and nobody has yet to let one go.
// l.mu is held.
func (l *life) sayWhole(s *Status) {
	if s.Whole < l.epoch && l.ready >= l.epoch && len(l.coming) == 0 {
		s.Whole, s.WholeAt = l.epoch, l.t.clock.Now()
	}
}

// commit takes the run's present epoch over, or leaves the run.
func (l *life) commit(ctx context.Context, st ownState) error {
	a := l.part(st.now)
	if a == nil || slices.Contains(st.Struck, l.inc) {
		l.retire()
		return nil
	}
	epoch, err := l.epochOf(ctx, st.State, a)
	if err != nil {
		return err
	}
	l.warm(a)
	e := l.engineIs()
	if err := e.Commit(epoch); err != nil {
		return err
	}
	l.giveUp(a.Share)
	l.await(ctx, a)
	l.epoch, l.share, l.held = st.Epoch, a.Share, 0
	l.mail.epoch.Store(int64(st.Epoch))
	l.thaw()
	l.sayRunning()
	return nil
}

// giveUp notes which slots this life has to let go.
func (l *life) giveUp(next share.Share) {
	fresh := map[int]executor.Handover{}
	for slot, h := range l.released {
		if !next.All().Has(slot) && h.Slot >= 0 {
			fresh[slot] = h
		}
	}
	l.released = fresh
	maps.DeleteFunc(l.going, func(slot int, _ bool) bool { return next.All().Has(slot) })
	for slot := range l.share.All().Minus(next.All()).Values() {
		l.going[slot] = true
	}
}

// look asks the engine which slots it has let go, and whether its load is over.
func (l *life) look() {
	e := l.engineIs()
	if e == nil {
		return
	}
	over := !l.isRunning()
	if len(l.going) > 0 {
		for _, h := range e.Released() {
			if l.going[h.Slot] {
				delete(l.going, h.Slot)
				l.released[h.Slot] = h
			}
		}
		if over {
			clear(l.going) // whoever waits for them sees that this life has ended
		}
	}
	l.receive(e)
	l.sayState()
}

// sayState brings the slots that were let go, and the end of the load, into the status.
func (l *life) sayState() {
	over := !l.isRunning()
	released := slices.Collect(maps.Values(l.released))
	slices.SortFunc(released, func(a, b executor.Handover) int { return a.Slot - b.Slot })
	l.say(func(s *Status) {
		s.Released = released
		l.sayWhole(s)
		if over {
			s.Phase = NodeEnded
		}
	})
}

// drain ends whatever this life does before teardown.
func (l *life) drain(st State) {
	l.stopWork()
	if l.epoch == 0 {
		if l.loadOver() {
			return
		}
		l.ended(0, nil)
		return
	}
	if st.Stop != l.stopped && st.Stop != "" {
		l.stopped = st.Stop
		l.stop(st.Stop)
	}
	if !l.isRunning() {
		l.sayState()
	}
}

func (l *life) loadOver() bool {
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}

// stop ends the load.
func (l *life) stop(mode StopMode) {
	l.mu.Lock()
	cancel, e := l.stopLoad, l.engine
	l.mu.Unlock()
	if mode == StopGraceful && e != nil {
		e.Stop()
		return
	}
	if cancel != nil {
		cancel()
	}
}

// retire ends a life that the run does not count on any more: whatever it still
// does is interrupted at once, and its last report is made.
func (l *life) retire() {
	l.out = true
	l.mu.Lock()
	l.retired = true
	l.mu.Unlock()
	l.leaveOff()
	l.stopWork()
	if l.epoch == 0 {
		l.ended(0, nil)
	} else {
		l.stop(StopInterrupt)
	}
	l.wg.Go(l.closeAfterwards)
}

// bury ends a life whose engine died.
func (l *life) bury(f *Failure) {
	l.out = true
	l.leaveOff()
	l.t.n.log.Error("the engine of this node ended by itself", "run", l.t.run, "reason", f)
	l.say(func(s *Status) { s.Phase, s.Died = NodeFailed, f })
	l.stop(StopInterrupt)
	if l.epoch == 0 {
		l.ended(0, nil)
	}
	l.wg.Go(l.closeAfterwards)
}

// leaveOff ends what goes on beside the load.
func (l *life) leaveOff() {
	l.t.clock.unfollow(l)
	for _, stop := range l.taking {
		stop()
	}
}

// closeAfterwards frees the engine when its last report has been made.
func (l *life) closeAfterwards() {
	<-l.over
	if l.engineIs() == nil {
		return
	}
	if _, err := l.write(true); err != nil {
		l.t.n.log.Warn("the last report of an engine could not be made", "run", l.t.run, "reason", err)
	}
	l.closeEngine()
}
