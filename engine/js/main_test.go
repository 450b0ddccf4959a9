package js

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"hive/engine/metric"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// files is an Opener of files in memory.
type files map[string][]byte

func (f files) Open(path string) ([]byte, error) {
	if data, ok := f[path]; ok {
		return data, nil
	}
	return nil, fmt.Errorf("open %s: no such file", path)
}

// logger returns a logger and what it has written, without times.
func logger() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	return slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: drop})), &b
}

// newConfig compiles a script of CommonJS.
func newConfig(t testing.TB, script string) *Config {
	t.Helper()
	prg, err := Compile("file:///s.js", []byte(script), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Config{Program: prg, Registry: metric.NewRegistry(), SystemTags: metric.DefaultSystemTags}
}

// newVU makes an activated VU of a config.
func newVU(t testing.TB, cfg *Config, rec *metric.Recorder) *VU {
	t.Helper()
	vu, err := NewVU(context.Background(), cfg, VUID{InTest: 7, InInstance: 3}, rec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vu.Close)
	if err := vu.Activate(Activation{Scenario: "s"}); err != nil {
		t.Fatal(err)
	}
	return vu
}

// say runs one iteration of a script whose default function logs, and returns
// the lines that it said.
func say(t testing.TB, cfg *Config) []string {
	t.Helper()
	log, out := logger()
	cfg.Log = log
	vu := newVU(t, cfg, nil)
	if err := vu.Iterate(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}
