package hivetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
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

// epoch is one with how far each arrival-rate scenario has come in it.
type epoch struct {
	executor.Epoch
	first  []int64 // the first index in it, by scenario
	begun  []int64 // own arrivals dealt with
	seq    []*share.Sequence
	awaits map[int]bool // slots that another engine has not let go
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

// commit takes an epoch over; e.mu is held.
func (e *Engine) commit(next executor.Epoch) {
	ep := &epoch{Epoch: next, first: make([]int64, len(e.rows)), begun: make([]int64, len(e.rows)), seq: make([]*share.Sequence, len(e.rows)), awaits: map[int]bool{}}
	for i := range e.rows {
		r := &e.rows[i]
		if arrives(r.s) {
			ep.first[i], ep.seq[i] = firstDue(r, next.From), next.Share.Iterations(i)
		}
		e.takeWork(i, next)
	}
	if len(e.epochs) > 0 {
		e.release() // of the one before
		own := next.Share.All()
		e.giving = e.giving.Union(e.epochs[len(e.epochs)-1].Share.All()).Minus(own)
		e.released = slices.DeleteFunc(e.released, func(h executor.Handover) bool { return own.Has(h.Slot) })
	}
	for slot := range next.Awaits.Values() {
		ep.awaits[slot] = true
	}
	e.epochs = append(e.epochs, ep)
	e.epochsIn = append(e.epochsIn, next.Number)
	e.held = nil
	e.release()
}

// takeWork takes over what an epoch says of one scenario's counted work.
func (e *Engine) takeWork(i int, next executor.Epoch) {
	r := &e.rows[i]
	var w share.Work
	if i < len(next.Work) {
		w = next.Work[i]
	}
	for slot, n := range w.Next {
		slot += next.Share.Base(i)
		r.next[slot] = max(r.next[slot], n)
	}
	if r.s.Executor != executor.SharedIterations {
		return
	}
	switch {
	case w.Whole:
		r.weights = w.Weights
		r.pieces = append(cut(r.pieces, max(r.taken, r.allowed.Limit)), w.Pieces...) // what was allowed stays its own
	case r.weights == nil:
		r.weights = next.Share.Nodes(i)
		if seq := next.Share.Iterations(i); !seq.Empty() {
			r.pieces = []share.Piece{{Owner: next.Share.Index(), From: 0, To: seq.Before(r.s.Iterations)}}
		}
	}
}

// open says whether the fence is; e.mu is held.
func (e *Engine) open() bool { return !e.cfg.Fenced || time.Now().Before(e.deadline) }

// pass does all that is due, and says whether the load is over.
func (e *Engine) pass() (over bool) {
	e.mu.Lock()
	now := e.clock.Now()
	to := now
	if e.held != nil {
		to = min(to, *e.held)
	}
	var all []Iteration
	if e.open() {
		for k, ep := range e.epochs {
			end := to
			if k+1 < len(e.epochs) {
				end = min(end, e.epochs[k+1].From)
			}
			if begin := max(e.reached, ep.From); begin < end {
				all = append(all, e.between(ep, begin, end, now)...)
			}
		}
		e.reached = max(e.reached, to)
		for len(e.epochs) > 1 && e.epochs[1].From <= e.reached {
			e.epochs = e.epochs[1:]
		}
	}
	e.release()
	e.done += int64(len(all))
	over = e.over(now)
	e.mu.Unlock()
	e.tell(all)
	return over
}

// tell records what was begun.
func (e *Engine) tell(all []Iteration) {
	if n := len(all); n > 0 {
		e.store.Recorder(0).Record(e.reg.Root(), metric.Extra{}, time.Now(), metric.Value{Metric: e.reg.Builtin().Iterations, V: float64(n)})
		if e.cfg.Begun != nil {
			for _, it := range all {
				e.cfg.Begun(it)
			}
		}
	}
	if e.cfg.Passed != nil {
		e.cfg.Passed(int64(len(all)))
	}
}

// between begins what an epoch has in a stretch of the run; e.mu is held.
func (e *Engine) between(ep *epoch, from, to, now time.Duration) (all []Iteration) {
	for i := range e.rows {
		r := &e.rows[i]
		if arrives(r.s) {
			all = append(all, e.arrivals(i, ep, to, now)...)
			r.ledger.Reached = max(r.ledger.Reached, to)
			continue
		}
		all = append(all, e.steps(i, ep, from, to, now)...)
	}
	return all
}

// arrivals begins the own arrivals of an epoch that are due before a moment.
func (e *Engine) arrivals(i int, ep *epoch, to, now time.Duration) (all []Iteration) {
	r := &e.rows[i]
	for !ep.seq[i].Empty() {
		index := ep.first[i] + ep.seq[i].At(ep.begun[i])
		due, ok := r.due(index)
		due += r.s.StartTime
		if !ok || due >= to {
			break
		}
		ep.begun[i]++
		if now-due > e.cfg.Stale {
			r.ledger.Lost++
			continue
		}
		r.ledger.Started++
		r.ledger.Completed++
		all = append(all, Iteration{Scenario: i, Index: index, Slot: -1, Due: due, Epoch: ep.Number, At: time.Now()})
	}
	return all
}

// steps begins what the VUs of a scenario have to do in a stretch of the run:
// one iteration of each at each multiple of Step.
func (e *Engine) steps(i int, ep *epoch, from, to, now time.Duration) (all []Iteration) {
	r := &e.rows[i]
	from, to = max(from-r.s.StartTime, 0), min(to-r.s.StartTime, r.s.Regular())
	for n := (from + Step - 1) / Step; n*Step < to; n++ {
		due := r.s.StartTime + n*Step
		for _, local := range ep.Share.Slots(i) {
			slot := ep.Share.Base(i) + local
			if local >= r.scale || now-due > e.cfg.Stale {
				continue
			}
			if ep.awaits[slot] || !e.warm.Has(slot) {
				r.waited[slot] += Step
				continue
			}
			if it, ok := e.begin(i, slot, local, ep); ok {
				it.Due, it.Epoch, it.At = due, ep.Number, time.Now()
				r.ledger.Active += Step.Seconds()
				r.ledger.Handover += r.waited[slot].Seconds()
				delete(r.waited, slot)
				all = append(all, it)
			}
		}
	}
	return all
}

// begin is one iteration of a VU, if there is one to begin.
func (e *Engine) begin(i, slot, local int, ep *epoch) (it Iteration, ok bool) {
	r := &e.rows[i]
	if e.died != nil {
		return it, false
	}
	n := r.next[slot]
	switch r.s.Executor {
	case executor.SharedIterations:
		if e.cfg.Marked && r.taken >= r.allowed.Limit {
			e.ask()
			return it, false
		}
		index, ok := r.at(r.taken)
		if !ok {
			return it, false
		}
		r.taken++
		it = Iteration{Scenario: i, Index: index, Slot: slot}
	case executor.PerVUIterations:
		if n >= r.s.Iterations {
			return it, false
		}
		if e.cfg.Marked && n >= r.allowed.Slots[local] {
			e.ask()
			return it, false
		}
		it = Iteration{Scenario: i, Index: n, Slot: slot}
	default:
		if e.cfg.Marked && n >= r.allowed.Limit {
			e.ask()
			return it, false
		}
		it = Iteration{Scenario: i, Index: n, Slot: slot}
	}
	r.next[slot] = n + 1
	r.ledger.Started++
	r.ledger.Completed++
	return it, true
}

// ask says that marks are too low.
func (e *Engine) ask() {
	select {
	case e.need <- struct{}{}:
	default:
	}
}

// over says whether there is nothing more to do; e.mu is held.
func (e *Engine) over(now time.Duration) bool {
	if e.held != nil || len(e.epochs) > 1 {
		return false
	}
	for i := range e.rows {
		r := &e.rows[i]
		if now >= r.s.StartTime+r.s.Regular() && e.reached >= min(now, r.s.StartTime+r.s.Regular()) {
			continue
		}
		if e.cfg.Waits || !e.idle(i) {
			return false
		}
	}
	return true
}

// idle says whether nothing is left to do of a scenario that counts iterations; e.mu is held.
func (e *Engine) idle(i int) bool {
	if len(e.epochs) == 0 {
		return false
	}
	r, sh := &e.rows[i], e.epochs[0].Share
	switch r.s.Executor {
	case executor.SharedIterations:
		_, more := r.at(r.taken)
		return !more
	case executor.PerVUIterations:
		return !slices.ContainsFunc(sh.Slots(i), func(local int) bool { return r.next[sh.Base(i)+local] < r.s.Iterations })
	}
	return false
}

// release lets slots go that are to be let go by now; e.mu is held.
func (e *Engine) release() {
	if e.giving.Len() == 0 || e.reached < e.epochs[len(e.epochs)-1].From {
		return
	}
	plan := e.epochs[len(e.epochs)-1].Share.Plan()
	for slot := range e.giving.Values() {
		var next int64
		for i, r := range plan.Scenarios {
			if r.Base <= slot && slot < r.Base+r.Max {
				next = max(next, e.rows[i].next[slot])
			}
		}
		e.released = append(e.released, executor.Handover{Slot: slot, Next: next})
	}
	e.giving = share.Slots{}
}

// Propose is a promise to begin nothing due at or after next.From.
func (e *Engine) Propose(next executor.Epoch) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = &next.From
	e.promises++
	return nil
}

