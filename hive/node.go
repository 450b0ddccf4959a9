package hive

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
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

// rejoinPause is how long a node that lost its lease waits before it asks for
// another.
const rejoinPause = 100 * time.Millisecond

// Node is one peer of a hive.
type Node struct {
	cfg   Config
	log   *slog.Logger
	clock *Clock
	calls *caller
	boot  string // names this process; see [registry.Node]
	inbox *inbox // checkpoints of the active run

	// Set by Run before anything is served.
	dir        *dataDir
	memory     store                      // in the machine's memory: see keepers
	sent       map[string]time.Duration   // what earlier processes wrote down: see [registry.Node]
	member     atomic.Pointer[embed.Etcd] // nil without a member of the embedded etcd
	embedded   bool                       // the hive's etcd is embedded in its nodes
	etcd       *clientv3.Client
	contact    *contact // whom etcd calls
	keys       Keys
	reg        *registry.Registry
	nodes      *registry.Mirror // of all records; it runs only where they are needed (see keepRecords)
	candidates *registry.Mirror // of the leadership; the same
	own        *registry.Mirror // of this node's record
	line       *registry.Mirror // of who leads and who leads next
	info       Info

	self     atomic.Pointer[registry.Node] // nil while not in the hive
	place    atomic.Pointer[place]         // nil while not in the hive
	leading  atomic.Pointer[leader]        // nil unless this node leads
	agent    atomic.Pointer[agent]         // nil before the node was in the hive
	ready    sync.Once
	entered  sync.Once
	inside   chan struct{} // closed when the node is in the hive for the first time
	insideAt time.Time     // when that was; set before inside is closed
	left     chan struct{} // closed when the agent has ended
	draining *drain
	called   chan struct{} // told when the node begins or ends to lead

	proofs   proofs
	troubles troubles      // when etcd did not answer
	fulls    troubles      // when it took no writes for want of space
	roomless chan struct{} // asks for room in etcd's database
	amending sync.Mutex    // held while the record is changed

	queueMu sync.Mutex      // guards what follows
	queue   []string        // see standing
	queueAt <-chan struct{} // what candidates.Changed was when it was made

	mu       sync.Mutex // guards what follows
	lineIs   Line       // the last one that there was
	lineRev  int64      // what was seen last of its key: the mod revision, 0 for none
	leaderIs lead
	changed  chan struct{} // closed when leaderIs changes
	moved    chan struct{} // closed when place changes
}

// place is the node's place in the hive while one lease lasts.
type place struct {
	session *registry.Session
	rev     int64 // create revision of the node's record
}

// New checks the configuration and returns a node; [Node.Run] brings it to life.
func New(cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("hive: %w", err)
	}
	n := &Node{cfg: cfg, log: cfg.Log, clock: NewClock(), calls: newCaller(cfg.Token), changed: make(chan struct{}), moved: make(chan struct{}),
		boot: strings.ToLower(rand.Text()), inside: make(chan struct{}), left: make(chan struct{}), draining: newDrain(),
		called: make(chan struct{}, 1), roomless: make(chan struct{}, 1)}
	n.inbox = newInbox(n)
	return n, nil
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
	n.memory = n.memoryStore()
	defer func() { err = errors.Join(err, n.memory.leave()) }()
	n.sent = n.witnessed()
	l, err := listen(n.cfg.Address)
	if err != nil {
		return fmt.Errorf("hive: %w", err)
	}
	defer l.Close()
	defer n.disconnect()
	if err := n.connect(ctx, l); err != nil {
		return fmt.Errorf("hive: %w", err)
	}
	n.candidates = registry.NewMirror(n.etcd, n.keys.Leader())
	n.own = registry.NewKeyMirror(n.etcd, n.keys.Nodes()+n.info.ID)
	n.line = registry.NewKeyMirror(n.etcd, n.keys.Line())
	return n.takePart(ctx, l)
}

