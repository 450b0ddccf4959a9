package hive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"strings"

	"hive/archive"
	"hive/engine"
	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/options"
	"hive/engine/share"
)

// Script is a test that was read, bundled and initialised once: its options and exports are known, and everything that
// it imports or opens is in memory.
type Script struct {
	bundle *archive.Bundle
	test   *engine.Test
	opener *archive.Opener
	files  map[string][]byte // what the init code opened, by URL
	env    map[string]string
	// exported is the test's own options: what the script exports, or what an archive has stored.
	exported json.RawMessage
}

// ScriptSource says which test to open.
type ScriptSource struct {
	Entry  string            // path or URL of a script or archive, or "-" with Stdin
	Stdin  []byte            // content when Entry is "-"
	Kind   string            // "js", "archive", or "" to find out from the content
	Env    map[string]string // __ENV; of an archive, laid over its own variables
	Bare   bool              // leave an archive's own variables out
	Log    *slog.Logger      // the init code's console; nil discards it
	Source archive.Files     // reads files; nil means the disk, and HTTP for https URLs
}

// OpenScript reads a script or an archive and runs its init code once. Faults of the script are [*engine.Error]; that
// it, or its archive, cannot be read at all is another error.
func OpenScript(ctx context.Context, src ScriptSource) (*Script, error) {
	packed, err := src.packed()
	if err != nil {
		return nil, err
	}
	if packed != nil {
		a, err := archive.Read(bytes.NewReader(packed), archive.DefaultLimits())
		if err != nil {
			return nil, fmt.Errorf("archive %s: %w", src.Entry, err)
		}
		return openArchive(ctx, a, src)
	}
	in := archive.Input{Entry: src.Entry, Source: src.Stdin, Files: src.Source, Builtins: engine.Modules()}
	files := src.Source
	if files == nil {
		files = archive.Disk{}
	}
	return open(ctx, in, files, src.Env, src.Log)
}

// packed returns the content of an archive, nil when the source is a script.
func (src ScriptSource) packed() ([]byte, error) {
	data := src.Stdin
	switch {
	case src.Kind == "js" || strings.Contains(src.Entry, "://"):
		return nil, nil
	case src.Entry != archive.Stdin && src.Kind == "" && !looksPacked(src.Entry):
		return nil, nil
	case src.Entry != archive.Stdin:
		var err error
		if data, err = os.ReadFile(src.Entry); err != nil {
			return nil, fmt.Errorf("cannot read the archive: %w", err)
		}
	}
	if src.Kind == "archive" || isTar(data) {
		return data, nil
	}
	return nil, nil
}

// Where a tar file says that it is one, and what it says there (POSIX.1-2001 pax, "ustar Interchange Format").
const (
	tarMagicAt = 257
	tarMagic   = "ustar"
)

func isTar(data []byte) bool {
	return len(data) > tarMagicAt && bytes.HasPrefix(data[tarMagicAt:], []byte(tarMagic))
}

// looksPacked reads the beginning of a file.
func looksPacked(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false // whoever opens it next says why
	}
	defer f.Close()
	head := make([]byte, tarMagicAt+len(tarMagic)+1)
	n, err := io.ReadFull(f, head)
	return err == nil && isTar(head[:n])
}

func openArchive(ctx context.Context, a *archive.Archive, src ScriptSource) (*Script, error) {
	env := map[string]string{}
	if !src.Bare {
		maps.Copy(env, a.Env)
	}
	maps.Copy(env, src.Env)
	s, err := open(ctx, a.Input(engine.Modules()), a, env, src.Log)
	if err != nil {
		return nil, err
	}
	if len(a.Options) > 0 {
		s.exported = a.Options
	}
	return s, nil
}

func open(ctx context.Context, in archive.Input, files archive.Files, env map[string]string, log *slog.Logger) (*Script, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	bundle, err := archive.Build(ctx, in)
	if _, ok := errors.AsType[*archive.ScriptError](err); ok {
		return nil, &engine.Error{Kind: engine.KindScript, Err: err}
	}
	if err != nil {
		return nil, err
	}
	for _, w := range bundle.Warnings {
		log.Warn(w)
	}
	recorder := archive.NewRecorder(bundle.Pwd, files)
	test, err := engine.Load(ctx, engine.Source{
		Name: bundle.Name, Code: bundle.Code, Map: bundle.Map, Async: bundle.Async, Files: recorder, Env: env,
	}, log)
	if err != nil {
		return nil, err
	}
	return &Script{
		bundle: bundle, test: test, opener: recorder.Opened(), files: recorder.Files(), env: env, exported: test.Options(),
	}, nil
}

// Options is the JSON of the test's own options, nil when it has none.
func (s *Script) Options() json.RawMessage { return s.exported }

// Check finds what in the options does not fit the script, before anything runs: functions that are not exported,
// thresholds that do not parse or do not suit their metrics.
func (s *Script) Check(opts options.Options, flags Flags) error {
	for _, sc := range opts.Scenarios {
		if !s.test.Exported(sc.Exec) {
			return Failf(KindConfig, "scenario %q: exec: the script exports no function %q; it exports %q", sc.Name, sc.Exec, s.test.Exports())
		}
	}
	_, err := NewJudge(opts, flags, Definitions(s.test.Registry()))
	return err
}

// Text is the text of the entry script.
func (s *Script) Text() string { return string(s.bundle.Sources[s.bundle.Name]) }

// Archive is the test with everything that it needs, to be run elsewhere with these options.
func (s *Script) Archive(opts options.Options) (*archive.Archive, error) {
	encoded, err := opts.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("archive: options: %w", err)
	}
	a := s.bundle.Archive(s.files)
	a.Options, a.Env = encoded, s.env
	return a, nil
}

// EngineConfig is what an engine needs besides the script.
type EngineConfig struct {
	Options options.Options
	Share   share.Share
	Fenced  bool           // see [Job]
	Marked  bool           // see [Job]
	Begun   executor.Begun // see [Job]
	Log     *slog.Logger
	Raw     func([]metric.Sample) // takes every single sample; nil when nobody wants them
}

// Engine makes the engine that runs a share of the test. A script serves one engine.
func (s *Script) Engine(cfg EngineConfig) (Engine, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	eng, err := engine.New(engine.Config{
		Test: s.test, Options: cfg.Options, Share: cfg.Share, Fenced: cfg.Fenced, Marked: cfg.Marked, Begun: cfg.Begun, Files: s.opener,
		UserAgent: "hive/" + Version, Log: cfg.Log, Raw: cfg.Raw,
	})
	if err != nil {
		return nil, failureOf(err)
	}
	return &realEngine{Engine: eng, test: s.test}, nil
}
