package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// open makes logs over buffers.
func open(t *testing.T, cfg logConfig) (l *logs, stdout, stderr *bytes.Buffer) {
	t.Helper()
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	l, err := openLogs(cfg, newScreen(stdout, stderr), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, stdout, stderr
}

func TestLogFormats(t *testing.T) {
	l, _, text := open(t, logConfig{Format: "text", Output: "stderr"})
	l.Warn("two words", "source", "console")
	l.Debug("not shown")
	if got := text.String(); !strings.Contains(got, `level=warning msg="two words" source=console`) || strings.Count(got, "\n") != 1 {
		t.Errorf("text: got %q", got)
	}
	stamp, _, _ := strings.Cut(strings.TrimPrefix(text.String(), "time="), " ")
	if _, err := time.Parse(time.RFC3339, strings.Trim(stamp, `"`)); err != nil {
		t.Errorf("text: time %q: %v", stamp, err)
	}

	l, _, raw := open(t, logConfig{Format: "raw", Output: "stderr", Verbose: true})
	l.Debug("only this", "key", "value")
	if got := raw.String(); got != "only this\n" {
		t.Errorf("raw: got %q", got)
	}

	l, stdout, stderr := open(t, logConfig{Format: "json", Output: "stdout"})
	l.Error("message", "source", "console")
	var line struct{ Level, Msg, Time, Source string }
	if err := json.Unmarshal(stdout.Bytes(), &line); err != nil {
		t.Fatalf("json: %v in %q", err, stdout)
	}
	if line.Level != "error" || line.Msg != "message" || line.Source != "console" || line.Time == "" || stderr.Len() > 0 {
		t.Errorf("json: got %+v and %q on stderr", line, stderr)
	}
}

func TestLogNone(t *testing.T) {
	l, stdout, stderr := open(t, logConfig{Format: "text", Output: "none"})
	l.Error("lost")
	if stdout.Len()+stderr.Len() > 0 {
		t.Errorf("got %q and %q, want nothing", stdout, stderr)
	}
}

func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hive.log")
	l, _, stderr := open(t, logConfig{Format: "raw", Output: "file=" + path + ",level=warning"})
	l.Info("left out")
	l.Warn("kept")
	data, err := os.ReadFile(path)
	if err != nil || string(data) != "kept\n" || stderr.Len() > 0 {
		t.Errorf("got %q, %v and %q on stderr; want the warning in the file", data, err, stderr)
	}
}

func TestLogRefuses(t *testing.T) {
	for _, tc := range []struct{ format, output, want string }{
		{"xml", "stderr", "want text, raw or json"},
		{"text", "syslog", "want stderr, stdout, none or file=path"},
		{"text", "loki=http://x", "does not send logs to Loki"},
		{"text", "file=", "want stderr"},
		{"text", "file=a.log,level=loud", "want debug, info, warning or error"},
		{"text", "file=a.log,size=3", "unknown setting"},
	} {
		_, err := openLogs(logConfig{Format: tc.format, Output: tc.output}, newScreen(new(bytes.Buffer), new(bytes.Buffer)), time.Now())
		if err == nil || !strings.Contains(err.Error(), tc.want) || exitCode(err) != exitOther {
			t.Errorf("%s to %s: got %v, want %q", tc.format, tc.output, err, tc.want)
		}
	}
}

func TestConsoleOutput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.log")
	l, _, stderr := open(t, logConfig{Format: "raw", Output: "stderr"})
	before := l.With("source", "console") // made before the file is known
	if err := l.ConsoleTo(path); err != nil {
		t.Fatal(err)
	}
	before.Info("first")
	l.Debug("second", "source", "console")
	l.WithGroup("g").Info("engine")
	data, err := os.ReadFile(path)
	if err != nil || string(data) != "first\nsecond\n" || stderr.String() != "engine\n" {
		t.Errorf("got %q, %v in the file and %q on stderr", data, err, stderr)
	}
}

func TestLineHandler(t *testing.T) {
	var b bytes.Buffer
	start := time.Now()
	h := &lineHandler{w: &b, level: slog.LevelInfo, start: start}
	r := slog.NewRecord(start.Add(12*time.Second), slog.LevelWarn, "message", 0)
	r.AddAttrs(slog.String("a", "two words"))
	if err := h.WithAttrs([]slog.Attr{slog.Int("n", 3)}).WithGroup("g").Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(b.String()), " "); got != `WARN[0012] message n=3 g.a="two words"` {
		t.Errorf("got %q", got)
	}
}

func TestColorAllowed(t *testing.T) {
	for _, tc := range []struct {
		noColor bool
		env     map[string]string
		want    bool
	}{
		{false, nil, true},
		{true, nil, false},
		{false, map[string]string{"NO_COLOR": ""}, false},
		{false, map[string]string{"K6_NO_COLOR": ""}, true},
		{false, map[string]string{"K6_NO_COLOR": "false"}, false},
	} {
		lookup := func(name string) (string, bool) { v, ok := tc.env[name]; return v, ok }
		if got := colorAllowed(tc.noColor, lookup); got != tc.want {
			t.Errorf("colorAllowed(%v, %v) = %v, want %v", tc.noColor, tc.env, got, tc.want)
		}
	}
}
