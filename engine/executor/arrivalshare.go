package executor

import (
	"fmt"
	"time"
)

// Propose makes arrivals that are due from e.From on wait until the proposal has come to an end.
func (e *arrival) Propose(epoch Epoch) error {
	if err := e.fits(epoch); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if reached := e.reached(); epoch.From >= 0 && epoch.From < reached && epoch.Number > e.line.last {
		return fmt.Errorf("executor: epoch %d is proposed from %v on, but arrivals of %q due up to %v have begun; propose it for later",
			epoch.Number, epoch.From, e.scenario.Name, reached)
	}
	e.unhold()
	e.line.propose(epoch)
	e.tell()
	return nil
}

// Withdraw lets arrivals go on.
func (e *arrival) Withdraw() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unhold()
	e.tell()
}

// unhold ends a promise. What it has kept waiting is excused for coming late.
func (e *arrival) unhold() {
	if now := e.Clock.Now(); e.line.holds() < now {
		e.excuse(now)
	}
	e.line.held = nil
}

// Commit deals the arrivals afresh from e.From on.
func (e *arrival) Commit(epoch Epoch) error {
	if err := e.fits(epoch); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := e.Clock.Now(); epoch.Number > e.line.last && epoch.From < now {
		e.excuse(now)
	}
	if e.line.commit(epoch) {
		e.drain(epoch)
		if e.over {
			e.settleOver()
		}
	}
	e.tell()
	return nil
}

// Receive lets VUs of slots serve that were awaited.
func (e *arrival) Receive(slots []Handover) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.arrivals = append(e.arrivals, slots...)
	if e.over {
		e.settleOver()
	}
	e.tell()
}

// Released lists the slots that were given up, ascending.
func (e *arrival) Released() []Handover {
	e.mu.Lock()
	defer e.mu.Unlock()
	return handovers(e.released)
}

// Marks are none: iterations are bound to times.
func (e *arrival) Marks() Marks { return Marks{} }

// Allow has nothing to raise.
func (e *arrival) Allow(Marks) {}

// reached is the moment before which all that was due has been seen to; mu is held.
func (e *arrival) reached() time.Duration {
	if e.over {
		return e.final
	}
	return max(0, min(e.Clock.Now()+1, e.at, e.line.next()))
}

// Ledger counts iterations, all at the same moment.
func (e *arrival) Ledger() Ledger {
	ended := e.ledger()
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.ledger()
	l.Completed, l.Interrupted, l.Doubtful = ended.Completed, ended.Interrupted, ended.Doubtful // no more than have started
	l.Reached = e.reached()
	return l
}

// Progress counts time and shows the planned rate of this node.
func (e *arrival) Progress() Progress {
	e.mu.Lock()
	vus, initialised := len(e.slots), e.initialised
	e.mu.Unlock()
	own := float64(vus) / float64(max(1, e.max))
	rate := rated(e.scenario.RateAt(min(e.elapsed(), e.regular))*own, e.scenario.PeakRate()*own)
	width := digits(int64(vus))
	p := e.timed(vus, fmt.Sprintf("%0*d/%0*d VUs", width, e.active.Load(), width, initialised), e.regular.String(), rate)
	p.Max = initialised
	return p
}