// Withdraw ends the promise.
func (e *Engine) Withdraw() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = nil
}

// Commit takes an epoch over.
func (e *Engine) Commit(next executor.Epoch) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.epochs) == 0 {
		return errors.New("hivetest: an epoch was committed before Run")
	}
	if last := e.epochs[len(e.epochs)-1]; next.Number <= last.Number {
		return fmt.Errorf("hivetest: epoch %d was committed after %d", next.Number, last.Number)
	}
	e.commit(next)
	return nil
}

// Receive starts VUs that were awaited, in the present epoch.
func (e *Engine) Receive(slots []executor.Handover) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.epochs) == 0 {
		return
	}
	awaits := e.epochs[len(e.epochs)-1].awaits
	for _, h := range slots {
		if !awaits[h.Slot] {
			continue
		}
		delete(awaits, h.Slot)
		for i := range e.rows {
			e.rows[i].next[h.Slot] = max(e.rows[i].next[h.Slot], h.Next)
		}
	}
}

// Released are the slots let go in the present epoch.
func (e *Engine) Released() []executor.Handover {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.clock != nil {
		e.release()
	}
	return append([]executor.Handover(nil), e.released...)
}

// Marks are what the engine wants to be allowed.
func (e *Engine) Marks() []executor.Marks {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]executor.Marks, len(e.rows))
	for i := range e.rows {
		r := &e.rows[i]
		sh := e.cfg.Share
		if len(e.epochs) > 0 {
			sh = e.epochs[len(e.epochs)-1].Share
		}
		all[i] = r.wants(i, sh)
	}
	return all
}

