package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hive-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "hive")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// outcome is how a process ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// hiveIn runs the program in a folder, with stdin and without anybody's configuration.
func hiveIn(t *testing.T, dir, stdin string, args ...string) outcome {
	t.Helper()
	c := exec.CommandContext(t.Context(), binary, args...)
	c.Dir, c.Stdin = dir, strings.NewReader(stdin)
	c.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir, "HOME="+dir)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("hive %q: %v", args, err)
	}
	return outcome{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		line           string
		code           int
		stdout, stderr string // what must be in them
	}{
		{"", 0, "run a test on this machine", ""},
		{"--version", 0, "hive ", ""},
		{"version", 0, "hive ", ""},
		{"help run", 0, "--vus", ""},
		{"run --help", 0, "--summary-export", ""},
		{"join --help", 0, "--capacity", ""},
		{"rnu a.js", 255, "", `did you mean`},
		{"run", 255, "", "run takes one argument"},
		{"run a.js b.js", 255, "", "found 2"},
		{"run --foo a.js", 255, "", "unknown flag: --foo"},
		{"run a.js --vus", 255, "", "flag needs a value"},
		{"run a.js --detach", 255, "", "--detach needs --remote"},
		{"run a.js --remote=", 255, "", "--remote is empty"},
		{"run missing.js", 255, "", "cannot read the script"},
		{"run .", 255, "", "is a directory"},
		{"run missing.tar --type archive", 255, "", "cannot read the archive"},
		{"run a.js --config missing.json", 104, "", "missing.json"},
		{"run a.js --log-format xml", 255, "", "want text, raw or json"},
		{"run a.js --type zip", 255, "", "want js or archive"},
		{"run a.js --compatibility-mode x", 255, "", "want extended"},
		{"completion tcsh", 255, "", "unknown shell"},
		{"nodes --remote 127.0.0.1:1", 255, "", "127.0.0.1:1"},
		{"join --label x", 255, "", "want key=value"},
		{"join a b", 255, "", "at most one argument"},
		{"join --address 0.0.0.0:0", 255, "", "token"},
		{"stop", 255, "", "the run to stop"},
		{"join --lease-ttl 100ms", 255, "", "want 1s to 10m"},
		{"join --lease-ttl 1000h", 255, "", "want 1s to 10m"},
		{"join --etcd ,", 255, "", "names no endpoint"},
		{"join --etcd https://127.0.0.1:1", 255, "", "without TLS"},
		{"join --lease-ttl soon", 255, "", "lease-ttl"},
		{"join --engine-memory 2XB", 255, "", "--engine-memory: want a size"},
		{"run a.js --on-node-loss abort", 255, "", "--on-node-loss needs --remote"},
		{"run a.js --remote 127.0.0.1:1 --on-node-loss retry", 255, "", "want rebalance, continue or abort"},
		{"run a.js --remote 127.0.0.1:1 --on-outage x", 255, "", "want skip, freeze or abort"},
		{"run a.js --remote 127.0.0.1:1 --max-loss 150%", 255, "", "--max-loss 150%"},
		{"run a.js --remote 127.0.0.1:1 --reserve x", 255, "", "reserve"},
		{"drain", 255, "", "the node to drain"},
		{"drain n1 --remote 127.0.0.1:1", 255, "", "no hive answers"},
		{"pause a b", 255, "", "at most one argument"},
		{"resume --remote 127.0.0.1:1", 255, "", "no hive answers"},
		{"scale r1", 255, "", "scale needs --vus"},
		{"scale r1 --vus many", 255, "", "vus"},
		{"events r1 --remote 127.0.0.1:1", 255, "", "no hive answers"},
		{"attach r1 --remote 127.0.0.1:1", 255, "", "no hive answers"},
		{"version --verbose x", 255, "", "takes no arguments"},
	} {
		got := hiveIn(t, dir, "", strings.Fields(tc.line)...)
		if got.code != tc.code || !strings.Contains(got.stdout, tc.stdout) || !strings.Contains(got.stderr, tc.stderr) {
			t.Errorf("hive %s: got %d, %q and %q; want %d, %q and %q", tc.line, got.code, got.stdout, got.stderr, tc.code, tc.stdout, tc.stderr)
		}
	}
}

