package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hive/engine/executor"
	"hive/engine/js"
	"hive/engine/metric"
	"hive/engine/modules/execution"
	"hive/engine/modules/http"
	"hive/engine/options"
	"hive/engine/share"
	"hive/engine/threshold"
)

// Config says what an Engine runs.
type Config struct {
	Test    *Test
	Options options.Options
	Share   share.Share // the first one; a node of a hive may be given others while it runs
	// Fenced says that nothing starts before the first Extend and nothing after the last deadline given. Without it the
	// engine never asks.
	Fenced bool
	// Marked says that counted iterations go no further than Allow permits, and that the engine waits for more to do
	// until Stop.
	Marked bool
	// Begun is where the engine writes down how far it has come with counted iterations; nil is nowhere.
	Begun executor.Begun
	// Files is what open() may read in the VUs; nil means what it read when the test was loaded.
	Files js.Opener
	// UserAgent is sent unless the options or a request name another.
	UserAgent string
	// Log takes what the script says and what the engine has to say of it.
	Log *slog.Logger
	// Raw receives every single sample, in batches, when it is not nil. It may be called by several goroutines at once.
	Raw func([]metric.Sample)
}

// Engine runs one share of one test, once. Its methods are called in the order of the test's life: Init, Setup, Run,
// Teardown, HandleSummary, Close; Snapshot, Progress, Stop, the controls and what changes the share at any time in
// between. None of them waits for script code to end but Init, Warm and those that run it.
type Engine struct {
	test    *Test
	opts    options.Options
	share   share.Share
	log     *slog.Logger
	builtin *metric.Builtin
	store   *metric.Store
	js      *js.Config
	rules   *threshold.Set
	pool    *pool

	tags        *metric.TagSet // the run's own
	activations []js.Activation
	tallies     []tally
	fence       *executor.Fence // nil is always open
	marked      bool
	begun       executor.Begun
	needMarks   chan struct{} // of one
	pace        *http.Pace    // nil without the option rps
	quota       *quota        // nil unless the pace depends on what others have
	tenure      *tenure
	ensemble    atomic.Pointer[ensemble] // that of Run; before it one that never starts, to show what is going to be

	ordering sync.Mutex              // one order at a time
	running  bool                    // Run has begun; guarded by ordering
	early    bool                    // Stop came before that; guarded by ordering
	orders   []func(*ensemble) error // for the ensemble of Run, given before there is one; guarded by ordering
	states   sync.Map                // *js.VU → *http.State, from a VU's init code until it is made
	vus      sync.Map                // *js.VU → *vu

	setupData json.RawMessage
	started   atomic.Pointer[time.Time]
	ended     atomic.Pointer[time.Duration] // on the run's clock

	life    context.Context // ends with Close
	end     context.CancelFunc
	warming sync.RWMutex // read-held by those who make VUs while the engine runs; Close waits for them
	health  atomic.Pointer[Health]
	fault   fault

	cancel   context.CancelCauseFunc // of Run; guarded by mu
	mu       sync.Mutex
	aborted  error  // exec.test.abort in the current activity; guarded by mu
	failed   bool   // exec.test.fail was called; guarded by mu
	failText string // its message; guarded by mu
	pulse    *pulse
	secrets  io.Closer // the TLS key log; nil without one
}

// tally counts what became of one scenario's iterations on this node.
type tally struct {
	completed, interrupted, dropped atomic.Int64

	late lateness
}

// New checks that the options fit the script and prepares a run; nothing is running yet.
func New(cfg Config) (*Engine, error) {
	if err := cfg.Options.CheckExec(cfg.Test.exports); err != nil {
		return nil, &Error{KindConfig, err}
	}
	reg := cfg.Test.registry
	e := &Engine{
		test: cfg.Test, opts: cfg.Options, share: cfg.Share, log: cfg.Log, builtin: reg.Builtin(), tags: reg.Root(),
		marked: cfg.Marked, begun: cfg.Begun, needMarks: make(chan struct{}, 1), fault: newFault(),
	}
	e.life, e.end = context.WithCancel(context.Background())
	if cfg.Fenced {
		e.fence = executor.NewFence()
	}
	e.tenure = newTenure(cfg.Share, cfg.Options.RPS > 0 && e.resident())
	e.setPace(cfg.Options)
	var err error
	if e.rules, err = threshold.New(cfg.Options.Thresholds, reg); err != nil {
		return nil, &Error{KindConfig, err}
	}
	if cfg.Options.SystemTags.Has(metric.TagExpectedResponse) {
		if err := reg.Submetric("http_req_duration{expected_response:true}"); err != nil {
			return nil, &Error{KindConfig, err}
		}
	}
	reg.Warnings(func(message string) { e.log.Warn(message) })
	e.tags = e.tags.WithAll(tagList(cfg.Options.Tags))
	e.store = metric.NewStore(reg, metric.StoreOptions{Raw: cfg.Raw})
	e.store.SetStart(startUnknown)
	if e.js, err = e.jsConfig(cfg); err != nil {
		return nil, err
	}
	e.pool = newPool(e)
	return e, e.prepareScenarios()
}

