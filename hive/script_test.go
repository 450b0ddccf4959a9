package hive

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hive/archive"
	"hive/engine/options"
)

// write makes the files of a test in a new folder and returns it.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The modules that open files, beside the folder and in one of their own.
var openFiles = map[string]string{
	"data/x.txt": "X", "lib/y.txt": "Y",
	"lib/esm.js": `export const x = open('../data/x.txt'), y = open('./y.txt'); export function later() { return open('data/x.txt'); }`,
	"lib/cjs.js": `exports.x = open('../data/x.txt'); exports.y = open('y.txt'); exports.later = () => open('./data/x.txt');`,
}

func TestOpenIsRelativeToTheModuleThatRuns(t *testing.T) {
	for name, script := range map[string]string{
		"import":             `import * as m from './lib/esm.js'; console.log(m.x + m.y + m.later() + open('data/x.txt')); export default function () {}`,
		"import of CommonJS": `import m from './lib/cjs.js'; console.log(m.x + m.y + m.later() + open('data/x.txt')); export default function () {}`,
		"require":            `const m = require('./lib/cjs.js'); console.log(m.x + m.y + m.later() + open('data/x.txt')); exports.default = function () {}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeFiles(t, openFiles)
			entry := filepath.Join(dir, "main.js")
			if err := os.WriteFile(entry, []byte(script), 0o644); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			s, err := OpenScript(context.Background(), ScriptSource{Entry: entry, Log: slog.New(slog.NewTextHandler(&said, nil))})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(said.String(), "msg=XYXX") {
				t.Errorf("the script said %s, want XYXX", said.String())
			}
			reopened(t, s, "msg=XYXX")
		})
	}
}

// reopened packs a script, opens the archive and wants the init code to say the same.
func reopened(t *testing.T, s *Script, want string) {
	t.Helper()
	opts, _, err := options.Consolidate()
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Archive(opts)
	if err != nil {
		t.Fatal(err)
	}
	if a, err = a.Anonymous(); err != nil {
		t.Fatal(err)
	}
	var packed, said bytes.Buffer
	if err := archive.Pack(&packed, a); err != nil {
		t.Fatal(err)
	}
	_, err = OpenScript(context.Background(), ScriptSource{Entry: archive.Stdin, Stdin: packed.Bytes(), Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatalf("from the archive: %v", err)
	}
	if !strings.Contains(said.String(), want) {
		t.Errorf("from the archive the script said %s, want %s", said.String(), want)
	}
}

func TestCheckFindsWhatDoesNotFit(t *testing.T) {
	dir := writeFiles(t, map[string]string{"main.js": `import { Counter } from 'k6/metrics'; new Counter('mine'); export default function () {}`})
	s, err := OpenScript(t.Context(), ScriptSource{Entry: filepath.Join(dir, "main.js")})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		options string
		flags   Flags
		want    string // in the error; empty for none
	}{
		{`{"thresholds":{"mine":["count>1"]}}`, Flags{}, ""},
		{`{"thresholds":{"mine":["p(95)<1"]}}`, Flags{}, `thresholds: "p(95)<1" on mine`},
		{`{"thresholds":{"mine":["p(95"]}}`, Flags{}, `thresholds: "p(95" on mine`},
		{`{"thresholds":{"other":["count>1"]}}`, Flags{}, "no metric named"},
		{`{"thresholds":{"other":["count>1"]}}`, Flags{NoThresholds: true}, ""},
		{`{"scenarios":{"a":{"executor":"shared-iterations","exec":"nope"}}}`, Flags{}, `exports no function "nope"`},
	} {
		layer, _, err := options.FromJSON([]byte(tt.options), "test")
		if err != nil {
			t.Fatal(err)
		}
		opts, _, err := options.Consolidate(layer)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Check(opts, tt.flags)
		if f := AsFailure(err); tt.want == "" && f != nil || tt.want != "" && (f == nil || f.Kind != KindConfig || !strings.Contains(f.Message, tt.want) || strings.Contains(f.Message, "thresholds: thresholds")) {
			t.Errorf("%s: got %v, want %q", tt.options, err, tt.want)
		}
	}
}
