package hive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"golang.org/x/sync/errgroup"

	"hive/election"
	"hive/registry"
)

// errCrash as the cause of a node's context makes it end as if it were killed:
// no goodbye, its lease runs out. Tests use it.
var errCrash = errors.New("killed")

// goodbye bounds what a node does for the others when it leaves.
const goodbye = 2 * time.Second

// Node is one peer of a hive.
type Node struct {
	cfg   Config
	log   *slog.Logger
	clock *Clock
	calls *caller

	// Set by Run before anything is served.
	dir    *dataDir
	member *embed.Etcd // nil without an embedded etcd
	etcd   *clientv3.Client
	keys   Keys
	reg    *registry.Registry
	nodes  *registry.Mirror
	info   Info

	self    atomic.Pointer[registry.Node] // nil while not in the hive
	leading atomic.Pointer[leader]        // nil unless this node leads
	agent   atomic.Pointer[agent]         // nil while not in the hive
	ready   sync.Once

	mu       sync.Mutex // guards what follows
	leaderIs election.Leader
	changed  chan struct{} // closed when leaderIs changes
}

// New checks the configuration and returns a node; [Node.Run] brings it to life.
func New(cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("hive: %w", err)
	}
	return &Node{cfg: cfg, log: cfg.Log, clock: NewClock(), calls: newCaller(cfg.Token), changed: make(chan struct{})}, nil
}

// Run joins the hive, serves and takes part until ctx ends or something fails
// that the node cannot go on without. When it returns, nothing of the node is
// left. A node runs once.
func (n *Node) Run(ctx context.Context) (err error) {
	defer n.calls.close()
	if n.dir, err = openDataDir(n.cfg.DataDir); err != nil {
		return fmt.Errorf("hive: %w", err)
	}
	defer func() { err = errors.Join(err, n.dir.Close()) }()
	l, err := listen(n.cfg.Address)
	if err != nil {
		return fmt.Errorf("hive: %w", err)
	}
	defer l.Close()
	defer n.disconnect()
	if err := n.connect(ctx, l); err != nil {
		return fmt.Errorf("hive: %w", err)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serve(gctx, l, n.routes()) })
	g.Go(func() error { return n.nodes.Run(gctx) })
	g.Go(func() error { return election.Observe(gctx, n.etcd, n.keys.Leader(), n.seeLeader) })
	g.Go(func() error { return n.live(gctx) })
	if n.member != nil {
		g.Go(func() error { return n.watchMember(gctx) })
	}
	if err := g.Wait(); ctx.Err() == nil {
		return fmt.Errorf("hive: %w", err)
	}
	return nil
}

// connect finds or starts the etcd and makes sure that it is this node's hive.
func (n *Node) connect(ctx context.Context, l net.Listener) error {
	endpoints, cluster, err := n.findEtcd(ctx)
	if err != nil {
		return err
	}
	if n.etcd, err = dialEtcd(ctx, endpoints); err != nil {
		if n.cfg.Peer != "" {
			return fmt.Errorf("the peer %s was reached, but not its etcd; an embedded etcd serves its own host only (nodes on other hosts need a common etcd): %w", n.cfg.Peer, err)
		}
		return err
	}
	n.keys = NewKeys(cluster)
	id, err := clusterID(ctx, n.etcd, n.keys)
	if err != nil {
		return err
	}
	if err := n.dir.check(cluster, id); err != nil {
		return err
	}
	n.reg = registry.New(n.etcd, n.keys.Nodes(), n.keys.Names())
	n.nodes = n.reg.Mirror()
	machine := registry.ThisMachine()
	n.info = Info{ID: n.dir.id.Node, Cluster: cluster, URL: advertised(l, n.cfg.Advertise), Capacity: n.cfg.Capacity,
		Cores: machine.Cores, Memory: machine.Memory, Etcd: endpoints, Embedded: n.member != nil}
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
	known := n.dir.id
	switch {
	case len(n.cfg.Etcd) > 0:
		return n.cfg.Etcd, orDefault(n.cfg.Cluster, orDefault(known.Cluster, "hive")), nil
	case n.cfg.Peer != "":
		return n.askPeer(ctx)
	case known.ClusterID != "" && !known.Member:
		return nil, "", fmt.Errorf("the data directory %s is of a node that joined cluster %q and does not hold its etcd: name a peer of that hive, or use another data directory", n.dir.path, known.Cluster)
	case known.Cluster != "" && n.cfg.Cluster != "" && n.cfg.Cluster != known.Cluster:
		return nil, "", fmt.Errorf("%w: %s is of cluster %q, not %q", ErrOtherCluster, n.dir.path, known.Cluster, n.cfg.Cluster)
	}
	n.member, endpoints, err = startMember(ctx, n.dir)
	return endpoints, orDefault(n.cfg.Cluster, orDefault(known.Cluster, "hive")), err
}