// resident says that the engine is a node's, whose share may change: it has an executor for every scenario, since slots
// may come.
func (e *Engine) resident() bool { return e.marked || e.fence != nil }

// setPace makes the limit of requests per second.
func (e *Engine) setPace(o options.Options) {
	switch {
	case o.RPS <= 0:
	case e.resident():
		e.quota = &quota{rps: float64(o.RPS), scenarios: o.Scenarios, tenure: e.tenure}
		e.pace = http.NewPace(e.quota.rate)
	default:
		e.pace = http.NewPace(http.Fixed(float64(o.RPS)))
	}
}

// startUnknown stands for the start of the run until Run is told it. It lies so far ahead (in 2242) that the seconds of
// init and setup, in which vus is recorded too, come before those of the run on its clock.
var startUnknown = time.Unix(1<<33, 0)

func (e *Engine) jsConfig(cfg Config) (*js.Config, error) {
	transport, secrets, err := transport(cfg.Options)
	if err != nil {
		return nil, err
	}
	e.secrets = secrets
	view, err := cfg.Options.ScriptView()
	if err != nil {
		return nil, &Error{KindConfig, err}
	}
	o := cfg.Options
	agent := o.UserAgent
	if agent == "" {
		agent = cfg.UserAgent
	}
	c := cfg.Test.config(cfg.Log)
	if cfg.Files != nil {
		c.Files = cfg.Files
	}
	c.Options, c.Tags, c.SystemTags, c.Throw = view, e.tags, o.SystemTags, o.Throw
	var gate func() bool
	if e.fence != nil {
		gate = e.fence.Open
	}
	c.Modules = modules(moduleDeps{
		data: cfg.Test.data,
		http: http.Config{
			Transport: transport, UserAgent: agent, MaxRedirects: o.MaxRedirects,
			Batch: o.Batch, BatchPerHost: o.BatchPerHost, HTTPDebug: o.HTTPDebug, Pace: e.pace, Gate: gate,
			DiscardResponseBodies: o.DiscardResponseBodies, NoCookiesReset: o.NoCookiesReset, NoVUConnectionReuse: o.NoVUConnectionReuse,
			OnVU: func(v *js.VU, s *http.State) { e.states.Store(v, s) },
		},
		execution: (*observer)(e),
	})
	return c, nil
}

func (e *Engine) prepareScenarios() error {
	e.tallies = make([]tally, len(e.opts.Scenarios))
	for _, s := range e.opts.Scenarios {
		e.activations = append(e.activations, js.Activation{
			Exec: s.Exec, Env: s.Env, Scenario: s.Name, Tags: e.tags.WithAll(tagList(s.Tags)),
		})
	}
	c, err := e.newEnsemble(executor.NewClock(startUnknown), executor.Epoch{Number: 1, Share: e.share})
	if err != nil {
		return &Error{KindConfig, err}
	}
	e.ensemble.Store(c)
	return nil
}

