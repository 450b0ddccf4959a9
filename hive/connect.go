package hive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"hive/registry"
)

// askMembers bounds the question to other members whether this one is still
// one of them.
const askMembers = 2 * time.Second

// connect finds or starts the etcd and makes sure that it is this node's hive.
func (n *Node) connect(ctx context.Context, l net.Listener) error {
	n.dir.log = n.log
	n.dir.spot = spotOf(l, n.cfg.Advertise)
	if n.cfg.quota > 0 {
		n.dir.quota = n.cfg.quota
	}
	endpoints, cluster, err := n.findEtcd(ctx)
	if err != nil {
		return err
	}
	n.contact, err = dialContact(ctx, endpoints, n.dir.id.Node, n.cfg.lease())
	if err != nil && n.lostMember(ctx) {
		if endpoints, cluster, err = n.findKnown(ctx); err == nil {
			n.contact, err = dialContact(ctx, endpoints, n.dir.id.Node, n.cfg.lease())
		}
	}
	if err != nil {
		if n.cfg.Peer != "" {
			return fmt.Errorf("the peer %s was reached, but not its etcd, which listens on the same host: let the ports of %s through, or use a common etcd: %w",
				n.cfg.Peer, strings.Join(endpoints, ", "), err)
		}
		if len(n.cfg.Etcd) > 0 {
			return explainEtcd(ctx, endpoints, err)
		}
		return err
	}
	n.etcd, n.keys = n.contact.client, NewKeys(cluster)
	c, err := readCharter(ctx, n.etcd, n.keys, n.member.Load() != nil)
	if err != nil {
		return err
	}
	if err := n.dir.check(cluster, c.ID); err != nil {
		return err
	}
	if err := n.dir.update(func(id *identity) { id.Etcd = endpoints }); err != nil {
		return err
	}
	n.embedded = c.Embedded
	if n.eligible() && !isLoopback(n.dir.spot.host) {
		n.log.Warn("the embedded etcd asks for no token: let only the hive's nodes reach the ports of it", "host", n.dir.spot.host)
	}
	n.reg = registry.New(n.etcd, n.keys.Nodes(), n.keys.Names())
	n.nodes = n.reg.Mirror()
	machine := registry.ThisMachine()
	n.info = Info{ID: n.dir.id.Node, Cluster: cluster, URL: advertised(l, n.cfg.Advertise), Capacity: n.cfg.Capacity,
		Cores: machine.Cores, Memory: machine.Memory, Etcd: endpoints, Embedded: n.member.Load() != nil}
	if n.cfg.Capacity < 0 {
		n.info.Capacity = machine.Capacity()
	}
	if !n.dir.temp {
		n.info.DataDir = n.dir.path
	}
	return nil
}

// findEtcd returns the endpoints of the hive's etcd and the hive's name. How a
// node comes by its etcd is decided here alone.
func (n *Node) findEtcd(ctx context.Context) (endpoints []string, cluster string, err error) {
	known := n.dir.known()
	if len(n.cfg.Etcd) > 0 {
		return n.cfg.Etcd, orDefault(n.cfg.Cluster, orDefault(known.Cluster, "hive")), nil
	}
	if n.cfg.Peer != "" {
		endpoints, cluster, err = n.askPeer(ctx, n.cfg.Peer)
		_, silent := errors.AsType[*UnreachableError](err)
		if err == nil && !known.Member || err != nil && !(silent && known.remembers()) {
			return endpoints, cluster, err
		}
	}
	switch {
	case known.Cluster != "" && n.cfg.Cluster != "" && n.cfg.Cluster != known.Cluster:
		return nil, "", fmt.Errorf("%w: %s is of cluster %q, not %q", ErrOtherCluster, n.dir.path, known.Cluster, n.cfg.Cluster)
	case known.Member:
		return n.returnAsMember(ctx)
	case known.remembers():
		return n.findKnown(ctx)
	case known.ClusterID != "":
		return nil, "", fmt.Errorf("the data directory %s is of a node that joined cluster %q and does not hold its etcd: name a peer of that hive, or use another data directory", n.dir.path, known.Cluster)
	}
	e, endpoints, err := startMember(ctx, n.dir)
	n.member.Store(e)
	return endpoints, orDefault(n.cfg.Cluster, "hive"), err
}

// remembers says whether the identity tells where the hive may be found.
func (id identity) remembers() bool {
	return id.ClusterID != "" && (id.Member || len(id.Etcd)+len(id.Peers) > 0)
}

// askPeer asks a node's API which hive it is of.
func (n *Node) askPeer(ctx context.Context, peer string) ([]string, string, error) {
	base, err := nodeURL(peer)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var c ClusterInfo
	if err := n.calls.call(ctx, "GET", base+"/api/v1/cluster", nil, &c); err != nil {
		return nil, "", fmt.Errorf("join the hive of %s: %w", base, err)
	}
	if n.cfg.Cluster != "" && n.cfg.Cluster != c.Name {
		return nil, "", fmt.Errorf("the hive of %s is called %q, not %q", base, c.Name, n.cfg.Cluster)
	}
	if id := n.dir.known(); id.ClusterID != "" && id.ClusterID != c.ID {
		return nil, "", n.dir.check(c.Name, c.ID)
	}
	return c.Etcd, c.Name, nil
}

