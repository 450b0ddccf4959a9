package hive

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Only those who lead, and who lead next, keep the records of all; the others know who these are, and whoever comes
// to lead next after a death learns the rest.
func TestWhoKeepsTheRecords(t *testing.T) {
	t.Parallel()
	s := &script{}
	nodes := hiveOf(t, s, 0, 10, 10, 10, 10)
	awaitNodes(t, nodes[4], 5)
	agree := func(living []*running, leader *running) func() bool {
		return func() bool {
			line := living[0].lastLine().Nodes
			if len(line) != watchers || leader != nil && line[0].ID != leader.info.ID {
				return false
			}
			return !slices.ContainsFunc(living, func(n *running) bool {
				in := slices.ContainsFunc(line, func(c Candidate) bool { return c.ID == n.info.ID })
				return in != n.nodes.Synced() || !slices.Equal(line, n.lastLine().Nodes)
			})
		}
	}
	eventually(t, "the first three keep all records", agree(nodes, nodes[0]))
	line := nodes[0].lastLine().Nodes
	var others []*running
	for _, n := range nodes {
		if !slices.ContainsFunc(line, func(c Candidate) bool { return c.ID == n.info.ID }) {
			others = append(others, n)
		}
	}
	last, other := others[1], others[0]
	if _, ok := last.find(other.info.ID); ok {
		t.Error("the last node knows one that does not lead")
	}
	if r, ok, err := last.lookUp(t.Context(), other.info.ID); err != nil || !ok || r.Address != other.info.URL {
		t.Errorf("looked up %+v (%v, %v), want the other's record", r, ok, err)
	}
	if url, _, ok := last.leaderURL(); !ok || url != nodes[0].info.URL {
		t.Errorf("the leader is at %q (%v), want %q", url, ok, nodes[0].info.URL)
	}
	if id, ok := last.deputy(); !ok || id != line[1].ID {
		t.Errorf("the deputy is %q (%v), want %q", id, ok, line[1].ID)
	}
	nodes[0].stop(errCrash)
	eventually(t, "the next three keep all records", agree(nodes[1:], nil))
}

// Writes are cut by number and by length, in their order, and none is left out.
func TestInBatches(t *testing.T) {
	for _, tt := range []struct {
		lengths []int
		want    string
	}{
		{nil, "[0]"},
		{[]int{1, 1, 1, 1, 1, 1, 1}, "[3 3 1]"},
		{[]int{maxTxn / 2, maxTxn / 3, maxTxn / 2}, "[2 1]"},
		{[]int{2 * maxTxn, 1}, "[1 1]"},
	} {
		var ops []clientv3.Op
		for i, n := range tt.lengths {
			ops = append(ops, clientv3.OpPut(fmt.Sprint(i), strings.Repeat("x", n)))
		}
		var got []int
		batches := inBatches(ops, 3)
		for _, b := range batches {
			got = append(got, len(b))
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%v: batches of %v, want %s", tt.lengths, got, tt.want)
		}
		for i, op := range slices.Concat(batches...) {
			if string(op.KeyBytes()) != fmt.Sprint(i) {
				t.Errorf("%v: the write %d is that of %s", tt.lengths, i, op.KeyBytes())
			}
		}
	}
}