// tagList gives a map of tags in a fixed order.
func tagList(tags map[string]string) []metric.Tag {
	list := make([]metric.Tag, 0, len(tags))
	for k, v := range tags {
		list = append(list, metric.Tag{Key: k, Value: v})
	}
	slices.SortFunc(list, func(a, b metric.Tag) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return list
}

// Init makes all planned VUs of this share. It begins the once-a-second record of vus and vus_max, which Close ends.
func (e *Engine) Init(ctx context.Context) error {
	ctx, done := e.cancellable(ctx)
	defer done()
	e.pulse = e.startPulse()
	if err := e.pool.init(ctx, e.slots(e.share, executor.Scenario.Planned)); err != nil {
		return e.outcome(err)
	}
	e.warnOfLimits()
	return nil
}

// slots lists the slots of a share among the first so many of each scenario, ascending.
func (e *Engine) slots(of share.Share, count func(executor.Scenario) int) []int {
	var slots []int
	for i, s := range e.opts.Scenarios {
		base, most := of.Base(i), count(s)
		for _, slot := range of.Slots(i) {
			if slot < most {
				slots = append(slots, base+slot)
			}
		}
	}
	slices.Sort(slots)
	return slices.Compact(slots)
}

// Run executes all scenarios on a clock that reads 0 at start, which may lie ahead or have passed, from the given epoch
// on; the zero Epoch is the share that the engine was made for, from 0 on. It returns when the last scenario has ended.
// When ctx ends, running iterations are interrupted. The error is nil after a regular end and after Stop; KindAborted
// when the script aborted the test, KindInterrupted when ctx ended.
func (e *Engine) Run(ctx context.Context, start time.Time, first executor.Epoch, setupData json.RawMessage) error {
	ctx, done := e.cancellable(ctx)
	defer done()
	e.setupData = setupData
	if first.Number == 0 {
		first = executor.Epoch{Number: 1, Share: e.share}
	}
	c, err := e.assemble(start, first)
	if err != nil {
		return &Error{KindConfig, err}
	}
	defer e.dismiss(c)
	load, cancel := context.WithCancel(ctx)
	defer cancel()
	if e.early {
		cancel() // nothing begins
	}
	var running sync.WaitGroup
	errs := make([]error, len(c.executors))
	for i, x := range c.executors {
		if x == nil {
			continue
		}
		running.Go(func() {
			defer e.fault.catch()
			if errs[i] = x.Run(load); errs[i] != nil {
				e.interrupt(errs[i])
			}
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return e.outcome(err)
	}
	return e.outcome(context.Cause(ctx))
}

// Stop ends the run gracefully: nothing new starts, and what runs is given its gracefulStop. It returns at once. A run
// that has not begun ends as soon as it does.
func (e *Engine) Stop() {
	e.ordering.Lock()
	defer e.ordering.Unlock()
	e.early = e.early || !e.running
	_ = e.ensemble.Load().each(func(x executor.Executor) error {
		x.Stop()
		return nil
	})
}

// cancellable begins an activity whose context an abort by the script ends too. The returned function must be called.
func (e *Engine) cancellable(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cancel, e.aborted = cancel, nil
	return ctx, func() { cancel(nil) }
}

// interrupt ends the current activity of the engine.
func (e *Engine) interrupt(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cancel != nil {
		e.cancel(cause)
	}
}

// abort is exec.test.abort.
func (e *Engine) abort(cause *execution.Aborted) {
	err := &Error{KindAborted, cause}
	e.mu.Lock()
	if e.aborted == nil {
		e.aborted = err
	}
	e.mu.Unlock()
	e.interrupt(err)
}

// outcome chooses the error that says best why an activity ended: what the script asked for goes first.
func (e *Engine) outcome(err error) error {
	e.mu.Lock()
	aborted := e.aborted
	e.mu.Unlock()
	var known *Error
	switch {
	case aborted != nil:
		return aborted
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	}
	return scriptError(err)
}

// Failed reports whether the script called exec.test.fail, and its message.
func (e *Engine) Failed() (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failText, e.failed
}

// Thresholds are the rules of the options, parsed. A hive judges them over the merged metrics of all nodes.
func (e *Engine) Thresholds() *threshold.Set { return e.rules }

// Registry holds the run's metrics.
func (e *Engine) Registry() *metric.Registry { return e.test.registry }

// Snapshot is the cumulative state of all metrics on this node.
func (e *Engine) Snapshot() *metric.Snapshot { return e.store.Snapshot() }

// Close ends all VUs and their connections. Nothing of the engine is running when it returns.
func (e *Engine) Close() error {
	e.end()
	e.warming.Lock()
	defer e.warming.Unlock()
	if e.pulse != nil {
		e.pulse.stop()
	}
	e.pool.close()
	e.store.FlushRaw()
	if e.secrets != nil {
		return e.secrets.Close()
	}
	return nil
}