// findKnown looks for the hive where it was last seen, until some node of it
// answers: after an outage of all nodes they come back in any order.
func (n *Node) findKnown(ctx context.Context) (endpoints []string, cluster string, err error) {
	known := n.dir.known()
	var said time.Time
	for {
		if len(known.Etcd) > 0 {
			c, err := dialEtcd(ctx, known.Etcd, dialTimeout)
			if err == nil {
				c.Close()
				return known.Etcd, known.Cluster, nil
			}
		}
		for _, peer := range known.Peers {
			endpoints, cluster, err = n.askPeer(ctx, peer)
			if _, silent := errors.AsType[*UnreachableError](err); err == nil || errors.Is(err, ErrOtherCluster) || !silent && ctx.Err() == nil {
				return endpoints, cluster, err
			}
		}
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		if time.Since(said) > waitingNotice { // the first time too: dialling took a while
			said = time.Now()
			n.log.Warn("no node of this node's hive answers yet; it keeps trying. If the hive has moved, name one of its nodes",
				"cluster", known.Cluster, "etcd", known.Etcd, "nodes", known.Peers)
		}
		pause(ctx, time.Second)
	}
}

// returnAsMember starts the member of the embedded etcd that this node was
// before; the endpoints are those of its own, or of others while that is a
// learner. When the others have removed it meanwhile, its data is of no use any
// more: the node then comes back without a member.
func (n *Node) returnAsMember(ctx context.Context) ([]string, string, error) {
	known := n.dir.known()
	removed, _ := n.removed(ctx) // without an answer it is taken as still a member
	if !removed && !n.dir.hasMember() {
		return n.returnEmpty(ctx)
	}
	if !removed {
		e, endpoints, err := startMember(ctx, n.dir, func() {
			n.log.Warn("the embedded etcd of this node waits for its other members: more than half of them must be there", "cluster", known.Cluster, "members", known.Etcd)
		})
		if err == nil {
			n.member.Store(e)
			if e.Server.IsLearner() { // which takes no calls
				return n.findKnown(ctx)
			}
			return endpoints, known.Cluster, nil
		}
		if !errors.Is(err, errStopped) {
			return nil, "", err
		}
		if removed, err = n.surelyRemoved(ctx); !removed {
			return nil, "", errors.Join(fmt.Errorf("%w by itself, and is not known to have been removed: the data in %s may be damaged", errStopped, n.dir.memberDir()), err)
		}
	}
	n.log.Warn("the hive has gone on without the etcd member of this node: it comes back without one", "cluster", known.Cluster)
	if err := n.dir.dropMember(); err != nil {
		return nil, "", err
	}
	return n.findKnown(ctx)
}

// returnEmpty brings a node back whose member has lost its data. Other members have the same: the node comes back without
// one, as soon as they answer, and is asked to hold one again. Without others, the data was all there is of the hive.
func (n *Node) returnEmpty(ctx context.Context) ([]string, string, error) {
	if _, err := os.ReadDir(n.dir.walDir()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("embedded etcd: %w", err)
	}
	if len(n.otherMembers()) == 0 {
		return nil, "", fmt.Errorf("%w: there is no log in %s, and no other node holds the hive's etcd: restore it, or start with another --data-dir", errDamaged, n.dir.walDir())
	}
	n.log.Warn("the data of this node's etcd member is gone: it comes back without one, and gets it again from the others", "dir", n.dir.memberDir())
	endpoints, cluster, err := n.findKnown(ctx)
	if err != nil {
		return nil, "", err
	}
	return endpoints, cluster, n.dir.dropMember()
}

// otherMembers are the client endpoints of the members that this node was last one of, without its own.
func (n *Node) otherMembers() []string {
	known := n.dir.known()
	own := memberURL(n.dir.spot.host, known.ClientPort)
	return slices.DeleteFunc(slices.Clone(known.Etcd), func(e string) bool { return e == own })
}

// lostMember says whether the others removed this node's member just when it
// came back, and clears up after it.
func (n *Node) lostMember(ctx context.Context) bool {
	e := n.member.Load()
	if e == nil {
		return false
	}
	if removed, _ := n.surelyRemoved(ctx); !removed { // without an answer it is taken as still a member
		return false
	}
	n.member.Store(nil)
	e.Close()
	if err := n.dir.dropMember(); err != nil {
		n.log.Warn("what is left of a removed member could not be deleted", "reason", err)
		return false
	}
	n.log.Warn("the hive has gone on without the etcd member of this node: it comes back without one")
	return true
}

// removed asks the other members whether this node's is still one of them.
func (n *Node) removed(ctx context.Context) (bool, error) {
	known := n.dir.known()
	id, err := strconv.ParseUint(known.MemberID, 16, 64)
	if err != nil {
		return false, fmt.Errorf("embedded etcd: member %q: %w", known.MemberID, err)
	}
	others := n.otherMembers()
	if len(others) == 0 {
		return false, errors.New("embedded etcd: no other member is known")
	}
	c, err := newEtcdClient(others)
	if err != nil {
		return false, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, askMembers)
	defer cancel()
	list, err := c.MemberList(ctx)
	if err != nil {
		return false, fmt.Errorf("embedded etcd: list the members: %w", err)
	}
	return !slices.ContainsFunc(list.Members, func(m *etcdserverpb.Member) bool { return m.ID == id }), nil
}

// surelyRemoved asks until there is an answer, several times.
func (n *Node) surelyRemoved(ctx context.Context) (removed bool, err error) {
	for range 10 {
		if removed, err = n.removed(ctx); err == nil || ctx.Err() != nil {
			break
		}
		pause(ctx, 200*time.Millisecond)
	}
	return removed, err
}

func (n *Node) disconnect() {
	if n.etcd != nil {
		n.etcd.Close()
	}
	if e := n.member.Load(); e != nil {
		e.Close()
	}
}
