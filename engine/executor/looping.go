package executor

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
)

// endless is the trade of VUs that loop for as long as they are wanted.
type endless struct {
	*crew
	limit atomic.Int64 // the number that no VU begins
	half  atomic.Int64 // the number at which to ask for more
}

func newEndless(c *crew, e Epoch) *endless {
	t := &endless{crew: c}
	t.half.Store(math.MaxInt64)
	if !c.Marked {
		t.limit.Store(math.MaxInt64)
	}
	c.enlist(t, e)
	return t
}

func (t *endless) work(ctx context.Context, l *looper) {
	fenced := t.Fence != nil
	for l.may() && t.clear() {
		n := l.n.Load()
		if n >= t.limit.Load() || fenced && ctx.Err() != nil {
			return
		}
		if n >= t.half.Load() && t.half.Swap(math.MaxInt64) < math.MaxInt64 {
			t.ask()
		}
		l.n.Store(n + 1)
		if !t.loop(ctx, l.vu, l.slot, n) && ctx.Err() != nil {
			return
		}
	}
}

func (t *endless) ended(*looper) bool     { return false }
func (t *endless) allowed(l *looper) bool { return l.n.Load() < t.limit.Load() }
func (t *endless) takeUp(Epoch)           {}
func (t *endless) owes() bool             { return false }
func (t *endless) joins(*looper)          {}
func (t *endless) beyond(int) int64       { return 0 }

// furthest is the highest number that a VU here will begin next.
func (t *endless) furthest() int64 {
	n := int64(0)
	for _, l := range t.of {
		n = max(n, l.n.Load())
	}
	for _, e := range t.line.queue {
		if len(e.Work) > 0 {
			for _, next := range e.Work[t.index].Next {
				n = max(n, next)
			}
		}
	}
	for _, h := range t.arrivals {
		n = max(n, h.Next)
	}
	return n
}

// Marks is the number that no VU is to begin for the time being.
func (t *endless) Marks() Marks {
	if !t.Marked {
		return Marks{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.furthest()
	least := int64(2)
	if t.pace.at.IsZero() {
		least = loopingFirst
	}
	return Marks{Limit: max(t.limit.Load(), n+t.pace.ahead(max(0, n-1), loopingAhead, least))}
}

// Allow raises the number.
func (t *endless) Allow(m Marks) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.Marked || m.Limit <= t.limit.Load() {
		return
	}
	n := t.furthest()
	t.limit.Store(m.Limit)
	t.half.Store(n + (m.Limit-n)/2)
	t.raise()
}

// Ledger counts the VUs' time besides the iterations.
func (t *endless) Ledger() Ledger {
	l := t.ledger()
	t.mu.Lock()
	defer t.mu.Unlock()
	now := max(0, min(t.Clock.Now(), t.ends()))
	t.alive(now)
	l.Active = t.sheet.looping.total(now)
	l.Handover = t.sheet.waited.total(now)
	return l
}

// own is the number of VUs here.
func (c *crew) own() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.slots)
}

// constantVUs keeps a fixed number of VUs looping.
type constantVUs struct{ *endless }

func newConstantVUs(b *base, e Epoch) *constantVUs {
	return &constantVUs{newEndless(newCrew(b, level(b.max)), e)}
}

// Progress counts time.
func (e *constantVUs) Progress() Progress {
	own := e.own()
	return e.timed(own, fmt.Sprintf("%d VUs", own), e.regular.String(), "")
}

// rampingVUs starts and stops looping VUs along its stages.
type rampingVUs struct{ *endless }

func newRampingVUs(b *base, e Epoch) *rampingVUs {
	c := newCrew(b, slope{int64(b.scenario.StartVUs), b.scenario.Stages})
	c.rest, c.part = b.scenario.GracefulRampDown, b.scenario.GracefulRampDown
	return &rampingVUs{newEndless(c, e)}
}

// Progress counts time.
func (e *rampingVUs) Progress() Progress {
	own := e.own()
	return e.timed(own, counted(e.active.Load(), int64(own))+" VUs", clock(e.regular, e.regular), "")
}
