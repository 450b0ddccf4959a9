package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/status"

	"hive/registry"
)

func TestMain(m *testing.M) {
	// etcd's own server leaves a few goroutines of its libraries behind.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("go.etcd.io/etcd/server/v3/etcdserver.(*EtcdServer).purgeFile"),
		goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreAnyFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}

// store starts an etcd; stop ends it before the test does.
func store(t *testing.T) (c *clientv3.Client, stop func()) {
	t.Helper()
	e, stop := serve(t, config(t))
	return connect(t, e), stop
}

func config(t *testing.T) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Dir = t.TempDir()
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.EnableGRPCGateway = false
	any := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.ListenClientUrls, cfg.ListenPeerUrls = any, any
	cfg.TickMs, cfg.ElectionMs = 50, 500
	return cfg
}

func serve(t *testing.T, cfg *embed.Config) (e *embed.Etcd, stop func()) {
	t.Helper()
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(e.Close)
	t.Cleanup(stop)
	<-e.Server.ReadyNotify()
	return e, stop
}

func connect(t *testing.T, e *embed.Etcd, more ...grpc.DialOption) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{e.Clients[0].Addr().String()}, Logger: zap.NewNop(),
		DialOptions: append(more, grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, MaxDelay: time.Second, Multiplier: 1.6}, MinConnectTimeout: time.Second}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func session(t *testing.T, c *clientv3.Client) *registry.Session {
	t.Helper()
	s, err := registry.NewSession(t.Context(), c, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Orphan)
	return s
}

// Where every answer is later than a first attempt waits, a lease is had nevertheless.
func TestLateGrant(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, config(t))
	grants := 0
	late := grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, cc, opts...)
		if method != "/etcdserverpb.Lease/LeaseGrant" {
			return err
		}
		grants++
		select {
		case <-time.After(2500 * time.Millisecond):
			return err
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	})
	s, err := registry.NewSession(t.Context(), connect(t, e, late), time.Minute)
	if err != nil {
		t.Fatalf("%d attempts: %v", grants, err)
	}
	t.Cleanup(s.Orphan)
	if left := time.Until(s.Deadline()); grants != 2 || left > time.Minute-2500*time.Millisecond {
		t.Errorf("%d attempts, and a lease for %s: want 2, and what is left since it was asked for", grants, left)
	}
}

// mirror runs a mirror until the test ends.
func mirror(t *testing.T, m *registry.Mirror) *registry.Mirror {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	if err := m.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

// eventually waits until ok holds, looking at every change of m.
func eventually(t *testing.T, m *registry.Mirror, what string, ok func() bool) {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		more := m.Changed()
		if ok() {
			return
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("never: %s", what)
		}
	}
}

