package hive

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/election"
	"hive/engine/metric"
	"hive/engine/options"
	"hive/engine/share"
	"hive/engine/threshold"
	"hive/registry"
)

const (
	// driverTick is how often a run under way is looked at when nothing happens.
	driverTick = 250 * time.Millisecond
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

	spec     Spec
	opts     options.Options
	st       State
	rev      int64 // of the state; 0 before there is one
	entered  time.Time
	named    time.Time // when the node on duty for teardown was named
	complete time.Time // when teardown was over
	judge    *Judge
	judged   time.Time
	shown    time.Time
	lost     map[string]bool
	silent   map[string]bool

	wake chan struct{}
	mu   sync.Mutex // guards what follows
	got  map[string]*checkpoint
	team map[string]int64 // incarnation of each member, by node id
}

// checkpoint is the latest a node has sent.
type checkpoint struct {
	Report
	snapshot *metric.Snapshot
	at       time.Time
	logSeq   int64
}

func newDriver(l *leader, id string) *driver {
	return &driver{l: l, n: l.n, id: id, hub: l.hub(id), keys: registry.NewMirror(l.n.etcd, l.n.keys.Run(id)),
		wake: make(chan struct{}, 1), got: map[string]*checkpoint{}, lost: map[string]bool{}, silent: map[string]bool{}}
}

// Run drives until the run has finished.
func (d *driver) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = d.keys.Run(ctx) }) // ends with ctx and has nothing else to say
	if err := d.keys.Wait(ctx); err != nil {
		return err
	}
	if err := d.read(ctx); err != nil {
		return err
	}
	d.greet()
	tick := time.NewTicker(driverTick)
	defer tick.Stop()
	for d.st.Phase != Finished {
		keys, nodes := d.keys.Changed(), d.n.nodes.Changed()
		phase := d.st.Phase
		err := d.step(ctx)
		switch {
		case errors.Is(err, election.ErrDeposed) || ctx.Err() != nil:
			return cmp.Or(err, ctx.Err())
		case err != nil:
			d.n.log.Warn("a step of the run failed and is tried again", "run", d.id, "phase", phase, "reason", err)
			pause(ctx, driverTick)
			if err := d.readState(ctx); err != nil {
				return err
			}
			continue
		case d.st.Phase != phase:
			continue
		}
		select {
		case <-keys:
		case <-nodes:
		case <-d.wake:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// Also when the answer to the last write was lost.
	d.l.retire(d.id, StateEvent{Run: d.id, Phase: Finished, Verdict: d.st.Verdict, Failure: d.st.Failure})
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
	return nil
}

func (d *driver) readState(ctx context.Context) error {
	resp, err := d.n.etcd.Get(ctx, d.n.keys.State(d.id))
	if err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	d.st, d.rev = State{Phase: Queued, Times: map[Phase]time.Time{}}, 0
	if len(resp.Kvs) > 0 {
		d.rev = resp.Kvs[0].ModRevision
		if err := json.Unmarshal(resp.Kvs[0].Value, &d.st); err != nil {
			return fmt.Errorf("read the state: %w", err)
		}
	}
	d.entered = time.Now()
	d.setTeam()
	return nil
}

func (d *driver) setTeam() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.team = map[string]int64{}
	for _, m := range d.st.Members {
		d.team[m.ID] = m.Incarnation
	}
}

// greet tells those who listen where a run stands that another leader began.
func (d *driver) greet() {
	if d.rev == 0 {
		return
	}
	if kv, ok := d.keys.Get(d.n.keys.Plan(d.id)); ok {
		d.hub.publish(EventPlan, json.RawMessage(kv.Value))
	}
	d.announce()
}

func (d *driver) announce() {
	e := StateEvent{Run: d.id, Phase: d.st.Phase, Verdict: d.st.Verdict, Failure: d.st.Failure}
	called := d.st.Phase == Setup && d.st.Traits.Setup || d.st.Phase == Teardown && d.st.Traits.Teardown
	if m, ok := d.st.member(d.st.Duty); ok && called {
		e.Duty = m.Name
	}
	d.hub.publish(EventState, e)
}

