package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// longestJump bounds for how long the machine's wall clock is wrong.
const longestJump = 30 * time.Second

// jumpWord is the argument with which this program calls itself to set the clock.
const jumpWord = "jump-the-wall-clock"

// jump sets the wall clock of the machine by some time, and after d back.
func jump(at, by, d time.Duration) fault {
	return fault{at: at, what: fmt.Sprintf("clock %s for %s", signed(by), d), do: func(ctx context.Context, _ *performance) (time.Time, error) {
		err := callJump(ctx, by, d)
		return time.Now(), err
	}}
}

// meanwhile says that a fault is injected while the load is missing for another reason.
func meanwhile(f fault) fault {
	f.harms = true
	return f
}

func signed(d time.Duration) string {
	if d < 0 {
		return d.String()
	}
	return "+" + d.String()
}

// callJump has a process of its own set the clock, so that it is set back whatever becomes of this one.
func callJump(ctx context.Context, by, d time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.Command(self, jumpWord, by.String(), min(d, longestJump).String())
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // no Ctrl-C
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	alive, err := c.StdinPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { alive.Close() })
	defer stop()
	if err := c.Wait(); err != nil {
		return fmt.Errorf("set the clock: %w: %s", err, strings.TrimSpace(out.String()))
	}
	return nil
}

// performJump is what that process does: it sets the wall clock, waits until the time is over or its standard input ends,
// as it does with the process that called it, and sets the clock to what it would be.
func performJump(args []string, caller io.Reader) error {
	if len(args) != 2 {
		return errors.New("want by how much and for how long")
	}
	by, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	if d <= 0 || d > longestJump {
		return fmt.Errorf("for %s: want up to %s", d, longestJump)
	}
	ahead, err := wallAhead()
	if err != nil {
		return err
	}
	if err := setAhead(ahead + by); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, caller)
		close(ended)
	}()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ended:
	}
	return setAhead(ahead)
}

// wallAhead is how far the wall clock is ahead of the clock that nobody can set.
func wallAhead() (time.Duration, error) {
	boot, err := sinceBoot()
	if err != nil {
		return 0, err
	}
	wall, err := wallClock()
	return wall - boot, err
}

// setAhead sets the wall clock so far ahead of the clock that nobody can set.
func setAhead(by time.Duration) error {
	boot, err := sinceBoot()
	if err != nil {
		return err
	}
	return setWallClock(boot + by)
}
