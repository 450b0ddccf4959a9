package engine

import (
	"runtime/debug"
	"sync"
)

// fault is a breakdown of the engine that its run cannot end with, since what broke may hold up the rest.
type fault struct {
	once *sync.Once
	done chan struct{}
	err  *error // set before done is closed
}

func newFault() fault { return fault{once: new(sync.Once), done: make(chan struct{}), err: new(error)} }

// catch, deferred, keeps a panic as the engine's fault.
func (f fault) catch() {
	if p := recover(); p != nil {
		f.once.Do(func() {
			*f.err = fail(KindPanic, "the engine broke, which is a bug: %v\n%s", p, debug.Stack())
			close(f.done)
		})
	}
}

// Done is closed when the engine has broken down in a way that its methods may not return from. A script, whatever it
// does, does not bring that about.
func (e *Engine) Done() <-chan struct{} { return e.fault.done }

// Err says why Done is closed; nil while it is not.
func (e *Engine) Err() error {
	select {
	case <-e.fault.done:
		return *e.fault.err
	default:
		return nil
	}
}
