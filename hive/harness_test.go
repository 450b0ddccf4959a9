package hive

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/options"
	"hive/engine/share"
	"hive/hive/hivetest"
)

func TestMain(m *testing.M) {
	// The tests wait for leases and clocks far more than they compute.
	flag.Parse()
	if err := flag.Set("test.parallel", "5"); err != nil {
		panic(err)
	}
	// etcd's own server leaves a few goroutines of its libraries behind.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("go.etcd.io/etcd/server/v3/etcdserver.(*EtcdServer).purgeFile"),
		goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreAnyFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// script is what the counter engines of a test do in the place of a script.
type script struct {
	traits  Traits
	waits   bool                                    // engines with nothing to do wait for more
	custom  bool                                    // has a trend of its own
	fails   map[string]*Failure                     // by node and call: "n1 init"
	hold    chan struct{}                           // setup waits for it, when set
	warming chan struct{}                           // the initialising of VUs that move waits for it, when set
	making  chan struct{}                           // the making of an engine waits for it, when set
	closing chan struct{}                           // teardown waits for it, when set
	abort   chan struct{}                           // the script aborts the test once it is closed, when set
	late    map[string]time.Duration                // how late iterations start, by node
	summary func([]byte) (map[string][]byte, error) // handleSummary

	mu      sync.Mutex
	calls   []string // "setup n1", "teardown n2", …
	shares  map[string]share.Share
	starts  map[string]time.Time
	data    map[string]string     // setup data as the load got it
	stops   map[string]string     // how the load of each node ended
	engines map[string][]*counter // of each node, oldest first
	begun   map[string][]hivetest.Iteration
}

// lives are the engines that a node has had.
func (s *script) lives(node string) []*counter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.engines[node])
}

// failure is what a call on a node fails with; nil when it does not. Tests change it while engines of an earlier run report.
func (s *script) failure(node, call string) *Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fails[node+" "+call]
}

// all are the iterations that all nodes have begun.
func (s *script) all() (all []hivetest.Iteration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, list := range s.begun {
		all = append(all, list...)
	}
	return all
}

// aborts ends a load as exec.test.abort() does, if and when the test wants that, until the returned function is called.
func (s *script) aborts(load context.Context, cancel context.CancelCauseFunc) (stop func()) {
	if s.abort == nil {
		return func() {}
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-s.abort:
			cancel(&Failure{Kind: KindAborted, Message: "the script aborted the test"})
		case <-load.Done():
		}
	})
	return func() {
		cancel(nil)
		watching.Wait()
	}
}

func (s *script) note(node, call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call+" "+node)
}

func (s *script) count(call string) (n int, node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		var what, who string
		fmt.Sscan(c, &what, &who)
		if what == call {
			n, node = n+1, who
		}
	}
	return n, node
}

