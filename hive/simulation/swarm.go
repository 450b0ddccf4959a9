package simulation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"hive/hive"
)

// Config says what the nodes of a swarm are like.
type Config struct {
	// Endpoints are those of the etcd that the nodes meet at.
	Endpoints []string
	// Dir keeps the data directories of the nodes.
	Dir string
	// Capacity is how many VUs each node carries.
	Capacity int
	// TTL of the nodes' leases; 0 means 5 s.
	TTL    time.Duration
	Timing hive.Timing
	Log    *slog.Logger // of the nodes; nil drops what they say
	// Fault, when set, is called at the fault points of all nodes (see [hive.Config]).
	Fault func(point string)
}

// Swarm is some nodes in one process.
type Swarm struct {
	cfg    Config
	record *Record

	mu    sync.Mutex // guards what follows
	nodes []*Node
}

// Node is one of a swarm. Its methods are not to be called at the same time.
type Node struct {
	Name string

	s       *Swarm
	gates   []*gate
	ready   chan hive.Info
	info    hive.Info
	cancel  context.CancelFunc
	done    chan error
	stopped bool
}

// NewSwarm returns a swarm without nodes.
func NewSwarm(cfg Config) *Swarm { return &Swarm{cfg: cfg, record: &Record{}} }

// Record is what the nodes' engines do.
func (s *Swarm) Record() *Record { return s.record }

// Nodes are all nodes, in the order in which they were made.
func (s *Swarm) Nodes() []*Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Node(nil), s.nodes...)
}

// Start makes more nodes, lets them join, all at once, and waits until each
// sees itself in the hive. Those that gated says can be taken away later by
// [Swarm.Crash] and [Swarm.Cut].
func (s *Swarm) Start(ctx context.Context, count int, gated bool) error {
	s.mu.Lock()
	var fresh []*Node
	for range count {
		n := &Node{Name: fmt.Sprintf("n%05d", len(s.nodes)+1), s: s}
		s.nodes, fresh = append(s.nodes, n), append(fresh, n)
	}
	s.mu.Unlock()
	for _, n := range fresh {
		for _, e := range s.cfg.Endpoints {
			if !gated {
				break
			}
			g, err := openGate(e)
			if err != nil {
				return err
			}
			n.gates = append(n.gates, g)
		}
	}
	return s.Launch(ctx, fresh...)
}

// Launch lets nodes join that have been made and do not run.
func (s *Swarm) Launch(ctx context.Context, nodes ...*Node) error {
	for _, n := range nodes {
		if err := n.launch(); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		select {
		case n.info = <-n.ready:
		case err := <-n.done:
			n.done <- err
			return fmt.Errorf("simulation: node %s ended: %w", n.Name, err)
		case <-ctx.Done():
			return fmt.Errorf("simulation: node %s has not joined: %w", n.Name, context.Cause(ctx))
		}
	}
	return nil
}

func (n *Node) launch() error {
	endpoints := n.s.cfg.Endpoints
	if len(n.gates) > 0 {
		endpoints = nil
		for _, g := range n.gates {
			g.mend()
			endpoints = append(endpoints, g.endpoint())
		}
	}
	dir := filepath.Join(n.s.cfg.Dir, n.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("simulation: %w", err)
	}
	ready := make(chan hive.Info, 1)
	cfg := hive.Config{Name: n.Name, DataDir: dir, Address: "127.0.0.1:0", Etcd: endpoints, Capacity: n.s.cfg.Capacity, LeaseTTL: n.s.cfg.TTL,
		Timing: n.s.cfg.Timing, Factory: factory(n.s.record, n.Name, n.s.cfg.Capacity), Ready: func(i hive.Info) { ready <- i }, Fault: n.s.cfg.Fault}
	if n.s.cfg.Log != nil {
		cfg.Log = n.s.cfg.Log.With("node", n.Name)
	}
	node, err := hive.New(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel, n.ready, n.done, n.stopped = cancel, ready, make(chan error, 1), false
	go func() { n.done <- node.Run(ctx) }()
	return nil
}

// URL is the node's API.
func (n *Node) URL() string { return n.info.URL }

// ID is the node's id.
func (n *Node) ID() string { return n.info.ID }

// Running says whether the node was launched and has not been stopped since.
func (n *Node) Running() bool { return n.cancel != nil && !n.stopped }

// stop ends the node and waits for that.
func (n *Node) stop() error {
	if !n.Running() {
		return nil
	}
	n.stopped = true
	n.cancel()
	return <-n.done
}

// Crash ends nodes without a goodbye to etcd: their leases stay, and whoever
// dials them is refused.
func (s *Swarm) Crash(nodes ...*Node) error {
	for _, n := range nodes {
		n.shut()
	}
	return each(nodes, (*Node).stop)
}

// Cut takes etcd away from nodes, which live on: their leases run out.
func (s *Swarm) Cut(nodes ...*Node) {
	for _, n := range nodes {
		n.shut()
	}
}

// Mend gives etcd back to nodes.
func (s *Swarm) Mend(nodes ...*Node) {
	for _, n := range nodes {
		for _, g := range n.gates {
			g.mend()
		}
	}
}

func (n *Node) shut() {
	for _, g := range n.gates {
		g.cut()
	}
}

// Close ends all nodes.
func (s *Swarm) Close() error {
	nodes := s.Nodes()
	err := each(nodes, (*Node).stop)
	for _, n := range nodes {
		for _, g := range n.gates {
			g.close()
		}
	}
	return err
}

// each does something with all nodes at once.
func each(nodes []*Node, do func(*Node) error) error {
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() { errs[i] = do(n) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
