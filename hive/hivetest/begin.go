package hivetest

import (
	"slices"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/share"
)

// open says whether the fence is; e.mu is held.
func (e *Engine) open() bool { return !e.cfg.Fenced || time.Now().Before(e.deadline) }

// pass does all that is due, and says whether the load is over.
func (e *Engine) pass() (over bool) {
	e.mu.Lock()
	now := e.clock.Now()
	to := now
	if e.held != nil {
		to = min(to, *e.held)
	}
	var all []Iteration
	if e.open() {
		for k, ep := range e.epochs {
			end := to
			if k+1 < len(e.epochs) {
				end = min(end, e.epochs[k+1].From)
			}
			if begin := max(e.reached, ep.From); begin < end {
				all = append(all, e.between(ep, begin, end, now)...)
			}
		}
		e.reached = max(e.reached, to)
		for len(e.epochs) > 1 && e.epochs[1].From <= e.reached {
			e.epochs = e.epochs[1:]
		}
	}
	e.release()
	e.done += int64(len(all))
	over = e.over(now)
	e.mu.Unlock()
	e.tell(all)
	return over
}

// tell records what was begun.
func (e *Engine) tell(all []Iteration) {
	if n := len(all); n > 0 {
		e.store.Recorder(0).Record(e.reg.Root(), metric.Extra{}, time.Now(), metric.Value{Metric: e.reg.Builtin().Iterations, V: float64(n)})
		if e.cfg.Begun != nil {
			for _, it := range all {
				e.cfg.Begun(it)
			}
		}
	}
	if e.cfg.Passed != nil {
		e.cfg.Passed(int64(len(all)))
	}
}

// between begins what an epoch has in a stretch of the run; e.mu is held.
func (e *Engine) between(ep *epoch, from, to, now time.Duration) (all []Iteration) {
	for i := range e.rows {
		r := &e.rows[i]
		if arrives(r.s) {
			all = append(all, e.arrivals(i, ep, to, now)...)
			r.ledger.Reached = max(r.ledger.Reached, to)
			continue
		}
		all = append(all, e.steps(i, ep, from, to, now)...)
	}
	return all
}

// arrivals begins the own arrivals of an epoch that are due before a moment.
func (e *Engine) arrivals(i int, ep *epoch, to, now time.Duration) (all []Iteration) {
	r := &e.rows[i]
	for !ep.seq[i].Empty() {
		index := ep.first[i] + ep.seq[i].At(ep.begun[i])
		due, ok := r.due(index)
		due += r.s.StartTime
		if !ok || due >= to {
			break
		}
		ep.begun[i]++
		if now-due > e.cfg.Stale {
			r.ledger.Lost++
			continue
		}
		r.ledger.Started++
		r.ledger.Completed++
		all = append(all, Iteration{Scenario: i, Index: index, Slot: -1, Due: due, Epoch: ep.Number, At: time.Now()})
	}
	return all
}

// steps begins what the VUs of a scenario have to do in a stretch of the run:
// one iteration of each at each multiple of Step.
func (e *Engine) steps(i int, ep *epoch, from, to, now time.Duration) (all []Iteration) {
	r := &e.rows[i]
	from, to = max(from-r.s.StartTime, 0), min(to-r.s.StartTime, r.s.Regular())
	for n := (from + Step - 1) / Step; n*Step < to; n++ {
		due := r.s.StartTime + n*Step
		for _, local := range ep.Share.Slots(i) {
			slot := ep.Share.Base(i) + local
			if local >= r.scale || now-due > e.cfg.Stale {
				continue
			}
			if ep.awaits[slot] || !e.warm.Has(slot) {
				r.waited[slot] += Step
				continue
			}
			if it, ok := e.begin(i, slot, local, ep); ok {
				it.Due, it.Epoch, it.At = due, ep.Number, time.Now()
				r.ledger.Active += Step.Seconds()
				r.ledger.Handover += r.waited[slot].Seconds()
				delete(r.waited, slot)
				all = append(all, it)
			}
		}
	}
	return all
}

// begin is one iteration of a VU, if there is one to begin.
func (e *Engine) begin(i, slot, local int, ep *epoch) (it Iteration, ok bool) {
	r := &e.rows[i]
	if e.died != nil {
		return it, false
	}
	n := r.next[slot]
	switch r.s.Executor {
	case executor.SharedIterations:
		if e.cfg.Marked && r.taken >= r.allowed.Limit {
			e.ask()
			return it, false
		}
		index, ok := r.at(r.taken)
		if !ok {
			return it, false
		}
		r.taken++
		it = Iteration{Scenario: i, Index: index, Slot: slot}
	case executor.PerVUIterations:
		if n >= r.s.Iterations {
			return it, false
		}
		if e.cfg.Marked && n >= r.allowed.Slots[local] {
			e.ask()
			return it, false
		}
		it = Iteration{Scenario: i, Index: n, Slot: slot}
	default:
		if e.cfg.Marked && n >= r.allowed.Limit {
			e.ask()
			return it, false
		}
		it = Iteration{Scenario: i, Index: n, Slot: slot}
	}
	r.next[slot] = n + 1
	r.ledger.Started++
	r.ledger.Completed++
	return it, true
}

// ask says that marks are too low.
func (e *Engine) ask() {
	select {
	case e.need <- struct{}{}:
	default:
	}
}

// over says whether there is nothing more to do; e.mu is held.
func (e *Engine) over(now time.Duration) bool {
	if e.held != nil || len(e.epochs) > 1 {
		return false
	}
	for i := range e.rows {
		r := &e.rows[i]
		if now >= r.s.StartTime+r.s.Regular() && e.reached >= min(now, r.s.StartTime+r.s.Regular()) {
			continue
		}
		if e.cfg.Waits || !e.idle(i) {
			return false
		}
	}
	return true
}

// idle says whether nothing is left to do of a scenario that counts iterations; e.mu is held.
func (e *Engine) idle(i int) bool {
	if len(e.epochs) == 0 {
		return false
	}
	r, sh := &e.rows[i], e.epochs[0].Share
	switch r.s.Executor {
	case executor.SharedIterations:
		_, more := r.at(r.taken)
		return !more
	case executor.PerVUIterations:
		return !slices.ContainsFunc(sh.Slots(i), func(local int) bool { return r.next[sh.Base(i)+local] < r.s.Iterations })
	}
	return false
}

// release lets slots go that are to be let go by now; e.mu is held.
func (e *Engine) release() {
	if e.giving.Len() == 0 || e.reached < e.epochs[len(e.epochs)-1].From {
		return
	}
	plan := e.epochs[len(e.epochs)-1].Share.Plan()
	for slot := range e.giving.Values() {
		var next int64
		for i, r := range plan.Scenarios {
			if r.Base <= slot && slot < r.Base+r.Max {
				next = max(next, e.rows[i].next[slot])
			}
		}
		e.released = append(e.released, executor.Handover{Slot: slot, Next: next})
	}
	e.giving = share.Slots{}
}
