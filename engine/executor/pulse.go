package executor

import "time"

const (
	// pulseEvery is how often a crew of which time is accounted for notes that it is alive.
	pulseEvery = 250 * time.Millisecond
	// stood is after how long without that it has stood still, and not only come late.
	stood = time.Second
)

// pulse tells when a process stood still for longer than its lease. It cannot know that by itself: nobody was there when
// the fence closed.
type pulse struct {
	at       time.Duration // the last beat, on the run's clock
	closings int           // of the fence until then
}

// beat notes a sign of life, and returns for how long there was none when the process stood still behind the fence.
func (p *pulse) beat(now time.Duration, closings int) (gap time.Duration) {
	if d := now - p.at; d > stood && closings != p.closings {
		gap = d
	}
	p.at, p.closings = max(p.at, now), closings
	return gap
}

// alive is a sign of life. VUs that looped when the process began to stand still, and were fenced before it went on, did
// not loop in that time, though none of them was there to say so; crew.mu is held. It is called before time is booked.
func (c *crew) alive(now time.Duration) {
	if gap := c.pulse.beat(min(now, c.ends()), c.Fence.closings()); gap > 0 {
		c.sheet.looping.skip(gap)
	}
}
