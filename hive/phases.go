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

	"hive/engine/executor"
)

// setupLost says whether the process that began setup() and has not ended it is gone, and which node that was. Its node
// may be there again, and even be dealt to.
func (d *driver) setupLost(ctx context.Context, fallen map[int64]string) (node string, lost bool, err error) {
	duty, begun := d.duty(d.n.keys.Setup(d.id))
	if !begun || duty.Done {
		return "", false, nil
	}
	on := d.onDuty(duty)
	for _, m := range d.st.Members {
		if m.ID == on.ID && m.Boot == on.Boot {
			return m.Name, fallen[m.Incarnation] != "", nil
		}
	}
	alive, err := d.alive(ctx, on)
	return on.Name, !alive, err
}

// policy is what the run does when the hive changes, with the defaults filled in.
func (d *driver) policy() Policy {
	p := d.spec.Flags.Policy
	p.OnNodeLoss, p.OnOutage = orDefaultOf(p.OnNodeLoss, LossRebalance), orDefaultOf(p.OnOutage, OutageSkip)
	if p.MaxLoss == nil {
		p.MaxLoss = new(float64)
		*p.MaxLoss = defaultMaxLoss
	}
	return p
}

// defaultMaxLoss is the part of the plan that may be lost, handed over or unknown before a verdict counts for nothing.
const defaultMaxLoss = 0.01

