package hive

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/registry"
)

// settle is how long after a promotion no member is removed that serves clients.
const settle = 1500 * time.Millisecond

// controller is what the leader knows of the members between two looks.
type controller struct {
	n        *Node
	absent   absences
	stray    absences // learners that have no name yet
	called   map[string]time.Time
	declined map[string]bool // nodes that were called and did not come
	grown    time.Time       // when a learner was last made a voter
}

// tendMembers decides, while this node leads, who the members are.
func (n *Node) tendMembers(ctx context.Context) error {
	var c *controller
	var term *leader
	for ctx.Err() == nil {
		more := n.nodes.Changed()
		wait := time.Second
		if l := n.leading.Load(); l == nil {
			c, term = nil, nil
		} else {
			if term != l {
				c, term = &controller{n: n, absent: absences{}, stray: absences{}, called: map[string]time.Time{}, declined: map[string]bool{}}, l
			}
			busy, err := c.tend(ctx, l)
			if err != nil && ctx.Err() == nil {
				n.log.Debug("the members of the embedded etcd are not as they should be yet", "reason", err)
			}
			if busy || err != nil {
				wait = memberLook
			}
		}
		t := time.NewTimer(wait)
		select {
		case <-more:
			pause(ctx, 50*time.Millisecond) // several nodes often change at once
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
	return ctx.Err()
}

// tend does the next step, and says whether there is more to do. It waits while an epoch is being agreed upon.
func (c *controller) tend(ctx context.Context, l *leader) (busy bool, err error) {
	s, err := c.look(ctx)
	if err != nil {
		return false, err
	}
	next := nextStep(s)
	if time.Since(c.grown) < settle && s.serves(next.remove) {
		return true, nil // the clients of those that go must have seen those that came
	}
	learning := slices.ContainsFunc(s.seats, func(m seat) bool { return m.learner })
	return learning || !next.none(), l.calm.change(func() (bool, error) { return c.take(ctx, l, s, next) })
}

// take does a step, and says whether it changed anything.
func (c *controller) take(ctx context.Context, l *leader, s sitting, next step) (changed bool, err error) {
	moved, err := c.moveLead(ctx, s)
	if err != nil {
		return moved, err
	}
	called, err := c.call(ctx, l, next.call)
	if err != nil || len(next.promote) == 0 && next.remove == 0 {
		return moved || called, err
	}
	// The check that this node still leads is as late as it can be: what changes
	// the membership cannot be fenced itself.
	one, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	if _, err := l.fence.Txn(one, clientv3.OpGet(l.fence.Key())); err != nil {
		return true, err
	}
	for _, id := range next.promote {
		if err := c.promote(ctx, id); err != nil {
			return true, err
		}
	}
	if next.remove != 0 {
		return true, c.remove(ctx, s, next)
	}
	return true, nil
}

// look gathers what is to be decided from.
func (c *controller) look(ctx context.Context) (sitting, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	list, err := c.n.etcd.MemberList(ctx)
	if err != nil {
		return sitting{}, err
	}
	nodes := map[string]registry.Node{}
	all := registry.Nodes(c.n.nodes)
	for _, r := range all {
		nodes[r.ID] = r
	}
	now := time.Now()
	var s sitting
	holders := map[string]bool{}
	local := true
	raft := c.raftLeader(ctx)
	for _, m := range list.Members {
		r, known := nodes[m.Name]
		here := known && (m.IsLearner || r.Member != "") // a node may come back without the data of its member
		held := seat{id: m.ID, node: m.Name, learner: m.IsLearner, here: here, leaving: r.Draining, leads: m.ID == raft}
		if m.Name == "" {
			held.dead = c.stray.of(fmt.Sprint(m.ID), false, now) > etcdStart
		} else {
			held.dead = c.absent.of(m.Name, here, now) > c.n.cfg.Timing.Replace
		}
		if m.IsLearner && here {
			held.inSync = c.inSync(ctx, m.ClientURLs)
		}
		holders[m.Name] = !known || !held.dead // who lost it may hold it again
		local = local && (len(m.PeerURLs) == 0 || isLoopback(hostOf(m.PeerURLs[0])))
		s.seats = append(s.seats, held)
	}
	s.spares = c.spares(all, holders, local, now)
	return s, nil
}

// spares are the nodes that could hold a member, those that stayed away when
// they were called last. A node on loopback is of no use to other hosts.
func (c *controller) spares(all []registry.Node, holders map[string]bool, local bool, now time.Time) []string {
	all = slices.DeleteFunc(all, func(r registry.Node) bool {
		return holders[r.ID] || !r.Eligible || r.Draining || isLoopback(hostOf(r.Address)) != local
	})
	for node, since := range c.called {
		if now.Sub(since) > etcdStart && !holders[node] {
			c.declined[node] = true
		}
	}
	slices.SortFunc(all, func(a, b registry.Node) int {
		if c.declined[a.ID] != c.declined[b.ID] {
			if c.declined[a.ID] {
				return 1
			}
			return -1
		}
		return int(a.Incarnation - b.Incarnation)
	})
	ids := make([]string, len(all))
	for i, r := range all {
		ids[i] = r.ID
	}
	return ids
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// raftLeader is the member that leads etcd; 0 when nobody says.
func (c *controller) raftLeader(ctx context.Context) uint64 {
	if e := c.n.member.Load(); e != nil {
		return e.Server.Lead()
	}
	if st := c.n.anyStatus(ctx); st != nil {
		return st.Leader
	}
	return 0
}

// inSync says whether a learner has nearly all that the voters have.
func (c *controller) inSync(ctx context.Context, urls []string) bool {
	if len(urls) == 0 {
		return false
	}
	theirs, err := c.n.status(ctx, urls[0])
	if err != nil {
		return false
	}
	ours := c.n.anyStatus(ctx)
	return ours != nil && theirs.RaftAppliedIndex+500 >= ours.RaftIndex && theirs.RaftAppliedIndex >= ours.RaftIndex/10*9
}

// call writes the calls that are wanted and takes the others back.
func (c *controller) call(ctx context.Context, l *leader, nodes []string) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	now := time.Now()
	kvs, err := c.n.etcd.Get(ctx, c.n.keys.Calls(), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return changed, fmt.Errorf("call for members: %w", err)
	}
	there := map[string]bool{}
	for _, kv := range kvs.Kvs {
		node := strings.TrimPrefix(string(kv.Key), c.n.keys.Calls())
		there[node] = true
		if !slices.Contains(nodes, node) {
			if _, err := l.write(ctx, "call off", nil, clientv3.OpDelete(string(kv.Key))); err != nil {
				return changed, fmt.Errorf("call for members: %w", err)
			}
			delete(c.called, node)
			changed = true
		}
	}
	for _, node := range nodes {
		if _, known := c.called[node]; !known {
			c.called[node] = now
		}
		if there[node] {
			continue
		}
		c.n.log.Info("a node is asked to hold a member of the embedded etcd", "node", node)
		if _, err := l.write(ctx, "call", nil, clientv3.OpPut(c.n.keys.Call(node), "")); err != nil {
			return changed, fmt.Errorf("call for members: %w", err)
		}
		changed = true
	}
	return changed, nil
}

func (c *controller) promote(ctx context.Context, id uint64) error {
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	err := c.n.around("promote", func() error {
		_, err := c.n.etcd.MemberPromote(ctx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("make learner %x a voter: %w", id, err)
	}
	c.grown = time.Now()
	c.n.log.Info("the embedded etcd has another voter", "member", fmt.Sprintf("%x", id))
	return nil
}

func (c *controller) remove(ctx context.Context, s sitting, next step) error {
	for _, m := range s.seats {
		if m.id == next.remove && m.leads && len(s.seats) > 1 {
			if _, err := c.handLead(ctx, s, m); err != nil {
				return err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	err := c.n.around("remove member", func() error {
		_, err := c.n.etcd.MemberRemove(ctx, next.remove)
		return err
	})
	if err != nil {
		return fmt.Errorf("remove member %x: %w", next.remove, err)
	}
	c.n.log.Info("a member of the embedded etcd was removed", "member", fmt.Sprintf("%x", next.remove), "reason", next.reason)
	return nil
}

// moveLead gives the lead of etcd to another voter when this node, which leads
// the hive, has it: one death then does not take both.
func (c *controller) moveLead(ctx context.Context, s sitting) (moved bool, err error) {
	e := c.n.member.Load()
	if e == nil || e.Server.Lead() != uint64(e.Server.MemberID()) {
		return false, nil
	}
	return c.handLead(ctx, s, seat{id: uint64(e.Server.MemberID())})
}

// handLead moves the lead of etcd from one voter to the first of its heirs that answers. To one that does not, as that of a
// node that stands still, it cannot be moved, and for as long as that is tried, etcd takes no writes: no lease would end.
func (c *controller) handLead(ctx context.Context, s sitting, from seat) (moved bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	endpoints, err := c.endpoints(ctx)
	if err != nil {
		return false, err
	}
	if endpoints[from.id] == "" {
		return false, fmt.Errorf("member %x has no client URL", from.id)
	}
	for _, to := range s.heirs(from.id, c.n.standing()) {
		if _, err := c.n.status(ctx, endpoints[to.id]); err == nil {
			return true, c.moveTo(ctx, endpoints[from.id], to)
		}
	}
	return false, nil
}

func (c *controller) moveTo(ctx context.Context, endpoint string, to seat) error {
	mover, err := newEtcdClient([]string{endpoint})
	if err != nil {
		return err
	}
	defer mover.Close()
	err = c.n.around("move lead", func() error {
		_, err := mover.MoveLeader(ctx, to.id)
		return err
	})
	if err != nil {
		return fmt.Errorf("move the lead of etcd: %w", err)
	}
	c.n.log.Info("another node leads the embedded etcd now", "node", to.node)
	return nil
}

// endpoints are where the members serve clients; one that has not started is left out.
func (c *controller) endpoints(ctx context.Context) (map[uint64]string, error) {
	list, err := c.n.etcd.MemberList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the members: %w", err)
	}
	all := map[uint64]string{}
	for _, m := range list.Members {
		if len(m.ClientURLs) > 0 {
			all[m.ID] = m.ClientURLs[0]
		}
	}
	return all, nil
}
