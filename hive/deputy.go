package hive

// standing are the ids of the nodes that stand for the leadership, the leader
// first and each once: all of them where they are known, and otherwise those
// that the leader named. It must not be changed.
func (n *Node) standing() []string {
	n.queueMu.Lock()
	defer n.queueMu.Unlock()
	at := n.candidates.Changed()
	if !n.candidates.Synced() {
		var ids []string
		for _, c := range n.lastLine().Nodes {
			ids = append(ids, c.ID)
		}
		return ids
	}
	if n.queueAt != at {
		n.queue, n.queueAt = n.lineUp(), at
	}
	return n.queue
}

// lineUp puts the candidates in their order.
func (n *Node) lineUp() (ids []string) {
	kvs, _ := n.candidates.All()
	seen := make(map[string]bool, len(kvs))
	for _, kv := range sorted(kvs) {
		if id := string(kv.Value); !seen[id] {
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