// factory makes the counter engines of one node.
func (s *script) factory(node string) Factory {
	return func(ctx context.Context, job Job) (Engine, error) {
		if f := s.failure(node, "load"); f != nil {
			return nil, f
		}
		if s.making != nil {
			select {
			case <-s.making:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		var opts options.Options
		if err := json.Unmarshal(job.Options, &opts); err != nil {
			return nil, err
		}
		reg := metric.NewRegistry()
		c := &counter{script: s, node: node, job: job}
		cfg := hivetest.Config{Scenarios: opts.Scenarios, Share: job.Share, Fenced: job.Fenced, Marked: job.Marked, Waits: s.waits, Registry: reg, Begun: c.begun,
			Stale: time.Minute} // on a machine that is busy with other tests nothing is lost that a node did not lose
		if s.custom {
			trend, err := reg.Register("my_trend", metric.Trend, metric.Time)
			if err != nil {
				return nil, err
			}
			cfg.Passed = func(n int64) {
				if n > 0 {
					c.Store().Recorder(0).Record(reg.Root(), metric.Extra{}, time.Now(), metric.Value{Metric: trend, V: float64(n)})
				}
			}
		}
		c.Engine = hivetest.New(cfg)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.shares == nil {
			s.shares, s.starts, s.data, s.stops = map[string]share.Share{}, map[string]time.Time{}, map[string]string{}, map[string]string{}
			s.engines, s.begun = map[string][]*counter{}, map[string][]hivetest.Iteration{}
		}
		s.shares[node] = job.Share
		s.engines[node] = append(s.engines[node], c)
		return c, nil
	}
}

// counter is an engine that counts in the place of running a script, with what
// the script of a test says beside the load.
type counter struct {
	*hivetest.Engine
	script *script
	node   string
	job    Job
}

func (c *counter) begun(it hivetest.Iteration) {
	c.script.mu.Lock()
	defer c.script.mu.Unlock()
	c.script.begun[c.node] = append(c.script.begun[c.node], it)
}

func (c *counter) fail(call string) error {
	if f := c.script.failure(c.node, call); f != nil {
		return f
	}
	return nil
}

func (c *counter) Init(ctx context.Context) error {
	c.job.Log.Info("initialised", "node", c.node)
	return errors.Join(c.Engine.Init(ctx), c.fail("init"))
}

func (c *counter) Warm(ctx context.Context, s share.Share) error {
	if c.script.warming != nil {
		select {
		case <-c.script.warming:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return c.Engine.Warm(ctx, s)
}

func (c *counter) Setup(ctx context.Context) (json.RawMessage, error) {
	c.script.note(c.node, "setup")
	if c.script.hold != nil {
		select {
		case <-c.script.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return json.RawMessage(`{"from":"setup"}`), c.fail("setup")
}

func (c *counter) Run(ctx context.Context, start time.Time, e executor.Epoch, setup json.RawMessage) error {
	c.script.mu.Lock()
	c.script.starts[c.node], c.script.data[c.node] = start, string(setup)
	c.script.mu.Unlock()
	if err := c.fail("run"); err != nil {
		pause(ctx, time.Until(start))
		return err
	}
	load, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer c.script.aborts(load, cancel)()
	err := c.Engine.Run(load, start, e, setup)
	how := "ended"
	switch {
	case ctx.Err() == nil && load.Err() != nil:
		how, err = "aborted", context.Cause(load)
	case errors.Is(err, hivetest.ErrInterrupted):
		how, err = "interrupted", &Failure{Kind: KindInterrupted, Message: "interrupted"}
	case err != nil:
		how = "failed"
	case c.Stopped():
		how = "stopped"
	}
	c.script.mu.Lock()
	c.script.stops[c.node] = how
	c.script.mu.Unlock()
	return err
}

func (c *counter) Teardown(ctx context.Context, setup json.RawMessage) error {
	c.script.note(c.node, "teardown")
	if c.script.closing != nil {
		select {
		case <-c.script.closing:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return c.fail("teardown")
}

func (c *counter) Health() Health { return Health{Late: c.script.late[c.node]} }

func (c *counter) HandleSummary(_ context.Context, data []byte) (map[string][]byte, bool, error) {
	c.script.note(c.node, "summary")
	c.job.Log.Error("said in handleSummary")
	files, err := c.script.summary(data)
	return files, files != nil, err
}

func (c *counter) Traits() Traits {
	c.script.mu.Lock()
	defer c.script.mu.Unlock()
	return c.script.traits
}

func (c *counter) MarkedFailed() (string, bool) {
	f := c.script.failure(c.node, "mark")
	if f == nil {
		return "", false
	}
	return f.Message, true
}

func (c *counter) Close() error {
	c.script.note(c.node, "close")
	return c.Engine.Close()
}

// startStore starts an etcd that no node owns.
func startStore(t *testing.T) (endpoints []string, stop func()) {
	t.Helper()
	return startStoreOf(t, etcdQuota)
}

// startStoreOf starts an etcd whose database may take so many bytes.
func startStoreOf(t *testing.T, quota int64) (endpoints []string, stop func()) {
	t.Helper()
	d, err := openDataDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d.quota = quota
	e, endpoints, err := startMember(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { e.Close(); d.Close() })
	t.Cleanup(stop)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what lies in etcd:\n%s", contents(endpoints))
		}
	})
	return endpoints, stop
}

// contents is what lies in an etcd, for people who look into a test that failed: it says where the hive stood.
func contents(endpoints []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := newEtcdClient(endpoints)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	resp, err := c.Get(ctx, "/hive/", clientv3.WithPrefix())
	if err != nil {
		return err.Error()
	}
	var text strings.Builder
	for _, kv := range resp.Kvs {
		fmt.Fprintf(&text, "%s = %.2000q\n", kv.Key, kv.Value)
	}
	return text.String()
}

// running is a node of a test.
type running struct {
	*Node
	t      *testing.T
	info   Info
	cancel context.CancelCauseFunc
	done   chan error
	err    error
	once   sync.Once
}

// quick makes a test's nodes fast.
var quick = Timing{Checkpoint: 50 * time.Millisecond, Judge: 100 * time.Millisecond, StartDelay: 150 * time.Millisecond,
	Prepare: time.Minute, Grace: 10 * time.Second}

// calmTTL is the lease of a node of which a test asks nothing else: a busy machine must not lose one that no test takes
// away, so it is much longer than such a machine stands still. What ends in a test is proven gone and waits for none.
const calmTTL = 15 * time.Second

// endingTTL is the lease of nodes in tests that have leases run out.
const endingTTL = 4 * time.Second

// launch runs a node until the test ends, and waits for it to be in the hive.
func launch(t *testing.T, cfg Config, s *script) *running {
	t.Helper()
	ready := make(chan Info, 1)
	if cfg.Timing == (Timing{}) {
		cfg.Timing = quick
	}
	if cfg.LeaseTTL == 0 {
		cfg.LeaseTTL = calmTTL
	}
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	if testing.Verbose() {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil)).With("node", cfg.Name)
	}
	cfg.Factory = s.factory(cfg.Name)
	cfg.Ready = func(i Info) { ready <- i }
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	r := &running{Node: n, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- n.Run(ctx) }()
	t.Cleanup(func() { r.stop(nil) })
	select {
	case r.info = <-ready:
	case err := <-r.done:
		r.done <- err
		t.Fatalf("node %s ended: %v", cfg.Name, err)
	case <-time.After(longWait):
		t.Fatalf("node %s did not join", cfg.Name)
	}
	return r
}

// stop ends the node, with errCrash as if killed, and returns what Run did.
func (r *running) stop(cause error) error {
	r.once.Do(func() {
		r.cancel(cause)
		r.err = <-r.done
	})
	return r.err
}

// hiveOf starts nodes of the given capacities on one etcd.
func hiveOf(t *testing.T, s *script, capacities ...int) []*running {
	t.Helper()
	endpoints, _ := startStore(t)
	var nodes []*running
	for i, c := range capacities {
		nodes = append(nodes, launch(t, Config{Name: fmt.Sprintf("n%d", i+1), Etcd: endpoints, Capacity: c}, s))
	}
	awaitNodes(t, nodes[0], len(nodes))
	return nodes
}

// ranOnce checks that some of a script's calls were made once.
func ranOnce(t *testing.T, s *script, calls ...string) {
	t.Helper()
	for _, call := range calls {
		if n, _ := s.count(call); n != 1 {
			t.Errorf("%s ran %d times, want once", call, n)
		}
	}
}

// toldInOrder checks how the entries of a timeline are numbered, and counts them by kind.
func toldInOrder(t *testing.T, res *Result) map[string]int {
	t.Helper()
	kinds := map[string]int{}
	for i, e := range res.Timeline {
		if e.N != int64(i+1) {
			t.Errorf("entry %d of the timeline has the number %d", i+1, e.N)
		}
		kinds[e.Kind]++
	}
	return kinds
}

// sending says whether every one of some nodes has begun iterations.
func (s *script) sending(nodes ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.ContainsFunc(nodes, func(node string) bool { return len(s.begun[node]) == 0 })
}

func awaitNodes(t *testing.T, r *running, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d nodes are seen", n), func() bool {
		all, err := r.roll(t.Context())
		return err == nil && len(all) == n
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < longWait; {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// consolidated makes the options of a test as nodes get them.
func consolidated(t *testing.T, text string) json.RawMessage {
	t.Helper()
	layer, _, err := options.FromJSON([]byte(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	opts, _, err := options.Consolidate(layer)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(opts)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// looping is a test of some VUs for a while.
func looping(t *testing.T, vus int, d time.Duration, more string) json.RawMessage {
	return consolidated(t, fmt.Sprintf(`{"scenarios":{"main":{"executor":"constant-vus","vus":%d,"duration":"%s","gracefulStop":"0s"}}%s}`, vus, d, more))
}

func client(t *testing.T, r *running) *Client {
	t.Helper()
	c, err := NewClient(r.info.URL, r.cfg.Token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var packed = []byte("an archive, as far as counters care")

func submit(t *testing.T, c *Client, opts json.RawMessage) string {
	t.Helper()
	return submitWith(t, c, opts, Flags{})
}

func submitWith(t *testing.T, c *Client, opts json.RawMessage, flags Flags) string {
	t.Helper()
	sub := Submission{ID: NewRunID(), Name: "script.js", Options: opts, Flags: flags}
	for began := time.Now(); ; {
		_, err := c.Submit(t.Context(), packed, sub)
		if err == nil {
			return sub.ID
		}
		if !Passing(err) || time.Since(began) > longWait {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// follow attaches to a run and returns its result and the events. No phase of the run may take longer than a long wait.
func follow(t *testing.T, c *Client, run string) (*Result, []Event) {
	t.Helper()
	var events []Event
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	late := time.AfterFunc(longWait, func() { cancel(fmt.Errorf("the run is in one phase for %s", longWait)) })
	defer late.Stop()
	res, err := c.Attach(ctx, run, func(e Event) error {
		if events = append(events, e); len(phases(events)) > len(phases(events[:len(events)-1])) {
			late.Reset(longWait)
		}
		return nil
	})
	if err != nil {
		info, _ := c.Show(t.Context(), run)
		t.Fatalf("attach: %v (run %+v)", err, info)
	}
	return res, events
}

// stop ends a run, however busy etcd is.
func stop(t *testing.T, c *Client, run string) {
	t.Helper()
	var err error
	eventually(t, "the run is stopped", func() bool {
		err = c.Stop(t.Context(), run, StopRequest{Mode: StopGraceful})
		return err == nil || !Passing(err)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func phases(events []Event) (list []Phase) {
	for _, e := range events {
		var s StateEvent
		if (e.Type == EventState || e.Type == EventResult) && json.Unmarshal(e.Data, &s) == nil && !slices.Contains(list, s.Phase) {
			list = append(list, s.Phase)
		}
	}
	return list
}

func texts(events []Event, kind string) (all []string) {
	for _, e := range events {
		if e.Type == kind {
			all = append(all, string(e.Data))
		}
	}
	return all
}

// awaitPhase waits until a run is in a phase.
func awaitPhase(t *testing.T, c *Client, run string, p Phase) {
	t.Helper()
	eventually(t, fmt.Sprintf("run %s is %s", run, p), func() bool {
		info, err := c.Show(t.Context(), run)
		return err == nil && info.Phase == p
	})
}

func iterations(res *Result) int64 { return res.Progress.Iterations }
