package executor

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// ErrFenced is the cause with which iterations are interrupted when the fence closes.
var ErrFenced = errors.New("executor: the node may not send load any more: its lease has run out")

// Fence keeps a node from sending load when it can no longer know that it may. It is open until a deadline that Extend
// moves ahead, on a clock that goes on while the machine is suspended or the process is stopped. A nil Fence is always
// open.
type Fence struct {
	deadline atomic.Int64 // on the fence's clock
	clock    func() int64 // nanoseconds, counting suspension

	mu     sync.Mutex // guards what follows
	closed int        // how often it has been
	timer  *time.Timer
	open   bool
	opened chan struct{} // closed while the fence is open
	shut   context.Context
	cut    context.CancelCauseFunc // ends shut
}

// NewFence makes a fence that is closed until the first Extend.
func NewFence() *Fence { return newFence(newWakeful().now) }

func newFence(clock func() int64) *Fence {
	f := &Fence{clock: clock, opened: make(chan struct{})}
	f.deadline.Store(math.MinInt64)
	f.shut, f.cut = context.WithCancelCause(context.Background())
	f.cut(ErrFenced)
	return f
}

// Open reports whether load may be sent at this moment.
func (f *Fence) Open() bool { return f == nil || f.clock() < f.deadline.Load() }

// Extend keeps the fence open until deadline, which opens it again where it has closed. One that has passed says that
// the lease is over, and closes the fence at once; any other that is earlier than the present one comes late, and
// changes nothing.
func (f *Fence) Extend(deadline time.Time) {
	if f == nil {
		return
	}
	now := f.clock() // read first, so that a process that is stopped here gets less and not more
	d := time.Until(deadline)
	f.mu.Lock()
	defer f.mu.Unlock()
	if d <= 0 {
		f.close()
		return
	}
	if now+int64(d) <= f.deadline.Load() {
		return
	}
	f.expire() // a stretch that is over before anybody saw it
	f.deadline.Store(now + int64(d))
	if f.timer != nil {
		f.timer.Stop()
	}
	f.timer = time.AfterFunc(d, f.look)
	if !f.open {
		f.open = true
		f.shut, f.cut = context.WithCancelCause(context.Background())
		close(f.opened)
	}
}

// Close closes the fence at once: nothing begins, and what runs is interrupted. Extend opens it again.
func (f *Fence) Close() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.close()
}

// close is Close; the caller holds mu.
func (f *Fence) close() {
	f.deadline.Store(math.MinInt64)
	f.expire()
	if f.timer != nil {
		f.timer.Stop()
	}
}

// look closes the fence when its deadline has passed.
func (f *Fence) look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire()
	if f.open {
		f.timer = time.AfterFunc(time.Duration(f.deadline.Load()-f.clock()), f.look)
	}
}

// expire interrupts what runs when the deadline has passed; the caller holds mu.
func (f *Fence) expire() {
	if f.open && !f.Open() {
		f.open = false
		f.closed++
		f.opened = make(chan struct{})
		f.cut(ErrFenced)
	}
}

// closings is how often the fence has closed.
func (f *Fence) closings() int {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire()
	return f.closed
}

// Opened returns a channel that is closed while the fence is open.
func (f *Fence) Opened() <-chan struct{} {
	if f == nil {
		return alwaysOpen
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire()
	return f.opened
}

var alwaysOpen = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Bind derives a context that ends, with the cause ErrFenced, when the fence closes; on a closed fence it has ended.
// The function frees what it holds. It is meant for many iterations, not for one.
func (f *Fence) Bind(ctx context.Context) (context.Context, context.CancelFunc) {
	if f == nil {
		return ctx, func() {}
	}
	f.mu.Lock()
	f.expire()
	shut := f.shut
	f.mu.Unlock()
	bound, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(shut, func() { cancel(ErrFenced) })
	return bound, func() { stop(); cancel(nil) }
}
