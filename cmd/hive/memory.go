package main

import (
	"context"
	"errors"
	"sync"

	"hive/hive"
	"hive/hive/isolate"
)

// boundMemory returns a context that ends, with a failure that says why, when this process is about to take the last of
// the machine's memory. When that does not help, the process ends at once. Stop ends the watch.
func (a *app) boundMemory(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	watching, end := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() {
		isolate.WatchMemory(watching, func(f *hive.Failure, last bool) {
			a.logs.Error(f.Message)
			if last {
				a.giveUp()
			}
			cancel(f)
		})
	})
	return ctx, func() {
		end()
		done.Wait()
		cancel(nil)
	}
}

// failureOr is the failure that ended ctx, or else err.
func failureOr(ctx context.Context, err error) error {
	if f, ok := errors.AsType[*hive.Failure](context.Cause(ctx)); ok && err != nil {
		return f
	}
	return err
}
