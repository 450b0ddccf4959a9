package hive

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/election"
	"hive/engine/metric"
	"hive/engine/options"
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
