package hive

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"golang.org/x/sync/errgroup"

	"hive/registry"
)

const (
	// memberLook is how often a node looks at its own member.
	memberLook = 200 * time.Millisecond
	// membersLook is how often a node asks for the members unless it sees that
	// they changed.
	membersLook = 10 * time.Second
	// joinAttempts is how often a member that was added tries to start: the list
	// of members must not change meanwhile.
	joinAttempts = 10
	// handOver is how long a node that leaves waits for another to take the place
	// of its member.
	handOver = 15 * time.Second
	// settle is how long after a promotion no member is removed that serves clients.
	settle = 1500 * time.Millisecond
	// keptPeers is how many other nodes a node remembers.
	keptPeers = 20
)

// The parts that a node can have in the embedded etcd.
const (
	voterPart   = "voter"
	learnerPart = "learner"
)

// errRemoved says that this node's member is not one of the members any more.
var errRemoved = errors.New("embedded etcd: the member of this node was removed")

// Calls are the keys by which the leader asks nodes to become members.
func (k Keys) Calls() string           { return k.root + "calls/" }
func (k Keys) Call(node string) string { return k.Calls() + node }

// eligible says whether the node can hold a member of the embedded etcd.
func (n *Node) eligible() bool { return n.embedded && len(n.cfg.Etcd) == 0 }

// keepStore does this node's part for the etcd until ctx ends: it holds a
// member when it is to, follows the members, and as the leader decides who
// they are.
func (n *Node) keepStore(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.keepContact(ctx) })
	g.Go(func() error { return n.followMembers(ctx) })
	g.Go(func() error { return n.watchEtcd(ctx) })
	if n.embedded {
		g.Go(func() error { return n.tendMembers(ctx) })
		g.Go(func() error { return n.tendSpace(ctx) })
	}
	if n.eligible() {
		g.Go(func() error { return n.holdMember(ctx) })
	}
	return g.Wait()
}

// holdMember runs the member of this node, if it has one, and becomes a member
// when the leader calls.
func (n *Node) holdMember(ctx context.Context) error {
	call := registry.NewKeyMirror(n.etcd, n.keys.Call(n.info.ID))
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { _ = call.Run(ctx) }) // ends with ctx and has nothing else to say
	for ctx.Err() == nil {
		if e := n.member.Load(); e != nil {
			if err := n.serveMember(ctx, e); !errors.Is(err, errRemoved) {
				return err
			}
			n.log.Info("this node holds no member of the embedded etcd any more")
			continue
		}
		changed := call.Changed()
		if _, called := call.Get(n.keys.Call(n.info.ID)); called {
			err := n.becomeMember(ctx)
			if err == nil {
				continue
			}
			if ctx.Err() == nil {
				n.log.Warn("this node could not become a member of the embedded etcd and tries again", "reason", err)
			}
			pause(ctx, time.Second)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// serveMember watches this node's member; it returns errRemoved when the
// member was removed and its data is gone.
func (n *Node) serveMember(ctx context.Context, e *embed.Etcd) error {
	look := time.NewTicker(memberLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-e.Err():
			return fmt.Errorf("embedded etcd: %w", err)
		case <-e.Server.StopNotify():
			return n.buryMember(ctx, e)
		case <-look.C:
			n.correctPeerURL(ctx, e)
		}
	}
}

// buryMember clears up after a member that was removed; one that stopped for
// another reason ends the node.
func (n *Node) buryMember(ctx context.Context, e *embed.Etcd) error {
	gone := e.Server.Cluster().Member(e.Server.MemberID()) == nil
	if !gone {
		gone, _ = n.surelyRemoved(ctx) // without an answer it is taken as still a member
	}
	if !gone {
		return errStopped
	}
	n.member.Store(nil)
	e.Close()
	if err := n.dir.dropMember(); err != nil {
		return err
	}
	return errRemoved
}

// correctPeerURL tells the others when this member had to take another port.
func (n *Node) correctPeerURL(ctx context.Context, e *embed.Etcd) {
	own := e.Server.Cluster().Member(e.Server.MemberID())
	if own == nil || slices.Equal(own.PeerURLs, []string{n.dir.peerURL()}) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	if _, err := n.etcd.MemberUpdate(ctx, uint64(e.Server.MemberID()), []string{n.dir.peerURL()}); err != nil {
		n.log.Debug("the other members do not know yet where this one listens", "reason", err)
	}
}

// becomeMember adds this node's member as a learner and starts it.
func (n *Node) becomeMember(ctx context.Context) error {
	if err := n.dir.dropMember(); err != nil {
		return err
	}
	var portErr error
	if err := n.dir.update(func(*identity) { portErr = n.dir.choosePorts() }); err != nil || portErr != nil {
		return errors.Join(err, portErr)
	}
	id, err := n.addLearner(ctx)
	if err != nil {
		return err
	}
	e, err := n.startLearner(ctx, id)
	if err != nil {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), etcdTry)
		defer cancel()
		_, removeErr := n.etcd.MemberRemove(bye, id)
		return errors.Join(err, removeErr, n.dir.dropMember())
	}
	n.member.Store(e)
	n.log.Info("this node holds a member of the embedded etcd", "etcd", n.dir.clientURL())
	return nil
}

