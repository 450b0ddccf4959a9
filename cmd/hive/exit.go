package main

import (
	"errors"
	"fmt"

	"hive/engine"
	"hive/hive"
)

// Exit codes of a run are k6's where k6 has one, so that scripts around k6 keep working.
const (
	exitOK              = 0
	exitInconclusive    = 98 // more of the plan was lost than --max-loss allows; k6 has no such code
	exitThresholds      = 99
	exitSetupTimeout    = 100
	exitTeardownTimeout = 101
	exitTimeout         = 102
	exitStopped         = 103 // somebody else stopped the run: `hive stop` or the API
	exitConfig          = 104
	exitInterrupted     = 105 // SIGINT or SIGTERM
	exitAPI             = 106 // the address of the API cannot be served
	exitScript          = 107
	exitAborted         = 108 // exec.test.abort()
	exitPanic           = 109
	exitMarkedFailed    = 110 // exec.test.fail()
	exitOther           = 255
)

// codedError is an error together with the exit code it leads to.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// withCode gives err an exit code unless it carries one already: what went wrong first decides.
func withCode(code int, err error) error {
	if _, ok := errors.AsType[*codedError](err); ok || err == nil {
		return err
	}
	return &codedError{code: code, err: err}
}

// usageError is a mistake in the command line itself.
func usageError(format string, args ...any) error {
	return &codedError{code: exitOther, err: fmt.Errorf(format, args...)}
}

// configError is a mistake in the options of a test, wherever they were given.
func configError(format string, args ...any) error {
	return &codedError{code: exitConfig, err: fmt.Errorf(format, args...)}
}

// exitCode is the code with which the process ends after err.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if coded, ok := errors.AsType[*codedError](err); ok {
		return coded.code
	}
	if failure, ok := errors.AsType[*hive.Failure](err); ok {
		return kindCode(failure.Kind)
	}
	return kindCode(hive.Kind(engine.KindOf(err))) // the engine gives its kinds the same names
}

// kindCode is the exit code of a run that did not pass, local or remote.
func kindCode(k hive.Kind) int {
	switch k {
	case hive.KindInconclusive:
		return exitInconclusive
	case hive.KindThresholds:
		return exitThresholds
	case hive.KindSetupTimeout:
		return exitSetupTimeout
	case hive.KindTeardownTimeout:
		return exitTeardownTimeout
	case hive.KindTimeout:
		return exitTimeout
	case hive.KindStopped:
		return exitStopped
	case hive.KindConfig:
		return exitConfig
	case hive.KindInterrupted:
		return exitInterrupted
	case hive.KindScript:
		return exitScript
	case hive.KindAborted:
		return exitAborted
	case hive.KindPanic:
		return exitPanic
	case hive.KindMarkedFailed:
		return exitMarkedFailed
	default:
		return exitOther
	}
}
