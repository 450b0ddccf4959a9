package output

import (
	"sync"
	"time"

	"hive/engine/metric"
)

// Queue gathers samples and hands them on at intervals, so that whoever measured them never waits
// for a disk or a network. Make one with NewQueue.
type Queue struct {
	every time.Duration
	write func([]metric.Sample) error
	stop  chan struct{}
	done  chan struct{}

	mu      sync.Mutex // guards all below
	samples []metric.Sample
	err     error // the first of write; after it samples are dropped
}

// NewQueue returns a queue that calls write, from one goroutine, with what was added since the last
// call.
func NewQueue(every time.Duration, write func([]metric.Sample) error) *Queue {
	return &Queue{every: every, write: write, stop: make(chan struct{}), done: make(chan struct{})}
}

// Start starts the goroutine that writes; Stop ends it.
func (q *Queue) Start() { go q.run() }

// Add takes samples over.
func (q *Queue) Add(samples []metric.Sample) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.samples = append(q.samples, samples...)
	}
}

// Stop writes what is left, waits for it and returns the first error of all writes. It must be
// called once, after Start.
func (q *Queue) Stop() error {
	close(q.stop)
	<-q.done
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

func (q *Queue) run() {
	defer close(q.done)
	tick := time.NewTicker(q.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			q.flush()
		case <-q.stop:
			q.flush()
			return
		}
	}
}

func (q *Queue) flush() {
	q.mu.Lock()
	batch := q.samples
	q.samples = nil
	q.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	if err := q.write(batch); err != nil {
		q.mu.Lock()
		q.err, q.samples = err, nil
		q.mu.Unlock()
	}
}
