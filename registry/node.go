package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Protocol numbers what nodes say to each other: keys, records and calls. Nodes
// of different numbers do not work together; see [Nodes].
const Protocol = 2

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
	// Protocol is the [Protocol] that the node speaks.
	Protocol int `json:"protocol"`
	// Lease holds the record; revoking it takes the node out of the hive.
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
func (r *Registry) Register(ctx context.Context, s *Session, n Node) (Node, error) {
	if n.ID == "" || n.Name == "" || strings.Contains(n.ID+n.Name, "/") {
		return n, fmt.Errorf("registry: node id %q and name %q must not be empty or contain a slash", n.ID, n.Name)
	}
	n.Incarnation, n.Protocol, n.Lease = 0, Protocol, int64(s.Lease())
	value, err := json.Marshal(n)
	if err != nil {
		return n, fmt.Errorf("registry: %w", err)
	}
	for {
		taken, err := r.clear(ctx, n)
		if err != nil {
			return n, fmt.Errorf("registry: join: %w", err)
		}
		if taken {
			return n, fmt.Errorf("%w: %q", ErrNameTaken, n.Name)
		}
		resp, err := r.client.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(r.nodes+n.ID), "=", 0), clientv3.Compare(clientv3.CreateRevision(r.names+n.Name), "=", 0)).
			Then(clientv3.OpPut(r.nodes+n.ID, string(value), clientv3.WithLease(s.Lease())),
				clientv3.OpPut(r.names+n.Name, n.ID, clientv3.WithLease(s.Lease()))).
			Commit()
		if err != nil {
			return n, fmt.Errorf("registry: join: %w", err)
		}
		if resp.Succeeded {
			n.Incarnation = resp.Header.Revision
			return n, nil
		}
	}
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

// Nodes are the records of a mirror, sorted by name; they are decoded once for
// each change. Labels are shared: do not modify them. A record that cannot be
// read, or is of a node that speaks another protocol, is left out.
func Nodes(m *Mirror) []Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.nodesAt != m.changed {
		m.nodes, m.nodesAt = decode(m.kvs), m.changed
	}
	return slices.Clone(m.nodes)
}

func decode(kvs map[string]KV) []Node {
	nodes := make([]Node, 0, len(kvs))
	for _, kv := range kvs {
		var n Node
		if json.Unmarshal(kv.Value, &n) == nil && n.Protocol == Protocol {
			n.Incarnation = kv.CreateRev
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes
}
