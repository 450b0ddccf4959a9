package executor

import "time"

// meter adds up the time of many at once: what each spends between its start and its end.
type meter struct {
	running int64
	sum     time.Duration // as if all that run had ended at 0
}

func (m *meter) start(at time.Duration) { m.running++; m.sum -= at }
func (m *meter) end(at time.Duration)   { m.running--; m.sum += at }

// total is the time spent so far; those that run are counted up to now.
func (m *meter) total(now time.Duration) time.Duration {
	return m.sum + time.Duration(m.running)*now
}

// usage is what a VU's time goes to.
type usage int8

const (
	unused  usage = iota // it is not meant to loop, or kept from it
	waiting              // it is to loop here, and is not ready
	looping
)

// timesheet is what the time of all VUs of a scenario goes to.
type timesheet struct {
	waiting, looping meter
}

// change books a VU's change from one use to another at a moment on the run's clock.
func (s *timesheet) change(from *usage, to usage, at time.Duration) {
	if *from == to {
		return
	}
	if m := s.meter(*from); m != nil {
		m.end(at)
	}
	if m := s.meter(to); m != nil {
		m.start(at)
	}
	*from = to
}

func (s *timesheet) meter(u usage) *meter {
	switch u {
	case waiting:
		return &s.waiting
	case looping:
		return &s.looping
	}
	return nil
}
