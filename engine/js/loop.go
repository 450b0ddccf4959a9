package js

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Loop is a VU's event loop: it knows what an iteration still waits for, and
// runs what comes of it on the VU's goroutine.
type Loop struct {
	vu     *VU
	held   int // unreleased holds
	timers timers
	clock  *time.Timer

	mu    sync.Mutex
	queue []func()      // one entry for each released hold, nil when it has no task
	wake  chan struct{} // has room for one; made by the first Hold
	spare []func()
}

// Hold keeps the loop from ending until done is called, which any goroutine may
// do. done's task (nil for none) then runs on the VU's goroutine; calling done
// again has no effect. Hold itself is called on the VU's goroutine. An
// iteration that failed or was interrupted does not run the task any more, but
// waits for done all the same: whoever holds must let go soon after
// [VU.Context] is done.
func (l *Loop) Hold() (done func(task func())) {
	if l.wake == nil {
		l.wake = make(chan struct{}, 1)
	}
	l.held++
	var once sync.Once
	return func(task func()) { once.Do(func() { l.release(task) }) }
}

func (l *Loop) release(task func()) {
	l.mu.Lock()
	l.queue = append(l.queue, task)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// idle says that nothing is left to wait for.
func (l *Loop) idle() bool { return l.held == 0 && len(l.timers.heap) == 0 }

// run runs tasks and timers until nothing is left, one fails, or ctx ends.
func (l *Loop) run(ctx context.Context) error {
	for !l.idle() {
		if ctx.Err() != nil {
			return ErrInterrupted
		}
		ran, err := l.step()
		if err != nil {
			return err
		}
		if !ran && !l.idle() {
			l.wait(ctx)
		}
	}
	return nil
}

// step runs what is due now.
func (l *Loop) step() (ran bool, err error) {
	batch := l.take()
	for i, task := range batch {
		batch[i] = nil
		l.held--
		ran = true
		if task == nil || err != nil {
			continue
		}
		err = l.vu.guard(task)
	}
	if err != nil {
		return ran, err
	}
	fired, err := l.timers.fire(l.vu, time.Now())
	return ran || fired, err
}

func (l *Loop) take() []func() {
	if l.held == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := l.queue
	l.queue, l.spare = l.spare[:0], batch
	return batch
}

// wait blocks until a hold is released, a timer is due or ctx ends.
func (l *Loop) wait(ctx context.Context) {
	var due <-chan time.Time
	if len(l.timers.heap) > 0 {
		due = l.after(time.Until(l.timers.heap[0].when))
		defer l.clock.Stop()
	}
	select {
	case <-l.wake:
	case <-due:
	case <-ctx.Done():
	}
}

// after is time.After on the loop's one reusable timer.
func (l *Loop) after(d time.Duration) <-chan time.Time {
	if l.clock == nil {
		l.clock = time.NewTimer(d)
	} else {
		l.clock.Reset(d)
	}
	return l.clock.C
}

// abandon drops timers and tasks and waits for the holds to be released.
func (l *Loop) abandon() {
	l.timers.clear()
	for {
		l.held -= len(l.take())
		if l.held == 0 {
			return
		}
		<-l.wake
	}
}

// timer is one setTimeout or setInterval.
type timer struct {
	id     int64
	when   time.Time
	every  time.Duration // 0 for a timeout
	index  int           // place in the heap
	action func() error
}

// timers holds a VU's timers, the next one first. The zero value is empty.
type timers struct {
	heap timerHeap
	byID map[int64]*timer
	last int64 // ids are never used twice in a VU
}

func (t *timers) add(delay time.Duration, repeat bool, action func() error) int64 {
	t.last++
	n := &timer{id: t.last, when: time.Now().Add(delay), action: action}
	if repeat {
		n.every = max(delay, time.Millisecond)
	}
	if t.byID == nil {
		t.byID = make(map[int64]*timer)
	}
	t.byID[n.id] = n
	heap.Push(&t.heap, n)
	return n.id
}

func (t *timers) remove(id int64) {
	if n, ok := t.byID[id]; ok {
		delete(t.byID, id)
		heap.Remove(&t.heap, n.index)
	}
}

func (t *timers) clear() {
	t.heap = nil
	t.byID = nil
}

// fire runs the timers that are due at now, each once.
func (t *timers) fire(vu *VU, now time.Time) (fired bool, err error) {
	for len(t.heap) > 0 && !t.heap[0].when.After(now) {
		n := t.heap[0]
		if n.every > 0 {
			n.when = now.Add(n.every)
			heap.Fix(&t.heap, 0)
		} else {
			t.remove(n.id)
		}
		fired = true
		if err := n.action(); err != nil {
			return fired, vu.failure(err)
		}
		if err := vu.settle(); err != nil {
			return fired, err
		}
	}
	return fired, nil
}

// timerHeap orders timers by time and, within the same, by age.
type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if h[i].when.Equal(h[j].when) {
		return h[i].id < h[j].id
	}
	return h[i].when.Before(h[j].when)
}
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timerHeap) Push(x any) {
	n := x.(*timer)
	n.index = len(*h)
	*h = append(*h, n)
}
func (h *timerHeap) Pop() any {
	old := *h
	n := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return n
}
