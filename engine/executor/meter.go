package executor

import "time"

// meter adds up the time of many at once: what each spends between its start and its end. The sum of all may be more
// than a Duration can be, so that seconds and their fractions are kept apart.
type meter struct {
	running int64
	seconds int64         // of the sum, as if all that run had ended at 0
	rest    time.Duration // of the sum, below a second either way
}

func (m *meter) start(at time.Duration) { m.running++; m.add(-at) }
func (m *meter) end(at time.Duration)   { m.running--; m.add(at) }

// skip takes back what all that run spent for d.
func (m *meter) skip(d time.Duration) {
	m.seconds -= m.running * int64(d/time.Second)
	m.add(-time.Duration(m.running) * (d % time.Second))
}

func (m *meter) add(d time.Duration) {
	m.rest += d % time.Second
	m.seconds += int64(d/time.Second) + int64(m.rest/time.Second)
	m.rest %= time.Second
}

// total is the time spent so far in seconds; those that run are counted up to now.
func (m *meter) total(now time.Duration) float64 {
	seconds := m.seconds + m.running*int64(now/time.Second)
	return float64(seconds) + (m.rest + time.Duration(m.running)*(now%time.Second)).Seconds()
}

// moment is for how long a VU may be kept from looping without that counting as time in which it did not loop: about
// what a busy machine takes to get to it, or a word to those who keep the marks.
const moment = 100 * time.Millisecond

// usage is what a VU's time goes to.
type usage int8

const (
	unused  usage = iota // it is not meant to loop, or kept from it
	briefly              // it is kept from it, and may be back in a moment
	waiting              // it is to loop here, and is not ready: that counts once it loops
	looping
)

// timesheet is what the time of all VUs of a scenario goes to.
type timesheet struct {
	waited, looping meter
}

// change books a VU's change from one use to another at a moment on the run's clock.
func (s *timesheet) change(from *usage, to usage, at time.Duration) {
	if *from == to {
		return
	}
	if *from == looping {
		s.looping.end(at)
	}
	if to == looping {
		s.looping.start(at)
	}
	*from = to
}

// wait books what a VU has waited before it looped.
func (s *timesheet) wait(from, until time.Duration) {
	s.waited.start(from)
	s.waited.end(until)
}
