package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"hive/engine"
	"hive/hive"
)

func TestExitCode(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want int
	}{
		{"success", nil, 0},
		{"thresholds", hive.Failf(hive.KindThresholds, "x"), 99},
		{"inconclusive", hive.Failf(hive.KindInconclusive, "x"), 98},
		{"engine died", hive.Failf(hive.KindEngine, "x"), 255},
		{"engine out of memory", hive.Failf(hive.KindEngineMemory, "x"), 255},
		{"outage", hive.Failf(hive.KindOutage, "x"), 255},
		{"setup timeout", hive.Failf(hive.KindSetupTimeout, "x"), 100},
		{"teardown timeout", hive.Failf(hive.KindTeardownTimeout, "x"), 101},
		{"timeout of a phase", hive.Failf(hive.KindTimeout, "x"), 102},
		{"stopped by somebody", hive.Failf(hive.KindStopped, "x"), 103},
		{"configuration", hive.Failf(hive.KindConfig, "x"), 104},
		{"interrupted", hive.Failf(hive.KindInterrupted, "x"), 105},
		{"script", hive.Failf(hive.KindScript, "x"), 107},
		{"aborted by the script", hive.Failf(hive.KindAborted, "x"), 108},
		{"panic", hive.Failf(hive.KindPanic, "x"), 109},
		{"marked as failed", hive.Failf(hive.KindMarkedFailed, "x"), 110},
		{"no exports", hive.Failf(hive.KindNoExports, "x"), 255},
		{"setup data", hive.Failf(hive.KindSetupData, "x"), 255},
		{"node lost", hive.Failf(hive.KindNodeLost, "x"), 255},
		{"a failure inside others", fmt.Errorf("step: %w", hive.Failf(hive.KindScript, "x")), 107},
		{"engine: script", &engine.Error{Kind: engine.KindScript, Err: errors.New("x")}, 107},
		{"engine: configuration", fmt.Errorf("x: %w", &engine.Error{Kind: engine.KindConfig, Err: errors.New("x")}), 104},
		{"engine: aborted", &engine.Error{Kind: engine.KindAborted, Err: errors.New("x")}, 108},
		{"engine: no exports", &engine.Error{Kind: engine.KindNoExports, Err: errors.New("x")}, 255},
		{"anything else", errors.New("x"), 255},
		{"command line", usageError("x"), 255},
		{"options", configError("x"), 104},
		{"the first code stays", withCode(exitOther, configError("x")), 104},
		{"a code above a failure", withCode(exitConfig, hive.Failf(hive.KindScript, "x")), 104},
	} {
		if got := exitCode(tc.err); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
	if withCode(exitConfig, nil) != nil {
		t.Error("withCode of nil: want nil")
	}
}

func TestInterruptedError(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := interruptedError(ctx, context.Canceled); exitCode(err) != exitOther {
		t.Errorf("without a signal: got %d, want %d", exitCode(err), exitOther)
	}
	cancel(errInterrupted)
	if err := interruptedError(ctx, context.Canceled); exitCode(err) != exitInterrupted {
		t.Errorf("after a signal: got %d, want %d", exitCode(err), exitInterrupted)
	}
	if err := interruptedError(ctx, configError("x")); exitCode(err) != exitConfig {
		t.Errorf("an error of its own: got %d, want %d", exitCode(err), exitConfig)
	}
	if err := interruptedError(ctx, nil); err != nil {
		t.Errorf("no error: got %v", err)
	}
}
