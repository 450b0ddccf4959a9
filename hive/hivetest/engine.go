package hivetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"hive/engine"
	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/share"
)

// Step is how often a looping or counting VU of this engine begins an
// iteration; an iteration takes no time.
const Step = 10 * time.Millisecond

// ErrInterrupted is what Run returns when its context ended.
var ErrInterrupted = errors.New("hivetest: interrupted")

// Iteration is one that an engine has begun, and ended at once.
type Iteration struct {
	Scenario int
	// Index is the global index in arrival-rate and shared-iterations scenarios,
	// and the number in the VU's scenario in all others.
	Index int64
	Slot  int           // in the row of the whole test; -1 for arrivals
	Due   time.Duration // on the run's clock
	Epoch int
	At    time.Time // when it was begun
}

// Config is what an engine is made from.
type Config struct {
	Scenarios []executor.Scenario
	Share     share.Share
	Fenced    bool
	Marked    bool
	Waits     bool // with nothing left to do it waits for more until Stop, or the end of its scenarios, as a node's engine does
	// Tick is how often the engine looks at its clock; 0 means 5 ms.
	Tick time.Duration
	// Stale is how late an iteration may begin; one that is later is lost. 0 means 250 ms.
	Stale time.Duration
	// Registry defines the metrics; nil means a new one.
	Registry *metric.Registry
	// Begun, when set, is called for each iteration.
	Begun func(Iteration)
	// Passed, when set, is called after each look with how many iterations were begun in it.
	Passed func(n int64)
}

// Engine counts iterations. All methods may be called from any goroutine.
type Engine struct {
	cfg   Config
	reg   *metric.Registry
	store *metric.Store
	need  chan struct{}
	stop  chan struct{}
	halt  sync.Once
	dead  chan struct{}

	mu       sync.Mutex // guards what follows
	clock    *executor.Clock
	before   []func(*executor.Clock) // told to the clock before it was there
	deadline time.Time
	died     error
	warm     share.Slots
	epochs   []*epoch // those that matter from reached on, in order
	held     *time.Duration
	reached  time.Duration
	rows     []row
	released []executor.Handover
	giving   share.Slots
	done     int64
	epochsIn []int // numbers of the epochs committed
	promises int
}

// New makes an engine.
func New(cfg Config) *Engine {
	if cfg.Tick <= 0 {
		cfg.Tick = 5 * time.Millisecond
	}
	if cfg.Stale <= 0 {
		cfg.Stale = 250 * time.Millisecond
	}
	if cfg.Registry == nil {
		cfg.Registry = metric.NewRegistry()
	}
	e := &Engine{cfg: cfg, reg: cfg.Registry, need: make(chan struct{}, 1), stop: make(chan struct{}), dead: make(chan struct{})}
	e.store = metric.NewStore(e.reg, metric.StoreOptions{Shards: 1})
	for _, s := range cfg.Scenarios {
		r := row{s: s, next: map[int]int64{}, scale: s.MaxVUs(), waited: map[int]time.Duration{}}
		if arrives(s) {
			r.due = s.ArrivalSchedule()
		}
		e.rows = append(e.rows, r)
	}
	return e
}

// Store is where the engine's metrics are recorded.
func (e *Engine) Store() *metric.Store { return e.store }

// Epochs are the numbers of the epochs that the engine has executed.
func (e *Engine) Epochs() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]int(nil), e.epochsIn...)
}

// Kill lets the engine die as a process would.
func (e *Engine) Kill(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.died == nil {
		e.died = errors.New(reason)
		close(e.dead)
	}
}

// Init initialises the VUs of the share that the engine was made with.
func (e *Engine) Init(ctx context.Context) error { return e.Warm(ctx, e.cfg.Share) }

// Warm notes that VUs are initialised: those of other slots do not loop.
func (e *Engine) Warm(_ context.Context, s share.Share) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.warm = e.warm.Union(s.All())
	return nil
}