// takePart runs all that a node does at once. The API is served until the
// agent has ended: a refused connection tells the others that this node sends
// no load.
func (n *Node) takePart(ctx context.Context, l net.Listener) error {
	g, gctx := errgroup.WithContext(ctx)
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	g.Go(func() error { return serve(serving, l, n.routes()) })
	g.Go(func() error { return n.own.Run(gctx) })
	g.Go(func() error { return n.followLine(gctx) })
	g.Go(func() error { return n.keepRecords(gctx) })
	g.Go(func() error { return n.live(gctx) })
	g.Go(func() error { return n.draining.wait(gctx) })
	g.Go(func() error {
		defer stopServing()
		return n.act(gctx)
	})
	g.Go(func() error { return n.keepStore(gctx) })
	g.Go(func() error { return n.watchPeers(gctx) })
	err := g.Wait()
	if ctx.Err() != nil || errors.Is(err, errDrained) {
		return nil
	}
	return fmt.Errorf("hive: %w", err)
}

// act runs the agent, which begins when the node is first in the hive and
// outlives its leases.
func (n *Node) act(ctx context.Context) error {
	defer close(n.left)
	select {
	case <-n.inside:
	case <-ctx.Done():
		return ctx.Err()
	}
	a := &agent{n: n}
	n.agent.Store(a)
	return a.Run(ctx)
}

// live keeps the node in the hive: one lease ends, and the next begins when
// etcd answers again.
func (n *Node) live(ctx context.Context) error {
	var said complaint
	for ctx.Err() == nil {
		err := n.oneLease(ctx)
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, registry.ErrNameTaken) {
			return fmt.Errorf("%w: choose another", err)
		}
		if errors.Is(err, errTwin) {
			return err
		}
		if errors.Is(err, errOtherTTL) {
			return err
		}
		if errors.Is(err, rpctypes.ErrNoSpace) && !n.embedded && !n.hasEntered() {
			return fmt.Errorf("%w: %s", err, n.fullAdvice())
		}
		n.noteFull(err)
		if said.due(err) {
			n.log.Warn("this node is out of the hive and joins again", "reason", err)
		}
		pause(ctx, rejoinPause)
	}
	return ctx.Err()
}

// oneLease registers under a new lease and is in the hive until that ends.
func (n *Node) oneLease(ctx context.Context) error {
	s, err := registry.NewSession(ctx, n.etcd, n.cfg.lease())
	if err != nil {
		return err
	}
	defer n.leave(ctx, s)
	self, err := n.register(s.Ctx(), s)
	if err != nil {
		return err
	}
	n.noteFull(nil)
	n.self.Store(&self)
	defer n.self.Store(nil)
	n.move(&place{session: s, rev: self.Incarnation})
	defer n.move(nil)
	n.entered.Do(func() {
		n.insideAt = time.Now()
		close(n.inside)
	})

	g, gctx := errgroup.WithContext(s.Ctx())
	g.Go(func() error { return n.campaign(gctx, s) })
	g.Go(func() error { return n.announce(gctx, self) })
	g.Go(func() error { return n.keepRecord(gctx, self) })
	err = g.Wait()
	if cause := context.Cause(s.Ctx()); cause != nil {
		return cause
	}
	return err
}

// move notes a new place in the hive, or none.
func (n *Node) move(p *place) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.place.Store(p)
	close(n.moved)
	n.moved = make(chan struct{})
}

// placed is the node's place in the hive, nil when it has none, and a channel
// that is closed when that changes.
func (n *Node) placed() (*place, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.place.Load(), n.moved
}

// trip is how long etcd's leader takes to answer this node.
func (n *Node) trip() time.Duration {
	p := n.place.Load()
	if p == nil {
		return 0
	}
	return p.session.Trip()
}

// callTrips is how many round trips to etcd's leader a call of etcd may take: a
// read waits for the one before, and each is of two or more.
const callTrips = 10

// patience is how long an attempt at etcd may take here that may take limit
// where hosts are near each other.
func (n *Node) patience(limit time.Duration) time.Duration { return limit + callTrips*n.trip() }