// addLearner enters this node's member in the list, in the place of one that
// an attempt before it left behind, or whose data the node has lost.
func (n *Node) addLearner(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	list, err := n.etcd.MemberList(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the members: %w", err)
	}
	for _, m := range list.Members {
		if m.Name == n.info.ID || m.IsLearner && slices.Contains(m.PeerURLs, n.dir.peerURL()) {
			if _, err := n.etcd.MemberRemove(ctx, m.ID); err != nil {
				return 0, fmt.Errorf("remove the member of an earlier attempt, or of a data directory that is gone: %w", err)
			}
		}
	}
	var added *clientv3.MemberAddResponse
	err = n.around("add learner", func() (err error) {
		added, err = n.etcd.MemberAddAsLearner(ctx, []string{n.dir.peerURL()})
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("add a learner: %w", err)
	}
	return added.Member.ID, nil
}

// startLearner starts the member that was added as id, and notes it.
func (n *Node) startLearner(ctx context.Context, id uint64) (e *embed.Etcd, err error) {
	ctx, cancel := context.WithTimeout(ctx, etcdStart)
	defer cancel()
	for range joinAttempts {
		one, cancel := context.WithTimeout(ctx, etcdTry)
		list, listErr := n.etcd.MemberList(one)
		cancel()
		if err = listErr; err == nil {
			if e, err = joinMembers(ctx, n.dir, id, list.Members); err == nil {
				if err = n.dir.keepMember(e); err != nil {
					e.Close()
				}
				return e, err
			}
		}
		if ctx.Err() != nil {
			break
		}
		if err := n.dir.dropMember(); err != nil {
			return nil, err
		}
		pause(ctx, 100*time.Millisecond)
	}
	return nil, err
}

// part is what this node's member is at the moment.
func (n *Node) part() string {
	e := n.member.Load()
	switch {
	case e == nil:
		return ""
	case e.Server.IsMemberExist(e.Server.MemberID()) && !e.Server.IsLearner():
		return voterPart
	case e.Server.IsMemberExist(e.Server.MemberID()):
		return learnerPart
	}
	return ""
}

// followMembers keeps the node's knowledge of the etcd's endpoints, its memory of
// the hive and its own record true.
func (n *Node) followMembers(ctx context.Context) error {
	look := time.NewTicker(memberLook)
	defer look.Stop()
	var seen string
	var asked time.Time
	var in *place
	for {
		if p := n.place.Load(); p != in {
			in = p
			n.tellLease(p)
		}
		n.showPart(ctx)
		now := n.lastLine().Members
		if now != seen || time.Since(asked) > membersLook {
			if err := n.learnMembers(ctx); err == nil {
				seen, asked = now, time.Now()
			} else if ctx.Err() == nil {
				n.log.Debug("the members of the etcd are not known anew", "reason", err)
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tellLease says how long a lease etcd granted.
func (n *Node) tellLease(p *place) {
	if p == nil {
		return
	}
	if ttl := p.session.TTL(); ttl > n.cfg.LeaseTTL {
		n.log.Warn("etcd grants no lease as short as was asked for", "asked", n.cfg.LeaseTTL, "granted", ttl)
	} else {
		n.log.Debug("this node's lease", "asked", n.cfg.LeaseTTL, "granted", ttl)
	}
}

// showPart brings the node's record up to date.
func (n *Node) showPart(ctx context.Context) {
	self := n.self.Load()
	part := n.part()
	if self == nil || self.Member == part && self.Eligible == n.eligible() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	err := n.amend(ctx, func(r *registry.Node) { r.Member, r.Eligible = part, n.eligible() })
	if err != nil && ctx.Err() == nil {
		n.log.Debug("the node's part in the etcd is not shown yet", "reason", err)
	}
}

// memberNodes is who is a member, by what the nodes say.
func (n *Node) memberNodes() string {
	var b strings.Builder
	for _, r := range registry.Nodes(n.nodes) {
		if r.Member != "" {
			fmt.Fprintln(&b, r.ID, r.Member)
		}
	}
	return b.String()
}

// learnMembers learns who the voters are and notes where the hive is.
func (n *Node) learnMembers(ctx context.Context) error {
	endpoints := n.contact.known()
	if n.embedded {
		voters, err := n.voters(ctx)
		if err != nil {
			voters, err = n.askAround(ctx)
		}
		if err != nil {
			return err
		}
		if len(voters) > 0 && !slices.Equal(voters, endpoints) {
			n.contact.learn(voters)
			endpoints = voters
		}
	}
	peers := []string{}
	for _, r := range n.known() {
		if r.ID != n.info.ID && len(peers) < keptPeers {
			peers = append(peers, r.Address)
		}
	}
	return n.dir.update(func(id *identity) {
		id.Etcd = slices.Clone(endpoints)
		if len(peers) > 0 {
			id.Peers = peers
		}
	})
}

// voters are the client endpoints of all voters, sorted.
func (n *Node) voters(ctx context.Context) (endpoints []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	list, err := n.etcd.MemberList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the members: %w", err)
	}
	for _, m := range list.Members {
		if !m.IsLearner {
			endpoints = append(endpoints, m.ClientURLs...)
		}
	}
	slices.Sort(endpoints)
	return endpoints, nil
}

// askAround finds the voters when none of those that this node knew answers:
// all of them may have been replaced since it last looked.
func (n *Node) askAround(ctx context.Context) ([]string, error) {
	known := n.dir.known()
	for _, peer := range known.Peers {
		one, cancel := context.WithTimeout(ctx, etcdTry)
		endpoints, _, err := n.askPeer(one, peer)
		cancel()
		if err == nil && !slices.Equal(endpoints, n.contact.known()) {
			return endpoints, nil
		}
	}
	return nil, errors.New("no member of the etcd answers, and no node knows of others")
}

// giveUpMember waits until this node, which is leaving, is no voter any more,
// or nobody is left who could be one in its place. The leader does the rest; a
// node that cannot wait longer leaves a gap that is filled as if it had died.
func (n *Node) giveUpMember(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, handOver)
	defer cancel()
	others := func() bool {
		all, err := n.roll(ctx)
		return err != nil || slices.ContainsFunc(all, func(r registry.Node) bool { return r.ID != n.info.ID && r.Eligible && !r.Draining })
	}
	for n.part() == voterPart && others() {
		pause(ctx, memberLook)
		if ctx.Err() != nil {
			n.log.Warn("this node leaves without having handed its etcd member over", "reason", context.Cause(ctx))
			return
		}
	}
	// What it has to say when it leaves, it must not say to the member that is gone.
	for now, _ := n.contact.using(); n.part() != voterPart && now == n.dir.ownURL() && ctx.Err() == nil; now, _ = n.contact.using() {
		pause(ctx, contactLook/4)
	}
}

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
