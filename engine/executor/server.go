package executor

import (
	"context"
	"time"
)

// server is a VU that waits for iterations.
type server struct {
	slot int
	work chan arrivalTask // of one: a free server can always be given an iteration
	ctx  context.Context
	cut  context.CancelFunc // interrupts it
	halt context.CancelFunc // ends the making of its VU
	next int64              // the VU's next iteration number; its goroutine's own while it is busy or being made

	// What follows is guarded by arrival.mu.
	made       bool // it has its VU
	making     bool // its VU is being made
	busy       bool // an iteration was given to it
	leaving    bool // the slot is no longer this node's
	awaited    bool // it leaves before another node has let it go
	fresh      bool // it was not made before the start
	grown      bool // it was made since no VU was free
	cutAt      time.Duration
	prev, link *server // neighbours among the free ones
	free       bool
}

type arrivalTask struct {
	number, count int64
	due           time.Duration
}

// queue holds the free servers, the one that has waited longest first.
type queue struct{ first, last *server }

func (q *queue) push(s *server) {
	s.free, s.prev, s.link = true, q.last, nil
	if q.last != nil {
		q.last.link = s
	} else {
		q.first = s
	}
	q.last = s
}

func (q *queue) pop() *server {
	s := q.first
	if s != nil {
		q.remove(s)
	}
	return s
}

func (q *queue) remove(s *server) {
	if !s.free {
		return
	}
	if s.prev != nil {
		s.prev.link = s.link
	} else {
		q.first = s.link
	}
	if s.link != nil {
		s.link.prev = s.prev
	} else {
		q.last = s.prev
	}
	s.free, s.prev, s.link = false, nil, nil
}

// serve makes the VU and runs iterations on it until there will be no more.
func (e *arrival) serve(making context.Context, s *server) {
	vu := e.get(making, s.slot)
	s.halt()
	if !e.made(s, vu != nil) {
		return
	}
	bound, free := e.Fence.Bind(s.ctx)
	defer func() { free() }()
	for task := range s.work {
		if bound.Err() != nil && s.ctx.Err() == nil {
			free()
			bound, free = e.Fence.Bind(s.ctx)
		}
		if !e.Fence.Open() {
			e.lose(s)
			continue
		}
		e.active.Add(1)
		e.Events.Lateness(e.index, max(0, e.Clock.Now()-task.due))
		e.iterate(bound, vu, Iteration{Scenario: e.index, InTest: task.number, InInstance: task.count, InVU: s.next})
		e.active.Add(-1)
		s.next++
		e.rest(s)
	}
}

// made books that a server's VU is ready, or that there will be none, and reports which.
func (e *arrival) made(s *server, ready bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	s.making, s.made = false, ready
	if s.grown {
		e.growing = false
	}
	if ready && s.fresh {
		e.initialised++
	}
	if !ready {
		e.free.remove(s)
		if s.busy { // what was given to it has not begun
			s.busy = false
			e.counts.started.Add(-1)
			e.counts.lost.Add(1)
		}
	}
	if ready && !s.leaving && !s.free && !s.busy {
		e.free.push(s)
	}
	if !ready || s.leaving || e.stopping.Load() {
		e.tell()
	}
	return ready
}

// rest makes a server free again.
func (e *arrival) rest(s *server) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s.busy = false
	if !s.leaving {
		e.free.push(s)
	}
	if s.leaving || e.stopping.Load() {
		e.tell()
	}
}

// lose takes an iteration back that was given to a server right before the fence closed.
func (e *arrival) lose(s *server) {
	e.mu.Lock()
	e.counts.started.Add(-1)
	e.counts.lost.Add(1)
	e.mu.Unlock()
	e.rest(s)
}
