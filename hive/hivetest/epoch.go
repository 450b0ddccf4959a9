package hivetest

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"hive/engine/executor"
	"hive/engine/share"
)

// epoch is one with how far each arrival-rate scenario has come in it.
type epoch struct {
	executor.Epoch
	first  []int64 // the first index in it, by scenario
	begun  []int64 // own arrivals dealt with
	seq    []*share.Sequence
	awaits map[int]bool // slots that another engine has not let go
}

// commit takes an epoch over; e.mu is held.
func (e *Engine) commit(next executor.Epoch) {
	ep := &epoch{Epoch: next, first: make([]int64, len(e.rows)), begun: make([]int64, len(e.rows)), seq: make([]*share.Sequence, len(e.rows)), awaits: map[int]bool{}}
	for i := range e.rows {
		r := &e.rows[i]
		if arrives(r.s) {
			ep.first[i], ep.seq[i] = firstDue(r, next.From), next.Share.Iterations(i)
		}
		e.takeWork(i, next)
	}
	if len(e.epochs) > 0 {
		e.release() // of the one before
		own := next.Share.All()
		e.giving = e.giving.Union(e.epochs[len(e.epochs)-1].Share.All()).Minus(own)
		e.released = slices.DeleteFunc(e.released, func(h executor.Handover) bool { return own.Has(h.Slot) })
	}
	for slot := range next.Awaits.Values() {
		ep.awaits[slot] = true
	}
	e.epochs = append(e.epochs, ep)
	e.epochsIn = append(e.epochsIn, next.Number)
	e.held = nil
	e.release()
}

// takeWork takes over what an epoch says of one scenario's counted work.
func (e *Engine) takeWork(i int, next executor.Epoch) {
	r := &e.rows[i]
	var w share.Work
	if i < len(next.Work) {
		w = next.Work[i]
	}
	for slot, n := range w.Next {
		slot += next.Share.Base(i)
		r.next[slot] = max(r.next[slot], n)
	}
	if r.s.Executor != executor.SharedIterations {
		return
	}
	switch {
	case w.Whole:
		r.weights = w.Weights
		r.pieces = append(cut(r.pieces, max(r.taken, r.allowed.Limit)), w.Pieces...) // what was allowed stays its own
	case r.weights == nil:
		r.weights = next.Share.Nodes(i)
		if seq := next.Share.Iterations(i); !seq.Empty() {
			r.pieces = []share.Piece{{Owner: next.Share.Index(), From: 0, To: seq.Before(r.s.Iterations)}}
		}
	}
}

// Propose is a promise to begin nothing due at or after next.From.
func (e *Engine) Propose(next executor.Epoch) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = &next.From
	e.promises++
	return nil
}

// Withdraw ends the promise.
func (e *Engine) Withdraw() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = nil
}

// Commit takes an epoch over.
func (e *Engine) Commit(next executor.Epoch) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.epochs) == 0 {
		return errors.New("hivetest: an epoch was committed before Run")
	}
	if last := e.epochs[len(e.epochs)-1]; next.Number <= last.Number {
		return fmt.Errorf("hivetest: epoch %d was committed after %d", next.Number, last.Number)
	}
	e.commit(next)
	return nil
}

// Receive starts VUs that were awaited, in the present epoch.
func (e *Engine) Receive(slots []executor.Handover) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.epochs) == 0 {
		return
	}
	awaits := e.epochs[len(e.epochs)-1].awaits
	for _, h := range slots {
		if !awaits[h.Slot] {
			continue
		}
		delete(awaits, h.Slot)
		for i := range e.rows {
			e.rows[i].next[h.Slot] = max(e.rows[i].next[h.Slot], h.Next)
		}
	}
}

// Released are the slots let go in the present epoch.
func (e *Engine) Released() []executor.Handover {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.clock != nil {
		e.release()
	}
	return append([]executor.Handover(nil), e.released...)
}

// Marks are what the engine wants to be allowed.
func (e *Engine) Marks() []executor.Marks {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]executor.Marks, len(e.rows))
	for i := range e.rows {
		r := &e.rows[i]
		sh := e.cfg.Share
		if len(e.epochs) > 0 {
			sh = e.epochs[len(e.epochs)-1].Share
		}
		all[i] = r.wants(i, sh)
	}
	return all
}

// awaited says whether another engine has yet to let a slot go; e.mu is held.
func (e *Engine) awaited(slot int) bool {
	return slices.ContainsFunc(e.epochs, func(ep *epoch) bool { return ep.awaits[slot] })
}

// Begun is how far an engine that has died had come.
func (e *Engine) Begun() []executor.Marks {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.died == nil {
		return nil
	}
	all := make([]executor.Marks, len(e.rows))
	for i, r := range e.rows {
		switch area := e.cfg.Share.Plan().Scenarios[i]; r.s.Executor {
		case executor.SharedIterations:
			all[i].Limit = r.taken
		case executor.PerVUIterations:
			all[i].Slots = map[int]int64{}
			for slot := area.Base; slot < area.Base+area.Max; slot++ {
				// What another engine has to say of a slot first, or nobody has yet, is not known here.
				if n, ok := r.next[slot]; ok && !e.awaited(slot) {
					all[i].Slots[slot-area.Base] = n
				}
			}
		default:
			all[i].Limit = math.MaxInt64
		}
	}
	return all
}

// NeedMarks says when a row has come to its mark.
func (e *Engine) NeedMarks() <-chan struct{} { return e.need }

// Allow raises the marks.
func (e *Engine) Allow(marks []executor.Marks) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.rows {
		if i < len(marks) {
			e.rows[i].allowed = marks[i]
		}
	}
}
