package httpclient

import "time"

// epoch is an arbitrary moment that exchanges are timed against: reading only the monotonic clock is half the price
// of time.Now.
var epoch = time.Now()

// moment is a time on the monotonic clock; 0 stands for never.
type moment time.Duration

func now() moment { return moment(time.Since(epoch)) }

func (m moment) sub(o moment) time.Duration { return time.Duration(m - o) }

// time returns the moment as SetDeadline wants it.
func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(m))
}

func momentOf(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	if m := moment(t.Sub(epoch)); m != 0 {
		return m
	}
	return 1
}

// earliest returns the sooner of two moments.
func earliest(a, b moment) moment {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
