package hive

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/election"
	"hive/engine/executor"
	"hive/engine/options"
	"hive/engine/share"
	"hive/registry"
)

const (
	// driverTick is how often a run under way is looked at when nothing happens.
	driverTick = 250 * time.Millisecond
	// stepRest is for how long, for each member, a leader waits between two looks, but not longer than longestRest.
	stepRest, longestRest = 50 * time.Microsecond, 50 * time.Millisecond
	// stateTry bounds one attempt to write the state. It is short: when the answer is lost the state is read again, and a
	// hive that waits to redeal a lost share sends too little meanwhile.
	stateTry = 700 * time.Millisecond
	// progressEvery is how often clients hear how far the hive has come.
	progressEvery = time.Second
	// silence is after how long without a checkpoint a node is warned about.
	silence = 10 * time.Second
	// skewLimit is the start skew past which the result carries a warning.
	skewLimit = 20 * time.Millisecond
)

// driver takes one run through its phases. It is a state machine over what
// etcd holds: each step looks at the state, the nodes and their reports, and
// writes the next state, so that another leader can go on at any step.
type driver struct {
	l    *leader
	n    *Node
	id   string
	hub  *hub
	keys *registry.Mirror // of the run

	spec   Spec
	opts   options.Options
	layout share.Plan
	st     State
	rev    int64  // of the state; 0 before there is one
	roster string // as etcd has it

	born      time.Time     // when this driver began
	entered   time.Time     // when it first saw the present phase
	named     time.Time     // when the node on duty for teardown was named
	complete  time.Time     // when teardown was over
	ticked    time.Time     // when the run's clock was last written
	sought    time.Time     // when the members were last asked for it
	etcdTakes time.Duration // the longest that took lately
	passedOn  time.Time     // when the deputy was last looked after
	deputy    string        // id of the node that has the checkpoints of incarnations that are gone
	folded    int64         // what of them it has
	judge     *Judge
	judged    time.Time
	shown     time.Time
	silent    map[int64]bool
	strained  map[int64]bool // lives that were said to be overloaded

	words    map[string]wordOf // by node id
	members  memberIndex
	watch    *watchlist
	died     map[int64]*Failure      // engines that ended by themselves
	diedAt   map[int64]time.Duration // when that was first known, on the run's clock
	agenda   agenda
	allocs   map[int]map[int64]Alloc // by epoch and incarnation, as etcd has them
	lives    map[int64]*Life         // of incarnations that have no share any more
	closed   closedAccounts          // and what is summed up of older ones
	stints   map[int64][]Stint       // of those that have one: the last few
	known    DueCounts               // for the ledger
	filling  filling
	load     overload
	set      map[int64]time.Duration // how far wall clocks had been set ahead, by incarnation
	meter    loadMeter               // of the rates that are shown
	last     Tick
	outage   outage
	troubled Instant         // until when trouble with etcd has been told of, on this node's clock
	fulls    Instant         // the same of its want of space
	shuts    shutting        // when members had no lease
	stalls   map[int64]int   // Stall.N that was told, by incarnation
	lag      writeLag        // of etcd
	term     uint64          // of etcd's own leader, as of the last answer
	notes    []TimelineEvent // that wait to be written
	rows     *rows           // who has which counted iterations; nil before it was read
	nextRows *rows           // the same once the proposal is committed
	// refused are nodes that could not be dealt in, to be noted in the state.
	refused map[string]Death

	wake    chan struct{}
	handing chan handed // the answer of a deputy that is being given checkpoints
	busy    bool        // one is
	wg      sync.WaitGroup
}

func newDriver(l *leader, id string) *driver {
	d := &driver{l: l, n: l.n, id: id, hub: l.hub(id), keys: registry.NewMirror(l.n.etcd, l.n.keys.Run(id)), born: time.Now(),
		wake: make(chan struct{}, 1), handing: make(chan handed, 1), silent: map[int64]bool{}, words: map[string]wordOf{}, watch: newWatchlist(l.n.leaseTTL()), died: map[int64]*Failure{}, diedAt: map[int64]time.Duration{},
		allocs: map[int]map[int64]Alloc{}, lives: map[int64]*Life{}, stints: map[int64][]Stint{}, stalls: map[int64]int{}, known: DueCounts{}}
	return d
}

