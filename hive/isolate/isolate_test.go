//go:build unix

package isolate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/share"
	"hive/hive"
)

// near says whether a moment arrived as it was sent, but for what reading clocks takes.
func near(a, b instant) bool { return max(a-b, b-a) < instant(5*time.Millisecond) }

func wholeShare(t testing.TB) share.Share {
	t.Helper()
	return share.Whole(share.Plan{Slots: 5, Scenarios: []share.Range{{Max: 5}}})
}

func TestEveryCall(t *testing.T) {
	var log lines
	e := start(t, Config{}, hive.Job{
		Run: "marked", Node: "n1", Archive: []byte("packed"), Options: json.RawMessage(`{"vus":1}`), Share: wholeShare(t), Fenced: true, Log: log.logger(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	epoch := executor.Epoch{Number: 2, From: time.Second, Share: wholeShare(t), Work: []share.Work{{Next: map[int]int64{1: 2}}}}
	if err := e.Init(ctx); err != nil {
		t.Errorf("init: %v", err)
	}
	if e.Registry().Lookup("my_trend") == nil {
		t.Error("the metric that init defined is not known here")
	}
	data, err := e.Setup(ctx)
	if err != nil || string(data) != `{"a":1}` {
		t.Errorf("setup: %s, %v", data, err)
	}
	at := time.Now().Add(time.Second)
	ran := make(chan error)
	go func() { ran <- e.Run(ctx, at, epoch, data) }()
	eventually(t, "the first iterations", func() bool { return e.Progress().Iterations > 3 && e.Ledger()[0].Completed > 3 })
	if err := e.Warm(ctx, wholeShare(t)); err != nil {
		t.Errorf("warm: %v", err)
	}
	if err := e.Propose(epoch); err != nil {
		t.Errorf("propose: %v", err)
	}
	if err := e.Propose(executor.Epoch{Number: -1, Share: wholeShare(t)}); err == nil || err.Error() != "no such epoch" {
		t.Errorf("propose refused: %v", err)
	}
	if err := e.Commit(epoch); err != nil {
		t.Errorf("commit: %v", err)
	}
	if got := e.Released(); !slices.Equal(got, []executor.Handover{{Slot: 2, Next: 7}}) {
		t.Errorf("released right after the commit: %v", got)
	}
	e.Withdraw()
	e.Receive([]executor.Handover{{Slot: 1, Next: 2}})
	e.Allow([]executor.Marks{{Limit: 5}})
	<-e.NeedMarks()
	if got := e.Marks(); len(got) != 1 || got[0].Limit != 9 || got[0].Slots[3] != 4 {
		t.Errorf("marks: %+v", got)
	}
	e.PauseAt(time.Minute)
	e.ResumeAt(at)
	e.Adjust(time.Microsecond)
	e.Extend(at)
	e.Stop()
	if err := e.ScaleAt("s", 3, time.Hour); err != nil {
		t.Errorf("scale: %v", err)
	}
	var f *hive.Failure
	if err := e.ScaleAt("s", -3, time.Hour); !errors.As(err, &f) || f.Kind != hive.KindConfig || f.Message != "-3 VUs" {
		t.Errorf("scale refused: %v", err)
	}
	if got := e.Health(); got.CPU != 1.5 || got.Sockets != 12 {
		t.Errorf("health: %+v", got)
	}
	if got := e.Traits(); !got.Setup || got.Teardown {
		t.Errorf("traits: %+v", got)
	}
	if reason, failed := e.MarkedFailed(); !failed || reason != "for a reason" {
		t.Errorf("marked as failed: %t, %q", failed, reason)
	}
	cancel()
	if err := <-ran; !errors.As(err, &f) || f.Kind != hive.KindInterrupted {
		t.Errorf("run: %v, want interrupted", err)
	}
	n := e.Ledger()[0].Completed
	if got := e.Progress(); got.Iterations != n || got.Scenarios[0].Fraction != 0.5 {
		t.Errorf("progress after the run: %+v, want %d iterations", got, n)
	}
	if got := iterations(e.Snapshot()); got != float64(n) {
		t.Errorf("%v iterations in the snapshot, want %d", got, n)
	}
	if err := e.Teardown(t.Context(), data); err != nil {
		t.Errorf("teardown: %v", err)
	}
	files, ranIt, err := e.HandleSummary(t.Context(), []byte("summary"))
	if err != nil || !ranIt || len(files) != 3 || string(files["stdout"]) != "summary" || string(files["b"]) != "bb" || files["empty"] == nil {
		t.Errorf("handleSummary: %v %t %q", err, ranIt, files)
	}
	if err := e.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	select {
	case <-e.Done():
		t.Errorf("an engine that was closed counts as broken: %v", e.Err())
	default:
	}
	if err := e.Init(t.Context()); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("init after close: %v", err)
	}
	checkCalls(t, log.String(), at, epoch)
}

// iterations is what the builtin metric counts.
func iterations(s *metric.Snapshot) (n float64) {
	for _, series := range s.Series {
		if a := series.Aggregate(); a.Name == "iterations" {
			n += a.Sum
		}
	}
	return n
}

// calls are what the engine was asked to do, from its log. T stands for the moment at.
func calls(t *testing.T, log string, at time.Time) (calls []string) {
	t.Helper()
	for line := range strings.Lines(log) {
		_, call, ok := strings.Cut(strings.TrimSpace(line), "level=INFO msg=")
		if !ok {
			continue
		}
		if text, err := strconv.Unquote(call); err == nil {
			call = text
		}
		words := strings.SplitN(strings.TrimSpace(call), " ", 3)
		if slices.Contains([]string{"run", "resume", "extend"}, words[0]) {
			var got instant
			if _, err := fmt.Sscan(words[1], &got); err != nil || !near(got, instantOf(at)) {
				t.Errorf("%s: want the moment %d", call, instantOf(at))
			}
			words[1] = "T"
		}
		calls = append(calls, strings.Join(words, " "))
	}
	return calls
}

// checkCalls compares what the engine was asked to do with what TestEveryCall does.
func checkCalls(t *testing.T, log string, at time.Time, epoch executor.Epoch) {
	t.Helper()
	text := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	want := []string{
		`new "packed" "n1" true false "{\"vus\":1}"`, "init", "run T " + text(epoch) + ` "{\"a\":1}"`, "warm " + text(epoch.Share),
		"propose " + text(epoch), "propose " + text(executor.Epoch{Number: -1, Share: epoch.Share}), "commit " + text(epoch), "withdraw",
		`receive [{"slot":1,"next":2}]`, `allow [{"limit":5}]`, "pause 60000000000", "resume T", "adjust 1000", "stop",
		`scale "s" 3 3600000000000`, `scale "s" -3 3600000000000`, `teardown "{\"a\":1}"`, "close",
	}
	got := calls(t, log, at)
	extended := slices.Index(got, "extend T") // the fence is told before what was asked for earlier
	if extended < 0 {
		t.Fatalf("the fence was not told: %q", got)
	}
	if got = slices.Delete(got, extended, extended+1); !slices.Equal(got, want) {
		t.Errorf("calls:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLogKeepsOrderLevelsAndAttributes(t *testing.T) {
	var log lines
	e := start(t, Config{}, hive.Job{Run: "quiet", Log: log.logger(), Share: wholeShare(t)})
	if err := e.Teardown(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "level=DEBUG") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if len(got) != 200 {
		t.Fatalf("%d lines when teardown has returned, want all 200", len(got))
	}
	for i, line := range got {
		if want := fmt.Sprintf("level=DEBUG msg=line source=console g.i=%d g.d=1s g.e=x", i); line != want {
			t.Fatalf("line %d: %s, want %s", i, line, want)
		}
	}
	if data, err := e.Setup(t.Context()); data != nil || err != nil {
		t.Errorf("setup that returns nothing: %q, %v", data, err)
	}
	if files, ran, err := e.HandleSummary(t.Context(), nil); files != nil || ran || err != nil {
		t.Errorf("without handleSummary: %v, %t, %v", files, ran, err)
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	t.Parallel()
	_, err := Factory(Config{Command: command()})(t.Context(), hive.Job{Run: "refused", Share: wholeShare(t)})
	if f, ok := errors.AsType[*hive.Failure](err); !ok || f.Kind != hive.KindConfig {
		t.Errorf("refused by the factory: %v", err)
	}
	err = start(t, Config{}, hive.Job{Run: "failing", Share: wholeShare(t)}).Init(t.Context())
	if f, ok := errors.AsType[*hive.Failure](err); !ok || f.Kind != hive.KindScript || err.Error() != "init: line 3" {
		t.Errorf("a wrapped failure: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = start(t, Config{}, hive.Job{Run: "patient", Share: wholeShare(t)}).Init(ctx)
	if !errors.Is(err, context.Canceled) || err.Error() != "init: context canceled" {
		t.Errorf("given up: %v", err)
	}
	_, err = Factory(Config{Command: []string{"/nonexistent/hive"}})(t.Context(), hive.Job{})
	if f, ok := errors.AsType[*hive.Failure](err); !ok || f.Kind != hive.KindEngine {
		t.Errorf("a command that is not there: %v", err)
	}
}

func TestDeathsAreExplained(t *testing.T) {
	t.Parallel()
	for run, want := range map[string]string{
		"panic":    "the engine crashed: panic: boom",
		"fatal":    "the engine crashed: fatal error: sync: unlock of unlocked mutex",
		"overflow": "the engine crashed: fatal error: stack overflow",
		"exit":     "the engine process ended by itself, with exit status 3: last words",
		"bomb":     "more than --engine-memory 300 MiB",
	} {
		t.Run(run, func(t *testing.T) {
			t.Parallel()
			kind := hive.KindEngine
			if run == "bomb" {
				kind = hive.KindEngineMemory
			}
			var log lines
			e := start(t, Config{Memory: 300 << 20, Log: log.logger()}, hive.Job{Run: run, Share: wholeShare(t)})
			err := e.Init(t.Context())
			<-e.Done()
			for _, err := range []error{err, e.Err(), e.Propose(executor.Epoch{}), e.Run(t.Context(), time.Now(), executor.Epoch{}, nil)} {
				if f, ok := errors.AsType[*hive.Failure](err); !ok || f.Kind != kind || !strings.Contains(f.Message, want) {
					t.Errorf("got %v, want %q of kind %s", err, want, kind)
				}
			}
			if !strings.Contains(log.String(), "an engine has died") {
				t.Errorf("the node's log: %s", log.String())
			}
			if run == "panic" && !strings.Contains(log.String(), "goroutine ") {
				t.Errorf("no trace in the node's log: %s", log.String())
			}
		})
	}
	_, err := Factory(Config{Command: command()})(t.Context(), hive.Job{Run: "dies-early", Share: wholeShare(t)})
	if err == nil || !strings.Contains(err.Error(), "exit status 3: some words") {
		t.Errorf("died in the factory: %v", err)
	}
}

func TestKilledEngineLeavesItsCounts(t *testing.T) {
	e := start(t, Config{}, hive.Job{Run: "plain", Share: wholeShare(t)})
	if err := e.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	ran := make(chan error)
	go func() { ran <- e.Run(t.Context(), time.Now(), executor.Epoch{Share: wholeShare(t)}, nil) }()
	eventually(t, "some iterations", func() bool { return e.Ledger()[0].Completed > 20 })
	before := iterations(e.Snapshot())
	if err := e.process.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	err := <-ran
	<-e.Done()
	if err == nil || !strings.Contains(err.Error(), "killed by signal 9") || e.Err() == nil {
		t.Errorf("run: %v; err: %v", err, e.Err())
	}
	if f, ok := errors.AsType[*hive.Failure](e.Err()); !ok || f.Kind != hive.KindEngine || strings.Contains(f.Message, "memory") {
		t.Errorf("killed by somebody: %v, want a death like another", e.Err())
	}
	if got := e.Ledger()[0].Completed; float64(got) < before {
		t.Errorf("%d completed in the ledger, %v were known before", got, before)
	}
	if got := iterations(e.Snapshot()); got != before {
		t.Errorf("the last snapshot has %v iterations, want the %v that came", got, before)
	}
	if e.Progress().Iterations == 0 || e.Health().CPU == 0 || len(e.Marks()) == 0 {
		t.Error("progress, health or marks are gone with the engine")
	}
	for _, f := range []func(){e.Withdraw, e.Stop, func() { e.Extend(time.Now()) }} {
		f()
	}
}

func TestBrokenEngineIsReported(t *testing.T) {
	e := start(t, Config{}, hive.Job{Run: "breaks", Share: wholeShare(t)})
	e.Stop()
	<-e.Done()
	if f, ok := errors.AsType[*hive.Failure](e.Err()); !ok || f.Kind != hive.KindPanic {
		t.Errorf("err: %v, want the engine's own", e.Err())
	}
}

func TestStoppedEngineCountsAsStalled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	e := start(t, Config{silence: 2 * time.Second}, hive.Job{Run: "quiet", Share: wholeShare(t)})
	if err := e.process.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the engine's stop", func() bool { return inState(e.process.cmd.Process.Pid, 'T') })
	e.Extend(time.Now()) // does not wait
	err := e.Propose(executor.Epoch{Share: wholeShare(t)})
	<-e.Done()
	if f, ok := errors.AsType[*hive.Failure](err); !ok || f.Kind != hive.KindEngine || f.Message != "the engine has not answered for 2s" {
		t.Errorf("propose: %v", err)
	}
}

func TestSpinningEngineIsNotStalled(t *testing.T) {
	t.Parallel()
	e := start(t, Config{silence: 3 * time.Second}, hive.Job{Run: "spin", Share: wholeShare(t)})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := e.Run(ctx, time.Now(), executor.Epoch{Share: wholeShare(t)}, nil); err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestCallThatIsNotGivenUpEndsTheEngine(t *testing.T) {
	t.Parallel()
	e := start(t, Config{silence: time.Second}, hive.Job{Run: "stuck", Share: wholeShare(t)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Init(ctx); err == nil || !strings.Contains(err.Error(), "has not answered") {
		t.Errorf("init: %v", err)
	}
}

// inState says whether a process is in a state that proc_pid_stat(5) has a letter for.
func inState(pid int, state rune) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(text), fmt.Sprintf(") %c ", state))
}

// gone says whether a process has ended; it may still wait for somebody to ask how.
func gone(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err != nil || inState(pid, 'Z')
}

func TestEngineDiesWithItsNode(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	node := exec.Command(os.Args[0], "node")
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var pid int
	if _, scanErr := fmt.Sscan(line, &pid); err != nil || scanErr != nil {
		t.Fatalf("the node said %q: %v", line, err)
	}
	if gone(pid) {
		t.Errorf("the engine, %d, is gone before its node", pid)
	}
	if err := node.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = node.Wait()
	eventually(t, "the end of the engine", func() bool { return gone(pid) })
}

func TestServeEndsWithItsPipe(t *testing.T) {
	in, requests := io.Pipe()
	answers, out := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- Serve(t.Context(), in, out, newEngine) }()
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, answers)
	}()
	requests.Close()
	if err := <-served; !errors.Is(err, ErrOrphaned) {
		t.Errorf("the parent went away: %v", err)
	}
	out.Close()
	<-read
}

func TestNotStartedByANode(t *testing.T) {
	c := exec.Command(os.Args[0], "engine")
	text, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(text), "started by a node") {
		t.Errorf("%v: %s", err, text)
	}
	c = exec.Command(os.Args[0], "engine")
	c.Env = append(os.Environ(), pipesVariable+"="+pipesValue)
	if text, err := c.CombinedOutput(); err == nil || !strings.Contains(string(text), "started by a node") {
		t.Errorf("without the pipes: %v: %s", err, text)
	}
}

func TestNothingIsLeftOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	files := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	one := func() {
		e, err := Factory(Config{Command: command()})(t.Context(), hive.Job{Run: "quiet", Share: wholeShare(t)})
		if err != nil {
			t.Fatal(err)
		}
		pid := e.(*client).process.cmd.Process.Pid
		if err := errors.Join(e.Close(), e.Close()); err != nil {
			t.Error(err)
		}
		if !gone(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
	one() // the runtime opens what it needs for the first
	before := files()
	for range 3 {
		one()
	}
	if got := files(); got != before {
		t.Errorf("%d open files after three engines, %d before", got, before)
	}
}

func BenchmarkCall(b *testing.B) {
	e := start(b, Config{}, hive.Job{Run: "quiet", Share: wholeShare(b)})
	for b.Loop() {
		if err := e.ask(methodWithdraw, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProgress(b *testing.B) {
	e := start(b, Config{}, hive.Job{Run: "quiet", Share: wholeShare(b)})
	for b.Loop() {
		e.Progress()
	}
}
