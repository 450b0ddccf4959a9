package isolate

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic reads the clock that Go's own monotonic readings come from.
func monotonic() int64 { return read(unix.CLOCK_MONOTONIC) }

// sinceBoot reads the clock that also goes on while the machine is suspended.
func sinceBoot() int64 { return read(unix.CLOCK_BOOTTIME) }

func read(clock int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return time.Now().UnixNano() // a kernel without that clock: Linux before 2.6.39
	}
	return ts.Nano()
}
