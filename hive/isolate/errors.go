package isolate

import (
	"context"
	"errors"

	"hive/hive"
)

// wireError is an error on its way between processes: its text, the failure in it, and whether it says that somebody
// gave up waiting.
type wireError struct {
	Text     string        `json:"text"`
	Failure  *hive.Failure `json:"failure,omitempty"`
	Canceled bool          `json:"canceled,omitempty"`
	Deadline bool          `json:"deadline,omitempty"`
}

// toWire prepares an error to be sent; nil stays nil.
func toWire(err error) *wireError {
	if err == nil {
		return nil
	}
	w := &wireError{Text: err.Error(), Canceled: errors.Is(err, context.Canceled), Deadline: errors.Is(err, context.DeadlineExceeded)}
	if f, ok := errors.AsType[*hive.Failure](err); ok {
		w.Failure = f
	}
	return w
}

// err is the error that was sent, as far as the callers of an engine can tell.
func (w *wireError) err() error {
	switch {
	case w == nil:
		return nil
	case w.Failure != nil && w.Text == w.Failure.Error() && !w.Canceled && !w.Deadline:
		return w.Failure
	}
	return &remoteError{w}
}

// remoteError is an error of the other process that is more than a failure.
type remoteError struct{ wire *wireError }

func (e *remoteError) Error() string { return e.wire.Text }

func (e *remoteError) Unwrap() (errs []error) {
	if e.wire.Failure != nil {
		errs = append(errs, e.wire.Failure)
	}
	if e.wire.Canceled {
		errs = append(errs, context.Canceled)
	}
	if e.wire.Deadline {
		errs = append(errs, context.DeadlineExceeded)
	}
	return errs
}
