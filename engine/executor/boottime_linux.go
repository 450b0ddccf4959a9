package executor

import (
	"math"

	"golang.org/x/sys/unix"
)

// bootTime asks the machine for the time since it was started, with the time that it was suspended.
func bootTime() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return math.MaxInt64 / 2 // a clock that cannot be read keeps the fence closed
	}
	return t.Nano()
}
