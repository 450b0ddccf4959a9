package hive

import (
	"errors"
	"fmt"
	"strings"
)

// Verdict is how a run ended.
type Verdict string

const (
	Passed  Verdict = "passed"  // ended as planned, all thresholds held
	Failed  Verdict = "failed"  // a threshold failed, or the script marked the test as failed
	Aborted Verdict = "aborted" // ended before its time: stopped, aborted by the script, a node lost
	Errored Verdict = "error"   // could not be carried out
	// Inconclusive is a run that ended as planned, but whose load was lost, or may have been, for more than its
	// policy allows: what it measured answers another question than the one that was asked.
	Inconclusive Verdict = "inconclusive"
)

// Kind classes what ended a run early or made it fail; the command line maps
// it to an exit code.
type Kind string

const (
	KindThresholds      Kind = "thresholds"       // a threshold failed
	KindMarkedFailed    Kind = "marked-failed"    // exec.test.fail()
	KindAborted         Kind = "aborted"          // exec.test.abort()
	KindInterrupted     Kind = "interrupted"      // a signal to the client
	KindStopped         Kind = "stopped"          // stopped through the API
	KindNodeLost        Kind = "node-lost"        // a node went while it had a share
	KindSetupLost       Kind = "setup-lost"       // the node that ran setup() went in the middle of it
	KindConfig          Kind = "config"           // the options do not fit the script
	KindScript          Kind = "script"           // an exception in init, setup or teardown
	KindSetupTimeout    Kind = "setup-timeout"    // setup() took too long
	KindTeardownTimeout Kind = "teardown-timeout" // teardown() took too long
	KindNoExports       Kind = "no-exports"       // the script exports no function
	KindSetupData       Kind = "setup-data"       // what setup() returned is not JSON
	KindPanic           Kind = "panic"            // the engine broke
	KindCapacity        Kind = "capacity"         // the test is larger than the hive
	KindTimeout         Kind = "timeout"          // a phase did not end in time
	KindInconclusive    Kind = "inconclusive"     // more of the plan was not sent, or may not have been, than --max-loss allows
	KindEngine          Kind = "engine"           // an engine broke down or was stopped, while its node lives on
	KindEngineMemory    Kind = "engine-memory"    // the same, because it used too much memory, and would again
	KindOutage          Kind = "outage"           // the whole hive was down, and the run was not to go on
	KindInternal        Kind = "internal"         // anything else
)

// Failure is why a run did not pass. It is an error whose text is Message.
type Failure struct {
	Kind    Kind   `json:"kind"`
	Message string `json:"message"`
	Node    string `json:"node,omitempty"` // name of the node it happened on
}

func (f *Failure) Error() string {
	if f.Node == "" {
		return f.Message
	}
	return fmt.Sprintf("node %s: %s", f.Node, f.Message)
}

// Failf makes a failure.
func Failf(k Kind, format string, args ...any) *Failure {
	return &Failure{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// AsFailure finds the failure in err; an error without one is internal. The
// result is a copy, nil for nil.
func AsFailure(err error) *Failure {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		c := *f
		return &c
	}
	return &Failure{Kind: KindInternal, Message: err.Error()}
}

func (f *Failure) on(node string) *Failure {
	if f != nil && f.Node == "" {
		f.Node = node
	}
	return f
}

// engineDied says whether an engine broke down or was stopped, whatever the reason.
func (k Kind) engineDied() bool { return k == KindEngine || k == KindEngineMemory }

// Verdict is what a run that ended for this reason is called.
func (k Kind) Verdict() Verdict {
	switch k {
	case KindThresholds, KindMarkedFailed:
		return Failed
	case KindAborted, KindInterrupted, KindStopped, KindNodeLost, KindEngine, KindEngineMemory, KindOutage:
		return Aborted
	case KindInconclusive:
		return Inconclusive
	}
	return Errored
}

// Conclude gives the verdict of a run from the first thing that went wrong
// (nil when nothing did), the script's own mark (nil when there is none) and
// the names of the metrics whose thresholds failed. The first reason wins.
func Conclude(first, marked *Failure, failed []string) (Verdict, *Failure) {
	reason := first
	if reason == nil {
		reason = marked
	}
	if reason == nil && len(failed) > 0 {
		reason = thresholdFailure(failed)
	}
	if reason == nil {
		return Passed, nil
	}
	return reason.Kind.Verdict(), reason
}

func thresholdFailure(failed []string) *Failure {
	return Failf(KindThresholds, "thresholds on metrics '%s' have been crossed", strings.Join(failed, ", "))
}

// markedFailure is the failure of a test that the script marked as failed, for a reason that may be empty.
func markedFailure(reason string) *Failure {
	if reason == "" {
		return Failf(KindMarkedFailed, "the test was marked as failed by the script")
	}
	return Failf(KindMarkedFailed, "the test was marked as failed by the script: %s", reason)
}
