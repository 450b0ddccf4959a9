package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// errTimeout is the cause with which setup() and its like are ended when their time is up.
var errTimeout = errors.New("timeout")

// Setup runs the script's setup() in a runtime of its own and returns what it returned, as JSON; nil when there is
// no setup() or the options leave it out.
func (e *Engine) Setup(ctx context.Context) (json.RawMessage, error) {
	if e.opts.NoSetup || !e.test.Exported(setupName) {
		return nil, nil
	}
	var data json.RawMessage
	err := e.once(ctx, e.opts.SetupTimeout, KindSetupTimeout, setupName, func(ctx context.Context, v *vu) error {
		result, err := v.call(ctx, js.StageSetup, setupName)
		if err != nil {
			return err
		}
		var bad error
		if err := v.js.Read(ctx, func() { data, bad = js.MarshalSetup(result) }); err != nil {
			return err
		}
		if bad != nil {
			return fail(KindSetupData, "setup() returned what cannot be kept: %w", bad)
		}
		return nil
	})
	if err != nil {
		return nil, err // and data may be written still
	}
	return data, nil
}

// Teardown runs the script's teardown() in a runtime of its own with a copy of what setup() returned.
func (e *Engine) Teardown(ctx context.Context, setupData json.RawMessage) error {
	if e.opts.NoTeardown || !e.test.Exported(teardownName) {
		return nil
	}
	return e.once(ctx, e.opts.TeardownTimeout, KindTeardownTimeout, teardownName, func(ctx context.Context, v *vu) error {
		_, err := v.call(ctx, js.StageTeardown, teardownName, setupData)
		return err
	})
}

// once makes a runtime, lets f use it for at most the given time, and closes it.
func (e *Engine) once(ctx context.Context, limit time.Duration, late Kind, name string, f func(context.Context, *vu) error) error {
	ctx, done := e.cancellable(ctx)
	defer done()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTimeout)
	defer cancel()
	err := within(ctx, func() error {
		v, err := e.runtime(ctx, js.VUID{})
		if err != nil {
			return err
		}
		defer v.close()
		err = f(ctx, v)
		v.finish(time.Now())
		return err
	})
	switch stuck := errors.Is(err, errStuck); {
	case stuck && errors.Is(context.Cause(ctx), errTimeout):
		return fail(late, "%s() took longer than its timeout of %s: %w", name, limit, err)
	case stuck:
		return fail(KindScript, "%s() did not end when it was interrupted: %w", name, err)
	case err != nil && errors.Is(context.Cause(ctx), errTimeout):
		return fail(late, "%s() took longer than its timeout of %s", name, limit)
	}
	return e.outcome(err)
}

// HandleSummary runs the script's handleSummary() on the summary data (JSON) and returns the files that it wants to be
// written, by name, with "stdout" and "stderr" among them. ran is false when the script has none, or when it returned
// nothing, or failed, which is logged: the default summary is then shown. What it returned in a wrong form is logged
// too, and then there is nothing to show at all.
func (e *Engine) HandleSummary(ctx context.Context, data []byte) (files map[string][]byte, ran bool, err error) {
	if !e.test.Exported(summaryName) {
		return nil, false, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.opts.HandleSummaryTimeout, errTimeout)
	defer cancel()
	var r handled
	err = within(ctx, func() (err error) {
		got, err := e.handleSummary(ctx, data)
		if err == nil {
			r = got
		}
		return err
	})
	if err != nil {
		return nil, false, e.summaryFailed(ctx, err)
	}
	if r.bad != nil {
		e.log.Error(r.bad.Error())
		return nil, true, nil
	}
	return r.files, r.ran, nil
}

// handled is what handleSummary() returned.
type handled struct {
	files map[string][]byte
	ran   bool
	bad   error // it was of a wrong form
}

// handleSummary calls the script's function in a runtime of its own.
func (e *Engine) handleSummary(ctx context.Context, data []byte) (r handled, err error) {
	v, err := e.runtime(ctx, js.VUID{})
	if err != nil {
		return r, err
	}
	defer v.close()
	result, err := v.call(ctx, js.StageSummary, summaryName, data)
	if err != nil {
		return r, err
	}
	if goja.IsUndefined(result) || goja.IsNull(result) {
		return r, nil
	}
	r.ran = true
	switch err := v.js.Read(ctx, func() { r.files, r.bad = summaryFiles(result) }); {
	case errors.Is(err, js.ErrInterrupted):
		return r, err
	case err != nil:
		r.bad = fmt.Errorf("handleSummary() returned an object that cannot be read: %w", err)
	}
	return r, nil
}

// summaryFailed logs that handleSummary() failed: a test is not lost because its report is.
func (e *Engine) summaryFailed(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errTimeout) {
		err = fmt.Errorf("handleSummary() took longer than its timeout of %s", e.opts.HandleSummaryTimeout)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	e.log.Error(scriptError(err).Error(), slog.String("hint", "the default summary is shown instead"))
	return nil
}

// summaryFiles reads the object that handleSummary() returned: path to string or ArrayBuffer. A value of another type
// spoils the whole, as in k6: no file is written and nothing is shown.
func summaryFiles(result goja.Value) (map[string][]byte, error) {
	obj, ok := result.(*goja.Object)
	if !ok || obj.ExportType() != plainObject {
		return nil, fmt.Errorf("handleSummary() returned %s, want an object of file names and contents", result)
	}
	return fileContents(obj)
}

var plainObject = reflect.TypeFor[map[string]any]()

func fileContents(obj *goja.Object) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range obj.Keys() {
		content, ok := fileContent(obj.Get(name))
		if !ok {
			return nil, fmt.Errorf("handleSummary() returned a content for %q that is neither a string nor an ArrayBuffer", name)
		}
		files[name] = content
	}
	return files, nil
}

func fileContent(v goja.Value) ([]byte, bool) {
	switch x := v.Export().(type) {
	case string:
		return []byte(x), true
	case goja.ArrayBuffer:
		return append([]byte(nil), x.Bytes()...), true
	case []byte:
		return append([]byte(nil), x...), true
	}
	return nil, false
}
