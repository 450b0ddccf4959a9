package executor

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"hive/engine/share"
)

// arrival starts each iteration at its computed time, whatever the iterations before it do: one goroutine
// waits for the next due time and hands the iteration to a VU that is free. It serves both the constant and
// the ramping rate.
type arrival struct {
	*base
	numbers *share.Sequence
	due     func(int64) (time.Duration, bool)
	free    chan *server // VUs without an iteration, the one that has waited longest first

	vus         sync.WaitGroup
	open        []*server // VUs that take work; the dispatching goroutine's own
	fresh       chan *server
	growing     bool // an unplanned VU is being initialised; the dispatching goroutine's own
	warned      bool
	initialised atomic.Int64
}

// server is a VU that waits for iterations.
type server struct {
	slot int
	work chan arrivalTask // of one: a free server can always be given an iteration
}

type arrivalTask struct {
	number, count int64
	due           time.Time
}

func newArrival(b *base, numbers *share.Sequence) *arrival {
	e := &arrival{
		base: b, numbers: numbers, due: b.scenario.ArrivalSchedule(),
		free: make(chan *server, len(b.slots)), fresh: make(chan *server, 1),
	}
	e.initialised.Store(int64(e.planned()))
	return e
}

// planned is the number of own VUs that were initialised before the start.
func (e *arrival) planned() int {
	n := 0
	for _, slot := range e.slots {
		if slot < e.scenario.PreAllocatedVUs {
			n++
		}
	}
	return n
}

// Run starts iterations along the schedule.
func (e *arrival) Run(ctx context.Context, start time.Time) error {
	return e.run(ctx, start, e.dispatch)
}

func (e *arrival) dispatch(ctx context.Context, begin time.Time) {
	growth, cancel := context.WithCancel(ctx)
	for _, slot := range e.slots[:e.planned()] {
		s := e.newServer(slot)
		e.free <- s
		e.vus.Go(func() { e.serve(ctx, s, e.get(ctx, slot)) })
	}
	e.follow(ctx, growth, begin)
	<-e.halted
	cancel()
	if e.growing {
		<-e.fresh
	}
	for _, s := range e.open {
		close(s.work)
	}
	e.vus.Wait()
}

// follow goes through the own iterations in order of their times, until the schedule's end, Stop or ctx.
func (e *arrival) follow(ctx, growth context.Context, begin time.Time) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for count := int64(0); ; {
		number := e.numbers.Next()
		offset, ok := e.due(number)
		if !ok {
			return
		}
		due := begin.Add(offset)
		if !e.wait(ctx, timer, due) {
			return
		}
		select {
		case s := <-e.free:
			s.work <- arrivalTask{number: number, count: count, due: due}
			count++
		default:
			e.events.Dropped(e.index, 1, NoFreeVU, NoSlot)
			e.grow(ctx, growth)
		}
	}
}

// wait sleeps until due, not at all when it has passed, and reports false when Stop or ctx came first.
func (e *arrival) wait(ctx context.Context, timer *time.Timer, due time.Time) bool {
	if d := time.Until(due); d > 0 {
		timer.Reset(d)
		select {
		case <-timer.C:
			return true
		case <-e.soft:
			return false
		case <-ctx.Done():
			return false
		}
	}
	select {
	case <-e.soft:
		return false
	case <-ctx.Done():
		return false
	default:
		return true
	}
}

func (e *arrival) newServer(slot int) *server {
	s := &server{slot: slot, work: make(chan arrivalTask, 1)}
	e.open = append(e.open, s)
	return s
}

// grow initialises one more VU in the background, one at a time, up to maxVUs. Its making ends with growth, its
// iterations with ctx as those of all others.
func (e *arrival) grow(ctx, growth context.Context) {
	if e.growing {
		select {
		case <-e.fresh:
			e.growing = false
		default:
			return
		}
	}
	next := len(e.open)
	if next == len(e.slots) {
		if !e.warned {
			e.warned = true
			e.events.Warn(e.index, fmt.Sprintf("all %d VUs are busy and maxVUs is reached: iterations that are due are dropped", next))
		}
		return
	}
	e.growing = true
	s := e.newServer(e.slots[next])
	e.vus.Go(func() {
		vu := e.get(growth, s.slot)
		if vu != nil {
			e.initialised.Add(1)
			e.free <- s
		}
		e.fresh <- s
		e.serve(ctx, s, vu)
	})
}

// serve runs iterations on a VU until there will be no more.
func (e *arrival) serve(ctx context.Context, s *server, vu VU) {
	if vu == nil {
		return
	}
	defer e.put(s.slot)
	inVU := int64(0)
	for task := range s.work {
		e.active.Add(1)
		e.started.Add(1)
		e.events.Lateness(e.index, time.Since(task.due))
		e.iterate(ctx, vu, Iteration{Scenario: e.index, InTest: task.number, InInstance: task.count, InVU: inVU})
		e.active.Add(-1)
		inVU++
		e.free <- s
	}
}

// Progress counts time and shows the planned rate of this node.
func (e *arrival) Progress() Progress {
	own := float64(len(e.slots)) / float64(max(1, e.max))
	rate := rated(e.scenario.RateAt(min(e.elapsed(), e.regular))*own, e.scenario.PeakRate()*own)
	width := digits(int64(len(e.slots)))
	p := e.timed(fmt.Sprintf("%0*d/%0*d VUs", width, e.active.Load(), width, e.initialised.Load()), e.regular.String(), rate)
	p.Max = int(e.initialised.Load())
	return p
}
