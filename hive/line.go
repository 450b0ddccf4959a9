package hive

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/registry"
)

// closeLook is how often a node looks whether it has come to hold a member of the embedded etcd.
const closeLook = time.Second

// Line is who leads the hive and who leads next. The leader writes it down for all nodes, so that these need not keep
// the records of all others: what every node keeps of every other is too much for a hive of many.
type Line struct {
	Term  int64       `json:"term"`  // of the leadership
	Nodes []Candidate `json:"nodes"` // the leader first; at most [watchers]
	// Members says which nodes hold members of the embedded etcd; it is for comparing only.
	Members string `json:"members,omitempty"`
}

// Candidate is what a [Line] says of a node.
type Candidate struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Address  string `json:"address"` // URL of its API
	Boot     string `json:"boot"`
	Capacity int    `json:"capacity"`
	Draining bool   `json:"draining,omitempty"`
}

// lead is who leads, and since when; the zero lead is nobody's.
type lead struct {
	node string // id
	term int64
}

// record is what is known of a candidate, as a record that lacks the rest.
func (c Candidate) record() registry.Node {
	return registry.Node{ID: c.ID, Name: c.Name, Address: c.Address, Boot: c.Boot, Capacity: c.Capacity, Draining: c.Draining, Protocol: registry.Protocol}
}

// followLine keeps this node's knowledge of the line until ctx ends.
func (n *Node) followLine(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = n.line.Run(ctx) }) // ends with ctx and has nothing else to say
	for {
		changed := n.line.Changed()
		n.seeLine()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// seeLine takes the line over as etcd has it. Without one nobody leads, and who led next stands until there is another.
// It is safe to call at the same time: what is newer stays.
func (n *Node) seeLine() {
	if n.line == nil {
		return // it has yet to join
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var next Line
	kv, ok := n.line.Get(n.keys.Line())
	if !n.line.Synced() || kv.ModRev == n.lineRev {
		return
	}
	n.lineRev = kv.ModRev
	if ok {
		if err := json.Unmarshal(kv.Value, &next); err != nil || len(next.Nodes) == 0 {
			n.log.Warn("who leads the hive cannot be read", "reason", err)
			return
		}
	}
	leader := lead{}
	if ok {
		leader = lead{node: next.Nodes[0].ID, term: next.Term}
		n.lineIs = next
	}
	if leader == n.leaderIs {
		return
	}
	n.leaderIs = leader
	close(n.changed)
	n.changed = make(chan struct{})
}

// lastLine is the line as this node knows it, the one of now for who was woken by its change. Its nodes must not be
// changed.
func (n *Node) lastLine() Line {
	n.seeLine()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lineIs
}

// isClose says whether this node has to know all others: it leads, or is to lead next, or holds a member of the
// embedded etcd.
func (n *Node) isClose() bool {
	if n.leading.Load() != nil || n.part() != "" {
		return true
	}
	line := n.standing()
	return slices.Contains(line[:min(len(line), watchers)], n.info.ID)
}

// keepRecords mirrors the records of all nodes and who stands for the leadership, while this node has to know them.
func (n *Node) keepRecords(ctx context.Context) error {
	for ctx.Err() == nil {
		if n.awaitClose(ctx, true) {
			n.mirrorRecords(ctx)
			pause(ctx, idleWatch) // while nobody leads, the last line may name this node wrongly
		}
	}
	return ctx.Err()
}

// mirrorRecords keeps the mirrors of all records until this node need not know them any more, or ctx ends.
func (n *Node) mirrorRecords(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = n.nodes.Run(ctx) }) // these end with ctx and have nothing else to say
	wg.Go(func() { _ = n.candidates.Run(ctx) })
	n.awaitClose(ctx, false)
	cancel()
	wg.Wait()
	n.nodes.Reset()
	n.candidates.Reset()
}

// awaitClose waits until this node has to know all others, or need not; false when ctx ends before that.
func (n *Node) awaitClose(ctx context.Context, want bool) bool {
	var look <-chan time.Time
	if n.embedded {
		t := time.NewTicker(closeLook)
		defer t.Stop()
		look = t.C
	}
	for {
		line, candidates := n.line.Changed(), n.candidates.Changed()
		if n.isClose() == want {
			return true
		}
		select {
		case <-line:
		case <-candidates:
		case <-n.called:
		case <-look:
		case <-ctx.Done():
			return false
		}
	}
}

