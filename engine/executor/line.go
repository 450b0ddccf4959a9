package executor

import "time"

// line is the row of epochs: what is committed and has yet to begin, and what is proposed. It is guarded by its owner.
type line struct {
	last  int     // number of the newest epoch that is committed
	queue []Epoch // to begin, in order
	held  *Epoch  // proposed; the pointer tells one proposal from the next
}

// propose keeps a promise; an epoch without a beginning asks for none yet.
func (l *line) propose(e Epoch) {
	if e.Number <= l.last || e.From < 0 {
		l.held = nil
		return
	}
	l.held = &e
}

// commit queues an epoch up and reports whether it is new. The promise that was made for it is kept by the epoch.
func (l *line) commit(e Epoch) bool {
	if e.Number <= l.last {
		return false
	}
	l.last = e.Number
	if l.held != nil && l.held.Number <= e.Number {
		l.held = nil
	}
	l.queue = append(l.queue, e)
	return true
}

// begin takes the next epoch from the queue when it has begun at now.
func (l *line) begin(now time.Duration) (Epoch, bool) {
	if len(l.queue) == 0 || l.queue[0].From > now {
		return Epoch{}, false
	}
	e := l.queue[0]
	l.queue = l.queue[1:]
	return e, true
}

// next is when the next epoch begins, at the earliest.
func (l *line) next() time.Duration {
	if len(l.queue) == 0 {
		return Never
	}
	return l.queue[0].From
}

// holds is from when on a promise is kept.
func (l *line) holds() time.Duration {
	if l.held == nil {
		return Never
	}
	return l.held.From
}
