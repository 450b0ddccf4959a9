package hive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hive/archive"
	"hive/engine"
	"hive/engine/executor"
	"hive/engine/options"
	"hive/engine/share"
)

// NewEngine is the Factory of a node that runs scripts: it opens the archive of a job and makes an engine for its share.
func NewEngine(ctx context.Context, job Job) (Engine, error) {
	a, err := archive.Read(bytes.NewReader(job.Archive), archive.DefaultLimits())
	if err != nil {
		return nil, Failf(KindConfig, "archive: %v", err)
	}
	var opts options.Options
	if err := json.Unmarshal(job.Options, &opts); err != nil {
		return nil, Failf(KindConfig, "options: %v", err)
	}
	if job.Flags.NoThresholds {
		opts.Thresholds = nil
	}
	script, err := openArchive(ctx, a, ScriptSource{Log: job.Log})
	if err != nil {
		return nil, failureOf(err)
	}
	return script.Engine(EngineConfig{Options: opts, Share: job.Share, Fenced: job.Fenced, Marked: job.Marked, Begun: job.Begun, Log: job.Log})
}

// failureOf turns the engine's errors into failures of the same kind.
func failureOf(err error) error {
	var e *engine.Error
	if !errors.As(err, &e) {
		return err
	}
	return &Failure{Kind: Kind(e.Kind), Message: err.Error()}
}

// realEngine is the engine that runs scripts, as a node sees it.
type realEngine struct {
	*engine.Engine
	test *engine.Test
}

func (r *realEngine) Init(ctx context.Context) error { return failureOf(r.Engine.Init(ctx)) }

func (r *realEngine) Setup(ctx context.Context) (json.RawMessage, error) {
	data, err := r.Engine.Setup(ctx)
	return data, failureOf(err)
}

func (r *realEngine) Run(ctx context.Context, start time.Time, e executor.Epoch, setup json.RawMessage) error {
	return failureOf(r.Engine.Run(ctx, start, e, setup))
}

func (r *realEngine) Warm(ctx context.Context, s share.Share) error {
	return failureOf(r.Engine.Warm(ctx, s))
}

func (r *realEngine) Propose(e executor.Epoch) error { return failureOf(r.Engine.Propose(e)) }

func (r *realEngine) Commit(e executor.Epoch) error { return failureOf(r.Engine.Commit(e)) }

// Begun is nothing: the engine ends with this process.
func (r *realEngine) Begun() []executor.Marks { return nil }

func (r *realEngine) Err() error { return failureOf(r.Engine.Err()) }

func (r *realEngine) Teardown(ctx context.Context, setup json.RawMessage) error {
	return failureOf(r.Engine.Teardown(ctx, setup))
}

func (r *realEngine) HandleSummary(ctx context.Context, data []byte) (map[string][]byte, bool, error) {
	files, ran, err := r.Engine.HandleSummary(ctx, data)
	if err != nil {
		err = fmt.Errorf("handleSummary: %w", err)
	}
	return files, ran, err
}

// Traits says which of the functions beside the scenarios' own the script exports.
func (r *realEngine) Traits() Traits {
	return Traits{
		Setup: r.test.Exported("setup"), Teardown: r.test.Exported("teardown"), HandleSummary: r.test.Exported("handleSummary"),
	}
}

// MarkedFailed says whether, and why, the script marked the test as failed.
func (r *realEngine) MarkedFailed() (string, bool) { return r.Engine.Failed() }