// roll are the records of all nodes: as mirrored where they are, and as etcd has them otherwise.
func (n *Node) roll(ctx context.Context) ([]registry.Node, error) {
	if n.nodes.Synced() {
		return registry.Nodes(n.nodes), nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	return n.reg.List(ctx)
}

// known are the nodes that this node knows without asking: all of them if it is close to the lead, and otherwise those
// who lead and itself.
func (n *Node) known() (all []registry.Node) {
	if n.nodes.Synced() {
		return registry.Nodes(n.nodes)
	}
	for _, c := range n.lastLine().Nodes {
		all = append(all, c.record())
	}
	self := n.self.Load()
	if self != nil && !slices.ContainsFunc(all, func(r registry.Node) bool { return r.ID == self.ID }) {
		all = append(all, *self)
	}
	return all
}

// find looks a node up by its id, among those that this node knows: all of them if it is close to the lead, and
// otherwise those who lead and itself.
func (n *Node) find(id string) (registry.Node, bool) {
	if n.nodes.Synced() {
		return registry.Find(n.nodes, n.keys.Nodes()+id)
	}
	if self := n.self.Load(); self != nil && self.ID == id {
		return *self, true
	}
	for _, c := range n.lastLine().Nodes {
		if c.ID == id {
			return c.record(), true
		}
	}
	return registry.Node{}, false
}

// lookUp is find, and asks etcd for what this node does not know.
func (n *Node) lookUp(ctx context.Context, id string) (r registry.Node, ok bool, err error) {
	if r, ok = n.find(id); ok || n.nodes.Synced() {
		return r, ok, nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	return n.reg.Read(ctx, id)
}

// keepLine writes the line down while this node leads, until ctx ends.
func (l *leader) keepLine(ctx context.Context) {
	n := l.n
	var written Line
	var rev int64
	for ctx.Err() == nil {
		line, nodes, candidates := n.line.Changed(), n.nodes.Changed(), n.candidates.Changed()
		if kv, ok := n.line.Get(n.keys.Line()); n.line.Synced() && (!ok || kv.ModRev > rev) {
			written = Line{} // by somebody else, or by an attempt that was given up for lost
			_ = json.Unmarshal(kv.Value, &written)
		}
		if next := l.lineNow(); !reflect.DeepEqual(next, written) {
			at, err := l.writeLine(ctx, next)
			if err != nil {
				if ctx.Err() == nil {
					n.log.Debug("who leads is not written down yet", "reason", err)
				}
				pause(ctx, etcdAgain)
				continue
			}
			written, rev = next, at
		}
		select {
		case <-line:
		case <-nodes:
		case <-candidates:
		case <-ctx.Done():
		}
	}
}

// lineNow is the line as it should be: this node, and those that have come after it.
func (l *leader) lineNow() Line {
	n := l.n
	line := Line{Term: l.fence.Term()}
	if n.embedded {
		line.Members = n.memberNodes()
	}
	ids := []string{n.info.ID}
	kvs, _ := n.candidates.All()
	for _, kv := range sorted(kvs) {
		if id := string(kv.Value); kv.CreateRev > line.Term && !slices.Contains(ids, id) && len(ids) < watchers {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		r, ok := n.find(id)
		if self := n.self.Load(); !ok && id == n.info.ID && self != nil {
			r, ok = *self, true
		}
		if ok {
			line.Nodes = append(line.Nodes, Candidate{ID: r.ID, Name: r.Name, Address: r.Address, Boot: r.Boot, Capacity: r.Capacity, Draining: r.Draining})
		}
	}
	return line
}

// sorted are keys of a mirror, the oldest first.
func sorted(kvs map[string]registry.KV) []registry.KV {
	return slices.SortedFunc(maps.Values(kvs), func(a, b registry.KV) int { return cmp.Compare(a.CreateRev, b.CreateRev) })
}

// writeLine returns the revision at which the line was written.
func (l *leader) writeLine(ctx context.Context, line Line) (rev int64, err error) {
	p := l.n.place.Load()
	if p == nil || len(line.Nodes) == 0 || line.Nodes[0].ID != l.n.info.ID {
		return 0, errNotIn
	}
	value, err := json.Marshal(line)
	if err != nil {
		return 0, fmt.Errorf("write who leads: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stateTry)
	defer cancel()
	resp, err := l.write(ctx, "line", nil, clientv3.OpPut(l.n.keys.Line(), string(value), clientv3.WithLease(p.session.Lease())))
	if err != nil {
		return 0, err
	}
	return resp.Header.Revision, nil
}
