package executor

import (
	"context"
	"fmt"
	"math"
)

// perVUIterations runs a fixed number of iterations on each VU.
type perVUIterations struct {
	*crew
	permits map[int]int64 // by slot, the number that its VU does not begin; guarded by crew.mu
	ahead   *forecast
	kept    Begun // by slot, see begunSize; may be nil
}

func newPerVUIterations(b *base, e Epoch) *perVUIterations {
	x := &perVUIterations{crew: newCrew(b, level(b.max)), permits: map[int]int64{}, ahead: newForecast(), kept: b.begunHere()}
	x.enlist(x, e)
	return x
}

// Run runs the iterations; each VU that maxDuration cut off reports what it did not begin.
func (e *perVUIterations) Run(ctx context.Context) error {
	err := e.crew.Run(ctx)
	if !e.expired || err != nil {
		return err
	}
	for _, slot := range e.slots {
		if l := e.of[slot]; l != nil && !l.awaited {
			if rest := e.scenario.Iterations - l.n.Load(); rest > 0 {
				e.drop(rest, MaxDuration, e.offset+slot)
			}
		}
	}
	return err
}

func (e *perVUIterations) work(ctx context.Context, l *looper) {
	fenced := e.Fence != nil
	for l.may() && e.clear() && !e.ended(l) && !(fenced && ctx.Err() != nil) {
		n := l.n.Load()
		if e.Marked && n >= l.limit.Load() {
			return
		}
		e.ahead.begin(l)
		l.n.Store(n + 1)
		e.keep(l, n+1)
		if e.Marked && n >= l.half.Load() && l.half.Swap(math.MaxInt64) < math.MaxInt64 {
			e.ask()
		}
		complete := e.loop(ctx, l.vu, l.slot, n)
		e.ahead.end(l)
		if !complete && ctx.Err() != nil {
			return
		}
	}
}

func (e *perVUIterations) ended(l *looper) bool   { return l.n.Load() >= e.scenario.Iterations }
func (e *perVUIterations) allowed(l *looper) bool { return !e.Marked || l.n.Load() < l.limit.Load() }
func (e *perVUIterations) takeUp(Epoch)           {}
func (e *perVUIterations) owes() bool             { return false }
func (e *perVUIterations) beyond(int) int64       { return 0 }

// joins permits what was allowed before the slot came. How far its VU has come is not known here before another node says so.
func (e *perVUIterations) joins(l *looper) {
	e.permit(l)
	if l.awaited {
		e.keep(l, -1)
	} else {
		e.keep(l, l.n.Load())
	}
}

// keep writes down that a VU has begun n iterations; -1 is that nobody knows.
func (e *perVUIterations) keep(l *looper, n int64) {
	if l.slot < len(e.kept) {
		e.kept[l.slot].Store(n + 1)
	}
}

// Marks are, for each slot here and each that is about to come, the number that its VU wants not to begin.
func (e *perVUIterations) Marks() Marks {
	if !e.Marked {
		return Marks{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m := Marks{Slots: make(map[int]int64, len(e.of))}
	for slot := range e.of {
		m.Slots[slot] = e.permits[slot]
	}
	if e.frozen() {
		return m
	}
	ahead := e.ahead.look(e.crew)
	for slot, l := range e.of {
		if !l.awaited && !l.leaving {
			n := l.n.Load() // first
			m.Slots[slot] = e.mark(slot, n, ahead.due(l.began.Load()))
		}
	}
	for _, epoch := range e.line.queue {
		if len(epoch.Work) == 0 {
			continue
		}
		for slot, next := range epoch.Work[e.index].Next {
			m.Slots[slot] = max(m.Slots[slot], e.mark(slot, next, ahead.due(0)))
		}
	}
	return m
}

// mark is what a slot wants that has begun n iterations and is going to begin some more.
func (e *perVUIterations) mark(slot int, n, due int64) int64 {
	return max(e.permits[slot], min(e.scenario.Iterations, n+due))
}

// Allow raises the numbers.
func (e *perVUIterations) Allow(m Marks) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.Marked {
		return
	}
	for slot, limit := range m.Slots {
		e.permits[slot] = max(e.permits[slot], limit)
		if l := e.of[slot]; l != nil {
			e.permit(l)
		}
	}
	e.raise()
}

// permit tells a VU what it may do.
func (e *perVUIterations) permit(l *looper) {
	limit := e.permits[l.slot]
	if limit <= l.limit.Load() {
		return
	}
	n := l.n.Load()
	if limit < e.scenario.Iterations {
		l.half.Store(n + (limit-n)/2)
	}
	l.limit.Store(limit)
}

// Ledger counts iterations.
func (e *perVUIterations) Ledger() Ledger { return e.ledger() }

// Progress counts iterations.
func (e *perVUIterations) Progress() Progress {
	ended := e.counts.ended()
	own, left := e.left()
	total := int64(own) * e.scenario.Iterations
	if e.Marked { // some of a VU's iterations may have been another node's
		total = ended + left
	}
	elapsed := e.elapsed()
	p := e.progress(own, float64(ended)/float64(max(1, total)), fmt.Sprintf("%d VUs", own),
		clock(elapsed, e.regular)+"/"+e.regular.String(), elapsed,
		fmt.Sprintf("%s iters, %d per VU", counted(ended, total), e.scenario.Iterations))
	p.Idle = p.Done || p.Started && left == 0
	return p
}

// left is how many VUs are here and how many iterations they have not ended.
func (e *perVUIterations) left() (own int, left int64) {
	left = e.counts.started.Load() - e.counts.ended()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, slot := range e.slots {
		left += max(0, e.scenario.Iterations-e.of[slot].n.Load())
	}
	return len(e.slots), left
}