// at is the time on a clock that never stands still.
func (d *driver) at() time.Duration { return time.Since(d.born) }

// now is the time on the run's clock.
func (d *driver) now() time.Duration {
	switch clock := d.n.runClock(d.id); {
	case d.st.Anchor.Gen == 0:
		return 0
	case clock != nil:
		return clock.Now()
	case d.outage.down && d.policy().OnOutage == OutageFreeze:
		return d.sentUntil()
	}
	return d.presentRun()
}

// rouse makes the next step come at once.
func (d *driver) rouse() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run drives until the run has finished.
func (d *driver) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer d.wg.Wait()
	defer cancel()
	d.wg.Go(func() { _ = d.keys.Run(ctx) }) // ends with ctx and has nothing else to say
	if err := d.keys.Wait(ctx); err != nil {
		return err
	}
	if err := d.read(ctx); err != nil {
		return err
	}
	d.n.inbox.drive(d.id, d.hub, d.rouse)
	defer d.n.inbox.leave(d.id)
	defer d.l.calm.setAgreeing(false)
	if err := d.takeOver(ctx); err != nil {
		return err
	}
	d.greet()
	tick := time.NewTicker(driverTick)
	defer tick.Stop()
	var said complaint
	for d.st.Phase != Finished {
		keys, nodes := d.keys.Changed(), d.n.nodes.Changed()
		phase := d.st.Phase
		d.tellTrouble()
		d.tellShut()
		d.tellStalls()
		err := d.step(ctx)
		switch {
		case errors.Is(err, election.ErrDeposed) || ctx.Err() != nil:
			return cmp.Or(err, ctx.Err())
		case err != nil:
			if said.due(err) {
				d.n.log.Warn("a step of the run failed and is tried again", "run", d.id, "phase", phase, "reason", err)
			}
			if err := d.recover(ctx); err != nil {
				return err
			}
			continue
		case d.st.Phase != phase:
			continue
		}
		often := false
		select {
		case <-keys:
			often = true
		case <-nodes:
		case <-d.wake:
			often = true
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if often {
			d.rest(ctx, nodes)
		}
	}
	// Also when the answer to the last write was lost.
	d.l.retire(d.id, StateEvent{Run: d.id, Phase: Finished, Verdict: d.st.Verdict, Failure: d.st.Failure})
	return nil
}

// rest waits a little in a large hive, where every look takes its time and nodes have something to say at any moment;
// word that a node is gone ends it.
func (d *driver) rest(ctx context.Context, nodes <-chan struct{}) {
	t := time.NewTimer(min(time.Duration(len(d.st.Members))*stepRest, longestRest))
	defer t.Stop()
	select {
	case <-t.C:
	case <-nodes:
	case <-ctx.Done():
	}
}

// recover reads the state again after a step that failed: its write may have been done all the same. While etcd does
// not answer, nothing is decided.
func (d *driver) recover(ctx context.Context) error {
	rev := d.rev
	for {
		pause(ctx, driverTick/5)
		one, cancel := context.WithTimeout(ctx, etcdTry)
		err := d.readState(one)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			break
		}
		pause(ctx, driverTick)
	}
	if d.rev != rev {
		d.n.noteFull(nil) // a write was taken, whose answer was lost
		d.notes, d.rows, d.nextRows, d.allocs = nil, nil, nil, map[int]map[int64]Alloc{}
		if err := d.readLives(ctx); err != nil {
			return err
		}
		d.findFilling()
	}
	return nil
}

