package executor

import (
	"sync/atomic"
	"time"
)

// wakeful reads the time since the machine was started, with the time that it was suspended. To ask the machine each
// time would cost several times what reading the common clocks does, so they are read, and the machine is asked when
// they have moved against each other: in a suspension the wall clock goes on and the other one does not.
type wakeful struct {
	base time.Time
	gap  atomic.Int64 // wall clock less monotonic clock since base, when the machine was asked
	boot atomic.Int64 // boot time less monotonic clock since base, as it was then
}

// gapMoved is how far the clocks may move against each other unasked; a wall clock that is being corrected moves, too.
const gapMoved = time.Millisecond

func newWakeful() *wakeful {
	w := &wakeful{base: time.Now()}
	w.boot.Store(bootTime())
	return w
}

// now is the boot time in nanoseconds.
func (w *wakeful) now() int64 {
	t := time.Now()
	run := int64(t.Sub(w.base))
	gap := t.UnixNano() - w.base.UnixNano() - run
	if time.Duration(gap-w.gap.Load()).Abs() < gapMoved {
		return run + w.boot.Load()
	}
	boot := bootTime()
	w.boot.Store(boot - run) // first, for those who see the new gap
	w.gap.Store(gap)
	return boot
}