// Run executes from an epoch on until everything has ended.
func (e *Engine) Run(ctx context.Context, start time.Time, first executor.Epoch, _ json.RawMessage) error {
	e.mu.Lock()
	e.clock = executor.NewClock(start)
	for _, tell := range e.before {
		tell(e.clock)
	}
	e.reached = max(0, first.From)
	e.commit(first)
	e.mu.Unlock()
	tick := time.NewTicker(e.cfg.Tick)
	defer tick.Stop()
	for {
		if over := e.pass(); over {
			return nil
		}
		select {
		case <-ctx.Done():
			return ErrInterrupted
		case <-e.stop:
			e.letGo()
			return nil
		case <-e.dead:
			return e.Err()
		case <-tick.C:
		}
	}
}

// letGo releases what is left.
func (e *Engine) letGo() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reached = max(e.reached, e.epochs[len(e.epochs)-1].From) // nothing more is begun
	e.release()
}

// tellClock does something with the run's clock, or keeps it for when there is one.
func (e *Engine) tellClock(do func(*executor.Clock)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.clock == nil {
		e.before = append(e.before, do)
		return
	}
	do(e.clock)
}

// PauseAt lets the run's clock stand still.
func (e *Engine) PauseAt(run time.Duration) { e.tellClock(func(c *executor.Clock) { c.PauseAt(run) }) }

// ResumeAt lets it go on.
func (e *Engine) ResumeAt(at time.Time) { e.tellClock(func(c *executor.Clock) { c.ResumeAt(at) }) }

// Adjust moves it gently.
func (e *Engine) Adjust(d time.Duration) { e.tellClock(func(c *executor.Clock) { c.Adjust(d) }) }

// Now is the run's clock; 0 before Run.
func (e *Engine) Now() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.clock == nil {
		return 0
	}
	return e.clock.Now()
}

// ScaleAt sets the VUs of an externally-controlled scenario, at once.
func (e *Engine) ScaleAt(scenario string, vus int, _ time.Duration) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.rows {
		if r := &e.rows[i]; r.s.Name == scenario && r.s.Executor == executor.ExternallyControlled {
			r.scale = vus
			return nil
		}
	}
	return fmt.Errorf("hivetest: there is no externally-controlled scenario %q", scenario)
}

// Extend moves the fence; a deadline that has passed closes it at once.
func (e *Engine) Extend(deadline time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.deadline = deadline
}

// Fenced says whether the fence is closed.
func (e *Engine) Fenced() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.open()
}

// Ledger is what became of the iterations here.
func (e *Engine) Ledger() []executor.Ledger {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]executor.Ledger, len(e.rows))
	for i := range e.rows {
		all[i] = e.rows[i].ledger
	}
	return all
}

// Health says nothing.
func (e *Engine) Health() engine.Health { return engine.Health{} }

// Done is closed when the engine was killed.
func (e *Engine) Done() <-chan struct{} { return e.dead }

// Err says why.
func (e *Engine) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.died
}

// Stop ends Run.
func (e *Engine) Stop() { e.halt.Do(func() { close(e.stop) }) }

// Stopped says whether Stop was called.
func (e *Engine) Stopped() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}

// Registry holds the definitions of the metrics.
func (e *Engine) Registry() *metric.Registry { return e.reg }

// Snapshot is the cumulative state of all series.
func (e *Engine) Snapshot() *metric.Snapshot { return e.store.Snapshot() }

// Progress is how far the share has come.
func (e *Engine) Progress() engine.Progress {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := engine.Progress{Iterations: e.done, VUs: e.cfg.Share.All().Len()}
	if len(e.epochs) > 0 {
		p.VUs = e.epochs[len(e.epochs)-1].Share.All().Len()
	}
	for i, r := range e.rows {
		p.Scenarios = append(p.Scenarios, engine.ScenarioProgress{Name: r.s.Name, Executor: string(r.s.Executor), Idle: e.idle(i)})
	}
	return p
}

// Close frees nothing.
func (e *Engine) Close() error { return nil }
