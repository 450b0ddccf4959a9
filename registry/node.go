package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// enterTry bounds one attempt to enter a record: it hangs while etcd has no leader.
const enterTry = time.Second

// enterTrips is how many round trips to etcd's leader it may take besides.
const enterTrips = 10

// Protocol numbers what nodes say to each other: keys, records and calls. Nodes
// of different numbers do not work together; see [Nodes].
const Protocol = 4

// ErrNameTaken comes from [Registry.Register] when another living node has the name.
var ErrNameTaken = errors.New("registry: another node of the hive has this name")

// Node is the record of one node, as it stands in etcd.
type Node struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Address  string            `json:"address"`  // URL of its API
	Capacity int               `json:"capacity"` // VUs; 0 takes no load
	Labels   map[string]string `json:"labels,omitempty"`
	Version  string            `json:"version"`
	PID      int               `json:"pid"`
	// Boot names the process; it stays when the node loses its lease and registers again.
	Boot string `json:"boot"`
	// Draining says that the node is leaving: it is to hand its share over.
	Draining bool `json:"draining,omitempty"`
	// Member is the node's part in the embedded etcd: "voter", "learner", or "" for none.
	Member string `json:"member,omitempty"`
	// Eligible says that the node can hold a member of the embedded etcd when it is asked to.
	Eligible bool `json:"eligible,omitempty"`
	// Sent is, by run, until when on its clock earlier processes of this node sent load, as far as they wrote that down.
	Sent map[string]time.Duration `json:"sent,omitempty"`
	// Protocol is the [Protocol] that the node speaks.
	Protocol int `json:"protocol"`
	// Lease holds the record; revoking it takes the node out of the hive. It changes
	// while a session lasts: what [Nodes] returns has the present one.
	Lease  int64     `json:"lease"`
	Cores  int       `json:"cores"`
	Memory int64     `json:"memory"` // bytes the node may use
	Joined time.Time `json:"joined"`
	// Incarnation tells this life of the node from its other ones. It is the
	// create revision of the record, so a later life has a greater number.
	Incarnation int64 `json:"incarnation"`
}

// Registry is the keys of one hive's nodes.
type Registry struct {
	client *clientv3.Client
	nodes  string // prefix of the records
	names  string // prefix of the names in use
}

// New returns the registry that keeps records under nodes and names under
// names; both prefixes end in a slash.
func New(c *clientv3.Client, nodes, names string) *Registry {
	return &Registry{client: c, nodes: nodes, names: names}
}

// Register puts n's record and name under the session's lease and returns n
// with its incarnation. A record that an earlier life of the same node left
// behind is replaced; a name that another node holds fails with [ErrNameTaken].
// While etcd does not answer it tries again, until ctx ends.
func (r *Registry) Register(ctx context.Context, s *Session, n Node) (Node, error) {
	if n.ID == "" || n.Name == "" || strings.Contains(n.ID+n.Name, "/") {
		return n, fmt.Errorf("registry: node id %q and name %q must not be empty or contain a slash", n.ID, n.Name)
	}
	n.Incarnation, n.Protocol = 0, Protocol
	for {
		n.Lease = int64(s.Lease())
		entered, err := r.enter(ctx, n, enterTry+enterTrips*s.Trip())
		if entered > 0 {
			n.Incarnation = entered
			return n, nil
		}
		if err == nil || ctx.Err() == nil && passing(err) {
			sleep(ctx, renewAgain)
			continue
		}
		if errors.Is(err, ErrNameTaken) {
			return n, err
		}
		return n, fmt.Errorf("registry: join: %w", err)
	}
}

// enter makes one attempt to put the record, and returns its create revision; 0
// without an error means that another one was faster.
func (r *Registry) enter(ctx context.Context, n Node, limit time.Duration) (rev int64, err error) {
	value, err := json.Marshal(n)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	taken, err := r.clear(ctx, n)
	if err != nil {
		return 0, err
	}
	if taken {
		return 0, fmt.Errorf("%w: %q", ErrNameTaken, n.Name)
	}
	lease := clientv3.WithLease(clientv3.LeaseID(n.Lease))
	resp, err := r.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(r.nodes+n.ID), "=", 0), clientv3.Compare(clientv3.CreateRevision(r.names+n.Name), "=", 0)).
		Then(clientv3.OpPut(r.nodes+n.ID, string(value), lease), clientv3.OpPut(r.names+n.Name, n.ID, lease)).
		Commit()
	if err != nil || !resp.Succeeded {
		return 0, err
	}
	return resp.Header.Revision, nil
}

// passing says whether an error is the lack of an answer: what was to be done
// may have been done or not, and can be done again.
func passing(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var e rpctypes.EtcdError
	return errors.As(rpctypes.Error(err), &e) && (e.Code() == codes.Unavailable || e.Code() == codes.DeadlineExceeded) || status.Code(err) == codes.Unavailable
}

// clear removes what an earlier life of n left, and says whether its name
// belongs to somebody else.
func (r *Registry) clear(ctx context.Context, n Node) (taken bool, err error) {
	resp, err := r.client.Get(ctx, r.names+n.Name)
	if err != nil {
		return false, err
	}
	if len(resp.Kvs) > 0 && string(resp.Kvs[0].Value) != n.ID {
		return true, nil
	}
	ops := []clientv3.Op{clientv3.OpDelete(r.nodes + n.ID)}
	var conds []clientv3.Cmp
	if len(resp.Kvs) > 0 {
		conds = append(conds, clientv3.Compare(clientv3.ModRevision(r.names+n.Name), "=", resp.Kvs[0].ModRevision))
		ops = append(ops, clientv3.OpDelete(r.names+n.Name))
	}
	_, err = r.client.Txn(ctx).If(conds...).Then(ops...).Commit()
	return false, err
}

// Mirror returns a mirror of the node records; [Nodes] reads it.
func (r *Registry) Mirror() *Mirror { return NewMirror(r.client, r.nodes) }

// Nodes are the records of a mirror, sorted by name; each is decoded once for
// each change of it. Labels are shared: do not modify them. A record that
// cannot be read, or is of a node that speaks another protocol, is left out.
func Nodes(m *Mirror) []Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.nodesAt != m.changed {
		m.nodes, m.records = decode(m.kvs, m.records)
		m.nodesAt = m.changed
	}
	return slices.Clone(m.nodes)
}

// Find is the record under one key of a mirror.
func Find(m *Mirror, key string) (Node, bool) {
	kv, ok := m.Get(key)
	if !ok {
		return Node{}, false
	}
	r := read(kv)
	return r.Node, r.readable
}

// record is a node as one revision of its key has it.
type record struct {
	Node
	rev      int64
	readable bool
}

func read(kv KV) record {
	r := record{rev: kv.ModRev}
	r.readable = json.Unmarshal(kv.Value, &r.Node) == nil && r.Protocol == Protocol
	r.Incarnation, r.Lease = kv.CreateRev, kv.Lease
	return r
}

// decode reads the records that have changed since was.
func decode(kvs map[string]KV, was map[string]record) ([]Node, map[string]record) {
	nodes, now := make([]Node, 0, len(kvs)), make(map[string]record, len(kvs))
	for key, kv := range kvs {
		r, ok := was[key]
		if !ok || r.rev != kv.ModRev {
			r = read(kv)
		}
		now[key] = r
		if r.readable {
			nodes = append(nodes, r.Node)
		}
	}
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes, now
}
