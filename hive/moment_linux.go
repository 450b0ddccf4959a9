package hive

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// momentNow reads the clock of this machine that goes on while no process of
// the hive lives and while the machine is suspended. Where the kernel does not
// say which start of which machine this is, there is none.
func momentNow() Moment {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Moment{}
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return Moment{}
	}
	return Moment{Machine: strings.TrimSpace(string(id)), Up: time.Duration(ts.Nano())}
}
