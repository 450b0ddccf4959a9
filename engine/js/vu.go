package js

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dop251/goja"

	"hive/engine/metric"
)

// maxCallStack bounds the depth of script calls; beyond it a script gets a
// RangeError. It is about what browsers allow.
const maxCallStack = 10_000

// nothing is a program without a result.
var nothing = goja.MustCompile("", "", true)

// VU is one virtual user: a runtime in which the script's init code has run,
// with its event loop. It belongs to one goroutine at a time.
type VU struct {
	cfg  *Config
	rt   *goja.Runtime
	loop Loop
	id   VUID
	rec  *metric.Recorder

	watch watch
	ctx   context.Context
	cut   error // why the current activity was ended by Interrupt
	stage Stage
	iter  int64 // number of the current or last iteration, -1 before the first
	tags  *metric.TagSet

	globals   globals
	modules   []*goja.Object // by index in Config.Modules; nil until required
	exports   *goja.Object
	unhandled []*goja.Promise

	scenario string
	fn       goja.Callable
	data     json.RawMessage // what args was decoded from
	args     []goja.Value    // of fn

	guarded   map[*goja.Object]struct{} // buffers of shared bytes without views; nil when views are not intercepted
	activated []func()
	iterated  []func()
	closers   []func()
}

// NewVU makes a VU by running the script's init code. The end of ctx
// interrupts it. What the VU measures goes to rec, which may be nil.
func NewVU(ctx context.Context, cfg *Config, id VUID, rec *metric.Recorder) (*VU, error) {
	if cfg.Program == nil {
		return nil, errors.New("js: Config.Program is nil")
	}
	cfg.share()
	vu := &VU{cfg: cfg, rt: goja.New(), id: id, rec: rec, stage: StageInit, iter: -1, tags: cfg.tags()}
	vu.loop.vu = vu
	vu.rt.SetMaxCallStackSize(maxCallStack)
	vu.rt.SetPromiseRejectionTracker(vu.track)
	vu.globals.install(vu)
	if err := vu.begin(ctx); err != nil {
		return nil, err
	}
	err := vu.init()
	vu.end()
	vu.watch.disarm(vu.rt)
	if err != nil {
		vu.Close()
		return nil, err
	}
	return vu, nil
}

// init runs the program and keeps what it exports.
func (vu *VU) init() error {
	p := vu.cfg.Program
	if p.files.sharing.Load() {
		if err := vu.guardViews(); err != nil {
			return err
		}
	}
	v, err := vu.rt.RunProgram(p.code)
	if err != nil {
		return vu.failure(err)
	}
	body, ok := goja.AssertFunction(v)
	if !ok {
		return fmt.Errorf("js: %s is not one function body", p.name)
	}
	module := vu.rt.NewObject()
	if err := module.Set("exports", vu.rt.NewObject()); err != nil {
		return err
	}
	var require goja.Value = goja.Undefined()
	if p.requires {
		require = vu.Builtin("require")
	}
	if _, err := vu.rt.RunProgram(nothing); err != nil { // the runtime keeps the result of the last program: body
		return vu.failure(err)
	}
	result, err := vu.run(body, module, module.Get("exports"), require)
	if err != nil {
		return err
	}
	if p.async && promiseOf(result).State() == goja.PromiseStatePending {
		return errors.New("the top-level await of the script never ends: nothing is left that could settle its promise")
	}
	exports, ok := module.Get("exports").(*goja.Object)
	if !ok {
		exports = vu.rt.NewObject()
	}
	vu.exports = exports
	return vu.overwriteOptions()
}

// Close lets go of what the VU holds outside of JavaScript: modules' functions
// given to [VU.OnClose] run, in reverse order. A second Close does no harm.
func (vu *VU) Close() {
	vu.watch.disarm(vu.rt)
	for i := len(vu.closers) - 1; i >= 0; i-- {
		vu.closers[i]()
	}
	vu.closers = nil
}

