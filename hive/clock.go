package hive

import (
	"context"
	"fmt"
	"time"
)

// clockProbes is how many round trips an offset is taken from; the shortest counts.
const clockProbes = 8

// Clock is a node's own clock: wall time when it was made, and monotonic from
// there, so that it neither jumps nor is set back while a run goes on.
type Clock struct {
	base time.Time
	zero Instant
	from Moment // when it was made
}

// NewClock starts a clock.
func NewClock() *Clock {
	now := time.Now()
	return &Clock{base: now, zero: Instant(now.UnixNano()), from: momentNow()}
}

// Now is the present instant on this clock.
func (c *Clock) Now() Instant { return c.zero + Instant(time.Since(c.base)) }

// Set is how far the machine's wall clock has been set ahead since the clock was
// made. What it goes on while the machine is suspended does not count.
func (c *Clock) Set() time.Duration {
	now := time.Now()
	gone, ok := momentNow().after(c.from)
	if !ok {
		gone = now.Sub(c.base)
	}
	return now.Round(0).Sub(c.base.Round(0)) - gone
}

// Time turns an instant of this clock into a time with a monotonic reading,
// fit for timers.
func (c *Clock) Time(i Instant) time.Time { return c.base.Add(time.Duration(i - c.zero)) }

// Offset is how far another clock is ahead of one's own.
type Offset struct {
	Delta time.Duration `json:"delta"`
	// RTT of the round trip it was taken from; Delta is right within RTT/2.
	RTT time.Duration `json:"rtt"`
}

// Measure asks another clock the time a few times and takes the offset from
// the shortest round trip.
func (c *Clock) Measure(ctx context.Context, ask func(context.Context) (Instant, error)) (Offset, error) {
	best := Offset{RTT: -1}
	var failed error
	for range clockProbes {
		sent := c.Now()
		theirs, err := ask(ctx)
		back := c.Now()
		if err != nil {
			failed = err
			continue
		}
		if rtt := time.Duration(back - sent); best.RTT < 0 || rtt < best.RTT {
			best = Offset{Delta: time.Duration(theirs-sent) - rtt/2, RTT: rtt}
		}
	}
	if best.RTT < 0 {
		return Offset{}, fmt.Errorf("measure the offset between two clocks: %w", failed)
	}
	return best, nil
}
