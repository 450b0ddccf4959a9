package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/registry"
)

const (
	// returnAfter is how long a node whose engine died waits until it may be dealt in again.
	returnAfter = 10 * time.Second
	// maxDeaths is how often the engine of a node may die in a run.
	maxDeaths = 3
)

// findLost looks who of the members is gone, and says what is new of it.
func (d *driver) findLost(ctx context.Context) error {
	if d.outage.down && d.st.Phase == Running {
		return nil // all of them
	}
	records := map[string]registry.Node{}
	for _, r := range registry.Nodes(d.n.nodes) {
		records[r.ID] = r
	}
	watched := slices.Clone(d.st.Members)
	if p := d.st.Proposal; p != nil {
		for _, m := range p.Members {
			if !d.isMember(m.Incarnation) {
				watched = append(watched, m)
			}
		}
	}
	var missing []Member
	for _, m := range watched {
		if r, ok := records[m.ID]; !ok || r.Boot != m.Boot {
			missing = append(missing, m)
		}
	}
	gone, err := d.goneOf(ctx, missing)
	if err != nil {
		return err
	}
	there := func(m Member) bool { return !gone[m.Incarnation] }
	back, began, ended := d.watch.note(d.at(), watched, there, d.proven)
	d.timeAbsences()
	for _, m := range back {
		d.note(TimelineNodeBack, m.Name, fmt.Sprintf("node %s is back at %s, before its share was dealt anew", m.Name, seconds(d.now())), nil)
	}
	if began {
		d.note(TimelineHold, "", fmt.Sprintf("%d of %s went silent at once at %s, with no proof that they are gone: nothing is decided for %s",
			len(d.watch.absent), plural(len(watched), "node", "nodes"), seconds(d.now()), d.watch.ttl), nil)
	}
	if ended {
		d.note(TimelineHold, "", fmt.Sprintf("held still until %s: %s did not come back", seconds(d.now()), plural(len(d.watch.absent), "node", "nodes")), nil)
	}
	d.findDied()
	return nil
}

// proven says whether a refused connection showed that the member's process is gone.
func (d *driver) proven(m Member) bool {
	_, ok := d.n.proof(m.ID, m.Boot)
	return ok
}

// findDied takes engines that ended by themselves as lost.
func (d *driver) findDied() {
	for _, m := range d.st.Members {
		s, ok := d.said(m)
		if !ok || s.Died == nil || d.died[m.Incarnation] != nil {
			continue
		}
		d.died[m.Incarnation], d.diedAt[m.Incarnation] = s.Died, d.now()
	}
}

// fallen are the members that are lost, with the reason.
func (d *driver) fallen() map[int64]string {
	lost := d.watch.lost()
	for life, f := range d.died {
		lost[life] = "its engine ended: " + f.Message
	}
	return lost
}

func hasLife(members []Member, life int64) bool {
	return slices.ContainsFunc(members, func(m Member) bool { return m.Incarnation == life })
}

// bury notes in the state what is known of the members that are lost; it is part of every write that deals with them.
// Those that came back in time are lost no longer.
func (d *driver) bury(s *State, fallen map[int64]string) {
	s.Gone = slices.DeleteFunc(slices.Clone(s.Gone), func(g Gone) bool {
		return fallen[g.Incarnation] == "" && hasLife(s.Members, g.Incarnation)
	})
	for _, m := range s.Members {
		reason, lost := fallen[m.Incarnation]
		if !lost || slices.ContainsFunc(s.Gone, func(g Gone) bool { return g.Incarnation == m.Incarnation }) {
			continue
		}
		s.Gone = append(s.Gone, Gone{Member: m, Lost: true, Proven: d.provenAt(m), Reason: reason})
		if f := d.died[m.Incarnation]; f != nil {
			death := s.Deaths[m.ID]
			death.Count++
			death.At, death.Reason = d.now(), f.Message
			death.Banned = ranOutOfMemory(f) || death.Count > maxDeaths
			s.Deaths = withDeath(s.Deaths, m.ID, death)
			d.note(TimelineEngineDied, m.Name, fmt.Sprintf("the engine of node %s ended at %s: %s%s", m.Name, seconds(d.provenAt(m)), f.Message, death.consequence(f)), nil)
			d.warn("the engine of node %s ended during the run: %s%s", m.Name, f.Message, death.consequence(f))
		}
	}
}