// OnClose has f called when the VU is closed.
func (vu *VU) OnClose(f func()) { vu.closers = append(vu.closers, f) }

// OnActivate has f called each time the VU is activated for a scenario.
func (vu *VU) OnActivate(f func()) { vu.activated = append(vu.activated, f) }

// OnIterationEnd has f called after each iteration, however it ended.
func (vu *VU) OnIterationEnd(f func()) { vu.iterated = append(vu.iterated, f) }

// Runtime is the VU's JavaScript runtime.
func (vu *VU) Runtime() *goja.Runtime { return vu.rt }

// Loop is the VU's event loop.
func (vu *VU) Loop() *Loop { return &vu.loop }

// Stage is the part of the test's life that the VU is in.
func (vu *VU) Stage() Stage { return vu.stage }

// Context is that of the current activity: it is done when the activity is to
// be interrupted. A native function that waits for it calls [VU.Interrupt]
// before it returns.
func (vu *VU) Context() context.Context { return vu.ctx }

// ID numbers the VU.
func (vu *VU) ID() VUID { return vu.id }

// Iteration is the VU's __ITER: the number, from 0 and over all scenarios, of
// its current or last iteration; -1 before the first.
func (vu *VU) Iteration() int64 { return vu.iter }

// Scenario names the scenario that the VU was last activated for.
func (vu *VU) Scenario() string { return vu.scenario }

// Tags are those that every measurement of the VU carries now.
func (vu *VU) Tags() *metric.TagSet { return vu.tags }

// SetTags replaces the tags of further measurements.
func (vu *VU) SetTags(ts *metric.TagSet) { vu.tags = ts }

// Registry is where the run's metrics are defined.
func (vu *VU) Registry() *metric.Registry { return vu.cfg.Registry }

// SystemTags says which tags are wanted.
func (vu *VU) SystemTags() metric.SystemTags { return vu.cfg.SystemTags }

// Throws is the option `throw`.
func (vu *VU) Throws() bool { return vu.cfg.Throw }

// Log takes messages for the user.
func (vu *VU) Log() *slog.Logger { return vu.cfg.shared.log }

// Measures says whether measurements of the current stage are kept.
func (vu *VU) Measures() bool {
	return vu.rec != nil && vu.stage != StageInit && vu.stage != StageSummary
}

// Record records values measured by the VU at one moment, with the tags ts. It
// does nothing in init code and in handleSummary.
func (vu *VU) Record(ts *metric.TagSet, url string, at time.Time, values ...metric.Value) {
	if !vu.Measures() {
		return
	}
	x := metric.Extra{URL: url}
	if vu.stage == StageVU {
		x.VU, x.Iter = vu.id.InTest, vu.iter
	}
	vu.rec.Record(ts, x, at, values...)
}

// Interrupt ends the current activity: no further script code runs and no
// catch clause sees it. The activity's call returns an error that wraps
// ErrInterrupted and reason, which may be nil. It is called on the VU's
// goroutine by native functions.
func (vu *VU) Interrupt(reason error) {
	if reason == nil {
		reason = ErrInterrupted
	}
	vu.cut = reason
	vu.rt.Interrupt(reason)
}

// Wait blocks the VU, event loop included, for d, or until it is interrupted.
func (vu *VU) Wait(d time.Duration) {
	select {
	case <-vu.loop.after(d):
	case <-vu.ctx.Done():
		vu.loop.clock.Stop()
		vu.Interrupt(nil)
	}
}

// track keeps the list of rejected promises that nothing handles.
func (vu *VU) track(p *goja.Promise, op goja.PromiseRejectionOperation) {
	if op == goja.PromiseRejectionReject {
		vu.unhandled = append(vu.unhandled, p)
		return
	}
	for i, q := range vu.unhandled {
		if q == p {
			vu.unhandled = append(vu.unhandled[:i], vu.unhandled[i+1:]...)
			return
		}
	}
}
