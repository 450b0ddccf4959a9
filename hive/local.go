package hive

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/options"
	"hive/engine/share"
)

// Local runs a test on this machine alone, with the same engine, judge,
// verdict and summary as a hive, and without etcd.
type Local struct {
	Name    string // of the script
	Options options.Options
	Flags   Flags
	Engine  Engine // not yet initialised; Run does not close it
	// Share is what this machine executes: the share that Engine was made for.
	Share share.Share
	// Phase, when set, is told of each phase as it begins.
	Phase func(Phase)
	// Warn, when set, is told what the user should know.
	Warn func(string)
	// Timing: only Judge is used; zero means the default.
	Timing Timing
}

// Run takes the test through its life. When ctx ends, the test is interrupted
// with the cause of ctx as its failure (a [*Failure], or an interruption), and
// teardown and summary still follow; hard ends these too.
func (l *Local) Run(ctx, hard context.Context) *Result {
	l.Timing = l.Timing.withDefaults()
	r := localRun{Local: l, ctx: ctx, hard: hard, res: &Result{Name: l.Name}}
	judge, err := NewJudge(l.Options, l.Flags, Definitions(l.Engine.Registry()))
	if err != nil {
		r.fail(err)
		return r.finish()
	}
	r.judge = judge
	r.phase(Preparing)
	if err := l.Engine.Init(ctx); err != nil {
		r.fail(err)
		return r.finish()
	}
	r.began = time.Now()
	r.load()
	return r.conclude()
}

// localRun is one run of a Local.
type localRun struct {
	*Local
	ctx, hard context.Context
	res       *Result
	judge     *Judge
	failure   *Failure
	setup     json.RawMessage
	began     time.Time
	teardown  bool
}

func (r *localRun) phase(p Phase) {
	if r.Phase != nil {
		r.Phase(p)
	}
}

func (r *localRun) warn(msg string) {
	r.res.Warnings = append(r.res.Warnings, msg)
	if r.Warn != nil {
		r.Warn(msg)
	}
}

// fail keeps the first failure; once ctx has ended, that is its cause.
func (r *localRun) fail(err error) {
	if r.failure != nil || err == nil {
		return
	}
	if r.ctx.Err() != nil {
		r.failure = interruption(r.ctx)
		return
	}
	r.failure = AsFailure(err)
}

// interruption is the failure that ended ctx.
func interruption(ctx context.Context) *Failure {
	if f, ok := errors.AsType[*Failure](context.Cause(ctx)); ok {
		return f
	}
	return Failf(KindInterrupted, "the test was interrupted")
}

// load runs setup and the scenarios.
func (r *localRun) load() {
	if r.Engine.Traits().Setup && !r.Options.NoSetup {
		r.phase(Setup)
		data, err := r.Engine.Setup(r.ctx)
		if err != nil {
			r.fail(err)
			r.teardown = r.ctx.Err() != nil
			return
		}
		r.setup = data
	}
	r.teardown = true
	r.phase(Running)
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		r.watch(ctx, cancel)
	}()
	err := r.Engine.Run(ctx, time.Now(), executor.Epoch{Number: 1, Share: r.Share}, r.setup)
	cause := context.Cause(ctx)
	cancel(nil)
	<-watched
	if f, ok := errors.AsType[*Failure](cause); ok && r.ctx.Err() == nil {
		r.failure = f
		return
	}
	r.fail(err)
	if r.ctx.Err() != nil {
		r.fail(r.ctx.Err())
	}
}

// watch judges while the load runs, and ends it when a threshold asks for it.
func (r *localRun) watch(ctx context.Context, abort context.CancelCauseFunc) {
	tick := time.NewTicker(r.Timing.Judge)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			j := r.judge.Judge(metric.NewView(r.Engine.Snapshot()), time.Since(r.began), false)
			if j.Abort {
				abort(thresholdFailure(j.Failed))
				return
			}
		}
	}
}

// conclude runs teardown, judges for the last time and makes the summary.
func (r *localRun) conclude() *Result {
	if r.teardown && r.Engine.Traits().Teardown && !r.Options.NoTeardown {
		r.phase(Teardown)
		if err := r.Engine.Teardown(r.hard, r.setup); err != nil && r.failure == nil {
			r.failure = AsFailure(err)
		}
	}
	r.res.Duration = time.Since(r.began)
	r.res.Ledger = r.ledger()
	view := metric.NewView(r.Engine.Snapshot())
	j := r.judge.Judge(view, r.res.Duration, true)
	o := Outcome{Options: r.Options, Flags: r.Flags, View: view, Judgement: j, Duration: r.res.Duration, SetupData: r.setup, Metrics: r.judge.Metric,
		Notes: lateNotes("", r.Engine.Progress())}
	if err := Summarize(r.res, o); err != nil {
		r.warn(err.Error())
	}
	if r.Engine.Traits().HandleSummary && r.Flags.wantsHandler() && r.res.Summarized {
		files, ran, err := r.Engine.HandleSummary(r.hard, r.res.Summary)
		if err != nil {
			r.warn("handleSummary: " + err.Error())
		}
		r.res.Handled, r.res.Files = ran && err == nil, files
	}
	return r.finish()
}

// ledger accounts for the whole plan; there is none when an execution segment picked a part of it.
func (r *localRun) ledger() []ScenarioLedger {
	if r.Options.ExecutionSegment != "" || r.Options.ExecutionSegmentSequence != "" {
		return nil
	}
	ledger, _ := NewLedger(LedgerInput{ // one engine's own counts have nothing to disagree with
		Scenarios: r.Options.Scenarios,
		Lives:     []Life{{Stints: []Stint{{Epoch: 1, Share: r.Share}}, Ledgers: r.Engine.Ledger(), Final: true}},
		Over:      true,
		Stopped:   r.failure != nil,
		StoppedAt: r.Engine.Progress().Elapsed,
	})
	return ledger
}

func (r *localRun) finish() *Result {
	var marked *Failure
	if reason, ok := r.Engine.MarkedFailed(); ok {
		marked = markedFailure(reason)
	}
	r.res.Verdict, r.res.Failure = Conclude(r.failure, marked, r.res.Failed)
	r.res.Progress = r.Engine.Progress()
	r.phase(Finished)
	return r.res
}
