package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// engines are the numbers of the node's engine processes.
func (n *node) engines(t *testing.T) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // ended meanwhile
		}
		_, after, _ := strings.Cut(string(text), ") ") // proc_pid_stat(5): pid (comm) state ppid
		var pid, parent int
		var state string
		if _, err := fmt.Sscan(string(text), &pid); err != nil {
			continue
		}
		if _, err := fmt.Sscan(after, &state, &parent); err == nil && parent == n.cmd.Process.Pid && state != "Z" {
			pids = append(pids, pid)
		}
	}
	return pids
}

// awaitEngine waits until the node has an engine process and gives its number.
func (n *node) awaitEngine(t *testing.T) int {
	t.Helper()
	for range 3000 {
		if pids := n.engines(t); len(pids) == 1 {
			return pids[0]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no engine process within half a minute")
	return 0
}

// runAt runs a script on the node's hive.
func (n *node) runAt(t *testing.T, script string, args ...string) outcome {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.js"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	return hiveIn(t, dir, "", append([]string{"run", "a.js", "--remote", n.url}, args...)...)
}

const wholeLife = `
import { sleep } from 'k6';
import { Counter } from 'k6/metrics';
const own = new Counter('own');
export const options = { thresholds: { own: ['count==20'] } };
export function setup() { return { n: 1 }; }
export default function (data) { own.add(data.n); console.log('in an iteration'); sleep(0.05); }
export function teardown(data) { console.log('torn down with ' + data.n); }
export function handleSummary(data) { return { stdout: 'handled ' + data.metrics.own.values.count + '\n' }; }
`

func TestEngineProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	t.Parallel()
	n := startNode(t, "--engine-memory", "600MiB")
	t.Cleanup(func() {
		if t.Failed() {
			n.end(t, syscall.SIGKILL)
			t.Logf("the node said:\n%s", n.logs)
		}
	})
	whole := func() {
		t.Helper()
		got := n.runAt(t, wholeLife, "--vus", "2", "--iterations", "20")
		if got.code != 0 || !strings.Contains(got.stdout, "handled 20") || strings.Count(got.stderr, "in an iteration") != 20 || !strings.Contains(got.stderr, "torn down with 1") {
			t.Errorf("a run through all of a script's life: got %+v", got)
		}
	}
	whole()

	// Killed from outside.
	ended := make(chan outcome)
	go func() {
		ended <- n.runAt(t, "import { sleep } from 'k6'; export default () => sleep(0.1);", "--vus", "2", "--duration", "60s", "--on-node-loss", "abort")
	}()
	pid := n.awaitEngine(t)
	time.Sleep(2 * time.Second) // into the load
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := <-ended; got.code == 0 || !strings.Contains(got.stdout+got.stderr, "killed by signal 9") {
		t.Errorf("the engine was killed: got %+v", got)
	}

	// Kills itself.
	got := n.runAt(t, "const held = []; export default function () { for (;;) held.push(new Uint8Array(1 << 20).fill(1)); }", "--vus", "1", "--duration", "60s", "--on-node-loss", "abort")
	if got.code == 0 || !strings.Contains(got.stdout+got.stderr, "more than --engine-memory 600 MiB") {
		t.Errorf("a script that eats memory: got %+v", got)
	}

	// The node has survived that.
	whole()
	if pids := n.engines(t); len(pids) > 0 {
		t.Errorf("engine processes %v are left after the runs", pids)
	}
}

// An engine that is stopped for less time than the lease lasts goes on, and the timeline says for how long it stood.
func TestEngineStandsStill(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	t.Parallel()
	n := startNode(t)
	ended := make(chan outcome)
	begun := make(chan struct{})
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case begun <- struct{}{}:
		default:
		}
	}))
	defer target.Close()
	go func() {
		ended <- n.runAt(t, "import http from 'k6/http'; import { sleep } from 'k6'; export default () => { http.get(__ENV.TARGET); sleep(0.1); }",
			"--vus", "2", "--duration", "6s", "-e", "TARGET="+target.URL)
	}()
	pid := n.awaitEngine(t)
	<-begun
	time.Sleep(500 * time.Millisecond) // into the load
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // the stall itself
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := <-ended; got.code != 0 || !strings.Contains(got.stdout, " stood still for ") {
		t.Errorf("the engine stood still for 2 s: got %+v", got)
	}
}

func TestEngineIsNotForPeople(t *testing.T) {
	t.Parallel()
	got := hiveIn(t, t.TempDir(), "", "engine")
	if got.code != 255 || !strings.Contains(got.stderr, "started by a node") {
		t.Errorf("got %+v, want a refusal", got)
	}
	if got := hiveIn(t, t.TempDir(), "", "--help"); strings.Contains(got.stdout, "engine for") {
		t.Errorf("the help offers it: %s", got.stdout)
	}
}
