package executor

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hive/engine/share"
)

// New makes the executor of a scenario's share on this node; index is the scenario's number in the plan.
func New(s Scenario, index int, sh share.Share, pool Pool, ev Events) (Executor, error) {
	if n := len(sh.Plan().Scenarios); index < 0 || index >= n {
		return nil, fmt.Errorf("executor: scenario %d of a share of %d scenarios", index, n)
	}
	if got, want := sh.Max(index), s.MaxVUs(); got != want {
		return nil, fmt.Errorf("executor: scenario %q has %d VUs, but the share was made for %d", s.Name, want, got)
	}
	b := &base{
		scenario: s, index: index, pool: pool, events: ev, slots: sh.Slots(index), offset: sh.Base(index),
		max: int64(sh.Max(index)), complete: sh.Complete(index), regular: s.Regular(),
		soft: make(chan struct{}), halted: make(chan struct{}),
	}
	switch s.Executor {
	case SharedIterations:
		return newSharedIterations(b, sh.Iterations(index)), nil
	case PerVUIterations:
		return newPerVUIterations(b), nil
	case ConstantVUs:
		return newConstantVUs(b), nil
	case RampingVUs:
		return newRampingVUs(b), nil
	case ConstantArrivalRate, RampingArrivalRate:
		return newArrival(b, sh.Iterations(index)), nil
	case ExternallyControlled:
		return newControlled(b), nil
	}
	return nil, fmt.Errorf("executor: unknown executor %q", s.Executor)
}

// body is what differs between executors. It starts goroutines, waits for them and returns: when its work is
// done, or when no new iterations may start (base.stopping, base.halted) and the running ones have ended.
type body func(ctx context.Context, begin time.Time)

// base is what executors have in common: the phases of a run, the counting and the VUs.
type base struct {
	scenario Scenario
	index    int
	pool     Pool
	events   Events
	slots    []int // own slots, from the scenario's base, ascending
	offset   int   // the scenario's base
	max      int64 // VUs of the scenario in the whole test
	complete bool  // every one of them is here
	regular  time.Duration

	stop     sync.Once
	soft     chan struct{} // closed by Stop
	halted   chan struct{} // closed when no new iterations may start
	stopping atomic.Bool   // says the same, more cheaply
	expired  bool          // the regular end came first; set before halted is closed

	opens    atomic.Pointer[time.Time] // when the scenario is to begin
	begun    atomic.Pointer[time.Time] // when the scenario began
	done     atomic.Bool
	frozen   atomic.Int64 // elapsed time at the end, in ns
	started  atomic.Int64 // iterations
	active   atomic.Int64 // VUs
	failOnce sync.Once
	failure  error
	abort    context.CancelFunc // ends everything after a failure; set before the body runs
}

// Stop ends the scenario gracefully.
func (b *base) Stop() { b.stop.Do(func() { close(b.soft) }) }

// run takes the body through the phases: waiting, regular, graceful, cut.
func (b *base) run(ctx context.Context, start time.Time, work body) error {
	defer b.finish()
	if len(b.slots) == 0 {
		return nil
	}
	begin := start.Add(b.scenario.StartTime)
	b.opens.Store(&begin)
	if !b.sleepUntil(ctx, begin) {
		return nil
	}
	b.begun.Store(&begin)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.abort = cancel

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		work(ctx, begin)
	}()
	if b.awaitHalt(ctx, begin, ended) {
		b.halt()
		after(ctx, b.scenario.Tail(), ended)
		cancel()
		<-ended
	}
	return b.failure
}

// awaitHalt waits for whatever ends the regular phase and reports whether the body has still to end.
func (b *base) awaitHalt(ctx context.Context, begin time.Time, ended <-chan struct{}) bool {
	var regular <-chan time.Time
	if b.regular < math.MaxInt64 {
		t := time.NewTimer(time.Until(begin.Add(b.regular)))
		defer t.Stop()
		regular = t.C
	}
	select {
	case <-ended:
		return false
	case <-regular:
		b.expired = true
	case <-b.soft:
	case <-ctx.Done():
	}
	return true
}

