package hive

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// A node that would be lost later than the others believe does not get in, by a peer or by the etcd.
func TestOtherLeaseTTLIsRefused(t *testing.T) {
	t.Parallel()
	s := &script{}
	endpoints, _ := startStore(t)
	first := launch(t, Config{Name: "n1", Etcd: endpoints, Capacity: 1, LeaseTTL: 4 * time.Second}, s)
	eventually(t, "it leads", func() bool { _, _, ok := first.leaderURL(); return ok })
	for name, cfg := range map[string]Config{"peer": {Peer: first.info.URL}, "etcd": {Etcd: endpoints}} {
		cfg.LeaseTTL, cfg.Address, cfg.Factory = 20*time.Second, "127.0.0.1:0", s.factory("n2")
		n, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Run(t.Context()); !errors.Is(err, errOtherTTL) || !strings.Contains(err.Error(), "n1 is 4s") {
			t.Errorf("by %s: got %v, want a refusal that names both times", name, err)
		}
	}
}

// An etcd of one's own that is full lets no node in, and says why at once.
func TestJoinFullEtcd(t *testing.T) {
	t.Parallel()
	s := &script{}
	endpoints, _ := startStoreOf(t, 16<<20)
	first := launch(t, Config{Name: "n1", Etcd: endpoints, Capacity: 1}, s)
	value := strings.Repeat("x", 1<<20)
	for i := 0; ; i++ {
		_, err := first.etcd.Put(t.Context(), "/other", value)
		if errors.Is(err, rpctypes.ErrNoSpace) {
			break
		}
		if err != nil || i > 100 {
			t.Fatalf("put %d: got %v, want no space before long", i, err)
		}
	}
	n, err := New(Config{Etcd: endpoints, Address: "127.0.0.1:0", LeaseTTL: 4 * time.Second, Factory: s.factory("n2")})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "alarm disarm") {
		t.Errorf("a node: got %v, want to be told what to do", err)
	}
	_, err = client(t, first).Submit(t.Context(), packed, Submission{Name: "script.js", Options: arriving(t, 1, 1, time.Second)})
	if err == nil || !strings.Contains(err.Error(), "alarm disarm") {
		t.Errorf("a run: got %v, want to be told what to do", err)
	}
}

func TestComplaint(t *testing.T) {
	var c complaint
	one, other := errors.New("one"), errors.New("other")
	for i, step := range []struct {
		err  error
		want bool
	}{{one, true}, {one, false}, {other, true}, {one, true}, {one, false}} {
		if got := c.due(step.err); got != step.want {
			t.Errorf("step %d: got %t, want %t", i, got, step.want)
		}
	}
	c.at = c.at.Add(-complainAgain)
	if !c.due(one) {
		t.Error("what was told a while ago is not told again")
	}
}
