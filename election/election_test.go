package election_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"hive/election"
)

func TestMain(m *testing.M) {
	// etcd's own server leaves a few goroutines of its libraries behind.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("go.etcd.io/etcd/server/v3/etcdserver.(*EtcdServer).purgeFile"),
		goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreAnyFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}

const prefix = "/test/leader/"

func store(t *testing.T) *clientv3.Client {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir = t.TempDir()
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.EnableGRPCGateway = false
	any := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.ListenClientUrls, cfg.ListenPeerUrls = any, any
	cfg.TickMs, cfg.ElectionMs = 50, 500
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	<-e.Server.ReadyNotify()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{e.Clients[0].Addr().String()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func session(t *testing.T, c *clientv3.Client) *concurrency.Session {
	t.Helper()
	s, err := concurrency.NewSession(c, concurrency.WithTTL(5))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// candidate campaigns in the background; it tells of each term on led, and
// ends when the test does.
func candidate(t *testing.T, c *clientv3.Client, s election.Session, name string, led chan<- string) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- election.Lead(ctx, c, s, prefix, name, func(ctx context.Context, f election.Fence) error {
			led <- name
			<-ctx.Done()
			return context.Cause(ctx)
		})
	}()
	stopped := false
	var err error
	stop = func() error {
		if !stopped {
			stopped = true
			cancel()
			err = <-done
		}
		return err
	}
	t.Cleanup(func() { stop() })
	return stop
}

func TestOneLeadsAndTheNextFollows(t *testing.T) {
	c := store(t)
	led := make(chan string, 10)
	stops := map[string]func() error{}
	for i := range 3 {
		name := fmt.Sprint("n", i)
		stops[name] = candidate(t, c, session(t, c), name, led)
	}
	seen := map[string]bool{}
	for range 3 {
		name := <-led
		if seen[name] {
			t.Fatalf("%s led twice", name)
		}
		seen[name] = true
		select {
		case other := <-led:
			t.Fatalf("%s leads beside %s", other, name)
		case <-time.After(50 * time.Millisecond):
		}
		if err := stops[name](); !errors.Is(err, context.Canceled) {
			t.Errorf("%s ended with %v, want the end of its context", name, err)
		}
	}
}

func TestDeposedLeaderCannotWrite(t *testing.T) {
	c := store(t)
	ctx := t.Context()
	err := election.Lead(ctx, c, session(t, c), prefix, "old", func(lctx context.Context, f election.Fence) error {
		put := func(value string) error {
			_, err := f.Txn(ctx, clientv3.OpPut("/test/a", value))
			return err
		}
		if err := put("1"); err != nil {
			return fmt.Errorf("while leading: %w", err)
		}
		if _, err := f.TxnIf(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.Value("/test/a"), "=", "2")}, clientv3.OpDelete("/test/a")); !errors.Is(err, election.ErrConflict) {
			t.Errorf("a condition that does not hold: got %v, want ErrConflict", err)
		}
		if _, err := c.Delete(ctx, f.Key()); err != nil {
			return err
		}
		<-lctx.Done()
		if cause := context.Cause(lctx); !errors.Is(cause, election.ErrDeposed) {
			t.Errorf("the leader's context ended with %v, want ErrDeposed", cause)
		}
		for what, err := range map[string]error{"put": put("2"), "delete": f.Delete(ctx, "/test/a")} {
			if !errors.Is(err, election.ErrDeposed) {
				t.Errorf("%s of a deposed leader: got %v, want ErrDeposed", what, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Get(ctx, "/test/a")
	if err != nil || len(resp.Kvs) != 1 || string(resp.Kvs[0].Value) != "1" {
		t.Errorf("after the writes: got %v (%v), want the value from while it led", resp, err)
	}
}

func TestLeaseLostEndsLeadership(t *testing.T) {
	c := store(t)
	s := session(t, c)
	err := election.Lead(t.Context(), c, s, prefix, "n", func(ctx context.Context, f election.Fence) error {
		if _, err := c.Revoke(t.Context(), s.Lease()); err != nil {
			return err
		}
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if !errors.Is(err, election.ErrSessionLost) && !errors.Is(err, election.ErrDeposed) {
		t.Errorf("got %v, want the lost session or key", err)
	}
}
