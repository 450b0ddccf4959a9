package metric

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// StoreOptions are the settings of a Store.
type StoreOptions struct {
	// Shards is the number of parts that are locked apart; 0 means one per processor.
	Shards int
	// Raw is handed the samples as they were recorded; nil means that none are ever made. The slice
	// is Raw's to keep. Calls can overlap, and come from Record when much was gathered since the
	// last FlushRaw.
	Raw func([]Sample)
}

// Store keeps the cumulative state of every series of a run. It is safe for concurrent use.
type Store struct {
	reg    *Registry
	raw    func([]Sample)
	origin atomic.Int64
	shards []*shard
}

// rawBatch is the number of samples a shard gathers before it hands them over by itself.
const rawBatch = 16 << 10

// NewStore returns an empty store for the metrics and tag sets of r.
func NewStore(r *Registry, o StoreOptions) *Store {
	if o.Shards <= 0 {
		o.Shards = runtime.GOMAXPROCS(0)
	}
	s := &Store{reg: r, raw: o.Raw, shards: make([]*shard, o.Shards)}
	for i := range s.shards {
		s.shards[i] = &shard{store: s, cells: map[*TagSet]*cell{}}
	}
	return s
}

// SetStart says when the run's second 0 begins, on this machine's clock, so that the VUs of several
// machines can be added second by second. Call it before VUs are recorded; without it seconds are
// counted from the Unix epoch, which is the same when there is one machine.
func (s *Store) SetStart(at time.Time) { s.origin.Store(at.UnixNano()) }

// Recorder returns the recorder of shard n modulo the number of shards. Recorders are cheap and
// safe for concurrent use; those of different shards never wait for each other.
func (s *Store) Recorder(n int) *Recorder {
	return &Recorder{s.shards[int(uint(n)%uint(len(s.shards)))]}
}

// FlushRaw hands the samples gathered so far to StoreOptions.Raw.
func (s *Store) FlushRaw() {
	if s.raw == nil {
		return
	}
	for _, sh := range s.shards {
		sh.mu.Lock()
		batch := sh.samples
		sh.samples = nil
		sh.mu.Unlock()
		if len(batch) > 0 {
			s.raw(batch)
		}
	}
}

// Recorder records values into one shard of a Store.
type Recorder struct{ shard *shard }

// Record adds values measured at one time with the same tags to their series. In steady state it
// takes one lock, rarely contended, and allocates nothing.
func (r *Recorder) Record(ts *TagSet, x Extra, at time.Time, values ...Value) {
	sh := r.shard
	sh.mu.Lock()
	c := sh.cells[ts]
	if c == nil {
		c = &cell{tags: ts}
		sh.cells[ts] = c
		sh.list = append(sh.list, c)
	}
	origin, next := sh.store.origin.Load(), 0
	for _, v := range values {
		var s *slot
		s, next = c.slot(sh.store.reg, v.Metric, next)
		sh.series(s, &x, at).state.record(v.Metric.Kind, v.V, at, origin)
	}
	batch := sh.gather(ts, x, at, values)
	sh.mu.Unlock()
	if batch != nil {
		sh.store.raw(batch)
	}
}

// shard is a part of a Store.
type shard struct {
	store *Store

	mu      sync.Mutex // guards all below and the cells
	cells   map[*TagSet]*cell
	list    []*cell // the same, only ever appended to
	samples []Sample
	newest  int64    // time of the newest series
	_       [64]byte // shards do not share cache lines
}

// gather keeps the samples for outputs that want them, and returns all of them when there are many.
func (sh *shard) gather(ts *TagSet, x Extra, at time.Time, values []Value) []Sample {
	if sh.store.raw == nil {
		return nil
	}
	for _, v := range values {
		sh.samples = append(sh.samples, Sample{v.Metric, ts, x, v.V, at})
	}
	if len(sh.samples) < rawBatch {
		return nil
	}
	batch := sh.samples
	sh.samples = nil
	return batch
}

// cell holds the series of one tag set.
type cell struct {
	tags  *TagSet
	slots []slot
}

// slot holds the series of one metric and tag set: one, unless declared submetrics divide it by the
// Extra of its samples.
type slot struct {
	metric *Metric
	always []string     // keys of the submetrics that all samples belong to
	maybe  []*submetric // those that depend on the Extra
	tags   *TagSet
	parts  []*series
}

// series is the state of a metric, a tag set and the submetrics its samples belong to.
type series struct {
	matched uint64 // bits of slot.maybe
	first   int64  // time of the first sample, in Unix nanoseconds
	state   state
}

// slot returns the slot of m and the place after it, where the next metric is most likely found:
// callers record the same metrics in the same order.
func (c *cell) slot(r *Registry, m *Metric, from int) (*slot, int) {
	if from < len(c.slots) && c.slots[from].metric == m {
		return &c.slots[from], from + 1
	}
	for i := range c.slots {
		if c.slots[i].metric == m {
			return &c.slots[i], i + 1
		}
	}
	always, maybe := r.matching(m, c.tags)
	c.slots = append(c.slots, slot{metric: m, tags: c.tags, always: always, maybe: maybe})
	return &c.slots[len(c.slots)-1], len(c.slots)
}

// series returns the series of s that a sample with this Extra belongs to.
func (sh *shard) series(s *slot, x *Extra, at time.Time) *series {
	var matched uint64
	for i, sub := range s.maybe {
		if sub.matchesExtra(s.tags, *x) {
			matched |= 1 << i
		}
	}
	for _, p := range s.parts {
		if p.matched == matched {
			return p
		}
	}
	p := &series{matched: matched, first: sh.stamp(at.UnixNano()), state: newState(s.metric)}
	s.parts = append(s.parts, p)
	return p
}

// stamp returns the time of a new series, moved by nanoseconds where that keeps apart, in order, the
// series that began at the same moment.
func (sh *shard) stamp(at int64) int64 {
	if at <= sh.newest && sh.newest-at < int64(time.Microsecond) {
		at = sh.newest + 1
	}
	sh.newest = max(sh.newest, at)
	return at
}

// submetrics are the keys of the submetrics that the samples of p belong to.
func (s *slot) submetrics(p *series) []string {
	if p.matched == 0 {
		return s.always
	}
	keys := append([]string(nil), s.always...)
	for i, sub := range s.maybe {
		if p.matched&(1<<i) != 0 {
			keys = append(keys, sub.key)
		}
	}
	return keys
}

// Snapshot returns a copy of all series as they are. Each tag set is copied at one moment, different
// ones at slightly different moments, so that recording never waits for more than one of them.
func (s *Store) Snapshot() *Snapshot {
	m := newMerger()
	for _, sh := range s.shards {
		sh.mu.Lock()
		list := sh.list
		sh.mu.Unlock()
		for _, c := range list {
			sh.mu.Lock()
			m.addCell(c)
			sh.mu.Unlock()
		}
	}
	return m.snapshot()
}
