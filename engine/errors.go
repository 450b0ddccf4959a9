package engine

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// Kind says what sort of failure ended a test, so that a caller can choose an exit code without reading messages.
type Kind string

// The kinds of failure.
const (
	KindConfig          Kind = "config"           // options or scenarios that cannot be run
	KindScript          Kind = "script"           // an exception in init code, setup() or teardown()
	KindSetupTimeout    Kind = "setup-timeout"    // setup() took longer than setupTimeout
	KindTeardownTimeout Kind = "teardown-timeout" // teardown() took longer than teardownTimeout
	KindAborted         Kind = "aborted"          // the script called exec.test.abort()
	KindInterrupted     Kind = "interrupted"      // the caller's context ended
	KindNoExports       Kind = "no-exports"       // the script exports no function
	KindSetupData       Kind = "setup-data"       // setup() returned what JSON cannot hold
	KindPanic           Kind = "panic"            // a bug in the engine, contained
)

// Error is every error that leaves the engine because of the test itself.
type Error struct {
	Kind Kind
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first engine error in err's chain, or "" when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

func fail(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// contain turns a panic of the function that defers it into the function's error, so that a bug met by one VU ends the
// test with a message instead of the process without one.
func contain(err *error) {
	if p := recover(); p != nil {
		*err = fail(KindPanic, "the engine broke, which is a bug: %v\n%s", p, debug.Stack())
	}
}