// provenAt is when on the run's clock it was certain that a member sends no load any more.
func (d *driver) provenAt(m Member) time.Duration {
	now := d.now()
	if died, ok := d.diedAt[m.Incarnation]; ok {
		return min(died, now)
	}
	switch a := d.watch.absent[m.Incarnation]; {
	case a == nil:
		return now
	case a.until != nil:
		return *a.until
	default:
		return d.runOf(a)
	}
}

// timeAbsences notes where the run stood when members were missed first.
func (d *driver) timeAbsences() {
	if d.st.Anchor.Gen > 0 && d.n.runClock(d.id) == nil {
		return
	}
	for _, a := range d.watch.absent {
		if a.until == nil {
			run := d.runOf(a)
			a.until = &run
		}
	}
}

// runOf is where the run stands now, less the time since a member was missed first.
func (d *driver) runOf(a *absence) time.Duration { return max(0, d.now()-(d.at()-a.since)) }

// consequence is what the death of an engine means for its node, where that is more than a pause.
func (death Death) consequence(f *Failure) string {
	switch {
	case !death.Banned:
		return ""
	case ranOutOfMemory(f):
		return "; the node takes no further part in the run, since that would happen again"
	}
	return fmt.Sprintf("; that was the %dth time, and the node takes no further part in the run", death.Count)
}

// ranOutOfMemory says whether an engine ended because it used more memory than it may: it would do so again.
func ranOutOfMemory(f *Failure) bool { return f.Kind == KindEngineMemory }

// deathKind is what a run is said to end for when the death of an engine ends it.
func deathKind(f *Failure) Kind {
	if ranOutOfMemory(f) {
		return KindEngineMemory
	}
	return KindEngine
}

func withDeath(deaths map[string]Death, id string, death Death) map[string]Death {
	next := maps.Clone(deaths)
	if next == nil {
		next = map[string]Death{}
	}
	next[id] = death
	return next
}

// barred says whether a node must not be dealt in now.
func (d *driver) barred(id string) bool {
	death, ok := d.st.Deaths[id]
	return ok && (death.Banned || d.now()-death.At < returnAfter)
}

// alive says whether the process that is the member is in the hive. The mirror of the records is believed when it says
// yes; a no is asked of etcd itself.
func (d *driver) alive(ctx context.Context, m Member) (bool, error) {
	if r, ok := d.n.find(m.ID); ok && r.Boot == m.Boot {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	var r registry.Node
	found, err := getJSON(ctx, d.n.etcd, d.n.keys.Nodes()+m.ID, &r)
	if err != nil {
		return false, fmt.Errorf("is node %s alive: %w", m.Name, err)
	}
	return found && r.Boot == m.Boot, nil
}

// goneOf asks etcd itself which of the members that the mirror does not show are not in the hive.
func (d *driver) goneOf(ctx context.Context, missing []Member) (map[int64]bool, error) {
	gone := map[int64]bool{}
	for some := range slices.Chunk(missing, maxOps) {
		reads := make([]clientv3.Op, len(some))
		for i, m := range some {
			reads[i] = clientv3.OpGet(d.n.keys.Nodes() + m.ID)
		}
		one, cancel := context.WithTimeout(ctx, etcdTry)
		resp, err := d.n.etcd.Txn(one).Then(reads...).Commit()
		cancel()
		if err != nil {
			return nil, fmt.Errorf("which of %d nodes are alive: %w", len(missing), err)
		}
		for i, m := range some {
			var r registry.Node
			kvs := resp.Responses[i].GetResponseRange().Kvs
			gone[m.Incarnation] = len(kvs) == 0 || json.Unmarshal(kvs[0].Value, &r) != nil || r.Boot != m.Boot
		}
	}
	return gone, nil
}

// drainable says whether a node may leave: nil, or a refusal in words.
func (n *Node) drainable(ctx context.Context, id string) error {
	all, err := n.roll(ctx)
	if err != nil {
		return fmt.Errorf("who is in the hive: %w", err)
	}
	i := slices.IndexFunc(all, func(r registry.Node) bool { return r.ID == id })
	if i < 0 {
		return refuse(404, codeNotFound, "there is no node %q in this hive", id)
	}
	for _, r := range all {
		if r.ID != id && r.Capacity > 0 && !r.Draining {
			return nil
		}
	}
	resp, err := n.etcd.Get(ctx, n.keys.Active(), clientv3.WithCountOnly())
	if err != nil {
		return fmt.Errorf("is a run under way: %w", err)
	}
	if resp.Count == 0 || all[i].Capacity == 0 {
		return nil
	}
	return refuse(409, codeConflict, "node %s is the last one that carries load, and a run is under way: stop the run, or let another node join first", all[i].Name)
}
