package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/election"
	"hive/engine/share"
	"hive/registry"
)

// keptStints is how many of an incarnation's last stints are kept, for the case that it is lost.
const keptStints = 4

// changeOwners does the next thing that the loss, the coming or the going of nodes asks for.
func (d *driver) changeOwners(ctx context.Context) (changed bool, err error) {
	fallen := d.fallen()
	if d.policy().OnNodeLoss == LossAbort {
		for _, m := range d.st.Members {
			if reason := fallen[m.Incarnation]; reason != "" {
				return true, d.abortLost(ctx, m, reason)
			}
		}
	}
	if f := d.hopeless(fallen); f != nil {
		return true, d.drain(ctx, f)
	}
	s, err := d.scene(ctx, fallen)
	if err != nil {
		return false, err
	}
	switch m := decide(s, &d.agenda); m.verb {
	case propose:
		return d.propose(ctx, m, fallen)
	case setFrom:
		if !d.l.calm.agree() {
			return false, nil // the members of the etcd are being changed
		}
		return true, d.nameFrom(ctx, m)
	case commit:
		return true, d.commit(ctx, fallen)
	case withdraw:
		return true, d.withdraw(ctx, m, fallen)
	case strike:
		return true, d.strike(ctx, m, fallen)
	}
	return false, nil
}

// abortLost ends the run because of a lost member, as its policy wants.
func (d *driver) abortLost(ctx context.Context, m Member, reason string) error {
	d.tellUnfilled()
	d.note(TimelineNodeLost, m.Name, fmt.Sprintf("node %s lost (%s) at %s; the run ends, as its policy wants", m.Name, reason, seconds(d.now())), nil)
	return d.advanceIf(ctx, "abort", d.stillGone([]Member{m}, d.fallen()), func(s *State) {
		d.bury(s, d.fallen())
		s.fail(&Failure{Kind: KindNodeLost, Node: m.Name, Message: "lost while the run was running: " + reason})
		d.endLoad(s, StopInterrupt)
	})
}

// hopeless is why a run has to end whose engines have died and will not be tried again, with no other node there.
func (d *driver) hopeless(fallen map[int64]string) *Failure {
	for _, m := range d.st.Members {
		if fallen[m.Incarnation] == "" {
			return nil
		}
	}
	var why *Failure
	for _, r := range registry.Nodes(d.n.nodes) {
		death, died := d.st.Deaths[r.ID]
		m, member := d.memberOf(r.ID)
		switch {
		case r.Capacity <= 0 || r.Draining:
		case died && death.Banned && why != nil: // the newest death is the one to tell
		case died && death.Banned:
			why = &Failure{Kind: KindEngine, Node: r.Name, Message: "its engine ended, and no other node is there to take the load: " + death.Reason}
		case member && d.died[m.Incarnation] != nil && (ranOutOfMemory(d.died[m.Incarnation]) || death.Count >= maxDeaths):
			why = &Failure{Kind: deathKind(d.died[m.Incarnation]), Node: r.Name, Message: "its engine ended, and no other node is there to take the load: " + d.died[m.Incarnation].Message}
		default:
			return nil // somebody may be dealt in
		}
	}
	return why
}

// scene gathers what decide looks at.
func (d *driver) scene(ctx context.Context, fallen map[int64]string) (scene, error) {
	s := scene{st: d.st, policy: d.policy().OnNodeLoss, slots: d.layout.Slots, now: d.now(), at: d.at(), prepare: d.n.cfg.Timing.Prepare, etcd: d.etcdTakes, trip: d.n.trip(),
		peers: map[string]peer{}, lost: map[int64]bool{}, status: map[string]Status{}}
	for life := range fallen {
		s.lost[life] = true
	}
	for _, r := range registry.Nodes(d.n.nodes) {
		s.peers[r.ID] = peer{ID: r.ID, Name: r.Name, Boot: r.Boot, Capacity: r.Capacity, Weight: d.weight(r), Draining: r.Draining, Barred: d.barred(r.ID)}
	}
	p := d.st.Proposal
	if p == nil {
		return s, nil // nobody's word is needed
	}
	for _, m := range slices.Concat(d.st.Members, p.Members) {
		if st, ok := d.statusOf(m.ID); ok {
			s.status[m.ID] = st
		}
	}
	old, err := d.tenure(ctx)
	if err != nil {
		return s, err
	}
	next, err := d.allocsOf(ctx, d.st.Proposal.Epoch)
	if err != nil {
		return s, err
	}
	if v, ok := d.veto(); ok {
		s.vetoed = v.Epoch == p.Epoch
	}
	s.gains = map[int64]bool{}
	for life, a := range next {
		for slot := range a.Share.All().Values() {
			if slot < len(old) && old[slot] != life {
				s.gains[life] = true
				break
			}
		}
	}
	return s, nil
}

