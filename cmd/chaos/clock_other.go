//go:build !linux

package main

import (
	"errors"
	"time"
)

var errNoClock = errors.New("clocks are set on Linux only")

func sinceBoot() (time.Duration, error) { return 0, errNoClock }
func wallClock() (time.Duration, error) { return 0, errNoClock }
func setWallClock(time.Duration) error  { return errNoClock }
