package executor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tooLate is how long after its time an arrival may still begin. A machine that stood still longer sends nothing of what it
// missed: that would be on top of what is due then.
const tooLate = 250 * time.Millisecond

const (
	// StuckAfter is how long an iteration may take to end when everything is interrupted. One that takes longer is inside
	// of something that cannot be interrupted, and is given up.
	StuckAfter = 8 * time.Second
	// stuckAtEnd is the same when its scenario is over, and nobody waits but the rest of the test: a busy machine may take
	// its time.
	stuckAtEnd = 20 * time.Second
)

// New makes the executor of a scenario's share on this node, as the first epoch in which it takes part has it; index is
// the scenario's number in the plan.
func New(s Scenario, index int, e Epoch, c Config) (Executor, error) {
	b := &base{
		Config: c, scenario: s, index: index, regular: s.Regular(), part: s.GracefulStop,
		soft: make(chan struct{}), halted: make(chan struct{}), wake: make(chan struct{}, 1), moved: make(chan struct{}, 1),
	}
	if c.Pool == nil || c.Events == nil || c.Clock == nil {
		return nil, fmt.Errorf("executor: scenario %q: found a Config without a Pool, Events or a Clock, want all three", s.Name)
	}
	if err := b.fits(e); err != nil {
		return nil, err
	}
	b.offset, b.max = e.Share.Base(index), int64(e.Share.Max(index))
	b.drained.Store(int64(Never))
	b.end.Store(int64(addTimes(b.begins(), b.regular)))
	b.plain = !c.Marked && e.Share.Complete(index)
	switch s.Executor {
	case SharedIterations:
		return newSharedIterations(b, e)
	case PerVUIterations:
		return newPerVUIterations(b, e), nil
	case ConstantVUs:
		return newConstantVUs(b, e), nil
	case RampingVUs:
		return newRampingVUs(b, e), nil
	case ConstantArrivalRate, RampingArrivalRate:
		return newArrival(b, e), nil
	case ExternallyControlled:
		return newControlled(b, e), nil
	}
	return nil, fmt.Errorf("executor: unknown executor %q", s.Executor)
}

// body is what differs between executors. It starts goroutines, waits for them and returns: when its work is
// done, or when no new iterations may start (base.stopping, base.halted) and the running ones have ended.
type body func(ctx context.Context)

// base is what executors have in common: the phases of a run, the counting and the VUs.
type base struct {
	Config
	scenario Scenario
	index    int
	offset   int   // the scenario's first slot in the row of the test
	max      int64 // VUs of the scenario in the whole test
	plain    bool  // all of them are here for ever: iterations are counted plainly
	regular  time.Duration

	stop     sync.Once
	soft     chan struct{} // closed by Stop
	halted   chan struct{} // closed when no new iterations may start
	stopping atomic.Bool   // says the same, more cheaply
	expired  bool          // the regular end came first; set before halted is closed
	wake     chan struct{} // of one: wakes the goroutine of the body
	end      atomic.Int64  // the regular end on the run's clock
	moved    chan struct{} // of one: the end is another
	drained  atomic.Int64  // when the last slots leave, or Never
	part     time.Duration // what the last iteration of a VU is given whose slot leaves
	settle   func() bool   // reports that work is done which no other node will do; may be nil

	begun     atomic.Bool
	done      atomic.Bool
	frozen    atomic.Int64 // elapsed time at the end, in ns
	active    atomic.Int64 // VUs
	counts    counts
	abandoned atomic.Bool // iterations that did not end are counted
	failOnce  sync.Once
	failure   error
	abort     context.CancelFunc // ends everything after a failure; set before the body runs
}

// counts are what became of iterations.
type counts struct {
	started, completed, interrupted, doubtful, lost atomic.Int64
	dropped                                         [Stalled + 1]atomic.Int64
}

// fits reports an epoch that is not of this scenario.
func (b *base) fits(e Epoch) error {
	plan := e.Share.Plan()
	if n := len(plan.Scenarios); b.index < 0 || b.index >= n {
		return fmt.Errorf("executor: scenario %d of a share of %d scenarios", b.index, n)
	}
	if got, want := e.Share.Max(b.index), b.scenario.MaxVUs(); got != want {
		return fmt.Errorf("executor: scenario %q has %d VUs, but the share was made for %d", b.scenario.Name, want, got)
	}
	if n := len(e.Work); n != 0 && n != len(plan.Scenarios) {
		return fmt.Errorf("executor: epoch %d has work for %d scenarios, want %d or none", e.Number, n, len(plan.Scenarios))
	}
	return nil
}

