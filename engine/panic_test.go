package engine_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hive/engine"
	"hive/engine/executor"
	"hive/engine/options"
	"hive/engine/share"
)

// broken is a log handler with a bug, which scripts reach with console.log.
type broken struct{ slog.Handler }

func (b broken) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "now" {
		panic("the handler is broken")
	}
	return nil
}

// A panic in Go code that a script reached ends the test with an error that says where, in whatever stage it comes.
func TestPanicsAreContained(t *testing.T) {
	t.Parallel()
	log := slog.New(broken{slog.NewTextHandler(&bytes.Buffer{}, nil)})
	const script = `
		export const options = { scenarios: { s: { executor: 'constant-vus', vus: 2, duration: '1h' } } };
		const at = (stage) => { if (__ENV.AT === stage) console.log('now') };
		at(__VU > 0 ? 'init' : 'load');
		export const setup = () => at('setup'), teardown = () => at('teardown'), handleSummary = () => at('summary');
		export default () => at('vu');`
	b := bundle(t, script)
	for _, stage := range []string{"load", "init", "setup", "vu", "teardown", "summary"} {
		err := stages(t, engine.Source{Name: b.Name, Code: b.Code, Map: b.Map, Env: map[string]string{"AT": stage}}, log)
		if stage == "summary" {
			if err != nil {
				t.Errorf("%s: got %v, want it only logged: the test itself is over", stage, err)
			}
			continue
		}
		wantKind(t, err, engine.KindPanic)
		if err != nil && (!strings.Contains(err.Error(), "the handler is broken") || !strings.Contains(err.Error(), "broken.Handle")) {
			t.Errorf("%s: got %v", stage, err)
		}
	}
}

// stages runs all of a test up to the first failure.
func stages(t *testing.T, src engine.Source, log *slog.Logger) error {
	t.Helper()
	test, err := engine.Load(t.Context(), src, log)
	if err != nil {
		return err
	}
	layer, _, err := options.FromJSON(test.Options(), "script")
	if err != nil {
		t.Fatal(err)
	}
	opts, _, err := options.Consolidate(layer)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Config{Test: test, Options: opts, Share: share.Whole(executor.Layout(opts.Scenarios)), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Init(t.Context()); err != nil {
		return err
	}
	if _, err := e.Setup(t.Context()); err != nil {
		return err
	}
	time.AfterFunc(50*time.Millisecond, e.Stop)
	if err := e.Run(t.Context(), time.Now(), whole, nil); err != nil {
		return err
	}
	if err := e.Teardown(t.Context(), nil); err != nil {
		return err
	}
	_, _, err = e.HandleSummary(t.Context(), nil)
	return err
}