func TestRegister(t *testing.T) {
	c, _ := store(t)
	r := registry.New(c, "/test/nodes/", "/test/names/")
	m := mirror(t, r.Mirror())
	ctx := t.Context()
	s := session(t, c)
	a, err := r.Register(ctx, s, registry.Node{ID: "1", Name: "a", Capacity: 10, Labels: map[string]string{"zone": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Register(ctx, session(t, c), registry.Node{ID: "2", Name: "a"}); !errors.Is(err, registry.ErrNameTaken) {
		t.Errorf("a second node of the same name: got %v, want ErrNameTaken", err)
	}
	if _, err := r.Register(ctx, s, registry.Node{ID: "x/y", Name: "b"}); err == nil {
		t.Error("an id with a slash was accepted")
	}
	if _, err := r.Register(ctx, session(t, c), registry.Node{ID: "2", Name: "b"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, m, "both nodes are seen", func() bool { return len(registry.Nodes(m)) == 2 })
	got := registry.Nodes(m)
	if got[0].Name != "a" || got[1].Name != "b" || got[0].Capacity != 10 || got[0].Labels["zone"] != "x" || got[0].Incarnation != a.Incarnation {
		t.Errorf("got %+v, want a then b, as registered", got)
	}

	again, err := r.Register(ctx, session(t, c), registry.Node{ID: "1", Name: "a"})
	if err != nil {
		t.Fatalf("the same node in its next life: %v", err)
	}
	if again.Incarnation <= a.Incarnation {
		t.Errorf("incarnation %d after %d, want a later one", again.Incarnation, a.Incarnation)
	}
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if now := registry.Nodes(m); len(now) != 2 {
		t.Errorf("the end of the earlier life's lease took the record of the next: %+v", now)
	}
}

func TestSessionEnds(t *testing.T) {
	c, _ := store(t)
	r := registry.New(c, "/test/nodes/", "/test/names/")
	m := mirror(t, r.Mirror())
	tests := []struct {
		name string
		end  func(*registry.Session) error
		lost bool
	}{
		{"closed: the record goes at once", func(s *registry.Session) error { return s.Close(context.Background()) }, false},
		{"lease revoked by somebody else", func(s *registry.Session) error {
			_, err := c.Revoke(context.Background(), s.Lease())
			return err
		}, true},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := session(t, c)
			if s.TTL() < time.Second || !s.Valid() || !s.Deadline().After(time.Now()) {
				t.Errorf("a new session: ttl %s, valid %t, deadline %s", s.TTL(), s.Valid(), s.Deadline())
			}
			if _, err := r.Register(t.Context(), s, registry.Node{ID: fmt.Sprint(i), Name: fmt.Sprint("n", i)}); err != nil {
				t.Fatal(err)
			}
			eventually(t, m, "the node is seen", func() bool { return len(registry.Nodes(m)) == 1 })
			if err := tt.end(s); err != nil {
				t.Fatal(err)
			}
			<-s.Ctx().Done()
			if got := errors.Is(context.Cause(s.Ctx()), registry.ErrLeaseLost); got != tt.lost {
				t.Errorf("cause %v, want a lost lease: %t", context.Cause(s.Ctx()), tt.lost)
			}
			if s.Valid() {
				t.Error("a session that ended is valid")
			}
			eventually(t, m, "the node is gone", func() bool { return len(registry.Nodes(m)) == 0 })
		})
	}
}

// When etcd has another leader, a node's record goes over to a new lease and
// stays the same life of the node; the old lease holds nothing any more.
func TestSessionMovesToANewLease(t *testing.T) {
	cfg := config(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that it can have twice
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	cfg.ListenClientUrls = []url.URL{{Scheme: "http", Host: l.Addr().String()}}
	e, stop := serve(t, cfg)
	c := connect(t, e)
	r := registry.New(c, "/test/nodes/", "/test/names/")
	m := mirror(t, r.Mirror())
	s, err := registry.NewSession(t.Context(), c, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Orphan)
	was, err := r.Register(t.Context(), s, registry.Node{ID: "1", Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	serve(t, cfg) // it elects itself anew
	eventually(t, m, "the record is under another lease", func() bool {
		nodes := registry.Nodes(m)
		return len(nodes) == 1 && nodes[0].Lease != was.Lease && nodes[0].Lease == int64(s.Lease())
	})
	if _, err := c.Revoke(t.Context(), clientv3.LeaseID(was.Lease)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(t.Context(), "/test/nodes/z", "{}"); err != nil { // what the mirror sees after the revocation
		t.Fatal(err)
	}
	eventually(t, m, "the mirror is current", func() bool { _, ok := m.Get("/test/nodes/z"); return ok })
	if now := registry.Nodes(m); len(now) != 1 || now[0].Incarnation != was.Incarnation {
		t.Errorf("after the end of the old lease: got %+v, want the same life of the node", now)
	}
}

func TestSessionWithoutEtcdFencesItself(t *testing.T) {
	c, stop := store(t)
	s := session(t, c)
	deadline := s.Deadline().Add(s.TTL()) // one renewal may have been confirmed meanwhile
	stop()
	<-s.Ctx().Done()
	if !errors.Is(context.Cause(s.Ctx()), registry.ErrLeaseLost) {
		t.Errorf("cause %v, want ErrLeaseLost", context.Cause(s.Ctx()))
	}
	if s.Deadline().After(deadline) {
		t.Errorf("the deadline moved to %s without etcd", s.Deadline())
	}
}

func TestMirrorSurvivesCompaction(t *testing.T) {
	c, _ := store(t)
	ctx := t.Context()
	if _, err := c.Put(ctx, "/test/k/a", "1"); err != nil {
		t.Fatal(err)
	}
	m := mirror(t, registry.NewMirror(c, "/test/k/"))
	one := mirror(t, registry.NewKeyMirror(c, "/test/k/a"))
	for i := range 20 {
		resp, err := c.Put(ctx, "/test/k/b", fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Compact(ctx, resp.Header.Revision); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Delete(ctx, "/test/k/a"); err != nil {
		t.Fatal(err)
	}
	eventually(t, m, "the last state is seen", func() bool {
		b, ok := m.Get("/test/k/b")
		_, a := m.Get("/test/k/a")
		return ok && string(b.Value) == "19" && !a
	})
	eventually(t, one, "the one key is gone", func() bool { all, _ := one.All(); return len(all) == 0 })
}

func TestCapacity(t *testing.T) {
	tests := []struct {
		name string
		m    registry.Machine
		want int
	}{
		{"cores decide", registry.Machine{Cores: 2, Memory: 24 << 30}, 10000},
		{"memory decides", registry.Machine{Cores: 8, Memory: 1 << 30}, 4096},
		{"never nothing", registry.Machine{}, 1},
	}
	for _, tt := range tests {
		if got := tt.m.Capacity(); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
	if m := registry.ThisMachine(); m.Cores < 1 || m.Memory < 1<<20 {
		t.Errorf("this machine: got %+v", m)
	}
}

// A record tells the lease that holds it, and one of another protocol is none.
func TestRecordsOfOtherProtocols(t *testing.T) {
	c, _ := store(t)
	r := registry.New(c, "/test/nodes/", "/test/names/")
	m := mirror(t, r.Mirror())
	s := session(t, c)
	a, err := r.Register(t.Context(), s, registry.Node{ID: "1", Name: "a"})
	if err != nil || a.Lease != int64(s.Lease()) || a.Protocol != registry.Protocol {
		t.Fatalf("got %+v (%v), want the session's lease and the protocol", a, err)
	}
	for _, other := range []string{`{"id":"2","name":"old"}`, `{"id":"2","name":"new","protocol":99}`} {
		if _, err := c.Put(t.Context(), "/test/nodes/2", other); err != nil {
			t.Fatal(err)
		}
		put, err := c.Put(t.Context(), "/test/nodes/zz", "")
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, m, "the records are seen", func() bool { _, rev := m.All(); return rev >= put.Header.Revision })
		if nodes := registry.Nodes(m); len(nodes) != 1 || nodes[0].ID != "1" {
			t.Errorf("beside %s: got %+v, want the node of this protocol", other, nodes)
		}
	}
	nodes := registry.Nodes(m)
	nodes[0].Name = "changed"
	if got := registry.Nodes(m); got[0].Name != "a" {
		t.Errorf("what one reader changes in its list, another reads: %+v", got)
	}
}