// begunHere is where the scenario's executor writes down how far it has come; nil when nowhere.
func (b *base) begunHere() Begun {
	if b.index < len(b.Begun) {
		return b.Begun[b.index]
	}
	return nil
}

// Stop ends the scenario gracefully.
func (b *base) Stop() { b.stop.Do(func() { close(b.soft) }) }

// tell wakes the goroutine of the body.
func (b *base) tell() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// ask says that marks want to be raised.
func (b *base) ask() {
	select {
	case b.NeedMarks <- struct{}{}:
	default:
	}
}

// begins and ends are the scenario's regular span on the run's clock.
func (b *base) begins() time.Duration { return b.scenario.StartTime }
func (b *base) ends() time.Duration   { return time.Duration(b.end.Load()) }

// endAt moves the regular end.
func (b *base) endAt(run time.Duration) {
	b.end.Store(int64(run))
	select {
	case b.moved <- struct{}{}:
	default:
	}
}

// run takes the body through the phases: waiting, regular, graceful, cut.
func (b *base) run(ctx context.Context, work body) error {
	defer b.finish()
	all := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.abort = cancel
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		work(ctx)
	}()
	if b.awaitHalt(ctx, ended) {
		b.stopping.Store(true)
		close(b.halted)
		b.tail(ctx, ended)
		cancel()
		if !b.awaitEnd(all, ended) {
			return b.giveUp()
		}
	}
	return b.failure
}

// awaitEnd waits for interrupted iterations to end, and reports whether they did. The end of all makes it wait less.
func (b *base) awaitEnd(all context.Context, ended <-chan struct{}) bool {
	late := time.NewTimer(stuckAtEnd)
	defer late.Stop()
	select {
	case <-ended:
		return true
	case <-late.C:
		return false
	case <-all.Done():
	}
	last := time.NewTimer(StuckAfter)
	defer last.Stop()
	select {
	case <-ended:
		return true
	case <-last.C:
	case <-late.C:
	}
	return false
}

// giveUp counts iterations that cannot be interrupted as if they had been. Their VUs are lost, and with them the test.
func (b *base) giveUp() error {
	b.abandoned.Store(true)
	n := b.ledger().InFlight()
	b.counts.interrupted.Add(n)
	for range n {
		b.Events.Ended(b.index, true)
	}
	return fmt.Errorf("scenario %s: %d of its iterations did not end when they were interrupted: the script is inside of something that cannot be interrupted, "+
		"such as a regular expression that tries without end", b.scenario.Name, n)
}

// awaitHalt waits for whatever ends the regular phase and reports whether the body has still to end.
func (b *base) awaitHalt(ctx context.Context, ended <-chan struct{}) bool {
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	var settled sync.WaitGroup
	defer settled.Wait()
	settled.Go(func() {
		select {
		case <-b.soft:
			b.depart(stop)
			cancel()
		case <-stop.Done():
		}
	})
	defer cancel()
	timer := newTimer()
	if !b.begun.Load() {
		switch b.Clock.wait(timer, b.begins(), nil, ended, stop.Done()) {
		case signalTime:
			b.begun.Store(true)
		case signalStop:
			return false
		case signalOver:
			return true
		}
	}
	for {
		switch b.Clock.wait(timer, b.ends(), b.moved, ended, stop.Done()) {
		case signalTime:
			b.expired = true
			return true
		case signalStop:
			return false
		case signalOver:
			return true
		}
	}
}

// drain notes whether an epoch takes the last slots from this node.
func (b *base) drain(e Epoch) {
	if e.Share.VUs(b.index) > 0 {
		b.drained.Store(int64(Never))
		return
	}
	b.drained.Store(int64(e.From))
}

// departing reports that this node has no share any more, or is about to have none.
func (b *base) departing() bool { return time.Duration(b.drained.Load()) < Never }

// settling is how often a scenario that was stopped looks whether what it owes is done.
const settling = 10 * time.Millisecond