func orDefaultOf[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// awaitReady waits for all members to have initialised their VUs.
func (d *driver) awaitReady(ctx context.Context) error {
	if changed, err := d.dealAgain(ctx); changed || err != nil {
		return err
	}
	var traits Traits
	defs := map[string][]MetricDef{}
	var missing []string
	for _, m := range d.st.Members {
		s, ok := d.status(m)
		switch {
		case ok && s.Phase == NodeFailed && s.Failure != nil:
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
	return d.advance(ctx, "ready", func(s *State) { s.Phase, s.Traits, s.Metrics = Ready, traits, metrics })
}

// status is what a member says of itself, if it is of this life and of the present epoch.
func (d *driver) status(m Member) (s Status, ok bool) {
	s, ok = d.said(m)
	return s, ok && s.Epoch == d.st.Epoch
}

// said is the last word of an incarnation, of whatever epoch.
func (d *driver) said(m Member) (s Status, ok bool) {
	s, ok = d.statusOf(m.ID)
	return s, ok && s.Incarnation == m.Incarnation
}

func (d *driver) duty(key string) (duty Duty, ok bool) {
	kv, ok := d.keys.Get(key)
	return duty, ok && json.Unmarshal(kv.Value, &duty) == nil
}

func (d *driver) wantsTeardown() bool { return d.st.Traits.Teardown && !d.opts.NoTeardown }

func (d *driver) leaveReady(ctx context.Context) error {
	if changed, err := d.dealAgain(ctx); changed || err != nil {
		return err
	}
	if d.st.Traits.Setup && !d.opts.NoSetup {
		return d.advance(ctx, "setup", func(s *State) { s.Phase = Setup })
	}
	return d.start(ctx)
}

// start names the instant at which all begin, on this node's clock.
func (d *driver) start(ctx context.Context) error {
	rows, err := d.firstRows(ctx)
	if err != nil {
		return err
	}
	d.note(TimelineStart, "", fmt.Sprintf("the load begins on %s", plural(len(d.st.Members), "node", "nodes")), nil)
	return d.advance(ctx, "start", func(s *State) {
		s.Phase, s.Teardown = Running, d.wantsTeardown()
		s.Anchor = Anchor{Node: d.n.info.ID, Boot: d.n.boot, At: d.n.clock.Now() + Instant(d.n.cfg.Timing.StartDelay), Gen: 1}
	}, clientv3.OpPut(d.n.keys.Rows(d.id), rows))
}

// awaitSetup waits for the named node to have run setup().
func (d *driver) awaitSetup(ctx context.Context) error {
	if changed, err := d.dealAgain(ctx); changed || err != nil {
		return err
	}
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

// watchLoad keeps the shares of the load with nodes that live, judges while it runs, and sees its end.
func (d *driver) watchLoad(ctx context.Context) error {
	if !d.outage.down && d.n.runClock(d.id) == nil {
		if d.at() < d.n.leaseTTL() || d.tiedHere() {
			return nil // this node has yet to hear how the run's clock goes
		}
		if len(d.living()) > 0 {
			return d.renewClock(ctx)
		}
		d.outage = outage{down: true, since: d.at()} // nobody knows any more
	}
	if d.outage.down {
		return d.ride(ctx)
	}
	if err := d.keepClock(ctx); err != nil {
		return err
	}
	if f := d.failureOfNodes(); f != nil {
		return d.drain(ctx, f)
	}
	if over, how := d.loadOver(); over {
		return d.leaveRunning(ctx, how)
	}
	if changed, err := d.changeOwners(ctx); changed || err != nil {
		return err
	}
	if limit := d.longest(); d.now() > limit {
		return d.drain(ctx, Failf(KindTimeout, "the load did not end by itself after %s", limit))
	}
	d.tellFilled()
	d.findSilent()
	d.findOverload()
	d.findSet()
	if err := d.closeAccounts(ctx); err != nil {
		return err
	}
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

// loadOver says whether nothing more is to be sent, and how nodes that wait for work of lost ones have to end.
func (d *driver) loadOver() (over bool, how StopMode) {
	if len(d.living()) == 0 {
		return d.now() >= d.planEnd(), ""
	}
	if d.allEnded() {
		return true, ""
	}
	return d.allIdle(), StopGraceful
}

// leaveRunning goes on once the load is over: at once, or after nodes that wait for work have been told that there is
// none.
func (d *driver) leaveRunning(ctx context.Context, how StopMode) error {
	fallen := d.fallen()
	for _, m := range d.st.Members {
		if reason := fallen[m.Incarnation]; reason != "" {
			d.note(TimelineNodeLost, m.Name, fmt.Sprintf("node %s lost (%s) at %s; the load ended before its %s redealt",
				m.Name, reason, seconds(d.provenAt(m)), plural(m.VUs, "slot was", "slots were")), map[string]float64{"slots": float64(m.VUs)})
		}
	}
	d.tellUnfilled()
	d.note(TimelineEnd, "", fmt.Sprintf("the load ended at %s", seconds(d.now())), nil)
	return d.advance(ctx, "end", func(s *State) {
		d.bury(s, d.fallen())
		s.Phase, s.Proposal = Teardown, nil
		if how != "" {
			s.Phase, s.Stop = Draining, how
		}
	})
}

// takenUp is how long after an epoch has begun a node's reports tell of it.
const takenUp = 500 * time.Millisecond

// allIdle says whether all living members have nothing to do any more and only wait for work of nodes that may be lost.
func (d *driver) allIdle() bool {
	if len(d.countedScenarios()) == 0 || d.st.Proposal != nil || d.restOfLost() {
		return false
	}
	for _, m := range d.living() {
		c := d.n.inbox.of(m.Incarnation)
		if c == nil || c.Stage < StageRunning || c.Epoch < d.st.Epoch {
			return false
		}
		if c.Stage >= StageEnded {
			continue
		}
		if d.st.From > 0 && c.At < d.st.From+takenUp {
			return false // it may not have seen yet what it gained
		}
		for _, s := range d.opts.Scenarios {
			if d.now() <= s.End() && !c.idle(s.Name) {
				return false
			}
		}
	}
	return d.nothingLoose()
}

// restOfLost says whether a lost member may have left counted iterations that others have yet to get, while these wait.
func (d *driver) restOfLost() bool {
	fallen := d.fallen()
	for _, m := range d.st.Members {
		if fallen[m.Incarnation] == "" {
			continue
		}
		c := d.n.inbox.of(m.Incarnation)
		for i := range d.countedScenarios() {
			s := d.opts.Scenarios[i]
			if d.now() <= s.End() && (c == nil || !c.idle(s.Name)) {
				return true
			}
		}
	}
	return false
}

// regularEnd is when the last scenario begins no more iterations, on the run's clock.
func (d *driver) regularEnd() (end time.Duration) {
	for _, s := range d.opts.Scenarios {
		if s.Regular() > math.MaxInt64-s.StartTime {
			return math.MaxInt64
		}
		end = max(end, s.StartTime+s.Regular())
	}
	return end
}

// planEnd is when the last iteration of the plan has ended, on the run's clock.
func (d *driver) planEnd() time.Duration { return executor.TotalDuration(d.opts.Scenarios) }

// longest is how far the run's clock may come before the load is ended by force.
func (d *driver) longest() time.Duration {
	end, slack := d.planEnd(), 2*d.n.cfg.Timing.Grace
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
	for _, m := range d.living() {
		c := d.n.inbox.of(m.Incarnation)
		if (c == nil && d.now()-d.st.From > silence || c != nil && time.Since(c.at) > silence) && !d.silent[m.Incarnation] {
			d.silent[m.Incarnation] = true
			d.warn("node %s has sent no metrics for %s", m.Name, silence)
		}
	}
}

// failureOfNodes is the first failure that a member's script reports. An engine that broke down is a loss, not a failure
// of the run.
func (d *driver) failureOfNodes() *Failure {
	for _, m := range d.st.Members {
		if c := d.n.inbox.of(m.Incarnation); c != nil && c.Failure != nil && !c.Failure.Kind.engineDied() {
			return c.Failure
		}
	}
	return nil
}

func (d *driver) stage(m Member) Stage {
	if c := d.n.inbox.of(m.Incarnation); c != nil {
		return c.Stage
	}
	return StagePreparing
}

// allEnded says whether every living member has sent its last metrics.
func (d *driver) allEnded() bool {
	for _, m := range append(d.living(), d.leavers()...) {
		if d.stage(m) < StageEnded {
			return false
		}
	}
	return true
}

// leavers are incarnations that handed their share over and whose last iterations may go on.
func (d *driver) leavers() (leaving []Member) {
	for _, g := range d.st.Gone {
		if r, ok := d.n.find(g.ID); ok && r.Boot == g.Boot && !g.Lost && d.stage(g.Member) < StageEnded {
			leaving = append(leaving, g.Member)
		}
	}
	return leaving
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
	return d.advance(ctx, "teardown", func(s *State) {
		d.bury(s, d.fallen())
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
	// The result has the timeline: what there is to say must be written before.
	if err := d.writeNotes(ctx); err != nil {
		return err
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
		alive, err := d.alive(ctx, d.onDuty(duty))
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
	if _, there := d.n.find(d.st.Duty); there && !d.lostNode(d.st.Duty) && time.Since(d.named) < d.n.cfg.Timing.Grace {
		return false, nil
	}
	d.named = time.Now()
	next := d.substitute()
	return false, d.advance(ctx, "duty", func(s *State) { s.Duty = next })
}

// onDuty is the process that began a call, as a member or as it is now.
func (d *driver) onDuty(duty Duty) Member {
	m := Member{ID: duty.Node, Name: d.nameOf(duty.Node), Boot: duty.Boot}
	if duty.Boot != "" {
		return m
	}
	if was, ok := d.memberOf(duty.Node); ok {
		return was
	}
	if r, ok := d.n.find(duty.Node); ok {
		m.Boot = r.Boot
	}
	return m
}

// lostNode says whether a node was a member and is lost.
func (d *driver) lostNode(id string) bool {
	m, ok := d.memberOf(id)
	return ok && d.fallen()[m.Incarnation] != ""
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
	if m, ok := d.memberOf(id); ok {
		return m.Name
	}
	if r, ok := d.n.find(id); ok {
		return r.Name
	}
	for _, g := range slices.Backward(d.st.Gone) {
		if g.ID == id {
			return g.Name
		}
	}
	return id
}

// missing are the living members whose last metrics have not come.
func (d *driver) missing() []string {
	duty, _ := d.duty(d.n.keys.Teardown(d.id))
	var names []string
	for _, m := range append(d.living(), d.leavers()...) {
		want := StageEnded
		if duty.Done && duty.Node == m.ID {
			want = StageTornDown
		}
		if d.stage(m) < want {
			names = append(names, m.Name)
		}
	}
	return names
}
