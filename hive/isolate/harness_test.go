//go:build unix

package isolate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/share"
	"hive/hive"
)

// TestMain is also the child of the tests, and a node that is killed in one of them.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "engine" {
		if err := Child(context.Background(), newEngine); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 2 && os.Args[1] == "node" {
		os.Exit(beNode())
	}
	// Children that look for races would rest for a second before they end.
	if err := os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0")); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// beNode starts an engine, tells its process's number and waits to be killed.
func beNode() int {
	e, err := Factory(Config{Command: command()})(context.Background(), hive.Job{Run: "quiet"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(e.(*client).process.cmd.Process.Pid)
	time.Sleep(time.Minute)
	return 0
}

func command() []string { return []string{os.Args[0], "engine"} }

// lines takes log records.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// logger writes level, message and attributes.
func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// start makes an engine of a kind (see fake) in a process of its own.
func start(t testing.TB, cfg Config, job hive.Job) *client {
	t.Helper()
	cfg.Command = command()
	e, err := Factory(cfg)(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e.(*client)
}

// eventually waits for something that comes without being asked for.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: not within half a minute", what)
}

// fake is an engine that notes its calls in the log and does what the name of its run says.
type fake struct {
	job   hive.Job
	reg   *metric.Registry
	store *metric.Store
	need  chan struct{}
	done  chan struct{}
	count atomic.Int64 // iterations

	mu       sync.Mutex
	released []executor.Handover
	err      error
}

func newEngine(_ context.Context, job hive.Job) (hive.Engine, error) {
	switch job.Run {
	case "refused":
		return nil, hive.Failf(hive.KindConfig, "no such scenario")
	case "dies-early":
		fmt.Fprintln(os.Stderr, "some words")
		os.Exit(3)
	}
	reg := metric.NewRegistry()
	f := &fake{job: job, reg: reg, store: metric.NewStore(reg, metric.StoreOptions{Shards: 1}), need: make(chan struct{}, 1), done: make(chan struct{})}
	f.note("new", string(job.Archive), job.Node, job.Fenced, job.Marked, string(job.Options))
	return f, nil
}

func (f *fake) note(call string, args ...any) {
	words := make([]string, len(args))
	for i, a := range args {
		data, err := json.Marshal(a)
		if err != nil {
			data = []byte(err.Error())
		}
		words[i] = string(data)
	}
	f.job.Log.Info(call + " " + strings.Join(words, " "))
}

func (f *fake) Init(ctx context.Context) error {
	f.note("init")
	if _, err := f.reg.Register("my_trend", metric.Trend, metric.Time); err != nil {
		return err
	}
	switch f.job.Run {
	case "panic":
		panic("boom")
	case "fatal":
		new(sync.Mutex).Unlock()
	case "overflow":
		debug.SetMaxStack(1 << 20)
		fmt.Fprint(os.Stderr, recurse(1))
	case "notes":
		f.job.Begun[1].Store(6)
		f.job.Begun[2].Store(8)
		os.Exit(3)
	case "exit":
		fmt.Fprint(os.Stderr, "first\nlast words")
		os.Exit(3)
	case "bomb":
		var held [][]byte
		for {
			held = append(held, bytes.Repeat([]byte{1}, 1<<20))
			f.count.Add(int64(len(held[0])))
		}
	case "stuck":
		select {}
	case "patient":
		<-ctx.Done()
		return fmt.Errorf("init: %w", ctx.Err())
	case "failing":
		return fmt.Errorf("init: %w", hive.Failf(hive.KindScript, "line 3"))
	}
	return nil
}

// recurse calls itself until the stack is full.
func recurse(n int) int {
	if n < 0 {
		return 0
	}
	return recurse(n+1) + 1
}

func (f *fake) Setup(context.Context) (json.RawMessage, error) {
	if f.job.Run == "quiet" {
		return nil, nil
	}
	return json.RawMessage(`{"a":1}`), nil
}

// Run does an iteration each millisecond until ctx ends, or works hard.
func (f *fake) Run(ctx context.Context, start time.Time, e executor.Epoch, setup json.RawMessage) error {
	f.note("run", instantOf(start), e, string(setup))
	if f.job.Run == "spin" {
		for i := 0; ctx.Err() == nil; i++ {
			f.count.Store(int64(i))
		}
		return nil
	}
	m := f.reg.Lookup("my_trend")
	for ctx.Err() == nil {
		f.count.Add(1)
		f.store.Recorder(0).Record(f.reg.Root(), metric.Extra{}, time.Now(), metric.Value{Metric: f.reg.Builtin().Iterations, V: 1}, metric.Value{Metric: m, V: 5})
		time.Sleep(time.Millisecond)
	}
	return &hive.Failure{Kind: hive.KindInterrupted, Message: "interrupted"}
}

func (f *fake) Warm(_ context.Context, s share.Share) error { f.note("warm", s); return nil }

func (f *fake) Propose(e executor.Epoch) error {
	f.note("propose", e)
	if e.Number < 0 {
		return errors.New("no such epoch")
	}
	return nil
}

func (f *fake) Commit(e executor.Epoch) error {
	f.note("commit", e)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.released = []executor.Handover{{Slot: e.Number, Next: 7}}
	return nil
}

func (f *fake) Withdraw()                     { f.note("withdraw") }
func (f *fake) Receive(s []executor.Handover) { f.note("receive", s) }

func (f *fake) Released() []executor.Handover {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.released
}

func (f *fake) Marks() []executor.Marks {
	return []executor.Marks{{Limit: 9, Slots: map[int]int64{3: 4}}}
}
func (f *fake) Begun() []executor.Marks      { return nil }
func (f *fake) NeedMarks() <-chan struct{}   { return f.need }
func (f *fake) Allow(marks []executor.Marks) { f.note("allow", marks); f.need <- struct{}{} }
func (f *fake) PauseAt(run time.Duration)    { f.note("pause", run) }
func (f *fake) ResumeAt(at time.Time)        { f.note("resume", instantOf(at)) }
func (f *fake) Adjust(d time.Duration)       { f.note("adjust", d) }
func (f *fake) Extend(d time.Time)           { f.note("extend", instantOf(d)) }
func (f *fake) Health() hive.Health          { return hive.Health{CPU: 1.5, Sockets: 12} }
func (f *fake) Done() <-chan struct{}        { return f.done }
func (f *fake) Traits() hive.Traits          { return hive.Traits{Setup: true} }
func (f *fake) Registry() *metric.Registry   { return f.reg }
func (f *fake) Snapshot() *metric.Snapshot   { return f.store.Snapshot() }
func (f *fake) MarkedFailed() (string, bool) { return "for a reason", f.job.Run == "marked" }
func (f *fake) Close() error                 { f.note("close"); return nil }

func (f *fake) Progress() hive.Progress {
	return hive.Progress{Iterations: f.count.Load(), Scenarios: []hive.ScenarioProgress{{Name: "s", Fraction: 0.5}}}
}

func (f *fake) Ledger() []executor.Ledger {
	return []executor.Ledger{{Completed: f.count.Load(), Dropped: map[string]int64{"late": 1}}}
}

func (f *fake) ScaleAt(scenario string, vus int, run time.Duration) error {
	f.note("scale", scenario, vus, run)
	if vus < 0 {
		return hive.Failf(hive.KindConfig, "%d VUs", vus)
	}
	return nil
}

func (f *fake) Stop() {
	f.note("stop")
	if f.job.Run == "breaks" {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.err = hive.Failf(hive.KindPanic, "broken down")
		close(f.done)
	}
}

func (f *fake) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *fake) Teardown(_ context.Context, setup json.RawMessage) error {
	f.note("teardown", string(setup))
	for i := range 200 {
		f.job.Log.With("source", "console").WithGroup("g").Debug("line", "i", i, "d", time.Second, "e", errors.New("x"))
	}
	return nil
}

func (f *fake) HandleSummary(_ context.Context, data []byte) (map[string][]byte, bool, error) {
	if f.job.Run == "quiet" {
		return nil, false, nil
	}
	return map[string][]byte{"stdout": data, "empty": {}, "b": []byte("bb")}, true, nil
}
