package executor

import (
	"context"
	"sync/atomic"
	"time"
)

// looper is the VU of one slot, which loops while it is wanted.
type looper struct {
	crew   *crew
	slot   int          // from the scenario's base
	wanted atomic.Bool  // read before every iteration
	n      atomic.Int64 // iterations begun in the VU's life, here and before; written by its goroutine
	limit  atomic.Int64 // of n, where every slot has marks of its own
	half   atomic.Int64 // the n at which to ask for more
	began  atomic.Int64 // when its counted iteration began, as by forecast.now; 0 between two

	vu VU // its goroutine's own while that runs

	// What follows is guarded by crew.mu.
	running   bool // its goroutine is there, perhaps in a last iteration
	inside    bool // it has its VU and loops, or is in its last iteration
	blocked   bool // it waits between two iterations
	warming   bool // its VU is to be made, wanted or not
	gained    bool // the slot came from another node
	untouched bool // it came before the scenario began
	awaited   bool // another node has yet to let it go
	held      bool // a promise keeps it from going on
	leaving   bool // the slot is no longer this node's
	use       usage
	since     time.Duration // when the use began
	cut       context.CancelFunc
	cutAt     time.Duration // when the last iteration is to be cut
}

// ending reports that a VU that is to end is still in its last iteration; crew.mu is held.
func (l *looper) ending() bool { return l.inside && !l.blocked && (l.leaving || l.held) }

// run loops for as long as the VU is wanted; a VU that is wanted again after it was cut loops with a new
// context.
func (l *looper) run(ctx context.Context) {
	for {
		stretch, ok := l.enter(ctx)
		if !ok {
			return
		}
		if l.vu == nil {
			l.vu = l.crew.get(stretch, l.slot)
		}
		if l.vu != nil && l.begin() {
			l.spin(stretch)
		}
		l.leave()
	}
}

// enter begins a stretch of looping, or ends the goroutine.
func (l *looper) enter(ctx context.Context) (context.Context, bool) {
	c := l.crew
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil || c.stopping.Load() || !(l.wanted.Load() || l.warming) || c.trade.ended(l) {
		l.running = false
		c.running--
		c.tell()
		return nil, false
	}
	stretch, cut := context.WithCancel(ctx)
	l.cut = cut
	return stretch, true
}

// begin books that the VU is ready, and reports whether it is wanted.
func (l *looper) begin() bool {
	c := l.crew
	c.mu.Lock()
	defer c.mu.Unlock()
	l.warming = false
	if !l.wanted.Load() || c.stopping.Load() {
		return false
	}
	c.alive(c.Clock.Now())
	now := max(l.since, c.Clock.Now())
	if !l.gained && now-l.since <= moment {
		now = l.since
	}
	l.book(looping, now)
	l.inside = true
	c.active.Add(1)
	return true
}

func (l *looper) leave() {
	c := l.crew
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alive(c.Clock.Now())
	if l.inside {
		c.active.Add(-1)
		l.inside = false
		if l.leaving || l.held { // up to now its last iteration kept it looping here
			l.since = max(l.since, c.Clock.Now())
			l.book(unused, l.since)
		}
	}
	if l.may() { // it was cut and goes on, or has nothing left to do
		l.since = max(l.since, c.Clock.Now())
		l.book(unused, l.since)
		if !c.trade.ended(l) {
			l.book(waiting, l.since)
		}
	}
	l.cut()
	l.cut = nil
}

// spin runs iterations while the VU is wanted, in a context for each time that the fence is open.
func (l *looper) spin(stretch context.Context) {
	c := l.crew
	for l.pass(stretch) {
		bound, free := c.Fence.Bind(stretch)
		c.trade.work(bound, l)
		free()
		if stretch.Err() != nil || c.trade.ended(l) {
			return
		}
	}
}

// may reports whether an iteration may begin as far as the VU is concerned.
func (l *looper) may() bool { return l.wanted.Load() && !l.crew.stopping.Load() }

// pass waits until the next iteration may begin and reports whether it will.
func (l *looper) pass(stretch context.Context) bool {
	c := l.crew
	if !l.may() {
		return false
	}
	if c.clear() && c.trade.allowed(l) {
		return true
	}
	if !l.block(true, c.Fence.Open()) {
		return false
	}
	open := true
	defer func() { l.block(false, open) }()
	timer := newTimer()
	for {
		raised := c.raised()
		switch {
		case stretch.Err() != nil || !l.may() || c.trade.ended(l):
			return false
		case c.Clock.Standing():
			c.Clock.wait(timer, c.Clock.Now()+1, nil, stretch.Done(), c.halted)
			continue
		case !c.Fence.Open():
			open = false
			raised = c.Fence.Opened()
		case c.trade.allowed(l):
			return true
		default:
			c.starve()
		}
		select {
		case <-raised:
		case <-stretch.Done():
		case <-c.halted:
		}
	}
}

// book notes what the VU's time goes to from a moment on; crew.mu is held. If something has kept it from looping no
// longer than a moment, that was time in which it looped, too. Nothing counts after the end, which a process that stood
// still may have missed.
func (l *looper) book(to usage, at time.Duration) {
	at = min(at, l.crew.ends())
	if l.use == briefly && at-l.since <= moment {
		l.crew.sheet.change(&l.use, looping, l.since)
	}
	if l.use == waiting && to == looping && at > l.since {
		l.crew.sheet.wait(l.since, at)
	}
	l.crew.sheet.change(&l.use, to, at)
}

// block books that the VU is kept from looping though it is wanted, or no longer so. It reports whether it is wanted.
// Unless the fence is not open, or was not, what keeps it may have taken no more than a moment of the run: marks that
// are about to be raised, or a pause, in which no time passes.
func (l *looper) block(on, open bool) bool {
	c := l.crew
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alive(c.Clock.Now())
	wanted := l.may()
	if l.blocked == on || on && !wanted {
		return wanted
	}
	l.blocked = on
	use, by := looping, int64(1)
	switch {
	case on && open:
		use, by = briefly, -1
	case on:
		use, by = unused, -1
	case !open && l.use == briefly:
		l.use = unused
	}
	c.active.Add(by)
	if wanted {
		now := max(l.since, c.Clock.Now())
		l.book(use, now)
		l.since = now
	}
	return wanted
}
