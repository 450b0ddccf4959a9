package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"hive/engine/executor"
	"hive/engine/share"
)

// Warm makes the VUs that a share adds to what the engine has, so that they are there when its time comes. VUs that are
// there already, or in use, are left alone. What it made stays until the next Commit or Withdraw, and longer if that
// epoch wants it. The error names the VU whose init code failed.
func (e *Engine) Warm(ctx context.Context, s share.Share) error {
	if err := e.fits(s); err != nil {
		return &Error{KindConfig, err}
	}
	e.warming.RLock()
	defer e.warming.RUnlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	e.tenure.warm(s.All())
	e.pool.sift()
	if err := e.pool.warm(ctx, e.slots(s, executor.Scenario.Planned)); err != nil {
		return scriptError(err)
	}
	return nil
}

// Propose is a promise: from ep.From on nothing starts that ep takes away from this engine, until Commit of that epoch
// or a later one, Withdraw, or another Propose. Before Run it is kept as soon as that begins. A promise that cannot be
// kept any more, because what it gives away has begun, is refused.
func (e *Engine) Propose(ep executor.Epoch) error {
	if err := e.fits(ep.Share); err != nil {
		return &Error{KindConfig, err}
	}
	return e.order(func(c *ensemble) error {
		e.paced(func() { e.tenure.propose(ep) })
		return c.each(func(x executor.Executor) error { return x.Propose(ep) })
	})
}

// Commit makes ep what the engine executes from ep.From on, be that ahead or past, and ends a promise.
func (e *Engine) Commit(ep executor.Epoch) error {
	if err := e.fits(ep.Share); err != nil {
		return &Error{KindConfig, err}
	}
	return e.order(func(c *ensemble) error {
		e.paced(func() { e.tenure.commit(ep, c.clock.Now()) })
		defer e.pool.sift()
		return c.each(func(x executor.Executor) error { return x.Commit(ep) })
	})
}

// Withdraw ends a promise: the engine goes on as before.
func (e *Engine) Withdraw() {
	_ = e.order(func(c *ensemble) error {
		e.paced(e.tenure.withdraw)
		defer e.pool.sift()
		return c.each(func(x executor.Executor) error {
			x.Withdraw()
			return nil
		})
	})
}

// Receive starts VUs of slots that an epoch's Awaits held back.
func (e *Engine) Receive(slots []executor.Handover) {
	_ = e.order(func(c *ensemble) error {
		e.paced(func() { e.tenure.letGo(slots) })
		return c.each(func(x executor.Executor) error {
			x.Receive(slots)
			return nil
		})
	})
}

// Released are the slots given up in the present epoch whose VUs have ended, ascending. A slot that scenarios have in
// turn is released when none of them uses it any more; the number of its next iteration is that of the scenario in
// which it was when the epoch began.
func (e *Engine) Released() []executor.Handover {
	c, from := e.ensemble.Load(), e.tenure.latest()
	slots := map[int]*release{}
	for i, x := range c.executors {
		if x == nil {
			continue
		}
		for _, h := range x.Released() {
			r := slots[h.Slot]
			if r == nil {
				r = &release{Handover: executor.Handover{Slot: h.Slot}, since: -1}
				slots[h.Slot] = r
			}
			r.by = append(r.by, i)
			r.At = max(r.At, h.At)
			if began := e.opts.Scenarios[i].StartTime; began < from && began > r.since {
				r.since, r.Next = began, h.Next
			}
		}
	}
	list := make([]executor.Handover, 0, len(slots))
	for _, r := range slots {
		if !e.inUse(c, r) {
			list = append(list, r.Handover)
		}
	}
	slices.SortFunc(list, func(a, b executor.Handover) int { return cmp.Compare(a.Slot, b.Slot) })
	if e.tenure.letGo(list) { // before anybody hears of it and counts them
		e.paced(func() {})
	}
	return list
}

// release is a slot that some scenarios have released.
type release struct {
	executor.Handover
	by    []int         // these, ascending
	since time.Duration // when the one began that Next belongs to
}

// inUse reports whether a scenario has not released a slot of its own yet.
func (e *Engine) inUse(c *ensemble, r *release) bool {
	for i, x := range c.executors {
		within := r.Slot - e.share.Base(i)
		if x != nil && within >= 0 && within < e.share.Max(i) && !slices.Contains(r.by, i) {
			return true
		}
	}
	return false
}

// Marks are what the engine wants to be allowed, by scenario.
func (e *Engine) Marks() []executor.Marks {
	c := e.ensemble.Load()
	marks := make([]executor.Marks, len(c.executors))
	for i, x := range c.executors {
		if x != nil {
			marks[i] = x.Marks()
		}
	}
	return marks
}

// NeedMarks gives a value when Marks want to be looked at. It is never closed.
func (e *Engine) NeedMarks() <-chan struct{} { return e.needMarks }

// Allow lets counted iterations go as far as marks say, by scenario; what was allowed before stays so.
func (e *Engine) Allow(marks []executor.Marks) {
	_ = e.order(func(c *ensemble) error {
		for i, x := range c.executors {
			if x != nil && i < len(marks) {
				x.Allow(marks[i])
			}
		}
		return nil
	})
}

// Ledger is what became of the iterations here, by scenario.
func (e *Engine) Ledger() []executor.Ledger {
	c := e.ensemble.Load()
	ledgers := make([]executor.Ledger, len(c.executors))
	for i, x := range c.executors {
		if x != nil {
			ledgers[i] = x.Ledger()
		}
	}
	return ledgers
}
