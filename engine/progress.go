package engine

import (
	"sync"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
)

// Progress is how far a share of a test, or the merge of several, has come.
type Progress struct {
	Elapsed     time.Duration      `json:"elapsed"` // nanoseconds on the run's clock; 0 before the start
	VUs         int                `json:"vus"`     // active
	VUsMax      int                `json:"vusMax"`  // initialised
	Iterations  int64              `json:"iterations"`
	Interrupted int64              `json:"interrupted"`
	Dropped     int64              `json:"dropped"`
	Scenarios   []ScenarioProgress `json:"scenarios,omitempty"`
}

// ScenarioProgress is one progress bar.
type ScenarioProgress struct {
	Name     string        `json:"name"`
	Executor string        `json:"executor"`
	Fraction float64       `json:"fraction"` // 0..1
	Text     string        `json:"text"`     // what stands right of the bar
	VUs      int           `json:"vus"`      // active
	VUsMax   int           `json:"vusMax"`   // initialised or allowed
	Late     time.Duration `json:"late"`     // 99th percentile of how late iterations started; arrival-rate executors
	// Idle says that nothing is left to do here and nothing runs, though more may come from other nodes where iterations
	// are counted.
	Idle   bool            `json:"idle,omitempty"`
	Ledger executor.Ledger `json:"ledger"` // of one share; a merge has none
}

// Progress may be called at any time after New.
func (e *Engine) Progress() Progress {
	p := Progress{VUsMax: int(e.pool.ready.Load()), Elapsed: e.elapsed()}
	c := e.ensemble.Load()
	for i, s := range e.opts.Scenarios {
		x, t := c.executors[i], &e.tallies[i]
		sp := ScenarioProgress{Name: s.Name, Executor: string(s.Executor), Fraction: 1, Late: t.late.p99()}
		if x != nil {
			now := x.Progress()
			sp.Fraction, sp.Text, sp.VUs, sp.VUsMax, sp.Idle = now.Fraction, now.Text, now.Active, now.Max, now.Idle
			sp.Ledger = x.Ledger()
		}
		p.VUs += sp.VUs
		p.Iterations += t.completed.Load()
		p.Interrupted += t.interrupted.Load()
		p.Dropped += t.dropped.Load()
		p.Scenarios = append(p.Scenarios, sp)
	}
	return p
}

// activeVUs is what the metric vus shows.
func (e *Engine) activeVUs() (n int) {
	for _, x := range e.ensemble.Load().executors {
		if x != nil {
			n += x.Progress().Active
		}
	}
	return n
}

// elapsed is what the run's clock reads: how long the scenarios have been running.
func (e *Engine) elapsed() time.Duration {
	if end := e.ended.Load(); end != nil {
		return *end
	}
	return max(0, e.ensemble.Load().clock.Now())
}

// lateness is the distribution of how long after their due time iterations started.
type lateness struct {
	mu     sync.Mutex
	all    *metric.Sketch // in milliseconds; nil until the first
	recent *metric.Sketch // those since lately was called last, once it was
	asked  bool
}

func (l *lateness) record(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	put(&l.all, d)
	if l.asked {
		put(&l.recent, d)
	}
}

func put(s **metric.Sketch, d time.Duration) {
	if *s == nil {
		*s = metric.NewSketch()
	}
	(*s).Record(float64(d) / float64(time.Millisecond))
}

func (l *lateness) p99() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return p99(l.all)
}

// lately is the 99th percentile since the call before; it is false when nothing started.
func (l *lateness) lately() (d time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok = p99(l.recent), l.recent != nil
	l.recent, l.asked = nil, true
	return d, ok
}

func p99(s *metric.Sketch) time.Duration {
	if s == nil {
		return 0
	}
	return time.Duration(s.Quantile(0.99) * float64(time.Millisecond))
}
