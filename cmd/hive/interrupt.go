package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// errInterrupted is the cause of a context that the user's Ctrl-C ended.
var errInterrupted = errors.New("interrupted by a signal")

// interruptible returns a context that the first SIGINT or SIGTERM ends; the second calls leave at once. Stop waits
// until nothing listens any more.
func interruptible(ctx context.Context, leave func()) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for count := 0; ; {
			select {
			case <-quit:
				return
			case <-signals:
				if count++; count > 1 {
					leave()
				}
				cancel(errInterrupted)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(quit)
		<-done
		cancel(nil)
	}
}

// interrupted says whether ctx ended because of a signal.
func interrupted(ctx context.Context) bool {
	return errors.Is(context.Cause(ctx), errInterrupted)
}

// isCancelled says whether err is nothing but the end of a context.
func isCancelled(err error) bool {
	return err == nil || errors.Is(err, context.Canceled) || errors.Is(err, errInterrupted)
}

// interruptedError gives an error that came about because of a signal the signal's exit code.
func interruptedError(ctx context.Context, err error) error {
	if err != nil && interrupted(ctx) && isCancelled(err) {
		return &codedError{code: exitInterrupted, err: errInterrupted}
	}
	return err
}
