package isolate

import "time"

// instant is a moment as two processes of one machine know it, in nanoseconds: a reading of the monotonic clock that all
// of them share.
type instant int64

// deadline is a moment on the clock that goes on while the machine is suspended, so that a message that was on its way
// meanwhile does not count as fresh.
type deadline int64

// readings is how often two clocks are read to find the closest pair.
const readings = 3

// pair reads Go's clock and another one at the same moment, within a fraction of a microsecond unless the process is
// interrupted each time.
func pair(clock func() int64) (now time.Time, reading int64) {
	best := int64(-1)
	for range readings {
		before := clock()
		t := time.Now()
		after := clock()
		if took := after - before; best < 0 || took < best {
			best, now, reading = took, t, before+took/2
		}
	}
	return now, reading
}

func instantOf(t time.Time) instant {
	now, reading := pair(monotonic)
	return instant(reading + int64(t.Sub(now)))
}

// time is the moment with this process's own monotonic reading, fit for timers.
func (i instant) time() time.Time {
	now, reading := pair(monotonic)
	return now.Add(time.Duration(int64(i) - reading))
}

func deadlineOf(t time.Time) deadline {
	now, reading := pair(sinceBoot)
	return deadline(reading + int64(t.Sub(now)))
}

func (d deadline) time() time.Time {
	now, reading := pair(sinceBoot)
	return now.Add(time.Duration(int64(d) - reading))
}
