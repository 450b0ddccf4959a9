package js

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/dop251/goja"

	"hive/engine/metric"
)

// defaultExport is the function that runs when a scenario names none.
const defaultExport = "default"

// Exports lists what the script exports, sorted; functions says which of them
// can be called.
func (vu *VU) Exports() (names []string, functions map[string]bool) {
	functions = make(map[string]bool)
	for _, name := range vu.exports.Keys() {
		names = append(names, name)
		if _, ok := goja.AssertFunction(vu.own(vu.exports, name)); ok {
			functions[name] = true
		}
	}
	slices.Sort(names)
	return names, functions
}

// Export returns what the script exports as name; nil when there is nothing.
func (vu *VU) Export(name string) goja.Value { return vu.own(vu.exports, name) }

// Call runs the exported function fn in a stage, and its event loop until that
// is empty. Arguments are JSON and decoded for this call alone. The result of
// an async function is what its promise was fulfilled with. Errors are an
// *Exception, or wrap ErrInterrupted when ctx ended first.
func (vu *VU) Call(ctx context.Context, stage Stage, fn string, args ...json.RawMessage) (goja.Value, error) {
	f, err := vu.function(fn)
	if err != nil {
		return nil, err
	}
	vu.stage = stage
	vu.tags = vu.stageTags(stage)
	if err := vu.begin(ctx); err != nil {
		return nil, err
	}
	defer vu.watch.disarm(vu.rt)
	defer vu.end()
	values := make([]goja.Value, len(args))
	for i, arg := range args {
		if values[i], err = vu.Decode(arg); err != nil {
			return nil, err
		}
	}
	v, err := vu.run(f, values...)
	if err != nil {
		return nil, err
	}
	p := promiseOf(v)
	if p == nil {
		return v, nil
	}
	if p.State() != goja.PromiseStateFulfilled {
		return nil, fmt.Errorf("%s() returned a promise that nothing is left to settle", fn)
	}
	return p.Result(), nil
}

// Read runs read, which looks at values that script code has returned. That may run more of it, a getter or a Proxy,
// which the end of ctx interrupts.
func (vu *VU) Read(ctx context.Context, read func()) error {
	if err := vu.begin(ctx); err != nil {
		return err
	}
	defer vu.watch.disarm(vu.rt)
	return vu.guard(read)
}

// stageTags are the tags with which a stage other than StageVU begins.
func (vu *VU) stageTags(stage Stage) *metric.TagSet {
	group := ""
	switch stage {
	case StageSetup:
		group = "::setup"
	case StageTeardown:
		group = "::teardown"
	}
	return vu.grouped(vu.cfg.tags(), group)
}

func (vu *VU) grouped(ts *metric.TagSet, group string) *metric.TagSet {
	if ts == nil || !vu.cfg.SystemTags.Has(metric.TagGroup) {
		return ts
	}
	return ts.With("group", group)
}

func (vu *VU) function(name string) (goja.Callable, error) {
	v := vu.own(vu.exports, name)
	if v == nil {
		return nil, fmt.Errorf("the script exports no function %q", name)
	}
	f, ok := goja.AssertFunction(v)
	if !ok {
		return nil, fmt.Errorf("the script's export %q is not a function", name)
	}
	return f, nil
}

// Activate prepares the VU for the iterations of a scenario: __ENV and the tags
// are as new, and Iterate calls the function that a.Exec names.
func (vu *VU) Activate(a Activation) error {
	if a.Exec == "" {
		a.Exec = defaultExport
	}
	vu.watch.disarm(vu.rt) // reading the exports runs code: no interrupt of an earlier activity may meet it
	fn, err := vu.function(a.Exec)
	if err != nil {
		return err
	}
	vu.fn, vu.scenario, vu.stage = fn, a.Scenario, StageVU
	vu.tags = a.Tags
	if vu.tags == nil {
		vu.tags = vu.cfg.tags()
	}
	vu.tags = vu.grouped(vu.tags, "")
	if vu.tags != nil && a.Scenario != "" && vu.cfg.SystemTags.Has(metric.TagScenario) {
		vu.tags = vu.tags.With("scenario", a.Scenario)
	}
	vu.globals.resetEnv(a.Env)
	for _, f := range vu.activated {
		f()
	}
	return nil
}

// Iterate runs one iteration of the activated function and its event loop until
// that is empty. setupData is what setup() returned, as JSON; the VU decodes it
// once and sees its own changes to it in later iterations. Errors are an
// *Exception, or wrap ErrInterrupted when ctx ended first. It is cheapest when
// one ctx serves many iterations.
func (vu *VU) Iterate(ctx context.Context, setupData json.RawMessage) error {
	if vu.fn == nil {
		return errors.New("js: Iterate before Activate")
	}
	if err := vu.begin(ctx); err != nil {
		return err
	}
	vu.iter++
	err := vu.decodeSetup(setupData)
	if err == nil {
		_, err = vu.run(vu.fn, vu.args...)
	}
	vu.end()
	for _, f := range vu.iterated {
		f()
	}
	return err
}

// decodeSetup makes the argument of the iterations, once for the same data.
func (vu *VU) decodeSetup(data json.RawMessage) error {
	if vu.args != nil && sameSlice(vu.data, data) {
		return nil
	}
	v, err := vu.Decode(data)
	if err != nil {
		return err
	}
	vu.data, vu.args = data, []goja.Value{v}
	return nil
}

func sameSlice(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// begin starts an activity.
func (vu *VU) begin(ctx context.Context) error {
	if vu.cut != nil {
		// An interrupt that no script code was left to see. If it also was one
		// of ctx, arm finds that ctx is done.
		vu.rt.ClearInterrupt()
		vu.cut = nil
	}
	vu.ctx = ctx
	return vu.watch.arm(ctx, vu.rt)
}

// end leaves nothing of an activity behind.
func (vu *VU) end() {
	if !vu.loop.idle() {
		vu.loop.abandon()
	}
	vu.unhandled = nil
}

// run calls f and then runs the event loop until it is empty.
func (vu *VU) run(f goja.Callable, args ...goja.Value) (goja.Value, error) {
	v, err := f(goja.Undefined(), args...)
	if err != nil {
		return nil, vu.failure(err)
	}
	if err := vu.settle(); err != nil {
		return nil, err
	}
	if vu.loop.idle() {
		return v, nil
	}
	if err := vu.loop.run(vu.ctx); err != nil {
		return nil, err
	}
	return v, nil
}

// settle checks, after script code has run, that the activity may go on.
func (vu *VU) settle() error {
	if vu.cut != nil {
		return interruption(vu.cut)
	}
	if len(vu.unhandled) > 0 {
		return vu.rejection(vu.unhandled[0].Result())
	}
	return nil
}

// guard runs a task of the event loop, which may throw.
func (vu *VU) guard(task func()) (err error) {
	defer func() {
		switch x := recover().(type) {
		case nil:
		case *goja.InterruptedError:
			err = vu.failure(x)
		case *goja.StackOverflowError:
			err = vu.failure(x)
		default:
			panic(x)
		}
	}()
	if ex := vu.rt.Try(task); ex != nil {
		return vu.failure(ex)
	}
	return vu.settle()
}

// promiseOf returns the promise that v is, nil when it is something else.
func promiseOf(v goja.Value) *goja.Promise {
	obj, ok := v.(*goja.Object)
	if !ok || obj.ExportType() != promiseType {
		return nil
	}
	p, _ := obj.Export().(*goja.Promise)
	return p
}

var promiseType = reflect.TypeFor[*goja.Promise]()
