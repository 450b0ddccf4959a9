package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/dop251/goja"

	"hive/engine/js"
	"hive/engine/metric"
	"hive/engine/modules/data"
	"hive/engine/modules/execution"
)

// Source is a script that the bundler made one program of, with what it may read.
type Source struct {
	Name  string            // URL of the entry script, e.g. file:///home/me/script.js
	Code  []byte            // body of a CommonJS function; an async one when Async
	Map   []byte            // its source map; nil when there is none
	Async bool              // the script awaits at its top level
	Files js.Opener         // what open() may read; nil for nothing
	Env   map[string]string // what __ENV holds
}

// Test is a loaded script: compiled, and run once to learn what it exports. It serves one Engine.
type Test struct {
	src      Source
	program  *js.Program
	registry *metric.Registry
	data     js.Module // k6/data, with the arrays that the script shares between VUs
	options  json.RawMessage
	exports  []string
}

// Names of the functions that a script may export besides those that scenarios run.
const (
	setupName    = "setup"
	teardownName = "teardown"
	summaryName  = "handleSummary"
)

// Load compiles a script and runs its init code once, in a runtime that is thrown away. Errors of the script are
// [Error]s. ctx interrupts endless init code.
func Load(ctx context.Context, src Source, log *slog.Logger) (t *Test, err error) {
	defer contain(&err)
	compile := js.Compile
	if src.Async {
		compile = js.CompileAsync
	}
	program, err := compile(src.Name, src.Code, src.Map)
	if err != nil {
		return nil, &Error{KindScript, err}
	}
	t = &Test{src: src, program: program, registry: metric.NewRegistry(), data: data.New()}
	conf := t.config(log)
	conf.Modules = modules(moduleDeps{data: t.data})
	var vu *js.VU
	err = withinInit(ctx, func(ctx context.Context) (err error) {
		vu, err = js.NewVU(ctx, conf, js.VUID{}, nil)
		return err
	})
	if err != nil {
		return nil, scriptError(err)
	}
	defer vu.Close()
	names, callable := vu.Exports()
	t.exports = slices.DeleteFunc(names, func(name string) bool { return !callable[name] })
	if t.options, err = exportedOptions(vu); err != nil {
		return nil, fail(KindConfig, "%s: options: %w", src.Name, err)
	}
	if len(t.exports) == 0 {
		return nil, fail(KindNoExports, "%s exports no function: export a default function, or functions that scenarios name with `exec`", src.Name)
	}
	return t, nil
}

// exportedOptions is JSON.stringify of the exported options.
func exportedOptions(vu *js.VU) (json.RawMessage, error) {
	v := vu.Export("options")
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return nil, nil
	}
	obj, ok := v.(*goja.Object)
	if _, callable := goja.AssertFunction(v); !ok || callable {
		return nil, fmt.Errorf("found %s, want an object", v)
	}
	return obj.MarshalJSON()
}

// Options returns the exported options object as JSON, nil when the script exports none.
func (t *Test) Options() json.RawMessage { return t.options }

// Exports returns the names of the exported functions, sorted.
func (t *Test) Exports() []string { return t.exports }

// Exported reports whether the script exports a function of that name.
func (t *Test) Exported(name string) bool { return slices.Contains(t.exports, name) }

// Registry holds the metrics that the init code made, besides the built-in ones.
func (t *Test) Registry() *metric.Registry { return t.registry }

// config is what every runtime of the test has in common.
func (t *Test) config(log *slog.Logger) *js.Config {
	return &js.Config{
		Program:    t.program,
		Globals:    globals(),
		Files:      t.src.Files,
		Env:        t.src.Env,
		Registry:   t.registry,
		SystemTags: metric.DefaultSystemTags,
		Log:        log,
	}
}

// scriptError gives an error that running script code returned its kind.
func scriptError(err error) error {
	var known *Error
	var aborted *execution.Aborted
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &aborted):
		return &Error{KindAborted, aborted}
	case errors.Is(err, js.ErrInterrupted), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{KindInterrupted, fmt.Errorf("the script was interrupted: %w", err)}
	}
	return &Error{KindScript, err}
}
