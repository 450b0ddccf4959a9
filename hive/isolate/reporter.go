package isolate

import (
	"bytes"
	"context"
	"sync"
	"time"

	"hive/hive"
)

const (
	// countEvery is how often the counters go to the parent, when they have changed. What happened since is what is not
	// known of an engine that dies.
	countEvery = 20 * time.Millisecond
	// reportEvery is how often everything does, changed or not: it is the child's sign of life.
	reportEvery = 100 * time.Millisecond
	// sampleEvery is how often the engine is asked for its health, which it tells of the last second.
	sampleEvery = time.Second
	// countCost is how many times longer than it took to count the next count waits at least.
	countCost = 50
)

// reporter tells the parent how the engine fares.
type reporter struct {
	out   *sender
	ended chan struct{} // closed by end

	mu      sync.Mutex // guards what follows, and the order of the reports
	engine  hive.Engine
	last    []byte    // the counters as they were sent last
	next    time.Time // when they are looked at again at the earliest
	sampled time.Time
	metrics int // definitions that the parent knows
	closing sync.Once
}

func newReporter(out *sender) *reporter { return &reporter{out: out, ended: make(chan struct{})} }

// begin names the engine to report on.
func (r *reporter) begin(e hive.Engine) {
	r.mu.Lock()
	r.engine = e
	r.mu.Unlock()
}

// end stops asking the engine.
func (r *reporter) end() {
	r.report(true)
	r.closing.Do(func() { close(r.ended) })
	r.mu.Lock()
	r.engine = nil
	r.mu.Unlock()
}

// run reports until ctx ends.
func (r *reporter) run(ctx context.Context) {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	var full time.Time
	for {
		need := r.need()
		select {
		case <-ctx.Done():
			return
		case <-need:
			r.report(true)
			_ = sendNote(r.out, noteNeed, nil, nil) // what is empty always fits
		case now := <-tick.C:
			all := now.Sub(full) >= reportEvery
			if all {
				full = now
			}
			r.report(all)
		}
	}
}

// need is the engine's channel, nil while there is none.
func (r *reporter) need() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.engine == nil {
		return nil
	}
	return r.engine.NeedMarks()
}

// report sends the counters if they have changed, or everything. A child without an engine only says that it lives.
func (r *reporter) report(all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.engine == nil {
		if all {
			r.sayLiving()
		}
		return
	}
	if all, lines := r.out.backlog(); all-lines > maxBacklog {
		return // the parent does not read; it will get the state of the moment when it does
	}
	began := time.Now()
	if !all && began.Before(r.next) {
		return
	}
	now := state{Ledger: r.engine.Ledger(), Released: r.engine.Released()}
	counters, err := encode(now)
	r.next = began.Add(countCost * time.Since(began))
	if err == nil && !all && bytes.Equal(counters, r.last) {
		return
	}
	r.last = counters
	if all {
		now.Rest = r.rest()
	}
	if err := sendNote(r.out, noteState, now, nil); err != nil {
		r.sayLiving() // numbers that JSON does not have are no reason to count as dead
	}
}

// sayLiving sends a state that says nothing.
func (r *reporter) sayLiving() {
	_ = sendNote(r.out, noteState, nil, nil) // what is empty always fits
}

// rest finds out what is sent less often; r.mu is held.
func (r *reporter) rest() *rest {
	e := r.engine
	out := &rest{Progress: e.Progress(), Marks: e.Marks()}
	out.Reason, out.Marked = e.MarkedFailed()
	if now := time.Now(); now.Sub(r.sampled) >= sampleEvery {
		r.sampled = now
		out.Health = new(e.Health())
	}
	if defs := hive.Definitions(e.Registry()); len(defs) > r.metrics {
		r.metrics, out.Metrics = len(defs), defs
	}
	return out
}
