package hive

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"hive/engine/executor"
	"hive/registry"
)

func TestJoinRefusals(t *testing.T) {
	t.Parallel()
	s := &script{}
	dir := t.TempDir()
	first := launch(t, Config{Name: "n1", DataDir: dir, Capacity: 1, Token: "secret", LeaseTTL: 5 * time.Second}, s)
	foreign := t.TempDir()
	d, err := openDataDir(foreign)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.check("other", "x"), d.Close()); err != nil {
		t.Fatal(err)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { busy.Close() }) // the cases outlive this function
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"a name in use", Config{Name: "n1", Peer: first.info.URL, Token: "secret"}, "has this name"},
		{"no token", Config{Peer: first.info.URL}, "asks for a token"},
		{"the wrong token", Config{Peer: first.info.URL, Token: "guess"}, "not the one"},
		{"another cluster's name", Config{Peer: first.info.URL, Token: "secret", Cluster: "other"}, `is called "hive"`},
		{"another cluster's directory", Config{Peer: first.info.URL, Token: "secret", DataDir: foreign}, "another hive"},
		{"a directory of a node that holds no etcd", Config{DataDir: foreign}, "name a peer"},
		{"a directory in use", Config{DataDir: dir}, "in use"},
		{"a port in use", Config{Address: busy.Addr().String()}, "in use by another process"},
		{"a peer that is not there", Config{Peer: nobody.Addr().String()}, "no hive answers"},
		{"a peer that is no address", Config{Peer: "ftp://x"}, "not the address of a node"},
		{"an etcd that is not there", Config{Etcd: []string{nobody.Addr().String()}}, "no etcd answers"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.Factory = s.factory("x")
			if tt.cfg.Address == "" {
				tt.cfg.Address = "127.0.0.1:0"
			}
			n, err := New(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
}

// A copy of a data directory makes a second node of the same identity, which the hive has no room for.
func TestCopiedDataDir(t *testing.T) {
	t.Parallel()
	endpoints, _ := startStore(t)
	s := &script{}
	dir, twin := t.TempDir(), t.TempDir()
	first := launch(t, Config{Name: "n1", Etcd: endpoints, DataDir: dir, Capacity: 1}, s)
	if err := os.CopyFS(twin, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	n, err := New(Config{Etcd: endpoints, DataDir: twin, Address: "127.0.0.1:0", Factory: s.factory("n1")})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); !errors.Is(err, errTwin) || !strings.Contains(err.Error(), first.info.URL) {
		t.Errorf("got %v, want it to say that the data directory was copied, and where the other node is", err)
	}
}

// A node whose record is taken away does not count any more, and comes back.
func TestLostRecord(t *testing.T) {
	t.Parallel()
	s := &script{}
	first := launch(t, Config{Name: "n1", Capacity: 1}, s)
	was := first.self.Load().Incarnation
	if _, err := first.etcd.Delete(t.Context(), first.keys.Nodes()+first.info.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node is in the hive again", func() bool {
		self := first.self.Load()
		return self != nil && self.Incarnation != was
	})
}

// A node without etcd does not pretend to know who is in the hive.
func TestNodesWithoutEtcd(t *testing.T) {
	t.Parallel()
	endpoints, stop := startStore(t)
	first := launch(t, Config{Name: "n1", Etcd: endpoints, Capacity: 1, LeaseTTL: endingTTL}, &script{})
	c := client(t, first)
	if nodes, err := c.Nodes(t.Context()); err != nil || len(nodes) != 1 {
		t.Fatalf("got %v, %v, want the one node", nodes, err)
	}
	stop()
	eventually(t, "the node says that it is out of the hive", func() bool {
		_, err := c.Nodes(t.Context())
		return err != nil && strings.Contains(err.Error(), "not in the hive")
	})
}

func TestNodeComesBackAsItself(t *testing.T) {
	t.Parallel()
	s := &script{}
	dir := t.TempDir()
	first := launch(t, Config{Name: "n1", DataDir: dir, Capacity: 1}, s)
	c := client(t, first)
	run := submit(t, c, looping(t, 1, time.Second, ""))
	follow(t, c, run)
	if err := first.stop(nil); err != nil {
		t.Fatalf("the node ended with %v", err)
	}
	again := launch(t, Config{Name: "n1", DataDir: dir, Capacity: 1}, s)
	if again.info.ID != first.info.ID || again.info.Etcd[0] != first.info.Etcd[0] {
		t.Errorf("came back as %+v, want %+v", again.info, first.info)
	}
	info, err := client(t, again).Show(t.Context(), run)
	if err != nil || info.Verdict != Passed {
		t.Errorf("the run of its earlier life: %+v (%v)", info, err)
	}
}

