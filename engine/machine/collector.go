package machine

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// What the collector may leave uncollected, as a percentage of what is in use. A virtual user's memory is mostly long
// lived, so that the usual 100 % would almost double what many of them take; a small heap in turn is collected more
// often than it is worth. So the headroom is about the same number of bytes, within these bounds.
const (
	headroom    = 32 << 20
	mostPercent = 400
	minPercent  = 40
)

// memoryShare is the part of the machine's memory from which on the collector works harder to stay below it.
const memoryShare = 0.9

// percentFor gives GOGC for a number of bytes in use.
func percentFor(live uint64) int {
	return int(min(mostPercent, max(minPercent, headroom*100/max(live, 1))))
}

// TuneCollector sets the collector's pace from what is in use, anew after each collection, and its memory limit from
// the memory that the process may use (0 for unknown). GOGC and GOMEMLIMIT in the environment, which lookup reads, have
// their usual meaning and leave alone what they set. The returned function ends the tuning and restores what was.
func TuneCollector(lookup func(string) (string, bool), memory uint64) (restore func()) {
	limit := int64(-1) // only asks
	if _, set := lookup("GOMEMLIMIT"); !set && memory > 0 && memory < math.MaxInt64 {
		limit = int64(float64(memory) * memoryShare)
	}
	before := debug.SetMemoryLimit(limit)
	undo := func() { debug.SetMemoryLimit(before) }
	if _, set := lookup("GOGC"); set {
		return undo
	}
	p := &pacer{live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}, percent: mostPercent}
	percent := debug.SetGCPercent(mostPercent)
	p.arm()
	return func() {
		p.stop()
		debug.SetGCPercent(percent)
		undo()
	}
}

// pacer follows the heap.
type pacer struct {
	mu      sync.Mutex // guards what follows
	stopped bool
	live    []metrics.Sample
	percent int
}

// cycle is garbage from the start: its finalizer runs after the next collection.
type cycle struct{ p *pacer }

func (p *pacer) arm() { runtime.SetFinalizer(&cycle{p}, func(c *cycle) { c.p.collected() }) }

// collected adjusts the pace after a collection. Small changes are not worth the moment for which all goroutines stand.
func (p *pacer) collected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	metrics.Read(p.live)
	want := percentFor(p.live[0].Value.Uint64())
	if diff := want - p.percent; diff > p.percent/8 || -diff > p.percent/8 {
		debug.SetGCPercent(want)
		p.percent = want
	}
	p.arm()
}

func (p *pacer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
}
