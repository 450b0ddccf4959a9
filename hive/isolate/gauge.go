package isolate

import (
	"context"
	"time"

	"hive/engine/machine"
	"hive/hive"
)

const (
	// mostLook and leastLook bound the time between two looks at a process's memory: a script can fill a gigabyte a second.
	mostLook, leastLook = 50 * time.Millisecond, 5 * time.Millisecond
	// machineEvery is how often the whole machine's memory is looked at, at most, which takes longer.
	machineEvery = 20 * time.Millisecond
	// looksLeft is how many more looks there are, at the present rate of growth, until the limit is reached.
	looksLeft = 4
)

// gauge watches the memory of one process.
type gauge struct {
	limit    int64        // bytes; 0 for no limit but the machine's
	spare    float64      // the part of the machine's memory that has to stay free
	resident func() int64 // what it holds now; 0 when that is not known
}

// await returns why the process must be stopped, as soon as it must; "" when done is closed before.
func (g gauge) await(done <-chan struct{}) string {
	timer := time.NewTimer(mostLook)
	defer timer.Stop()
	var machineAt time.Time
	before, at := int64(0), time.Now()
	for {
		select {
		case <-done:
			return ""
		case <-timer.C:
		}
		now, resident := time.Now(), g.resident()
		if why := overLimit(resident, g.limit); why != "" {
			return why
		}
		room := g.limit - resident
		if now.Sub(machineAt) >= machineEvery {
			machineAt = now
			free, total := machine.Available()
			if why := tooScarce(resident, free, total, g.spare); why != "" {
				return why
			}
			if left := int64(free) - int64(g.spare*float64(total)); total > 0 && (g.limit == 0 || left < room) {
				room = left
			}
		}
		timer.Reset(nextLook(resident-before, now.Sub(at), room))
		before, at = resident, now
	}
}

// nextLook is when to look again at a process that grew by so much in a time and has so much room left: at least a few
// times until the room is gone.
func nextLook(grown int64, in time.Duration, room int64) time.Duration {
	if grown <= 0 || in <= 0 {
		return mostLook
	}
	left := time.Duration(float64(room) / float64(grown) * float64(in))
	return min(max(left/looksLeft, leastLook), mostLook)
}

// WatchMemory looks after the memory of this process until ctx ends, as is done for engines. When the machine's runs low
// and this process is to blame, it calls over with last false, once, and when there is hardly any left, with last true.
func WatchMemory(ctx context.Context, over func(why *hive.Failure, last bool)) {
	g := gauge{spare: 2 * scarce, resident: func() int64 { return machine.Resident(0) }}
	for _, last := range []bool{false, true} {
		if why := g.await(ctx.Done()); why != "" {
			over(hive.Failf(hive.KindEngineMemory, "the test was stopped before the machine runs out of memory: %s", why), last)
		}
		g.spare = scarce
	}
}