// read loads the run as etcd holds it.
func (d *driver) read(ctx context.Context) error {
	found, err := getJSON(ctx, d.n.etcd, d.n.keys.Spec(d.id), &d.spec)
	if err != nil {
		return err
	}
	if err := d.readState(ctx); err != nil {
		return err
	}
	if !found {
		return d.conclude(ctx, &Result{Run: d.id, Failure: Failf(KindInternal, "the run has no spec")})
	}
	if err := json.Unmarshal(d.spec.Options, &d.opts); err != nil && d.st.Phase != Finished {
		return d.conclude(ctx, &Result{Run: d.id, Name: d.spec.Name, Failure: Failf(KindConfig, "options: %v", err)})
	}
	d.layout = executor.Layout(d.opts.Scenarios)
	return nil
}

func (d *driver) readState(ctx context.Context) error {
	st, rev, term, err := readState(ctx, d.n.etcd, d.n.keys, d.id)
	if err != nil {
		return err
	}
	was := d.st.Phase
	d.st, d.rev, d.roster, d.term = st, rev, "", term
	if d.st.Phase != was {
		d.entered = time.Now()
	}
	return nil
}

// greet tells those who listen where a run stands that another leader began.
func (d *driver) greet() {
	if d.rev == 0 {
		return
	}
	if kv, ok := d.keys.Get(d.n.keys.Plan(d.id)); ok {
		d.hub.publish(EventPlan, json.RawMessage(kv.Value))
	}
	d.showTimeline()
	for _, w := range d.st.Warnings {
		d.hub.publish(EventWarning, Warning{w})
	}
	d.announce()
}

func (d *driver) announce() {
	e := StateEvent{Run: d.id, Phase: d.st.Phase, Verdict: d.st.Verdict, Failure: d.st.Failure}
	called := d.st.Phase == Setup && d.st.Traits.Setup || d.st.Phase == Teardown && d.st.Traits.Teardown
	if m, ok := d.memberOf(d.st.Duty); ok && called {
		e.Duty = m.Name
	}
	d.hub.publish(EventState, e)
}

// advance writes the next state together with ops and the queued entries of
// the timeline, and takes it over. Both the leadership and the state as this
// driver knows it guard the write, beside conds. name is for tests.
func (d *driver) advance(ctx context.Context, name string, change func(*State), ops ...clientv3.Op) error {
	return d.advanceIf(ctx, name, nil, change, ops...)
}

func (d *driver) advanceIf(ctx context.Context, name string, conds []clientv3.Cmp, change func(*State), ops ...clientv3.Op) error {
	next := d.st
	next.Times = maps.Clone(d.st.Times)
	next.Warnings = slices.Clone(d.st.Warnings)
	change(&next)
	d.bound(&next)
	if next.Phase != d.st.Phase {
		next.Times[next.Phase] = time.Now().UTC()
	}
	entries, written, err := d.noteOps(&next)
	if err != nil {
		return err
	}
	puts, roster, err := d.statePuts(next)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.n.patience(stateTry))
	defer cancel()
	key := d.n.keys.State(d.id)
	conds = append([]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", d.rev)}, conds...)
	resp, err := d.l.write(ctx, name, conds, slices.Concat(ops, entries, puts)...)
	if err != nil {
		return err
	}
	moved := next.Phase != d.st.Phase
	d.st, d.rev, d.roster, d.term = next, resp.Header.Revision, roster, resp.Header.RaftTerm
	d.noted(written)
	if moved {
		d.entered = time.Now()
		d.announce()
	}
	return nil
}

// statePuts write a state, and the roster if that has changed. A veto goes with the proposal that it is about.
func (d *driver) statePuts(next State) (puts []clientv3.Op, roster string, err error) {
	state, roster, err := encodeState(next)
	if err != nil {
		return nil, "", err
	}
	puts = []clientv3.Op{clientv3.OpPut(d.n.keys.State(d.id), state)}
	if roster != d.roster {
		puts = append(puts, clientv3.OpPut(d.n.keys.Roster(d.id), roster))
	}
	if p := d.st.Proposal; p != nil && (next.Proposal == nil || next.Proposal.Epoch != p.Epoch) {
		puts = append(puts, clientv3.OpDelete(d.n.keys.Veto(d.id)))
	}
	return puts, roster, nil
}