// advance writes the next state together with ops, and takes it over. Both the
// leadership and the state as this driver knows it guard the write.
func (d *driver) advance(ctx context.Context, change func(*State), ops ...clientv3.Op) error {
	next := d.st
	next.Times = maps.Clone(d.st.Times)
	next.Warnings = slices.Clone(d.st.Warnings)
	change(&next)
	if next.Phase != d.st.Phase {
		next.Times[next.Phase] = time.Now().UTC()
	}
	value, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	key := d.n.keys.State(d.id)
	resp, err := d.l.fence.TxnIf(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", d.rev)},
		append(ops, clientv3.OpPut(key, string(value)))...)
	if err != nil {
		return err
	}
	moved := next.Phase != d.st.Phase
	d.st, d.rev = next, resp.Header.Revision
	d.setTeam()
	if moved {
		d.entered = time.Now()
		d.announce()
	}
	return nil
}

// warn tells everybody what does not end the run.
func (d *driver) warn(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
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
	if done, err := d.serveControls(ctx); done || err != nil {
		return err
	}
	if d.st.Phase != Queued {
		if lost, err := d.findLost(ctx); lost || err != nil {
			return err
		}
		d.showProgress()
	}
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
	}
	return fmt.Errorf("the state names an unknown phase %q", d.st.Phase)
}

// serveControls serves the requests that came since the last one served.
func (d *driver) serveControls(ctx context.Context) (done bool, err error) {
	kvs, _ := d.keys.All()
	type request struct {
		Control
		rev int64
	}
	var requests []request
	for key, kv := range kvs {
		if strings.HasPrefix(key, d.n.keys.Controls(d.id)) && kv.ModRev > d.st.Served {
			r := request{rev: kv.ModRev}
			if json.Unmarshal(kv.Value, &r.Control) == nil {
				requests = append(requests, r)
			}
		}
	}
	slices.SortFunc(requests, func(a, b request) int { return cmp.Compare(a.rev, b.rev) })
	for _, r := range requests {
		if err := d.stopRun(ctx, r.Control, r.rev); err != nil {
			return false, err
		}
		done = true
	}
	return done, nil
}

// stopRun ends the run at a user's word; a second word may only be stronger.
func (d *driver) stopRun(ctx context.Context, c Control, rev int64) error {
	f := Failf(c.Kind, "the run was stopped by %s", orDefault(c.By, "a client"))
	switch d.st.Phase {
	case Queued:
		return d.conclude(ctx, &Result{Run: d.id, Name: d.spec.Name, Failure: f})
	case Teardown:
		return d.advance(ctx, func(s *State) { s.Served = rev })
	}
	mode := c.Mode
	if d.st.Phase != Running && d.st.Phase != Draining || d.st.Stop == StopInterrupt {
		mode = StopInterrupt
	}
	return d.advance(ctx, func(s *State) { s.Served = rev; s.fail(f); s.Phase, s.Stop = Draining, mode })
}

// drain ends the load because of f.
func (d *driver) drain(ctx context.Context, f *Failure) error {
	return d.advance(ctx, func(s *State) { s.fail(f); s.Phase, s.Stop = Draining, StopInterrupt })
}

// findLost ends the run when a member is gone that still had something to do.
func (d *driver) findLost(ctx context.Context) (changed bool, err error) {
	for _, m := range d.st.Members {
		if d.lost[m.ID] {
			continue
		}
		alive, err := d.alive(ctx, m.ID, m.Incarnation)
		if err != nil {
			return false, err
		}
		if alive {
			continue
		}
		d.lost[m.ID] = true
		if d.stage(m.ID) >= StageEnded {
			d.warn("node %s left the hive after its load had ended", m.Name)
			continue
		}
		if err := d.lose(ctx, m); err != nil {
			delete(d.lost, m.ID)
			return false, err
		}
		return true, nil
	}
	return false, nil
}

