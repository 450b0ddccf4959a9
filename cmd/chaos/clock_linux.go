package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot reads the clock that nobody can set.
func sinceBoot() (time.Duration, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano()), err
}

// wallClock reads the clock that [setWallClock] sets, since 1970.
func wallClock() (time.Duration, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_REALTIME, &ts)
	return time.Duration(ts.Nano()), err
}

// setWallClock sets the wall clock of the whole machine.
func setWallClock(to time.Duration) error {
	ts := unix.NsecToTimespec(int64(to))
	return unix.ClockSettime(unix.CLOCK_REALTIME, &ts)
}
