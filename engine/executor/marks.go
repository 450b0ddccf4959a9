package executor

import (
	"math"
	"time"
)

// How far marks of looping executors are to reach ahead. It matters little: they keep numbers, and no work.
const (
	loopingAhead = 6 * time.Second // about as long as it takes to be known that a node has died
	loopingFirst = 32              // iterations of each VU, as long as the pace is not known
)

// pacer says how far marks of looping executors have to reach ahead.
type pacer struct {
	at      time.Time // of the last measurement
	n       int64     // iterations ended then
	reach   int64
	starved bool // a VU had to wait
}

// ahead is how many iterations marks are to reach ahead, after n iterations have ended: those of the span at the
// present pace, at least some, and several times what they were when that had not been enough.
func (p *pacer) ahead(n int64, span time.Duration, least int64) int64 {
	now := time.Now()
	before := p.reach
	if took := now.Sub(p.at); p.at.IsZero() || took >= 50*time.Millisecond {
		if !p.at.IsZero() {
			p.reach = int64(min(float64(n-p.n)/float64(took)*float64(span), math.MaxInt64/8))
		}
		p.at, p.n = now, n
	}
	if p.starved {
		p.reach = max(p.reach, min(4*before, math.MaxInt64/8))
		p.starved = false
	}
	p.reach = max(p.reach, least)
	return p.reach
}

// starve notes that a VU waits for marks, and asks for more.
func (c *crew) starve() {
	c.mu.Lock()
	c.pace.starved = true
	c.mu.Unlock()
	c.ask()
}

// raised returns a channel that is closed when marks are raised.
func (c *crew) raised() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.more
}

// raise lets VUs look at their marks again; crew.mu is held.
func (c *crew) raise() {
	close(c.more)
	c.more = make(chan struct{})
}

// frozen reports that a promise keeps the marks of counted iterations from being raised; crew.mu is held.
func (c *crew) frozen() bool { return c.line.held != nil }

// counted reports whether the VUs run a number of iterations, and not for a time.
func (c *crew) counted() bool { return c.scenario.counted() }

func (s Scenario) counted() bool {
	return s.Executor == SharedIterations || s.Executor == PerVUIterations
}