// allocsOf are the allocations of an epoch, as etcd holds them.
func (d *driver) allocsOf(ctx context.Context, epoch int) (map[int64]Alloc, error) {
	if known, ok := d.allocs[epoch]; ok {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	resp, err := d.n.etcd.Get(ctx, d.n.keys.AllocsOf(d.id, epoch), clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("read the allocations: %w", err)
	}
	all := map[int64]Alloc{}
	for _, kv := range resp.Kvs {
		var a Alloc
		if err := json.Unmarshal(kv.Value, &a); err != nil {
			return nil, fmt.Errorf("read the allocations: %w", err)
		}
		all[a.Incarnation] = a
	}
	d.allocs[epoch] = all
	return all, nil
}

// tenure is who owns the slots in the present epoch.
func (d *driver) tenure(ctx context.Context) (tenure, error) {
	allocs, err := d.allocsOf(ctx, d.st.Epoch)
	if err != nil {
		return nil, err
	}
	return tenureOf(d.layout, allocs, d.st.Members), nil
}

// waits are the slots that their owners still wait for: who had them before has not let go, and lives.
func (d *driver) waits(ctx context.Context) (map[int]Gain, error) {
	allocs, err := d.allocsOf(ctx, d.st.Epoch)
	if err != nil {
		return nil, err
	}
	waits := map[int]Gain{}
	for _, a := range allocs {
		for _, g := range a.Gains {
			giver, ok := d.said(Member{ID: g.Node, Incarnation: g.Incarnation})
			if !ok {
				continue // its status is gone, and with it the engine
			}
			for slot := range g.Slots.Values() {
				waits[slot] = Gain{Node: g.Node, Incarnation: g.Incarnation}
			}
			for _, h := range giver.Released {
				delete(waits, h.Slot)
			}
		}
	}
	return waits, nil
}

// propose writes a new epoch for the nodes to agree to. A planned one that would change nothing is not proposed.
func (d *driver) propose(ctx context.Context, m move, fallen map[int64]string) (changed bool, err error) {
	old, err := d.tenure(ctx)
	if err != nil {
		return false, err
	}
	waits, err := d.waits(ctx)
	if err != nil {
		return false, err
	}
	lives := d.st.Lives
	next := slices.Clone(m.members)
	for i := range next {
		if next[i].Incarnation == 0 {
			lives++
			next[i].Incarnation = lives
		}
	}
	var living []Member
	for _, o := range d.st.Members {
		if fallen[o.Incarnation] == "" {
			living = append(living, o)
		}
	}
	deal, err := redeal(d.layout, old, living, next, d.policy().OnNodeLoss == LossContinue && !d.st.Refill, waits)
	if err != nil {
		return false, err
	}
	if m.wish != "" && deal.Moved == 0 && sameWeights(living, deal) {
		d.agenda.futile = m.wish
		return false, nil
	}
	// Whoever gets nothing is not a member, unless it leaves.
	deal = deal.without(d.st.Members)
	epoch, began := d.st.Tried+1, d.now()
	if err := d.putAllocs(ctx, epoch, deal); err != nil {
		return false, err
	}
	from := m.from
	if h := d.st.Halt; from >= 0 && (h == nil || from <= h.At) {
		from += d.now() - began // the others hear of it only now
	}
	p := &Proposal{Epoch: epoch, From: from, Members: deal.Members, Leaving: deal.Leavers, Why: m.why, Hold: d.agenda.holdOf(len(d.st.Members))}
	d.tellVeto()
	d.n.log.Info("an epoch is proposed", "run", d.id, "epoch", epoch, "why", m.why, "moved", deal.Moved, "from", from)
	return true, d.advance(ctx, "propose", func(s *State) {
		d.bury(s, fallen)
		s.Proposal, s.Tried, s.Lives = p, epoch, lives
	})
}

// sameWeights says whether a deal leaves everybody as it is.
func sameWeights(was []Member, deal dealing) bool {
	return len(deal.Leavers) == 0 && !slices.ContainsFunc(was, func(m Member) bool {
		return !slices.ContainsFunc(deal.Members, func(o Member) bool { return o.Incarnation == m.Incarnation && o.Weight == m.Weight })
	})
}

// without leaves newcomers out that got nothing. Their index stays, so that the shares stand.
func (d dealing) without(was []Member) dealing {
	if !slices.ContainsFunc(d.Members, func(m Member) bool { return m.VUs == 0 && !hasLife(was, m.Incarnation) }) {
		return d
	}
	next := dealing{Leavers: d.Leavers, Moved: d.Moved, Unowned: d.Unowned}
	var left []share.Share
	for i, m := range d.Members {
		if m.VUs > 0 || hasLife(was, m.Incarnation) {
			next.Members, next.gains, left = append(next.Members, m), append(next.gains, d.gains[i]), append(left, d.shares[i])
		}
	}
	next.shares = append(left, d.shares[len(d.Members):]...)
	return next
}

// nameFrom names the beginning of a planned epoch that all are ready for.
func (d *driver) nameFrom(ctx context.Context, m move) error {
	return d.advance(ctx, "name from", func(s *State) {
		p := *s.Proposal
		p.From = m.from
		s.Proposal = &p
	})
}

// spreading is for how long after its beginning an epoch may be news to a node.
const spreading = time.Second

// agreeing says whether an epoch has a beginning that not all may know of yet.
func (d *driver) agreeing() bool {
	if p := d.st.Proposal; p != nil && p.From >= 0 {
		return true
	}
	return d.st.Phase == Running && d.filling.epoch != 0 && d.now() < d.st.From+spreading
}

// withdraw takes the proposal back; its number is not used again.
func (d *driver) withdraw(ctx context.Context, m move, fallen map[int64]string) error {
	p := d.st.Proposal
	for _, n := range p.Members {
		if s, ok := d.said(n); ok && s.Epoch == p.Epoch && s.Phase == NodeFailed && !d.isMember(n.Incarnation) {
			d.refuseNewcomer(n, s.Failure)
		}
	}
	d.n.log.Info("an epoch is not to be", "run", d.id, "epoch", p.Epoch, "why", m.why)
	d.note(TimelineEpoch, "", fmt.Sprintf("epoch %d (%s) was withdrawn at %s: %s", p.Epoch, p.Why, seconds(d.now()), m.why), nil)
	refused := d.refused
	d.refused = nil
	return d.advance(ctx, "withdraw", func(s *State) {
		d.bury(s, fallen)
		s.Proposal = nil
		for id, death := range refused {
			s.Deaths = withDeath(s.Deaths, id, death)
		}
	}, clientv3.OpDelete(d.n.keys.AllocsOf(d.id, p.Epoch), clientv3.WithPrefix()))
}

// refuseNewcomer notes that a node could not be dealt in.
func (d *driver) refuseNewcomer(m Member, f *Failure) {
	death := d.st.Deaths[m.ID]
	death.Count++
	death.At, death.Reason = d.now(), "its engine could not be made"
	if f != nil {
		death.Reason = f.Message
	}
	death.Banned = death.Count > maxDeaths
	d.refused = withDeath(d.refused, m.ID, death)
	d.warn("node %s could not be dealt in: %s", m.Name, death.Reason)
}

// strike counts lost members out and leaves their slots without an owner.
func (d *driver) strike(ctx context.Context, m move, fallen map[int64]string) error {
	slots := 0
	for _, lost := range m.members {
		slots += lost.VUs
		d.note(TimelineNodeLost, lost.Name, fmt.Sprintf("node %s lost (%s) at %s; its %s without an owner, as the run's policy wants",
			lost.Name, fallen[lost.Incarnation], seconds(d.provenAt(lost)), plural(lost.VUs, "slot stays", "slots stay")), map[string]float64{"slots": float64(lost.VUs)})
	}
	records, err := d.recordLives(ctx, m.members, 0, false)
	if err != nil {
		return err
	}
	return d.advanceIf(ctx, "strike", d.stillGone(m.members, fallen), func(s *State) {
		d.bury(s, fallen)
		s.Members = slices.DeleteFunc(slices.Clone(s.Members), func(o Member) bool { return hasLife(m.members, o.Incarnation) })
		s.Struck = slices.Clone(s.Struck)
		for _, lost := range m.members {
			s.Struck = append(s.Struck, lost.Incarnation)
		}
		s.Unowned += slots
		d.markGaps(s, d.now(), nil)
	}, records...)
}

// commit makes the proposal the present epoch: whoever owned slots before has promised to let go, or is lost.
func (d *driver) commit(ctx context.Context, fallen map[int64]string) error {
	p := d.st.Proposal
	next, err := d.allocsOf(ctx, p.Epoch)
	if err != nil {
		return err
	}
	var outs []Member
	for _, m := range d.st.Members {
		if !hasLife(p.Members, m.Incarnation) {
			outs = append(outs, m)
		}
	}
	records, err := d.recordLives(ctx, outs, p.From, true)
	if err != nil {
		return err
	}
	rows, err := d.moveWork(ctx, p, next)
	if err != nil {
		return err
	}
	d.tellCommit(p, outs, fallen, next)
	d.tellLight(p)
	told := max(p.From, d.now())
	unowned := d.layout.Slots
	for _, m := range p.Members {
		unowned -= m.VUs
	}
	k := d.n.keys
	ops := append(records, rows...)
	for _, prefix := range []string{k.Allocs(d.id), k.Works(d.id)} { // the epoch before is kept for those who are slow to see this one
		ops = append(ops, clientv3.OpDelete(prefix, clientv3.WithRange(fmt.Sprintf("%s%06d/", prefix, d.st.Epoch))))
	}
	was := d.st.Epoch
	conds := append(d.stillGone(outs, fallen), clientv3.Compare(clientv3.CreateRevision(k.Veto(d.id)), "=", 0))
	err = d.advanceIf(ctx, "commit", conds, func(s *State) {
		d.bury(s, fallen)
		s.Gone = append(s.Gone, handedOver(outs, fallen)...)
		s.Epoch, s.From, s.Members, s.Struck, s.Proposal, s.Unowned = p.Epoch, p.From, p.Members, nil, nil, unowned
		s.Refill = s.Refill && len(p.Members) == 0
		if len(p.Members) > 0 {
			s.Dark = nil
		}
		d.markGaps(s, p.From, next)
	}, ops...)
	if errors.Is(err, election.ErrConflict) {
		return fmt.Errorf("commit epoch %d: a node came back, its members have gone on without it, or the state was changed: %w", p.Epoch, err)
	}
	if err != nil {
		return err
	}
	d.filling = d.filling.then(p.Epoch, told)
	if d.nextRows != nil {
		d.rows, d.nextRows = d.nextRows, nil
	}
	maps.DeleteFunc(d.allocs, func(e int, _ map[int64]Alloc) bool { return e < was })
	for _, m := range outs {
		delete(d.stints, m.Incarnation)
	}
	d.beginStints()
	return nil
}

// handedOver are the members that leave and are not lost.
func handedOver(outs []Member, fallen map[int64]string) (gone []Gone) {
	for _, m := range outs {
		if fallen[m.Incarnation] == "" {
			gone = append(gone, Gone{Member: m})
		}
	}
	return gone
}

// stillGone are the conditions under which members that are lost without having promised anything can be counted out:
// their records have not come back. A node whose engine died is there, and sends nothing.
func (d *driver) stillGone(outs []Member, fallen map[int64]string) (conds []clientv3.Cmp) {
	for _, m := range outs {
		if fallen[m.Incarnation] == "" || d.died[m.Incarnation] != nil {
			continue
		}
		if len(conds) == maxOps {
			return []clientv3.Cmp{d.nodesUnchanged()}
		}
		key := d.n.keys.Nodes() + m.ID
		rev := int64(0)
		if kv, ok := d.n.nodes.Get(key); ok {
			rev = kv.CreateRev // of the next process with this identity, or there would be no loss
			if r, ok := d.n.find(m.ID); ok && r.Boot == m.Boot {
				rev = -1 // it is back after all
			}
		}
		conds = append(conds, clientv3.Compare(clientv3.CreateRevision(key), "=", rev))
	}
	return conds
}

// nodesUnchanged is the condition that no node's record is newer than those that this node has seen.
func (d *driver) nodesUnchanged() clientv3.Cmp {
	var newest int64
	kvs, _ := d.n.nodes.All()
	for _, kv := range kvs {
		newest = max(newest, kv.ModRev)
	}
	return clientv3.Compare(clientv3.ModRevision(d.n.keys.Nodes()).WithPrefix(), "<", newest+1)
}

// tellCommit puts into the timeline what a new epoch is about.
func (d *driver) tellCommit(p *Proposal, outs []Member, fallen map[int64]string, next map[int64]Alloc) {
	takers := len(p.Members)
	back := max(p.From, d.now())
	told := 0
	for _, m := range outs {
		cost := map[string]float64{"slots": float64(m.VUs), "seconds": max(0, back-d.provenAt(m)).Seconds()}
		switch reason := fallen[m.Incarnation]; {
		case told >= notesAtOnce/2:
		case reason == "":
			d.note(TimelineNodeDrained, m.Name, fmt.Sprintf("node %s handed its %s over to %s from %s on (epoch %d)",
				m.Name, plural(m.VUs, "slot", "slots"), plural(takers, "node", "nodes"), seconds(p.From), p.Epoch), map[string]float64{"slots": float64(m.VUs)})
		case takers == 0:
			d.note(TimelineNodeLost, m.Name, fmt.Sprintf("node %s lost (%s) at %s; nobody is there to take its %s (epoch %d)",
				m.Name, reason, seconds(d.provenAt(m)), plural(m.VUs, "slot", "slots"), p.Epoch), map[string]float64{"slots": float64(m.VUs)})
		default:
			d.note(TimelineNodeLost, m.Name, fmt.Sprintf("node %s lost (%s) at %s; its %s redealt to %s, load back at %s (epoch %d)",
				m.Name, reason, seconds(d.provenAt(m)), plural(m.VUs, "slot was", "slots were"), plural(takers, "node", "nodes"), seconds(back), p.Epoch), cost)
		}
		told++
	}
	if more := told - notesAtOnce/2; more > 0 {
		d.note(TimelineNodeLost, "", fmt.Sprintf("%s in epoch %d: %s", plural(more, "more node left or was lost", "more nodes left or were lost"), p.Epoch, p.Why), nil)
	}
	var joined []Member
	for _, m := range p.Members {
		if !d.isMember(m.Incarnation) {
			joined = append(joined, m)
		}
	}
	slots := 0
	for _, m := range joined {
		slots += m.VUs
	}
	if len(joined) > 0 {
		d.note(TimelineNodeJoined, joined[0].Name, fmt.Sprintf("node %s joined with %s from %s on (epoch %d)",
			nameList(joined), plural(slots, "slot", "slots"), seconds(p.From), p.Epoch), map[string]float64{"slots": float64(slots)})
	}
	owned := 0
	for _, m := range p.Members {
		owned += m.VUs
	}
	d.note(TimelineEpoch, "", fmt.Sprintf("epoch %d from %s on: %s; %d of %s on %s", p.Epoch, seconds(p.From), p.Why, owned, plural(d.layout.Slots, "slot", "slots"), plural(takers, "node", "nodes")),
		map[string]float64{"unowned": float64(d.layout.Slots - owned)})
}
