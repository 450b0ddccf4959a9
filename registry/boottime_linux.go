package registry

import (
	"syscall"
	"time"
	"unsafe"
)

// clockBoottime is Linux's number of the clock that goes on while the machine is suspended.
const clockBoottime = 7

// sinceBoot reads a clock that never jumps and that counts the time in which the machine was suspended, which Go's own
// monotonic clock does not.
func sinceBoot() time.Duration {
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return time.Since(started)
	}
	return time.Duration(ts.Nano())
}

// started is where the clock begins on a kernel without that one.
var started = time.Now()
