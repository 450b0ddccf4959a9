package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hive/hive"
)

// node is a node that runs as a process of its own.
type node struct {
	cmd  *exec.Cmd
	url  string
	logs *strings.Builder // complete once the process has ended
	done chan struct{}
}

// startNode starts a node and waits until it is in the hive.
func startNode(t *testing.T, args ...string) *node {
	t.Helper()
	n := &node{logs: &strings.Builder{}, done: make(chan struct{})}
	n.cmd = exec.Command(binary, append([]string{"join", "--address", "127.0.0.1:0", "--capacity", "10"}, args...)...)
	n.cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	stderr := &strings.Builder{}
	n.cmd.Stderr, n.logs = stderr, stderr
	stdout, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = n.cmd.Process.Kill() // it may have ended
		<-n.done
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "API"); ok {
			n.url = strings.TrimSpace(url)
			break
		}
	}
	go func() {
		defer close(n.done)
		for lines.Scan() { // what else it says
		}
		_ = n.cmd.Wait() // its exit code is looked at
	}()
	if n.url == "" {
		<-n.done
		t.Fatalf("the node did not join: %s", n.logs)
	}
	return n
}

// end sends a signal and returns the exit code.
func (n *node) end(t *testing.T, s os.Signal) int {
	t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.done:
	case <-time.After(time.Minute):
		t.Fatal("the node did not end")
	}
	return n.cmd.ProcessState.ExitCode()
}

// awaitRun waits until a run is as wanted.
func awaitRun(t *testing.T, url, run string, is func(hive.RunInfo) bool) hive.RunInfo {
	t.Helper()
	var r hive.RunInfo
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		got := hiveIn(t, t.TempDir(), "", "show", run, "--remote", url, "--json")
		if got.code != 0 {
			t.Fatalf("show: got %+v", got)
		}
		r = hive.RunInfo{}
		if err := json.Unmarshal([]byte(got.stdout), &r); err != nil {
			t.Fatal(err)
		}
		if is(r) {
			return r
		}
	}
	t.Fatalf("run %s: got %+v", run, r)
	return r
}

// TestCommandsOfAHive controls a run of a hive of one node by the commands, and is refused what makes no sense.
func TestCommandsOfAHive(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "a.js")
	if err := os.WriteFile(script, []byte(`import { sleep } from 'k6';
export const options = { scenarios: { open: { executor: 'externally-controlled', vus: 1, maxVUs: 4, duration: '10m' } } };
export default () => sleep(0.1);`), 0o644); err != nil {
		t.Fatal(err)
	}
	n1 := startNode(t, "--name", "n1")
	do := func(code int, want string, words ...string) string {
		t.Helper()
		got := hiveIn(t, dir, "", append(words, "--remote", n1.url)...)
		if got.code != code || !strings.Contains(got.stdout+got.stderr, want) {
			t.Errorf("hive %s: got %d, %q and %q; want %d and %q", strings.Join(words, " "), got.code, got.stdout, got.stderr, code, want)
		}
		return got.stdout
	}
	do(0, "n1", "nodes")
	do(255, "there is no node", "drain", "n2")
	do(255, "no run is under way", "pause")
	do(255, "no run is under way", "attach")
	for _, words := range [][]string{{"attach", "x"}, {"events", "x"}, {"show", "x"}, {"resume", "x"}, {"scale", "x", "--vus", "1"}} {
		do(255, "`hive runs` lists", words...)
	}
	run := strings.TrimSpace(do(0, "hive attach", "run", script, "--detach"))
	awaitRun(t, n1.url, run, func(r hive.RunInfo) bool { return r.Phase == hive.Running })
	do(255, "want 0 to 4", "scale", "--vus", "5")
	do(255, "want 0 to 4", "scale", "--vus=-1")
	do(255, "it has open", "scale", run, "--vus", "2", "--scenario", "shut")
	do(0, "scaled to 2 VUs", "scale", "--vus", "2")
	do(255, "not paused", "resume", run)
	do(0, "being paused", "pause")
	awaitRun(t, n1.url, run, func(r hive.RunInfo) bool { return r.Paused != nil })
	do(0, "paused at", "show", run)
	do(255, "paused already", "pause")
	do(0, "being resumed", "resume")
	awaitRun(t, n1.url, run, func(r hive.RunInfo) bool { return r.Paused == nil })
	do(255, "the last one", "drain", "n1")
	do(0, "being stopped", "stop", run)
	r := awaitRun(t, n1.url, run, func(r hive.RunInfo) bool { return r.Phase == hive.Finished })
	if len(r.Ledger) != 1 || len(r.Timeline) == 0 {
		t.Errorf("finished: got ledger %+v and timeline %+v, want both", r.Ledger, r.Timeline)
	}
	if out := do(103, "has finished", "attach", run); !strings.Contains(out, "█ HIVE") {
		t.Errorf("attach: no section of the hive in\n%s", out)
	}
	do(0, "pause", "events", run)
	for line := range strings.Lines(do(0, "resume", "events", run, "--json", "--follow=false")) {
		var e hive.TimelineEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.N == 0 || e.Kind == "" {
			t.Errorf("events --json: got %q, %v", line, err)
		}
	}
	do(0, "out of the hive", "drain", "n1")
	select {
	case <-n1.done:
	case <-time.After(time.Minute):
		t.Fatal("the drained node did not end")
	}
	if code := n1.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("a drained node ended with %d: %s", code, n1.logs)
	}
}

// TestEndOfANode ends a node without load by either signal.
func TestEndOfANode(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		n1 := startNode(t)
		if code := n1.end(t, s); code != 0 || !strings.Contains(n1.logs.String(), "leaving the hive") {
			t.Errorf("%s: got %d and %q, want 0 and a word of what is going on", s, code, n1.logs)
		}
	}
}
