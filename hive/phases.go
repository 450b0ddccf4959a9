package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/engine/share"
	"hive/registry"
)

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