// askPeer asks the peer's API which hive it is of.
func (n *Node) askPeer(ctx context.Context) ([]string, string, error) {
	base, err := nodeURL(n.cfg.Peer)
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
	if id := n.dir.id; id.ClusterID != "" && id.ClusterID != c.ID {
		return nil, "", n.dir.check(c.Name, c.ID)
	}
	return c.Etcd, c.Name, nil
}

func (n *Node) disconnect() {
	if n.etcd != nil {
		n.etcd.Close()
	}
	if n.member != nil {
		n.member.Close()
	}
}

func (n *Node) watchMember(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-n.member.Err():
		return fmt.Errorf("embedded etcd: %w", err)
	case <-n.member.Server.StopNotify():
		return errors.New("embedded etcd: stopped")
	}
}

// live keeps the node in the hive: one life ends with its lease, and the next
// begins when etcd answers again.
func (n *Node) live(ctx context.Context) error {
	for ctx.Err() == nil {
		err := n.oneLife(ctx)
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, registry.ErrNameTaken) {
			return fmt.Errorf("%w: choose another", err)
		}
		if errors.Is(err, errTwin) {
			return err
		}
		n.log.Warn("this node is out of the hive and joins again", "reason", err)
		pause(ctx, 500*time.Millisecond)
	}
	return ctx.Err()
}

// oneLife registers under a new lease and takes part until that ends.
func (n *Node) oneLife(ctx context.Context) error {
	s, err := registry.NewSession(ctx, n.etcd, n.cfg.LeaseTTL)
	if err != nil {
		return err
	}
	defer n.leave(ctx, s)
	self, err := n.register(s.Ctx(), s)
	if err != nil {
		return err
	}
	n.self.Store(&self)
	defer n.self.Store(nil)
	a := &agent{n: n, session: s, self: self}
	n.agent.Store(a)
	defer n.agent.Store(nil)

	g, gctx := errgroup.WithContext(s.Ctx())
	g.Go(func() error { return a.Run(gctx) })
	g.Go(func() error { return n.campaign(gctx, s) })
	g.Go(func() error { return n.announce(gctx, self) })
	g.Go(func() error { return n.keepRecord(gctx, self) })
	err = g.Wait()
	if cause := context.Cause(s.Ctx()); cause != nil {
		return cause
	}
	return err
}

