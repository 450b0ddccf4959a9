package engine

import (
	"context"
	"errors"
	"time"

	"hive/engine/executor"
)

// initTimeout is how long the init code may take in one runtime. It is meant for code that never ends.
const initTimeout = 5 * time.Minute

var (
	errInitTimeout = errors.New("init timeout")
	// errStuck says that script code did not end when it was interrupted.
	errStuck = errors.New("the script is inside of something that cannot be interrupted, such as a regular expression that tries without end")
)

// within calls f, and gives it up when it has not returned so long after the end of ctx: a native function that a script
// calls is not always ended by an interruption. What f uses may then be in use for as long as the process lives.
func within(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() {
		done <- func() (err error) {
			defer contain(&err)
			return f()
		}()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	t := time.NewTimer(executor.StuckAfter)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		return errStuck
	}
}

// withinInit is within for init code, which is ended when its time is up.
func withinInit(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, initTimeout, errInitTimeout)
	defer cancel()
	err := within(ctx, func() error { return f(ctx) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errStuck):
		return fail(KindScript, "the init code of the script did not end within %s: %w", initTimeout, err)
	case errors.Is(context.Cause(ctx), errInitTimeout):
		return fail(KindScript, "the init code of the script did not end within %s", initTimeout)
	}
	return err
}