func TestDefaultNamesAndPorts(t *testing.T) {
	t.Parallel()
	s := &script{}
	endpoints, _ := startStore(t)
	a := launch(t, Config{Etcd: endpoints, Capacity: -1}, s)
	b := launch(t, Config{Etcd: endpoints}, s)
	if a.info.Name != hostName() || b.info.Name != hostName()+"-2" {
		t.Errorf("names %q and %q, want the host's and that with a number", a.info.Name, b.info.Name)
	}
	if a.info.Capacity != registry.ThisMachine().Capacity() || b.info.Capacity != 0 {
		t.Errorf("capacities %d and %d, want the estimate and none", a.info.Capacity, b.info.Capacity)
	}
	one, err := listen("")
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	two, err := listen("")
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if p, q := one.Addr().(*net.TCPAddr).Port, two.Addr().(*net.TCPAddr).Port; p < DefaultPort || q <= p {
		t.Errorf("ports %d and %d, want the next free one", p, q)
	}
}

func TestSubmissionsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := &script{}
	nodes := hiveOf(t, s, 10, 20)
	c := client(t, nodes[1])
	good := looping(t, 1, time.Second, "")
	digest := strings.Repeat("0", 64)
	tests := []struct {
		name string
		sub  Submission
		want string
	}{
		{"larger than the hive", Submission{Archive: digest, Options: looping(t, 31, time.Second, "")}, "needs 31 VUs, and 2 nodes carry 30"},
		{"larger than the hive without its largest node", Submission{Archive: digest, Options: looping(t, 11, time.Second, ""), Flags: Flags{Policy: Policy{Reserve: 1}}},
			"loss of 1 node (--reserve): it needs 11 VUs, and without the largest 1 of 2 nodes the hive carries 10"},
		{"more in reserve than there is", Submission{Archive: digest, Options: good, Flags: Flags{Policy: Policy{Reserve: 3}}}, "the hive carries 0"},
		{"options of the wrong type", Submission{Archive: digest, Options: []byte(`{"scenarios":3}`)}, "options"},
		{"no archive", Submission{Archive: "x", Options: good}, "sha256"},
		{"an archive that was never uploaded", Submission{Archive: digest, Options: good}, "upload it first"},
		{"a bad id", Submission{ID: "a/b", Archive: digest, Options: good}, "run id"},
	}
	wide, err := executor.ParseScenario("wide", json.RawMessage(`{"executor":"constant-vus","vus":31,"duration":"1s"}`))
	if err != nil {
		t.Fatal(err)
	}
	living, err := nodes[1].roll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := nodes[1].carries(living, tests[0].sub, []executor.Scenario{wide}); err != nil && nodes[1].starting() {
		t.Errorf("while nodes may be on their way: %v, want it to be left to the leader", err)
	}
	eventually(t, "the hive is not new any more", func() bool { return !nodes[1].starting() })
	for _, tt := range tests {
		err := c.call(t.Context(), "POST", "/api/v1/runs", tt.sub, nil)
		if _, ok := errors.AsType[*APIError](err); !ok || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want it to say %q", tt.name, err, tt.want)
		}
	}
	for path, want := range map[string]string{"/api/v1/runs/none": "no run", "/api/v1/runs/none/result": "no run", "/api/v1/runs/none/events": "no run", "/nowhere": "no GET /nowhere"} {
		if err := c.call(t.Context(), "GET", path, nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want it to say %q", path, err, want)
		}
	}
	if err := c.call(t.Context(), "POST", "/api/v1/runs/x/stop", StopRequest{Mode: "now"}, nil); err == nil {
		t.Error("an unknown way to stop was accepted")
	}
	id := "my-run"
	for range 2 {
		if _, err := c.Submit(t.Context(), packed, Submission{ID: id, Name: "s", Options: good}); err != nil {
			t.Errorf("the same submission sent twice: %v", err)
		}
	}
	if runs, err := c.Runs(t.Context()); err != nil || len(runs) != 1 {
		t.Errorf("got %v (%v), want one run", runs, err)
	}
	follow(t, c, id)
	for _, path := range []string{"/healthz", "/readyz"} {
		if err := c.call(t.Context(), "GET", path, nil, nil); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Whoever has seen a node come or go, sees the same at every other node.
func TestNodesAreListedAsTheyAre(t *testing.T) {
	t.Parallel()
	nodes := hiveOf(t, &script{}, 1)
	c := client(t, nodes[0])
	n := nodes[0].Node
	ghost, err := json.Marshal(registry.Node{ID: "ghost", Name: "ghost", Protocol: registry.Protocol, Draining: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := n.etcd.Put(t.Context(), n.keys.Nodes()+"ghost", string(ghost)); err != nil {
			t.Fatal(err)
		}
		if list, err := c.Nodes(t.Context()); err != nil || len(list) != 2 || !list[0].Draining {
			t.Fatalf("with a new node: %v (%v)", list, err)
		}
		if _, err := n.etcd.Delete(t.Context(), n.keys.Nodes()+"ghost"); err != nil {
			t.Fatal(err)
		}
		if list, err := c.Nodes(t.Context()); err != nil || len(list) != 1 {
			t.Fatalf("when it is out: %v (%v)", list, err)
		}
	}
}