// leave says goodbye, unless the node is to end as if killed.
func (n *Node) leave(ctx context.Context, s *registry.Session) {
	if errors.Is(context.Cause(ctx), errCrash) {
		s.Orphan()
		return
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if err := s.Close(bye); err != nil {
		n.log.Debug("the lease is left to run out", "reason", err)
	}
}

// errTwin says that a data directory is in two places, and both are used.
var errTwin = errors.New("another living node has this node's identity: its data directory was copied; give each node its own")

// refuseTwin fails if the node's identity is that of another one that lives.
// What an earlier life of this node left behind does not answer.
func (n *Node) refuseTwin(ctx context.Context) error {
	var other registry.Node
	found, err := getJSON(ctx, n.etcd, n.keys.Nodes()+n.info.ID, &other)
	if err != nil || !found || other.Address == n.info.URL {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	var c ClusterInfo
	if err := n.calls.call(ctx, "GET", other.Address+"/api/v1/cluster", nil, &c); err == nil && c.Node == n.info.ID {
		return fmt.Errorf("%w (%s is at %s)", errTwin, other.Name, other.Address)
	}
	return nil
}

// keepRecord fails when the node's record is not in etcd any more: the others
// then count it as gone, lease or not.
func (n *Node) keepRecord(ctx context.Context, self registry.Node) error {
	seen := false
	for {
		more := n.nodes.Changed()
		kv, ok := n.nodes.Get(n.keys.Nodes() + self.ID)
		here := ok && kv.CreateRev == self.Incarnation
		if seen && !here {
			return errors.New("this node's record was taken from etcd")
		}
		seen = seen || here
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// register enters the record. A name that was asked for must be free; the
// default one gets a number until it is.
func (n *Node) register(ctx context.Context, s *registry.Session) (registry.Node, error) {
	if err := n.refuseTwin(ctx); err != nil {
		return registry.Node{}, err
	}
	asked := orDefault(n.cfg.Name, n.dir.id.Name)
	base := orDefault(asked, hostName())
	rec := registry.Node{ID: n.info.ID, Name: base, Address: n.info.URL, Capacity: n.info.Capacity, Labels: n.cfg.Labels,
		Version: Version, PID: os.Getpid(), Cores: n.info.Cores, Memory: n.info.Memory, Joined: time.Now().UTC()}
	for i := 2; ; i++ {
		got, err := n.reg.Register(ctx, s, rec)
		if asked == "" && errors.Is(err, registry.ErrNameTaken) {
			rec.Name = base + "-" + strconv.Itoa(i)
			continue
		}
		if err != nil {
			return got, err
		}
		n.info.Name, n.dir.id.Name = got.Name, got.Name
		return got, n.dir.save()
	}
}

// announce calls Ready once the node sees itself among the others.
func (n *Node) announce(ctx context.Context, self registry.Node) error {
	for {
		more := n.nodes.Changed()
		if _, ok := n.nodes.Get(n.keys.Nodes() + self.ID); ok {
			break
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	n.log.Info("this node is in the hive", "cluster", n.info.Cluster, "name", self.Name, "id", self.ID, "url", n.info.URL, "capacity", self.Capacity)
	if n.cfg.Ready != nil {
		n.ready.Do(func() { n.cfg.Ready(n.info) })
	}
	return nil
}

// campaign leads whenever it is this node's turn.
func (n *Node) campaign(ctx context.Context, s *registry.Session) error {
	for ctx.Err() == nil {
		err := election.Lead(ctx, n.etcd, s, n.keys.Leader(), n.info.ID, func(ctx context.Context, f election.Fence) error {
			l := newLeader(n, f)
			n.leading.Store(l)
			defer n.leading.Store(nil)
			n.log.Info("this node leads the hive", "term", f.Term())
			return l.Run(ctx)
		})
		if ctx.Err() == nil {
			n.log.Warn("this node does not lead any more", "reason", err)
			pause(ctx, 200*time.Millisecond)
		}
	}
	return ctx.Err()
}

func (n *Node) seeLeader(l election.Leader) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leaderIs = l
	close(n.changed)
	n.changed = make(chan struct{})
}

// currentLeader is who leads, as far as this node knows, and a channel that is
// closed when that changes.
func (n *Node) currentLeader() (election.Leader, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leaderIs, n.changed
}

// find looks a node up by its id.
func (n *Node) find(id string) (registry.Node, bool) {
	for _, r := range registry.Nodes(n.nodes) {
		if r.ID == id {
			return r, true
		}
	}
	return registry.Node{}, false
}

// leaderURL is where the leader's API is; ok is false when there is none.
func (n *Node) leaderURL() (url string, term int64, ok bool) {
	l, _ := n.currentLeader()
	if l.Value == "" {
		return "", 0, false
	}
	r, ok := n.find(l.Value)
	return r.Address, l.Term, ok
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func orDefault(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