// lose ends the run because of a lost member.
func (d *driver) lose(ctx context.Context, m Member) error {
	f := &Failure{Kind: KindNodeLost, Node: m.Name, Message: fmt.Sprintf("lost while the run was %s: its lease is gone", d.st.Phase)}
	inSetup := false
	if duty, ok := d.duty(d.n.keys.Setup(d.id)); ok && !duty.Done && duty.Node == m.ID {
		f.Kind, f.Message, inSetup = KindSetupLost, "lost inside setup(), which is not run again", true
	}
	if d.st.Phase == Draining || d.st.Phase == Teardown {
		return d.advance(ctx, func(s *State) { s.fail(f) })
	}
	return d.advance(ctx, func(s *State) {
		s.fail(f)
		s.Phase, s.Stop = Draining, StopInterrupt
		s.Teardown = s.Teardown || inSetup && d.wantsTeardown()
	})
}

// alive says whether the node lives in that incarnation. The mirror is
// believed when it says yes; a no is asked of etcd itself.
func (d *driver) alive(ctx context.Context, id string, incarnation int64) (bool, error) {
	key := d.n.keys.Nodes() + id
	if kv, ok := d.n.nodes.Get(key); ok && kv.CreateRev == incarnation {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	resp, err := d.n.etcd.Get(ctx, key, clientv3.WithKeysOnly())
	if err != nil {
		return false, fmt.Errorf("is node %s alive: %w", id, err)
	}
	return len(resp.Kvs) > 0 && resp.Kvs[0].CreateRevision == incarnation, nil
}

// living are the members that are not lost.
func (d *driver) living() []Member {
	return slices.DeleteFunc(slices.Clone(d.st.Members), func(m Member) bool { return d.lost[m.ID] })
}

// begin deals the run to the nodes, once its turn has come.
func (d *driver) begin(ctx context.Context) error {
	var members []Member
	for _, n := range registry.Nodes(d.n.nodes) {
		if n.Capacity > 0 {
			members = append(members, Member{ID: n.ID, Name: n.Name, Incarnation: n.Incarnation, Capacity: n.Capacity})
		}
	}
	plan, members, shares, err := Deal(d.spec.Name, d.opts.Scenarios, members)
	if err != nil {
		f := AsFailure(err)
		if f.Kind == KindCapacity && d.waited() < d.n.cfg.Timing.Grace {
			return nil // a hive that starts again is not complete at once
		}
		return d.conclude(ctx, &Result{Run: d.id, Name: d.spec.Name, Failure: f})
	}
	if err := d.putAllocs(ctx, members, shares); err != nil {
		return err
	}
	value, err := json.Marshal(plan)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	d.hub.publish(EventPlan, plan)
	return d.advance(ctx, func(s *State) {
		s.Phase, s.Epoch, s.Members, s.Duty = Preparing, plan.Epoch, members, members[0].ID
		s.Warnings = append(s.Warnings, plan.Warnings...)
	}, clientv3.OpPut(d.n.keys.Plan(d.id), string(value)), clientv3.OpPut(d.n.keys.Active(), d.id))
}

// putAllocs writes the allocations in batches; they take effect when the state
// names their epoch.
func (d *driver) putAllocs(ctx context.Context, members []Member, shares []share.Share) error {
	var ops []clientv3.Op
	for i, m := range members {
		value, err := json.Marshal(Alloc{Epoch: 1, Share: shares[i]})
		if err != nil {
			return fmt.Errorf("allocation of node %s: %w", m.Name, err)
		}
		ops = append(ops, clientv3.OpPut(d.n.keys.Alloc(d.id, m.ID), string(value)))
	}
	for batch := range slices.Chunk(ops, maxOps) {
		if _, err := d.l.fence.Txn(ctx, batch...); err != nil {
			return fmt.Errorf("write allocations: %w", err)
		}
	}
	return nil
}

// awaitReady waits for all members to have initialised their VUs.
func (d *driver) awaitReady(ctx context.Context) error {
	var traits Traits
	defs := map[string][]MetricDef{}
	var missing []string
	for _, m := range d.st.Members {
		s, ok := d.status(m)
		switch {
		case ok && s.Phase == NodeFailed:
			return d.drain(ctx, s.Failure)
		case !ok || s.Phase != NodeReady:
			missing = append(missing, m.Name)
		default:
			traits, defs[m.Name] = s.Traits, s.Metrics
		}
	}
	if len(missing) > 0 {
		if d.waited() > d.n.cfg.Timing.Prepare {
			return d.drain(ctx, Failf(KindTimeout, "not ready after %s: %s", d.n.cfg.Timing.Prepare, strings.Join(missing, ", ")))
		}
		return nil
	}
	metrics, err := agreeOnMetrics(defs)
	if err == nil {
		_, err = NewJudge(d.opts, d.spec.Flags, metrics)
	}
	if err != nil {
		return d.drain(ctx, AsFailure(err))
	}
	return d.advance(ctx, func(s *State) { s.Phase, s.Traits, s.Metrics = Ready, traits, metrics })
}

// status is what a member says of itself, if it is of this life and epoch.
func (d *driver) status(m Member) (s Status, ok bool) {
	kv, ok := d.keys.Get(d.n.keys.Status(d.id, m.ID))
	if !ok || json.Unmarshal(kv.Value, &s) != nil {
		return Status{}, false
	}
	return s, s.Incarnation == m.Incarnation && s.Epoch == d.st.Epoch
}

func (d *driver) duty(key string) (duty Duty, ok bool) {
	kv, ok := d.keys.Get(key)
	return duty, ok && json.Unmarshal(kv.Value, &duty) == nil
}

func (d *driver) wantsTeardown() bool { return d.st.Traits.Teardown && !d.opts.NoTeardown }

func (d *driver) leaveReady(ctx context.Context) error {
	if d.st.Traits.Setup && !d.opts.NoSetup {
		return d.advance(ctx, func(s *State) { s.Phase = Setup })
	}
	return d.start(ctx)
}

// start names the instant at which all begin, on this node's clock.
func (d *driver) start(ctx context.Context) error {
	return d.advance(ctx, func(s *State) {
		s.Phase, s.Teardown = Running, d.wantsTeardown()
		s.Start, s.Clock = d.n.clock.Now()+Instant(d.n.cfg.Timing.StartDelay), d.n.info.ID
	})
}

// awaitSetup waits for the named node to have run setup().
func (d *driver) awaitSetup(ctx context.Context) error {
	duty, ok := d.duty(d.n.keys.Setup(d.id))
	switch {
	case ok && duty.Done && duty.Failure != nil:
		return d.drain(ctx, duty.Failure)
	case ok && duty.Done:
		return d.start(ctx)
	case d.waited() > d.opts.SetupTimeout+d.n.cfg.Timing.Grace:
		return d.drain(ctx, Failf(KindSetupTimeout, "setup() did not report its end within %s", d.opts.SetupTimeout+d.n.cfg.Timing.Grace))
	}
	return nil
}

// watchLoad judges while the load runs, until all members have ended.
func (d *driver) watchLoad(ctx context.Context) error {
	if f := d.failureOfNodes(); f != nil {
		return d.drain(ctx, f)
	}
	if d.allEnded() {
		return d.advance(ctx, func(s *State) { s.Phase = Teardown })
	}
	if limit := d.longest(); d.waited() > limit {
		return d.drain(ctx, Failf(KindTimeout, "the load did not end by itself after %s", limit))
	}
	d.findSilent()
	if time.Since(d.judged) < d.n.cfg.Timing.Judge {
		return nil
	}
	d.judged = time.Now()
	j, err := d.judgement(d.runningTime(), false)
	if err != nil {
		return err
	}
	if j.Abort {
		return d.drain(ctx, thresholdFailure(j.Failed))
	}
	return nil
}

// longest is how long the load may take before it is ended by force.
func (d *driver) longest() time.Duration {
	var end time.Duration
	for _, s := range d.opts.Scenarios {
		end = max(end, s.End())
	}
	slack := d.n.cfg.Timing.StartDelay + 2*d.n.cfg.Timing.Grace
	if end > math.MaxInt64-slack {
		return math.MaxInt64
	}
	return end + slack
}

// findSilent warns once of each member that sends no checkpoints.
func (d *driver) findSilent() {
	if d.waited() < silence {
		return
	}
	d.mu.Lock()
	var quiet []string
	for _, m := range d.living() {
		if c := d.got[m.ID]; (c == nil || time.Since(c.at) > silence) && !d.silent[m.ID] {
			d.silent[m.ID] = true
			quiet = append(quiet, m.Name)
		}
	}
	d.mu.Unlock()
	for _, name := range quiet {
		d.warn("node %s has sent no metrics for %s", name, silence)
	}
}

// failureOfNodes is the first failure that a node reports of its load.
func (d *driver) failureOfNodes() *Failure {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.st.Members {
		if c := d.got[m.ID]; c != nil && c.Failure != nil {
			return c.Failure
		}
	}
	return nil
}

func (d *driver) stage(id string) Stage {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.got[id]; c != nil {
		return c.Stage
	}
	return StagePreparing
}

// allEnded says whether every living member has sent its last metrics.
func (d *driver) allEnded() bool {
	for _, m := range d.living() {
		if d.stage(m.ID) < StageEnded {
			return false
		}
	}
	return true
}

// awaitEnd waits for the load to be over everywhere.
func (d *driver) awaitEnd(ctx context.Context) error {
	limit := d.n.cfg.Timing.Grace
	if d.st.Stop == StopGraceful {
		for _, s := range d.opts.Scenarios {
			limit = max(limit, s.Tail()+d.n.cfg.Timing.Grace)
		}
	}
	if !d.allEnded() {
		if d.waited() < limit {
			return nil
		}
		d.warn("not all nodes reported the end of their load within %s", limit)
	}
	f := d.failureOfNodes()
	return d.advance(ctx, func(s *State) {
		if f != nil {
			s.fail(f)
		}
		s.Phase = Teardown
	})
}

// awaitTeardown sees to teardown, gathers the last metrics and finishes.
func (d *driver) awaitTeardown(ctx context.Context) error {
	if d.st.Teardown {
		over, err := d.teardownOver(ctx)
		if !over || err != nil {
			return err
		}
	}
	if d.complete.IsZero() {
		d.complete = time.Now()
	}
	if missing := d.missing(); len(missing) > 0 {
		if time.Since(d.complete) < d.n.cfg.Timing.Grace {
			return nil
		}
		d.warn("the last metrics of these nodes are missing: %s", strings.Join(missing, ", "))
	}
	return d.conclude(ctx, d.result(ctx))
}

// teardownOver says whether nothing more is to be expected of teardown().
func (d *driver) teardownOver(ctx context.Context) (bool, error) {
	limit := d.opts.TeardownTimeout + d.n.cfg.Timing.Grace
	duty, begun := d.duty(d.n.keys.Teardown(d.id))
	if begun && duty.Done {
		if duty.Failure != nil {
			d.st.fail(duty.Failure)
		}
		return true, nil
	}
	if begun {
		alive, err := d.alive(ctx, duty.Node, duty.Incarnation)
		if err != nil {
			return false, err
		}
		if alive && d.waited() < limit {
			return false, nil
		}
		d.warn("teardown() was begun on node %s, which did not report its end; it is not run again", d.nameOf(duty.Node))
		return true, nil
	}
	if d.waited() > limit+3*d.n.cfg.Timing.Grace {
		d.warn("teardown() could not be run on any node")
		return true, nil
	}
	if d.named.IsZero() {
		d.named = time.Now()
	}
	if _, there := d.n.find(d.st.Duty); there && !d.lost[d.st.Duty] && time.Since(d.named) < d.n.cfg.Timing.Grace {
		return false, nil
	}
	d.named = time.Now()
	next := d.substitute()
	return false, d.advance(ctx, func(s *State) { s.Duty = next })
}

// substitute names another node for teardown: a living member, or this one.
func (d *driver) substitute() string {
	for _, m := range d.living() {
		if m.ID != d.st.Duty {
			return m.ID
		}
	}
	return d.n.info.ID
}

func (d *driver) nameOf(id string) string {
	if m, ok := d.st.member(id); ok {
		return m.Name
	}
	if r, ok := d.n.find(id); ok {
		return r.Name
	}
	return id
}

// missing are the living members whose last metrics have not come.
func (d *driver) missing() []string {
	duty, _ := d.duty(d.n.keys.Teardown(d.id))
	var names []string
	for _, m := range d.living() {
		want := StageEnded
		if duty.Done && duty.Node == m.ID {
			want = StageTornDown
		}
		if d.stage(m.ID) < want {
			names = append(names, m.Name)
		}
	}
	return names
}

// receive takes a member's checkpoint; only the latest counts.
func (d *driver) receive(r Report, s *metric.Snapshot) error {
	d.mu.Lock()
	inc, ok := d.team[r.Node]
	if !ok || inc != r.Incarnation {
		d.mu.Unlock()
		return refuse(http.StatusConflict, codeConflict, "node %s has no share of run %s in this life", r.Node, d.id)
	}
	last := d.got[r.Node]
	var seen int64
	if last != nil {
		seen = last.logSeq
	}
	for _, line := range r.Logs {
		if line.Seq > seen {
			seen = line.Seq
			d.hub.publish(EventLog, line)
		}
	}
	if last == nil || r.Seq > last.Seq {
		r.Logs = nil
		d.got[r.Node] = &checkpoint{Report: r, snapshot: s, at: time.Now(), logSeq: seen}
	} else {
		last.logSeq = seen
	}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return nil
}

// latest are the members' latest checkpoints, in the order of the members.
func (d *driver) latest() []checkpoint {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []checkpoint
	for _, m := range d.st.Members {
		if c := d.got[m.ID]; c != nil {
			all = append(all, *c)
		}
	}
	return all
}

func (d *driver) view() *metric.View {
	var snaps []*metric.Snapshot
	for _, c := range d.latest() {
		snaps = append(snaps, c.snapshot)
	}
	return metric.NewView(metric.Merge(snaps...))
}

// judgement holds the thresholds against what the nodes have sent.
func (d *driver) judgement(elapsed time.Duration, final bool) (threshold.Judgement, error) {
	if d.judge == nil {
		j, err := NewJudge(d.opts, d.spec.Flags, d.st.Metrics)
		if err != nil {
			return threshold.Judgement{}, err
		}
		d.judge = j
	}
	if d.judge.set == nil {
		return threshold.Judgement{}, nil // nothing to judge: no need to merge
	}
	return d.judge.Judge(d.view(), elapsed, final), nil
}

// runningTime is how long the test has run, from the nodes' reports: setup and
// load, on their clocks, brought up to now.
func (d *driver) runningTime() time.Duration {
	var most time.Duration
	for _, c := range d.latest() {
		e := time.Duration(c.Elapsed)
		if c.Stage == StageRunning {
			e += time.Since(c.at)
		}
		most = max(most, e)
	}
	return d.tookSetup() + most
}

func (d *driver) tookSetup() time.Duration {
	duty, _ := d.duty(d.n.keys.Setup(d.id))
	return duty.Took
}

// totalTime is the duration of the finished test: setup, load and teardown as
// the nodes measured them, without what it took to agree in between.
func (d *driver) totalTime() time.Duration {
	var load time.Duration
	for _, c := range d.latest() {
		load = max(load, time.Duration(c.Elapsed))
	}
	duty, _ := d.duty(d.n.keys.Teardown(d.id))
	return d.tookSetup() + load + duty.Took
}

// showProgress tells clients how far the hive has come.
func (d *driver) showProgress() {
	if time.Since(d.shown) < progressEvery {
		return
	}
	d.shown = time.Now()
	var parts []Progress
	for _, c := range d.latest() {
		parts = append(parts, c.Progress)
	}
	d.hub.publish(EventProgress, ProgressEvent{Phase: d.st.Phase, Nodes: len(d.living()), Progress: MergeProgress(parts...)})
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
	for _, c := range d.latest() {
		if c.Marked != nil {
			return c.Marked
		}
	}
	return nil
}
