package http

import (
	"context"
	"sync"
	"time"
)

// pace lets calls through at a steady rate, shared by all VUs: no more than one at a time, none saved up.
type pace struct {
	interval time.Duration

	mu   sync.Mutex
	next time.Time // guarded by mu: when the next call may go
}

func newPace(perSecond int) *pace {
	return &pace{interval: time.Second / time.Duration(perSecond)}
}

// wait returns when the caller's turn has come, or when ctx ends.
func (p *pace) wait(ctx context.Context) error {
	d := p.reserve(time.Now())
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reserve takes the next turn and tells how far ahead it lies.
func (p *pace) reserve(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next.Before(now) {
		p.next = now
	}
	d := p.next.Sub(now)
	p.next = p.next.Add(p.interval)
	return d
}
