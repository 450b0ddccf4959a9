package executor

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"hive/engine/share"
)

// sharedIterations runs a fixed number of iterations, which VUs take from one row as fast as they can.
type sharedIterations struct {
	*base
	numbers *share.Sequence
	total   int64 // own iterations
	taken   atomic.Int64
	ended   atomic.Int64
}

func newSharedIterations(b *base, numbers *share.Sequence) *sharedIterations {
	return &sharedIterations{base: b, numbers: numbers, total: numbers.Before(b.scenario.Iterations)}
}

// Run runs the iterations and reports those that maxDuration cut off.
func (e *sharedIterations) Run(ctx context.Context, start time.Time) error {
	err := e.run(ctx, start, func(ctx context.Context, _ time.Time) { eachSlot(ctx, e.base, e.work) })
	if rest := e.total - e.taken.Load(); e.expired && rest > 0 && err == nil {
		e.events.Dropped(e.index, rest, MaxDuration, NoSlot)
	}
	return err
}

func (e *sharedIterations) work(ctx context.Context, vu VU, _ int) {
	for inVU := int64(0); !e.stopping.Load(); inVU++ {
		n, ok := e.take()
		if !ok {
			return
		}
		done := e.iterate(ctx, vu, Iteration{Scenario: e.index, InTest: e.numbers.At(n), InInstance: n, InVU: inVU})
		e.ended.Add(1)
		if !done && ctx.Err() != nil {
			return
		}
	}
}

// take reserves the next own iteration.
func (e *sharedIterations) take() (int64, bool) {
	for {
		n := e.taken.Load()
		if n >= e.total {
			return 0, false
		}
		if e.taken.CompareAndSwap(n, n+1) {
			return n, true
		}
	}
}

// Progress counts iterations.
func (e *sharedIterations) Progress() Progress {
	ended := e.ended.Load()
	elapsed := e.elapsed()
	return e.progress(float64(ended)/float64(max(1, e.total)), fmt.Sprintf("%d VUs", len(e.slots)),
		clock(elapsed, e.regular)+"/"+e.regular.String(), elapsed, counted(ended, e.total)+" shared iters")
}

// perVUIterations runs a fixed number of iterations on each VU.
type perVUIterations struct {
	*base
	ended atomic.Int64
}

func newPerVUIterations(b *base) *perVUIterations { return &perVUIterations{base: b} }

// Run runs the iterations; each VU that maxDuration cut off reports what it did not begin.
func (e *perVUIterations) Run(ctx context.Context, start time.Time) error {
	return e.run(ctx, start, func(ctx context.Context, _ time.Time) { eachSlot(ctx, e.base, e.work) })
}

func (e *perVUIterations) work(ctx context.Context, vu VU, slot int) {
	n := int64(0)
	for n < e.scenario.Iterations && !e.stopping.Load() {
		done := e.loop(ctx, vu, slot, n)
		e.ended.Add(1)
		n++
		if !done && ctx.Err() != nil {
			break
		}
	}
	if n == e.scenario.Iterations {
		return
	}
	<-e.halted
	if e.expired {
		e.events.Dropped(e.index, e.scenario.Iterations-n, MaxDuration, e.offset+slot)
	}
}

// Progress counts iterations.
func (e *perVUIterations) Progress() Progress {
	ended, total := e.ended.Load(), int64(len(e.slots))*e.scenario.Iterations
	elapsed := e.elapsed()
	return e.progress(float64(ended)/float64(max(1, total)), fmt.Sprintf("%d VUs", len(e.slots)),
		clock(elapsed, e.regular)+"/"+e.regular.String(), elapsed,
		fmt.Sprintf("%s iters, %d per VU", counted(ended, total), e.scenario.Iterations))
}

// eachSlot runs work on the VU of every own slot at once, and waits for all.
func eachSlot(ctx context.Context, b *base, work func(ctx context.Context, vu VU, slot int)) {
	var vus sync.WaitGroup
	defer vus.Wait()
	for _, slot := range b.slots {
		vus.Go(func() {
			vu := b.get(ctx, slot)
			if vu == nil {
				return
			}
			defer b.put(slot)
			b.active.Add(1)
			defer b.active.Add(-1)
			work(ctx, vu, slot)
		})
	}
}