// depart waits with Stop until the share has been handed over, where that is about to happen: up to then it is this
// node's, and so is what it has promised to do.
func (b *base) depart(ctx context.Context) {
	look := time.NewTicker(settling)
	defer look.Stop()
	for {
		at := time.Duration(b.drained.Load())
		if at == Never || b.Clock.Now() >= at && (b.settle == nil || b.settle()) {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// tail waits for the iterations that run, for as long as they are given. A pause of the run makes that longer, unless
// the scenario was stopped: a run that is stopped has to end. Where it was stopped since its slots have left, they are given
// what that gives them.
func (b *base) tail(ctx context.Context, ended <-chan struct{}) {
	if b.expired {
		b.Clock.wait(newTimer(), addTimes(b.ends(), b.scenario.Tail()), nil, ended, ctx.Done())
		return
	}
	given := b.scenario.Tail()
	if b.departing() {
		given = max(given, b.part)
	}
	t := time.NewTimer(given)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-ended:
	}
}

func (b *base) finish() {
	b.frozen.Store(int64(b.elapsed()))
	b.done.Store(true)
}

// clear reports whether an iteration may begin as far as the whole node is concerned.
func (b *base) clear() bool {
	cur := b.Clock.cur.Load()
	return (!cur.halts || !b.Clock.Standing()) && b.Fence.Open()
}

// get takes the VU of one of the own slots. Nil means that there is none and the worker should leave; a failure
// that is not due to the end of ctx ends the executor.
func (b *base) get(ctx context.Context, slot int) VU {
	vu, err := b.Pool.Get(ctx, b.index, b.offset+slot)
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

// iterate runs one iteration and reports whether it came to its end.
func (b *base) iterate(ctx context.Context, vu VU, it Iteration) bool {
	b.Events.Started(b.index)
	err := vu.Iterate(ctx, it)
	if b.abandoned.Load() {
		return false
	}
	b.Events.Ended(b.index, err != nil)
	switch {
	case err == nil:
		b.counts.completed.Add(1)
	case errors.Is(err, ErrInFlight) && errors.Is(context.Cause(ctx), ErrFenced):
		b.counts.doubtful.Add(1)
	default:
		b.counts.interrupted.Add(1)
	}
	return err == nil
}

// drop counts iterations that will not run.
func (b *base) drop(n int64, why Reason, slot int) {
	b.counts.dropped[why].Add(n)
	b.Events.Dropped(b.index, n, why, slot)
}

// loop runs a VU's iteration n of a looping executor. With every VU of the scenario here for ever, iterations are
// simply counted; otherwise numbers are unique over the hive without a word between nodes: n·V + k for VU k of V.
func (b *base) loop(ctx context.Context, vu VU, slot int, n int64) bool {
	count := b.counts.started.Add(1) - 1
	it := Iteration{Scenario: b.index, InTest: count, InInstance: count, InVU: n}
	if !b.plain {
		it.InTest = n*b.max + int64(slot)
	}
	return b.iterate(ctx, vu, it)
}

// ledger is what all executors count. What has ended is read first, so that it is never more than what has started.
func (b *base) ledger() Ledger {
	l := Ledger{Completed: b.counts.completed.Load(), Interrupted: b.counts.interrupted.Load(), Doubtful: b.counts.doubtful.Load(), Lost: b.counts.lost.Load()}
	l.Started = b.counts.started.Load()
	for why := range b.counts.dropped {
		if n := b.counts.dropped[why].Load(); n > 0 {
			if l.Dropped == nil {
				l.Dropped = map[string]int64{}
			}
			l.Dropped[Reason(why).String()] = n
		}
	}
	return l
}

// ended is how many iterations have.
func (c *counts) ended() int64 { return c.completed.Load() + c.interrupted.Load() + c.doubtful.Load() }

// elapsed is the time since the scenario began.
func (b *base) elapsed() time.Duration {
	switch {
	case !b.begun.Load():
		return 0
	case b.done.Load():
		return time.Duration(b.frozen.Load())
	}
	return max(0, b.Clock.Now()-b.begins())
}

// untilBegin is how long the scenario still has to wait.
func (b *base) untilBegin() time.Duration {
	return min(b.begins(), max(0, b.begins()-b.Clock.Now()))
}

// progress fills in what all executors show alike; vus stands first, what last. own is the number of VUs here.
func (b *base) progress(own int, fraction float64, vus, total string, elapsed time.Duration, what string) Progress {
	p := Progress{Active: int(b.active.Load()), Max: own, Started: b.begun.Load(), Done: b.done.Load()}
	p.Idle = p.Done
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
func (b *base) timed(own int, vus, length, what string) Progress {
	elapsed := min(b.elapsed(), b.regular)
	fraction := 1.0
	if b.regular > 0 {
		fraction = float64(elapsed) / float64(b.regular)
	}
	return b.progress(own, fraction, vus, clock(elapsed, b.regular)+"/"+length, elapsed, what)
}
