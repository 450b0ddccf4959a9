package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/engine/executor"
	"hive/engine/share"
	"hive/registry"
)

// begin deals the run to the nodes, once its turn has come.
func (d *driver) begin(ctx context.Context) error {
	members := d.candidates()
	plan, members, shares, err := d.deal(members)
	if err != nil {
		f := AsFailure(err)
		if f.Kind == KindCapacity && d.waited() < d.n.cfg.Timing.Grace {
			return nil // a hive that starts again is not complete at once
		}
		return d.conclude(ctx, &Result{Run: d.id, Name: d.spec.Name, Failure: f})
	}
	for i := range members {
		members[i].Incarnation = int64(i + 1)
	}
	if err := d.putAllocs(ctx, 1, dealing{Members: members, shares: shares, gains: make([][]Gain, len(members))}); err != nil {
		return err
	}
	value, err := json.Marshal(plan)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	d.hub.publish(EventPlan, plan)
	return d.advance(ctx, "begin", func(s *State) {
		s.Phase, s.Epoch, s.Tried, s.Members, s.Duty, s.Lives = Preparing, plan.Epoch, plan.Epoch, members, members[0].ID, int64(len(members))
		s.Warnings = append(s.Warnings, plan.Warnings...)
	}, clientv3.OpPut(d.n.keys.Plan(d.id), string(value)), clientv3.OpPut(d.n.keys.Active(), d.id))
}

// candidates are the living nodes that can carry load.
func (d *driver) candidates() (members []Member) {
	return slices.DeleteFunc(carriers(registry.Nodes(d.n.nodes)), func(m Member) bool { return d.barred(m.ID) })
}

// carriers are the nodes among those living that can carry load and stay.
func carriers(living []registry.Node) (members []Member) {
	for _, r := range living {
		if r.Capacity > 0 && !r.Draining {
			members = append(members, Member{ID: r.ID, Name: r.Name, Boot: r.Boot, Capacity: r.Capacity, Weight: r.Capacity})
		}
	}
	return members
}

// deal is Deal, after it has seen to it that the run could lose the nodes that it wants in reserve.
func (d *driver) deal(members []Member) (Plan, []Member, []share.Share, error) {
	return dealWithin(d.spec.Name, d.opts.Scenarios, members, d.spec.Flags.Policy.Reserve)
}

func dealWithin(name string, scenarios []executor.Scenario, members []Member, reserve int) (Plan, []Member, []share.Share, error) {
	if err := checkReserve(executor.Layout(scenarios).Slots, members, reserve); err != nil {
		return Plan{}, nil, nil, err
	}
	return Deal(name, scenarios, members)
}

// checkReserve refuses a test that would not fit without the largest nodes.
func checkReserve(vus int, members []Member, reserve int) error {
	if reserve <= 0 {
		return nil
	}
	sorted := slices.SortedFunc(slices.Values(members), func(a, b Member) int { return b.Capacity - a.Capacity })
	left := 0
	for _, m := range sorted[min(reserve, len(sorted)):] {
		left += m.Capacity
	}
	if vus <= left {
		return nil
	}
	return Failf(KindCapacity, "the test would not survive the loss of %s (--reserve): it needs %s, and without the largest %d of %s the hive carries %d",
		plural(reserve, "node", "nodes"), plural(vus, "VU", "VUs"), min(reserve, len(sorted)), plural(len(sorted), "node", "nodes"), left)
}

// putAllocs writes the allocations of an epoch in batches, in the place of any that an attempt before left; they take
// effect when the state names their epoch.
func (d *driver) putAllocs(ctx context.Context, epoch int, deal dealing) error {
	members, allocs := deal.allocs(epoch)
	ops := []clientv3.Op{clientv3.OpDelete(d.n.keys.AllocsOf(d.id, epoch), clientv3.WithPrefix())}
	byLife := map[int64]Alloc{}
	if _, err := d.l.write(ctx, "clear allocations", nil, ops...); err != nil {
		return fmt.Errorf("write allocations: %w", err)
	}
	ops = nil
	for i, m := range members {
		value, err := json.Marshal(allocs[i])
		if err != nil {
			return fmt.Errorf("allocation of node %s: %w", m.Name, err)
		}
		byLife[m.Incarnation] = allocs[i]
		ops = append(ops, clientv3.OpPut(d.n.keys.Alloc(d.id, epoch, m.ID), string(value)))
	}
	for _, batch := range inBatches(ops, d.n.cfg.ops) {
		if _, err := d.l.write(ctx, "allocations", nil, batch...); err != nil {
			return fmt.Errorf("write allocations: %w", err)
		}
	}
	d.allocs[epoch] = byLife
	return nil
}

