package executor

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// controlled keeps as many VUs looping as it was last told, and can be paused.
type controlled struct {
	*base
	loopers loopers
	changed chan struct{} // of one: wakes the goroutine that starts and releases VUs

	mu     sync.Mutex // guards all below
	vus    int        // wanted in the whole test
	paused bool
	ran    time.Duration // on the scenario's clock, up to since
	since  time.Time     // when the clock went on; zero while it stands
}

func newControlled(b *base) *controlled {
	b.regular = math.MaxInt64 // its clock can stand still, so it times itself
	return &controlled{base: b, loopers: newLoopers(b), changed: make(chan struct{}, 1), vus: b.scenario.VUs}
}

// Run loops and obeys until the duration has passed on the scenario's own clock, if it has one.
func (e *controlled) Run(ctx context.Context, start time.Time) error {
	defer e.hold()
	return e.run(ctx, start, e.obey)
}

func (e *controlled) obey(ctx context.Context, _ time.Time) {
	defer e.loopers.close()
	for {
		left := e.apply(ctx)
		if left <= 0 {
			break
		}
		if !e.await(left) {
			break
		}
	}
	for _, l := range e.loopers.of {
		l.release(0)
	}
}

// await waits for a change, for at most left, and reports false when the scenario is over.
func (e *controlled) await(left time.Duration) bool {
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.changed:
	case <-e.halted:
		return false
	}
	return true
}

// apply starts and releases VUs as last told, and returns how long the scenario still has to run.
func (e *controlled) apply(ctx context.Context) time.Duration {
	e.mu.Lock()
	vus, paused := e.vus, e.paused
	if !paused && e.since.IsZero() {
		e.since = time.Now()
	}
	left := time.Duration(math.MaxInt64)
	if d := e.scenario.Duration; d > 0 && !paused {
		left = d - e.clock()
	}
	e.mu.Unlock()
	for _, slot := range e.slots {
		if l := e.loopers.of[slot]; !paused && slot < vus && left > 0 {
			l.start(ctx)
		} else {
			l.release(forever)
		}
	}
	return left
}

// clock is the time on the scenario's clock; the caller holds mu.
func (e *controlled) clock() time.Duration {
	if e.since.IsZero() {
		return e.ran
	}
	return e.ran + time.Since(e.since)
}

// hold stops the clock.
func (e *controlled) hold() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ran, e.since = e.clock(), time.Time{}
}

// tell wakes the obeying goroutine.
func (e *controlled) tell() {
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// Pause lets running iterations end and starts no new ones.
func (e *controlled) Pause() {
	e.mu.Lock()
	e.ran, e.since = e.clock(), time.Time{}
	e.paused = true
	e.mu.Unlock()
	e.tell()
}

// Resume goes on after Pause.
func (e *controlled) Resume() {
	e.mu.Lock()
	e.paused = false
	e.mu.Unlock()
	e.tell()
}

// Scale sets how many VUs run in the whole test. MaxVUs is 0 or what it was: VUs and their slots were planned
// for it.
func (e *controlled) Scale(vus, maxVUs int) error {
	if maxVUs != 0 && maxVUs != e.scenario.VULimit {
		return fmt.Errorf("scenario %s: maxVUs is %d for this run and cannot become %d", e.scenario.Name, e.scenario.VULimit, maxVUs)
	}
	if vus < 0 || vus > e.scenario.VULimit {
		return fmt.Errorf("scenario %s: cannot scale to %d VUs, want 0 to %d (maxVUs)", e.scenario.Name, vus, e.scenario.VULimit)
	}
	e.mu.Lock()
	e.vus = vus
	e.mu.Unlock()
	e.tell()
	return nil
}

// Progress counts time on the scenario's clock.
func (e *controlled) Progress() Progress {
	e.mu.Lock()
	elapsed, paused := e.clock(), e.paused
	e.mu.Unlock()
	vus := counted(e.active.Load(), int64(len(e.slots))) + " VUs"
	what := ""
	if paused {
		what = "paused"
	}
	d := e.scenario.Duration
	if d == 0 {
		return e.progress(0, vus, clock(elapsed, time.Hour), elapsed, what)
	}
	elapsed = min(elapsed, d)
	return e.progress(float64(elapsed)/float64(d), vus, clock(elapsed, d)+"/"+d.String(), elapsed, what)
}
