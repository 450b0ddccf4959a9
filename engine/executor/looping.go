package executor

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// constantVUs keeps a fixed number of VUs looping.
type constantVUs struct{ *base }

func newConstantVUs(b *base) *constantVUs { return &constantVUs{b} }

// Run loops until the duration has passed.
func (e *constantVUs) Run(ctx context.Context, start time.Time) error {
	return e.run(ctx, start, func(ctx context.Context, _ time.Time) {
		eachSlot(ctx, e.base, func(ctx context.Context, vu VU, slot int) {
			for n := int64(0); !e.stopping.Load(); n++ {
				if !e.loop(ctx, vu, slot, n) && ctx.Err() != nil {
					return
				}
			}
		})
	})
}

// Progress counts time.
func (e *constantVUs) Progress() Progress {
	return e.timed(fmt.Sprintf("%d VUs", len(e.slots)), e.regular.String(), "")
}

// rampingVUs starts and stops looping VUs along its stages.
type rampingVUs struct {
	*base
	loopers loopers
}

func newRampingVUs(b *base) *rampingVUs { return &rampingVUs{base: b, loopers: newLoopers(b)} }

// Run follows the stages to their end.
func (e *rampingVUs) Run(ctx context.Context, start time.Time) error {
	return e.run(ctx, start, e.ramp)
}

func (e *rampingVUs) ramp(ctx context.Context, begin time.Time) {
	defer e.loopers.close()
	for step := range e.scenario.RampingSchedule(e.slots) {
		// The steps at the very end belong to the ramp: only Stop and ctx end it early.
		if !e.sleepUntil(ctx, begin.Add(step.At)) {
			break
		}
		l := e.loopers.of[step.Slot]
		if step.Up {
			l.start(ctx)
		} else {
			l.release(e.scenario.GracefulRampDown)
		}
	}
	<-e.halted
}

// Progress counts time.
func (e *rampingVUs) Progress() Progress {
	return e.timed(counted(e.active.Load(), int64(len(e.slots)))+" VUs", clock(e.regular, e.regular), "")
}

// loopers are the VUs of the own slots, to be started and released one by one.
type loopers struct {
	of      map[int]*looper
	base    *base
	running *sync.WaitGroup
}

func newLoopers(b *base) loopers {
	ls := loopers{of: make(map[int]*looper, len(b.slots)), base: b, running: new(sync.WaitGroup)}
	for _, slot := range b.slots {
		ls.of[slot] = &looper{base: b, slot: slot, all: ls.running}
	}
	return ls
}

// close waits until all have ended and gives their VUs back.
func (ls loopers) close() {
	ls.running.Wait()
	for _, slot := range ls.base.slots {
		ls.of[slot].close()
	}
}

// looper is a VU that loops while it is wanted.
type looper struct {
	base   *base
	slot   int
	all    *sync.WaitGroup
	wanted atomic.Bool // read before every iteration

	mu      sync.Mutex // guards all below
	running bool       // its goroutine is there, perhaps in a last iteration
	cut     context.CancelFunc
	timer   *time.Timer // cuts the last iteration

	vu VU    // its goroutine's own
	n  int64 // its goroutine's own: iterations begun
}

// forever lets a released VU's iteration run on for as long as it takes.
const forever time.Duration = -1

// start makes the VU loop. One that is in its last iteration goes on afterwards as if nothing had been.
func (l *looper) start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted.Store(true)
	if l.timer != nil {
		l.timer.Stop()
	}
	if !l.running {
		l.running = true
		l.all.Go(func() { l.run(ctx) })
	}
}

// release lets the VU end its iteration and cuts it after the grace.
func (l *looper) release(grace time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted.Store(false)
	switch {
	case !l.running || grace == forever:
	case grace == 0:
		l.cutNow()
	default:
		l.timer = time.AfterFunc(grace, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if !l.wanted.Load() {
				l.cutNow()
			}
		})
	}
}

func (l *looper) cutNow() {
	if l.cut != nil {
		l.cut()
	}
}

// run loops for as long as the VU is wanted; a VU that is wanted again after it was cut loops with a new
// context.
func (l *looper) run(ctx context.Context) {
	for {
		current, ok := l.enter(ctx)
		if !ok {
			return
		}
		l.spin(current)
		l.leave()
	}
}

// enter begins a stretch of looping, or ends the goroutine.
func (l *looper) enter(ctx context.Context) (context.Context, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.wanted.Load() || l.base.stopping.Load() || ctx.Err() != nil {
		l.running = false
		return nil, false
	}
	current, cut := context.WithCancel(ctx)
	l.cut = cut
	l.base.active.Add(1)
	return current, true
}

func (l *looper) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.base.active.Add(-1)
	l.cut()
	l.cut = nil
}

func (l *looper) spin(ctx context.Context) {
	if l.vu == nil {
		if l.vu = l.base.get(ctx, l.slot); l.vu == nil {
			return
		}
	}
	for l.wanted.Load() && !l.base.stopping.Load() {
		l.n++
		if !l.base.loop(ctx, l.vu, l.slot, l.n-1) && ctx.Err() != nil {
			return
		}
	}
}

// close gives the VU back; its goroutine has ended.
func (l *looper) close() {
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.vu != nil {
		l.base.put(l.slot)
	}
}
