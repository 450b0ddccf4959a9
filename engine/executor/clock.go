package executor

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Never is a moment that does not come.
const Never time.Duration = math.MaxInt64

// Clock is the clock of a run on this node: one time axis that reads 0 when the load begins, which may lie ahead, and
// stands still in a pause. Its methods may be called at any time from any goroutine.
type Clock struct {
	mu  sync.Mutex // held by those that change the course
	cur atomic.Pointer[course]
}

// course is how a clock goes from a moment in the past on. It is never changed, only followed by another.
type course struct {
	legs    []clockLeg    // by time; the last one goes on for ever
	halts   bool          // some leg stands still
	changed chan struct{} // closed when another course is in force
}

// clockLeg is a straight piece of a course: at the instant at the clock reads run.
type clockLeg struct {
	at   time.Time
	run  time.Duration
	pace pace
}

// pace is how fast a clock goes.
type pace int8

const (
	steady   pace = iota
	standing      // in a pause
	fast          // by one part in slew
	slow
)

// slew is in how many nanoseconds an adjustment moves the clock by one: 500 ppm.
const slew = 2000

// NewClock makes a clock that reads 0 at start, be that ahead or past.
func NewClock(start time.Time) *Clock {
	c := &Clock{}
	c.cur.Store(newCourse([]clockLeg{{at: start}}))
	return c
}

func newCourse(legs []clockLeg) *course {
	halts := slices.ContainsFunc(legs, func(l clockLeg) bool { return l.pace == standing })
	return &course{legs: legs, halts: halts, changed: make(chan struct{})}
}

// Now is what the clock reads: negative before the load begins.
func (c *Clock) Now() time.Duration { return c.cur.Load().read(time.Now()) }

// Standing reports whether the clock stands still.
func (c *Clock) Standing() bool {
	cur := c.cur.Load()
	return cur.halts && cur.legs[cur.leg(time.Now())].pace == standing
}

// Instant is when the clock reads run, on this machine's clock. It is false while the clock stands, or is going to
// stand, before that without an end.
func (c *Clock) Instant(run time.Duration) (time.Time, bool) { return c.cur.Load().instant(run) }

// PauseAt makes the clock stand still when it reads run, or at once where it reads more.
func (c *Clock) PauseAt(run time.Duration) {
	c.follow(func(cur *course, now time.Time) []clockLeg {
		run = max(run, cur.read(now))
		at, ok := cur.instant(run)
		if !ok {
			return nil // it stands still before
		}
		if at.Before(now) {
			at = now
		}
		return append(slices.Clone(cur.legs[:cur.leg(at)+1]), clockLeg{at: at, run: run, pace: standing})
	})
}

// ResumeAt lets a clock that stands still, or is about to, go on at an instant of this machine's clock. When that has
// passed, the clock has gone on since then.
func (c *Clock) ResumeAt(at time.Time) {
	c.follow(func(cur *course, _ time.Time) []clockLeg {
		legs := slices.Clone(cur.legs)
		last := &legs[len(legs)-1]
		if last.pace != standing {
			return nil
		}
		if at.After(last.at) {
			return append(legs, clockLeg{at: at, run: last.run})
		}
		last.pace = steady // the pause is over before it begins
		return legs
	})
}

// Adjust moves the clock by d in all, gently: it goes at most 500 ppm faster or slower until that is done. What an
// earlier adjustment has left is given up. A clock that stands still, or is about to, is not moved.
func (c *Clock) Adjust(d time.Duration) {
	c.follow(func(cur *course, now time.Time) []clockLeg {
		if k := cur.leg(now); slices.ContainsFunc(cur.legs[k:], func(l clockLeg) bool { return l.pace == standing }) {
			return nil
		}
		here := clockLeg{at: now, run: cur.read(now)}
		if d == 0 || d.Abs() > Never/slew/2 { // nothing, or what would take a hundred years
			return []clockLeg{here}
		}
		here.pace = fast
		if d < 0 {
			here.pace = slow
		}
		takes := slew * d.Abs()
		return []clockLeg{here, {at: now.Add(takes), run: here.run + takes + d}}
	})
}

// follow replaces the course by what next makes of it; nil changes nothing.
func (c *Clock) follow(next func(cur *course, now time.Time) []clockLeg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cur, now := c.cur.Load(), time.Now()
	legs := next(cur, now)
	if legs == nil {
		return
	}
	fresh := newCourse(legs)
	fresh.legs = slices.Clone(legs[fresh.leg(now):]) // what has passed is over
	fresh.halts = newCourse(fresh.legs).halts
	c.cur.Store(fresh)
	close(cur.changed)
}

// leg is the number of the leg that is in force at t; the first one reaches back for ever.
func (c *course) leg(t time.Time) int {
	k := len(c.legs) - 1
	for k > 0 && t.Before(c.legs[k].at) {
		k--
	}
	return k
}

// read is what the clock reads at t.
func (c *course) read(t time.Time) time.Duration {
	l := &c.legs[c.leg(t)]
	d := t.Sub(l.at)
	switch l.pace {
	case standing:
		d = 0
	case fast:
		d += d / slew
	case slow:
		d -= d / slew
	}
	return l.run + d
}

// instant is the first moment at which the clock reads run, if there is one.
func (c *course) instant(run time.Duration) (time.Time, bool) {
	k := len(c.legs) - 1
	for k > 0 && (run < c.legs[k].run || run == c.legs[k].run && c.legs[k-1].pace == standing) {
		k--
	}
	l := &c.legs[k]
	d := run - l.run
	switch l.pace {
	case standing:
		return l.at, d <= 0
	case fast:
		d -= d / (slew + 1)
	case slow:
		d += d / (slew - 1)
	}
	return l.at.Add(d), true
}

// signal says why a wait has ended.
type signal int

const (
	signalTime signal = iota // the moment has come
	signalWake               // there is news
	signalStop               // the first of the ends
	signalOver               // the second
)

// wait sleeps until the clock reads run, wake gives a value or one of the ends is closed, and says which; any channel
// may be nil. It follows the clock through pauses and adjustments. The timer belongs to the caller, and is stopped or
// has been drained.
func (c *Clock) wait(timer *time.Timer, run time.Duration, wake, stop, over <-chan struct{}) signal {
	for {
		cur := c.cur.Load()
		var due <-chan time.Time
		if at, ok := cur.instant(run); ok && run < Never {
			d := time.Until(at)
			if d <= 0 {
				return signalTime
			}
			timer.Reset(d)
			due = timer.C
		}
		select {
		case <-due: // the course may have changed in this moment
			if c.cur.Load() == cur {
				return signalTime
			}
		case <-cur.changed:
			timer.Stop()
		case <-wake:
			timer.Stop()
			return signalWake
		case <-stop:
			timer.Stop()
			return signalStop
		case <-over:
			timer.Stop()
			return signalOver
		}
	}
}

// newTimer makes a timer for wait.
func newTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}
