package hive

import (
	"cmp"
	"maps"
	"slices"
)

// standing are the ids of the nodes that stand for the leadership, the leader
// first and each once, as far as this node knows. It must not be changed.
func (n *Node) standing() []string {
	n.lineMu.Lock()
	defer n.lineMu.Unlock()
	if at := n.candidates.Changed(); n.lineAt != at {
		n.line, n.lineAt = n.lineUp(), at
	}
	return n.line
}

// lineUp puts the candidates in their order.
func (n *Node) lineUp() (ids []string) {
	kvs, _ := n.candidates.All()
	keys := slices.SortedFunc(maps.Keys(kvs), func(a, b string) int { return cmp.Compare(kvs[a].CreateRev, kvs[b].CreateRev) })
	seen := make(map[string]bool, len(keys))
	for _, key := range keys {
		if id := string(kvs[key].Value); !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// deputy is the node that leads next: it gets every checkpoint that the leader
// gets. ok is false when there is no second candidate.
func (n *Node) deputy() (id string, ok bool) {
	ids := n.standing()
	if len(ids) < 2 {
		return "", false
	}
	return ids[1], true
}