// warn tells everybody what does not end the run.
func (d *driver) warn(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if n := len(d.st.Warnings); n == keptWarnings {
		msg = "there were more warnings: the nodes' logs have them"
	} else if n > keptWarnings {
		return
	}
	if slices.Contains(d.st.Warnings, msg) {
		return
	}
	d.st.Warnings = append(slices.Clone(d.st.Warnings), msg)
	d.hub.publish(EventWarning, Warning{msg})
}

// waited is how long this leader has seen the present phase.
func (d *driver) waited() time.Duration { return time.Since(d.entered) }

// step does what the phase asks for.
func (d *driver) step(ctx context.Context) error {
	d.l.calm.setAgreeing(d.agreeing())
	told := len(d.notes)
	if done, err := d.serveControls(ctx); done || err != nil {
		d.untell(err, told)
		return err
	}
	if d.st.Phase != Queued {
		if err := d.findLost(ctx); err != nil {
			return err
		}
		d.showProgress()
		d.passOn(ctx)
	}
	told = len(d.notes)
	if err := d.act(ctx); err != nil {
		d.untell(err, told)
		return err
	}
	return d.writeNotes(ctx)
}

// untell takes back what a step that failed had to say for the timeline: it is done again.
func (d *driver) untell(err error, told int) {
	if err != nil {
		d.notes = d.notes[:min(told, len(d.notes))]
	}
}

func (d *driver) act(ctx context.Context) error {
	switch d.st.Phase {
	case Queued:
		return d.begin(ctx)
	case Preparing:
		return d.awaitReady(ctx)
	case Ready:
		return d.leaveReady(ctx)
	case Setup:
		return d.awaitSetup(ctx)
	case Running:
		return d.watchLoad(ctx)
	case Draining:
		return d.awaitEnd(ctx)
	case Teardown:
		return d.awaitTeardown(ctx)
	case Finished:
		return nil
	}
	return fmt.Errorf("the state names an unknown phase %q", d.st.Phase)
}

// drain ends the load because of f.
func (d *driver) drain(ctx context.Context, f *Failure) error {
	what := "the load was ended at " + seconds(d.now())
	if d.st.Phase == Preparing || d.st.Phase == Ready || d.st.Phase == Setup {
		what = "the run was ended before its load began"
	}
	d.tellUnfilled()
	d.note(TimelineStop, f.Node, what+": "+f.Error(), nil)
	return d.advance(ctx, "drain", func(s *State) {
		s.fail(f)
		d.endLoad(s, StopInterrupt)
	})
}

// endLoad leaves the phases before Draining.
func (d *driver) endLoad(s *State, mode StopMode) {
	if s.Phase == Running && !s.Stopped {
		s.Stopped, s.StoppedAt = true, d.now()
	}
	s.Phase, s.Stop, s.Proposal = Draining, mode, nil
}

// living are the members that are not lost.
func (d *driver) living() []Member {
	fallen := d.fallen()
	return slices.DeleteFunc(slices.Clone(d.st.Members), func(m Member) bool { return fallen[m.Incarnation] != "" })
}

// conclude gives the verdict and finishes the run.
func (d *driver) conclude(ctx context.Context, res *Result) error {
	if res.Verdict == "" {
		res.Verdict, res.Failure = Conclude(res.Failure, d.marked(), res.Failed)
	}
	if err := d.l.finish(ctx, d.id, d.st, d.rev, res); err != nil {
		return err
	}
	d.st.Phase = Finished
	return nil
}

// marked is the first node's report that the script marked the test as failed.
func (d *driver) marked() *Failure {
	for _, c := range d.n.inbox.all() {
		if c.Marked != nil {
			return c.Marked
		}
	}
	if f := d.n.inbox.sum(); f != nil {
		return f.marked
	}
	return nil
}