func (b *base) halt() {
	b.stopping.Store(true)
	close(b.halted)
}

// after waits for d, ctx or done, whichever comes first.
func after(ctx context.Context, d time.Duration, done <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-done:
	}
}

// sleepUntil reports false when Stop or ctx came before t.
func (b *base) sleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-b.soft:
	case <-ctx.Done():
	}
	return false
}

func (b *base) finish() {
	if begun := b.begun.Load(); begun != nil {
		b.frozen.Store(int64(time.Since(*begun)))
	}
	b.done.Store(true)
}

// get takes the VU of one of the own slots. Nil means that there is none and the worker should leave; a failure
// that is not due to the end of ctx ends the executor.
func (b *base) get(ctx context.Context, slot int) VU {
	vu, err := b.pool.Get(ctx, b.index, b.offset+slot)
	if err == nil {
		return vu
	}
	if ctx.Err() == nil {
		b.failOnce.Do(func() {
			b.failure = fmt.Errorf("scenario %s: VU %d: %w", b.scenario.Name, b.offset+slot+1, err)
		})
		b.abort()
	}
	return nil
}

func (b *base) put(slot int) { b.pool.Put(b.index, b.offset+slot) }

// iterate runs one iteration and reports whether it came to its end.
func (b *base) iterate(ctx context.Context, vu VU, it Iteration) bool {
	b.events.Started(b.index)
	err := vu.Iterate(ctx, it)
	b.events.Ended(b.index, err != nil)
	return err == nil
}

// loop runs a VU's iteration n of a looping executor. With every VU of the scenario here, iterations are simply
// counted; otherwise numbers are unique over the hive without a word between nodes: n·V + k for VU k of V.
func (b *base) loop(ctx context.Context, vu VU, slot int, n int64) bool {
	count := b.started.Add(1) - 1
	it := Iteration{Scenario: b.index, InTest: count, InInstance: count, InVU: n}
	if !b.complete {
		it.InTest = n*b.max + int64(slot)
	}
	return b.iterate(ctx, vu, it)
}

// elapsed is the time since the scenario began.
func (b *base) elapsed() time.Duration {
	begun := b.begun.Load()
	switch {
	case begun == nil:
		return 0
	case b.done.Load():
		return time.Duration(b.frozen.Load())
	}
	return time.Since(*begun)
}

// untilBegin is how long the scenario still has to wait.
func (b *base) untilBegin() time.Duration {
	if opens := b.opens.Load(); opens != nil {
		return max(0, time.Until(*opens))
	}
	return b.scenario.StartTime
}

// progress fills in what all executors show alike; vus stands first, what last.
func (b *base) progress(fraction float64, vus, total string, elapsed time.Duration, what string) Progress {
	p := Progress{Active: int(b.active.Load()), Max: len(b.slots), Started: b.begun.Load() != nil, Done: b.done.Load()}
	switch {
	case p.Done:
		p.Fraction = 1
	case p.Started:
		p.Fraction = min(1, max(0, fraction))
	default:
		p.Columns = []string{"waiting", clock(b.untilBegin(), b.scenario.StartTime)}
		p.Text = strings.Join(p.Columns, "  ")
		return p
	}
	p.Columns = []string{vus, total}
	if p.Done && b.regular < math.MaxInt64 && elapsed >= b.regular {
		p.Columns[1] = b.regular.String()
	}
	if what != "" {
		p.Columns = append(p.Columns, what)
	}
	p.Text = strings.Join(p.Columns, "  ")
	return p
}

// timed is progress for executors whose end is a matter of time.
func (b *base) timed(vus, length, what string) Progress {
	elapsed := min(b.elapsed(), b.regular)
	fraction := 1.0
	if b.regular > 0 {
		fraction = float64(elapsed) / float64(b.regular)
	}
	return b.progress(fraction, vus, clock(elapsed, b.regular)+"/"+length, elapsed, what)
}
