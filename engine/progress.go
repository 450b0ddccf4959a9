package engine

import (
	"sync"
	"time"

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
}

// Progress may be called at any time after New.
func (e *Engine) Progress() Progress {
	p := Progress{VUsMax: int(e.pool.ready.Load()), Elapsed: e.elapsed()}
	for i, s := range e.opts.Scenarios {
		x, t := e.executors[i], &e.tallies[i]
		sp := ScenarioProgress{Name: s.Name, Executor: string(s.Executor), Fraction: 1, Late: t.late.p99()}
		if x != nil {
			now := x.Progress()
			sp.Fraction, sp.Text, sp.VUs, sp.VUsMax = now.Fraction, now.Text, now.Active, now.Max
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
	for _, x := range e.executors {
		if x != nil {
			n += x.Progress().Active
		}
	}
	return n
}

// elapsed is how long the scenarios have been running.
func (e *Engine) elapsed() time.Duration {
	start, end := e.started.Load(), e.ended.Load()
	switch {
	case start == nil:
		return 0
	case end != nil:
		return end.Sub(*start)
	}
	return max(0, time.Since(*start))
}

// lateness is the distribution of how long after their due time iterations started.
type lateness struct {
	mu     sync.Mutex
	sketch *metric.Sketch // in milliseconds; nil until the first
}

func (l *lateness) record(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sketch == nil {
		l.sketch = metric.NewSketch()
	}
	l.sketch.Record(float64(d) / float64(time.Millisecond))
}

func (l *lateness) p99() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sketch == nil {
		return 0
	}
	return time.Duration(l.sketch.Quantile(0.99) * float64(time.Millisecond))
}