func TestVersionJSON(t *testing.T) {
	var got buildInfo
	if err := json.Unmarshal([]byte(hiveIn(t, t.TempDir(), "", "version", "--json").stdout), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version == "" || got.GoVersion == "" || got.GoOS == "" || got.GoArch == "" {
		t.Errorf("got %+v, want every field but the commit", got)
	}
}

func TestNew(t *testing.T) {
	dir := t.TempDir()
	if got := hiveIn(t, dir, "", "new"); got.code != 0 || !strings.Contains(got.stdout, "script.js") {
		t.Fatalf("new: got %+v", got)
	}
	if got := hiveIn(t, dir, "", "new"); got.code != 255 || !strings.Contains(got.stderr, "--force") {
		t.Errorf("new over a file: got %+v, want a refusal", got)
	}
	if got := hiveIn(t, dir, "", "new", "-f", "--template", "protocol"); got.code != 0 {
		t.Errorf("new --force: got %+v", got)
	}
	text, err := os.ReadFile(filepath.Join(dir, "script.js"))
	if err != nil || !bytes.Equal(text, protocolScript) {
		t.Errorf("script.js: %v, want the protocol template", err)
	}
	if got := hiveIn(t, dir, "", "new", "copy.js", "--template", "script.js"); got.code != 0 {
		t.Errorf("new from a file: got %+v", got)
	}
	for _, name := range []string{"browser", "nothing"} {
		if got := hiveIn(t, dir, "", "new", "x.js", "--template", name); got.code != 255 || !strings.Contains(got.stderr, name) {
			t.Errorf("template %s: got %+v, want a refusal", name, got)
		}
	}
}

func TestCompletion(t *testing.T) {
	for shell, want := range map[string][]string{
		"bash":       {"complete -o filenames -F _hive hive", "run) flags=\"--vus -u", "words=\"bash fish powershell zsh\""},
		"zsh":        {"#compdef hive", "'--vus:", "compdef _hive hive"},
		"fish":       {"complete -c hive", "-l vus -s u -r", "-a 'bash fish powershell zsh'"},
		"powershell": {"Register-ArgumentCompleter", "'--vus', '-u'"},
	} {
		got := hiveIn(t, t.TempDir(), "", "completion", shell)
		if got.code != 0 {
			t.Errorf("completion %s: got %+v", shell, got)
		}
		for _, w := range want {
			if !strings.Contains(got.stdout, w) {
				t.Errorf("completion %s: no %q in\n%s", shell, w, got.stdout)
			}
		}
		if strings.Contains(got.stdout, "--secret-source") || strings.Contains(got.stdout, "<no value>") {
			t.Errorf("completion %s offers what hive does not have", shell)
		}
	}
}

func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	script := hiveIn(t, t.TempDir(), "", "completion", "bash").stdout
	for line, want := range map[string]string{
		"hive ru":              "run\nruns\n",
		"hive run --summary-e": "--summary-export\n",
		"hive completion z":    "zsh\n",
		"hive --quiet arch":    "archive\n",
	} {
		words := strings.Fields(line)
		test := fmt.Sprintf("%s\nCOMP_WORDS=(%s); COMP_CWORD=%d; _hive; printf '%%s\\n' \"${COMPREPLY[@]}\"\n", script, line, len(words)-1)
		c := exec.CommandContext(t.Context(), bash, "--norc", "-s")
		c.Stdin, c.Dir = strings.NewReader(test), t.TempDir()
		out, err := c.CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%s: got %q, %v; want %q", line, out, err, want)
		}
	}
}

func TestLogsOfFailures(t *testing.T) {
	dir := t.TempDir()
	got := hiveIn(t, dir, "", "--log-format", "json", "run", "a.js", "--vus", "x")
	var line struct{ Level, Msg string }
	if err := json.Unmarshal([]byte(got.stderr), &line); err != nil || line.Level != "error" || !strings.Contains(line.Msg, "--vus x") {
		t.Errorf("json: got %q (%v), want one error", got.stderr, err)
	}
	got = hiveIn(t, dir, "", "run", "a.js", "--vus", "x", "--log-output", "file=log.txt")
	text, err := os.ReadFile(filepath.Join(dir, "log.txt"))
	if err != nil || !strings.Contains(string(text), "level=error") || got.stderr != "" || got.code != 255 {
		t.Errorf("file: got %q, %v, %+v; want the error in the file", text, err, got)
	}
}