// dealAgain deals a run anew whose load has not begun, because members are lost: those that stay keep their engines.
func (d *driver) dealAgain(ctx context.Context) (changed bool, err error) {
	fallen := d.fallen()
	var lost []Member
	for _, m := range d.st.Members {
		if fallen[m.Incarnation] != "" {
			lost = append(lost, m)
		}
	}
	if node, over, err := d.setupLost(ctx, fallen); over || err != nil {
		if err != nil {
			return false, err
		}
		return true, d.advance(ctx, "setup lost", func(s *State) {
			d.bury(s, fallen)
			s.fail(&Failure{Kind: KindSetupLost, Node: node, Message: "lost inside setup(), which is not run again"})
			s.Teardown = s.Teardown || d.wantsTeardown()
			d.endLoad(s, StopInterrupt)
		})
	}
	if len(lost) == 0 {
		return false, nil
	}
	f := &Failure{Kind: KindNodeLost, Node: lost[0].Name, Message: fmt.Sprintf("lost while the run was %s: %s", d.st.Phase, fallen[lost[0].Incarnation])}
	if died := d.died[lost[0].Incarnation]; died != nil {
		f.Kind, f.Message = deathKind(died), died.Message
	}
	if d.policy().OnNodeLoss == LossAbort {
		return true, d.drain(ctx, f)
	}
	return true, d.redealUnbegun(ctx, fallen, lost, f)
}

// redealUnbegun gives the nodes that are there now a first deal again.
func (d *driver) redealUnbegun(ctx context.Context, fallen map[int64]string, lost []Member, f *Failure) error {
	var members []Member
	for _, m := range d.candidates() {
		// A node whose engine died is not tried again, one that was away or is another process is.
		if was, ok := d.memberOf(m.ID); !ok || was.Boot != m.Boot || d.died[was.Incarnation] == nil {
			members = append(members, m)
		}
	}
	plan, members, shares, err := d.deal(members)
	if err != nil {
		if d.waited() < d.n.cfg.Timing.Grace && (len(members) == 0 || len(lost) == len(d.st.Members)) {
			return nil // a hive that was down as a whole comes back node by node
		}
		f.Message += "; without it " + err.Error()
		return d.drain(ctx, f)
	}
	epoch, lives := d.st.Tried+1, d.st.Lives
	for i, m := range members {
		if was, ok := d.memberOf(m.ID); ok && was.Boot == m.Boot && fallen[was.Incarnation] == "" {
			members[i].Incarnation = was.Incarnation
			continue
		}
		lives++
		members[i].Incarnation = lives
	}
	if err := d.putAllocs(ctx, epoch, dealing{Members: members, shares: shares, gains: make([][]Gain, len(members))}); err != nil {
		return err
	}
	plan.Epoch = epoch
	value, err := json.Marshal(plan)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	d.note(TimelineNodeLost, lost[0].Name, fmt.Sprintf("node %s was lost (%s) before the load began; the test was dealt anew to %s",
		nameList(lost), fallen[lost[0].Incarnation], plural(len(members), "node", "nodes")), nil)
	d.hub.publish(EventPlan, plan)
	return d.advance(ctx, "deal again", func(s *State) {
		d.bury(s, fallen)
		s.Phase, s.Epoch, s.Tried, s.Members, s.Lives = Preparing, epoch, epoch, members, lives
		if !hasNode(members, s.Duty) {
			s.Duty = members[0].ID
		}
	}, clientv3.OpPut(d.n.keys.Plan(d.id), string(value)))
}

func hasNode(members []Member, id string) bool {
	return slices.ContainsFunc(members, func(m Member) bool { return m.ID == id })
}
