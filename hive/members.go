package hive

import (
	"context"
	"errors"
	"fmt"
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
			if stops(e) {
				return n.buryMember(ctx, e)
			}
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