// leave says goodbye, unless the node is to end as if killed. A node that ends
// gives its lease back when its load has ended, not before.
func (n *Node) leave(ctx context.Context, s *registry.Session) {
	if errors.Is(context.Cause(ctx), errCrash) || errors.Is(context.Cause(s.Ctx()), registry.ErrLeaseLost) {
		s.Orphan()
		return
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if ctx.Err() != nil {
		select {
		case <-n.left:
		case <-bye.Done():
			s.Orphan()
			return
		}
	}
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

// endEarlier revokes the lease of a process that was this node before and is gone: this one has its data directory. The
// others then need not wait for it to run out, least of all those who are to lead after it.
func (n *Node) endEarlier(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	resp, err := n.etcd.Get(ctx, n.keys.Nodes()+n.info.ID)
	if err == nil && len(resp.Kvs) > 0 {
		var earlier registry.Node
		kv := resp.Kvs[0]
		if json.Unmarshal(kv.Value, &earlier) == nil && earlier.Boot != n.boot && kv.Lease != 0 {
			_, err = n.etcd.Revoke(ctx, clientv3.LeaseID(kv.Lease))
		}
	}
	if err != nil {
		n.log.Debug("the lease of an earlier process of this node is left to run out", "reason", err)
	}
}

// keepRecord fails when the node's record is not in etcd any more: the others
// then count it as gone, lease or not.
func (n *Node) keepRecord(ctx context.Context, self registry.Node) error {
	seen := false
	for {
		more := n.own.Changed()
		kv, ok := n.own.Get(n.keys.Nodes() + self.ID)
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
	if err := n.refuseOtherTTL(ctx); err != nil {
		return registry.Node{}, err
	}
	n.endEarlier(ctx)
	asked := orDefault(n.cfg.Name, n.dir.id.Name)
	base := orDefault(asked, hostName())
	rec := registry.Node{ID: n.info.ID, Name: base, Address: n.info.URL, Capacity: n.info.Capacity, Labels: n.cfg.Labels,
		Version: Version, PID: os.Getpid(), Boot: n.boot, Draining: n.draining.asked(), Member: n.part(), Eligible: n.eligible(), Sent: n.sent, Cores: n.info.Cores, Memory: n.info.Memory, Joined: time.Now().UTC()}
	for i := 2; ; i++ {
		got, err := n.reg.Register(ctx, s, rec)
		if asked == "" && errors.Is(err, registry.ErrNameTaken) {
			rec.Name = base + "-" + strconv.Itoa(i)
			continue
		}
		if err != nil {
			return got, err
		}
		n.info.Name = got.Name
		return got, n.dir.update(func(id *identity) { id.Name = got.Name })
	}
}

// announce calls Ready once the node sees its record in etcd.
func (n *Node) announce(ctx context.Context, self registry.Node) error {
	for {
		more := n.own.Changed()
		if _, ok := n.own.Get(n.keys.Nodes() + self.ID); ok {
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

// campaign leads whenever it is this node's turn, and leaves that to the
// others when the node is being drained.
func (n *Node) campaign(ctx context.Context, s *registry.Session) error {
	if n.cfg.follows {
		<-ctx.Done()
	}
	for ctx.Err() == nil {
		line, nodes, queue := n.line.Changed(), n.nodes.Changed(), n.candidates.Changed()
		if n.yields() {
			select {
			case <-line:
			case <-nodes:
			case <-queue:
			case <-ctx.Done():
			}
			continue
		}
		err := n.stand(ctx, s)
		if ctx.Err() == nil {
			n.log.Warn("this node does not lead any more", "reason", err)
			pause(ctx, 200*time.Millisecond)
		}
	}
	return ctx.Err()
}

// stand is one candidacy, with the leadership when it comes to that.
func (n *Node) stand(ctx context.Context, s *registry.Session) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() {
		if n.awaitYield(ctx) {
			cancel(errYield)
		}
	})
	return election.Lead(ctx, n.etcd, s, n.keys.Leader(), n.info.ID, func(ctx context.Context, f election.Fence) error {
		l := newLeader(n, f)
		n.lead(l)
		defer n.lead(nil)
		n.log.Info("this node leads the hive", "term", f.Term())
		return l.Run(ctx)
	})
}

// lead notes the term in which this node leads; nil when it does not any more.
func (n *Node) lead(l *leader) {
	n.leading.Store(l)
	select {
	case n.called <- struct{}{}:
	default:
	}
}

// currentLeader is who leads, as far as this node knows, and a channel that is
// closed when that changes.
func (n *Node) currentLeader() (lead, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leaderIs, n.changed
}

// leaderURL is where the leader's API is; ok is false when there is none.
func (n *Node) leaderURL() (url string, term int64, ok bool) {
	l, _ := n.currentLeader()
	if l.node == "" {
		return "", 0, false
	}
	r, ok := n.find(l.node)
	return r.Address, l.term, ok
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