// awaited says whether another engine has yet to let a slot go; e.mu is held.
func (e *Engine) awaited(slot int) bool {
	return slices.ContainsFunc(e.epochs, func(ep *epoch) bool { return ep.awaits[slot] })
}

// Begun is how far an engine that has died had come.
func (e *Engine) Begun() []executor.Marks {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.died == nil {
		return nil
	}
	all := make([]executor.Marks, len(e.rows))
	for i, r := range e.rows {
		switch area := e.cfg.Share.Plan().Scenarios[i]; r.s.Executor {
		case executor.SharedIterations:
			all[i].Limit = r.taken
		case executor.PerVUIterations:
			all[i].Slots = map[int]int64{}
			for slot := area.Base; slot < area.Base+area.Max; slot++ {
				// What another engine has to say of a slot first, or nobody has yet, is not known here.
				if n, ok := r.next[slot]; ok && !e.awaited(slot) {
					all[i].Slots[slot-area.Base] = n
				}
			}
		default:
			all[i].Limit = math.MaxInt64
		}
	}
	return all
}

// NeedMarks says when a row has come to its mark.
func (e *Engine) NeedMarks() <-chan struct{} { return e.need }

// Allow raises the marks.
func (e *Engine) Allow(marks []executor.Marks) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.rows {
		if i < len(marks) {
			e.rows[i].allowed = marks[i]
		}
	}
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
