package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLocalRuns runs scripts by the whole program: what ends how, with which exit code.
func TestLocalRuns(t *testing.T) {
	const empty = "export default function () {}\n"
	for _, tc := range []struct {
		name, script, flags string
		code                int
		stdout, stderr      string
	}{
		{"an empty iteration", empty, "", 0, "iterations", ""},
		{"flags after the script", empty, "--vus 2 -i 3", 0, "3 iterations shared among 2 VUs", ""},
		{"quiet", empty, "-q", 0, "█ TOTAL RESULTS", ""},
		{"variables with commas", "export default () => console.log(__ENV.A);", "-e A=b,c", 0, "", "msg=b,c"},
		{"an option through -e", empty, "-e K6_ITERATIONS=4", 0, "4 iterations shared", ""},
		{"a crossed threshold", "export const options = {thresholds: {iterations: ['count>5']}};" + empty, "", 99, "✗ 'count>5'", "thresholds on metrics"},
		{"thresholds switched off", "export const options = {thresholds: {iterations: ['count>5']}};" + empty, "--no-thresholds", 0, "", ""},
		{"an option of the wrong type", "export const options = {vus: 'x'};" + empty, "", 104, "", "vus"},
		{"a threshold that does not parse", "export const options = {thresholds: {iterations: ['much']}};" + empty, "", 104, "", "much"},
		{"a missing function", "export const options = {scenarios: {a: {executor: 'shared-iterations', exec: 'nope'}}};" + empty, "", 104, "", "nope"},
		{"a paused start", empty, "--paused", 104, "", "paused"},
		{"a script that does not parse", "export default function () {", "", 107, "", "a.js:1"},
		{"an exception in the init code", "throw new Error('no');" + empty, "", 107, "", "no"},
		{"an exception in an iteration", "export default () => { throw new Error('no'); }", "", 0, "iterations", "no"},
		{"an exception in setup", "export const setup = () => { throw new Error('no'); };" + empty, "", 107, "", "no"},
		{"a missing import", "import './b.js';" + empty, "", 107, "", "b.js"},
		{"no function at all", "export const a = 1;", "", 255, "", ""},
		{"aborted by the script", "import exec from 'k6/execution'; export default () => exec.test.abort('enough');", "", 108, "", "enough"},
		{"marked as failed", "import exec from 'k6/execution'; export default () => exec.test.fail('bad');", "", 110, "", "marked as failed by the script: bad"},
		{"no summary", empty, "-q --summary-mode disabled", 0, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.js"), []byte(tc.script), 0o644); err != nil {
				t.Fatal(err)
			}
			got := hiveIn(t, dir, "", append([]string{"run", "a.js"}, strings.Fields(tc.flags)...)...)
			if got.code != tc.code || !strings.Contains(got.stdout, tc.stdout) || !strings.Contains(got.stderr, tc.stderr) {
				t.Errorf("got %d\n%s\n%s\nwant %d, %q and %q", got.code, got.stdout, got.stderr, tc.code, tc.stdout, tc.stderr)
			}
		})
	}
}

// A file that begins as an archive and does not go on as one is refused, with k6's exit code.
func TestBrokenArchive(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.js"), []byte("export default function () {}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := hiveIn(t, dir, "", "archive", "a.js"); got.code != 0 {
		t.Fatalf("archive: got %+v", got)
	}
	data, err := os.ReadFile(filepath.Join(dir, "archive.tar"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cut.tar"), data[:900], 0o644); err != nil {
		t.Fatal(err)
	}
	if got := hiveIn(t, dir, "", "run", "cut.tar"); got.code != 255 || !strings.Contains(got.stderr, "cut after 900 bytes") {
		t.Errorf("got %+v, want 255 and where the archive ends", got)
	}
}

func TestRunFromStdin(t *testing.T) {
	got := hiveIn(t, t.TempDir(), "export default () => console.log('read');", "run", "-", "-q")
	if got.code != 0 || !strings.Contains(got.stderr, "msg=read") {
		t.Errorf("got %+v, want the script of stdin to run", got)
	}
}

func TestFilesOfARun(t *testing.T) {
	dir := t.TempDir()
	script := `export default () => console.log('line');
export const handleSummary = () => ({ stdout: 'OUT', stderr: 'ERR', 'sub.txt': 'FILE', 'missing/x.txt': 'lost' });`
	got := hiveIn(t, dir, script, "run", "-", "-q", "--summary-export", "e.json", "--console-output", "c.log", "-o", "json=s.json", "--out", "csv=s.csv")
	if got.code != 0 || got.stdout != "OUT" && !strings.HasSuffix(got.stdout, "OUT") || !strings.Contains(got.stderr, "ERR") || !strings.Contains(got.stderr, "missing/x.txt") {
		t.Errorf("got %+v, want handleSummary's texts and an error about the file", got)
	}
	for name, want := range map[string]string{"sub.txt": "FILE", "e.json": `"iterations"`, "c.log": "line", "s.json": `"type":"Point"`, "s.csv": "metric_name,"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: got %q, %v; want %q in it", name, text, err, want)
		}
	}
}

func TestInspectAndArchive(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.js"), []byte("export const options = {iterations: 3, vus: 2}; export default () => console.log(__ENV.A);"), 0o644); err != nil {
		t.Fatal(err)
	}
	var inspected struct {
		VUs, Iterations, MaxVUs, Batch *int
		TotalDuration                  string
	}
	got := hiveIn(t, dir, "", "inspect", "a.js", "--execution-requirements")
	if err := json.Unmarshal([]byte(got.stdout), &inspected); err != nil {
		t.Fatalf("%v in %+v", err, got)
	}
	if inspected.MaxVUs == nil || *inspected.MaxVUs != 2 || inspected.TotalDuration != "10m30s" {
		t.Errorf("inspect: got %+v, want 2 VUs for at most 10m30s", got.stdout)
	}
	if got := hiveIn(t, dir, "", "archive", "a.js", "-e", "A=kept", "-O", "a.tar"); got.code != 0 {
		t.Fatalf("archive: %+v", got)
	}
	if got := hiveIn(t, dir, "", "run", "a.tar", "-q"); got.code != 0 || strings.Count(got.stderr, "msg=kept") != 3 {
		t.Errorf("run of an archive: got %+v, want 3 lines", got)
	}
}

func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	c := exec.CommandContext(t.Context(), binary, "run", "-", "-q", "--log-format", "raw")
	c.Dir = dir
	c.Stdin = strings.NewReader(`import { sleep } from 'k6';
export default () => { console.log('started'); sleep(600); };
export const teardown = () => console.log('torn down');`)
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	buf := make([]byte, 1024)
	for sent := false; ; {
		n, err := stderr.Read(buf)
		text.Write(buf[:n])
		if !sent && strings.Contains(text.String(), "started") {
			sent = true
			if err := c.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			break
		}
	}
	_ = c.Wait() // its exit code is looked at
	if code := c.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(text.String(), "torn down") {
		t.Errorf("got %d and %q, want %d and a teardown", code, &text, exitInterrupted)
	}
}
