package http

import (
	"container/list"
	"context"
	"math"
	"sync"
	"time"
)

// Rate tells how many calls a second may go at a moment, 0 and fractions included, and until when that stays so. It is
// asked for moments that lie a little back, in ascending order, by one goroutine at a time, and must not call the Pace.
type Rate func(at time.Time) (perSecond float64, until time.Time)

// Fixed is a rate that never changes.
func Fixed(perSecond float64) Rate {
	return func(at time.Time) (float64, time.Time) { return perSecond, at.Add(math.MaxInt64) }
}

// Pace lets calls through at a rate that all VUs of a process share, in the order in which they came: no more than one
// at a time, none saved up while nobody calls. It keeps the account of a bucket that leaks at the rate: a call may go
// when it is empty, and fills it by one. The account holds fractions, so that a rate that changes, or is small, is kept
// to over any length of time.
type Pace struct {
	rate Rate

	mu      sync.Mutex // guards what follows
	at      time.Time  // up to when debt is reckoned; zero before the first call
	debt    float64    // calls that have gone ahead of the rate; below 0 where a waking came late
	now     float64    // the rate at the moment at, which holds
	until   time.Time  // up to this one
	waiting list.List  // chan struct{} of each call whose turn is to come, the first one first
	timer   *time.Timer
}

const (
	// lag is for how long a waking may be late without the calls that it delayed being lost; that of one call always may.
	// Timers are off by about a millisecond, which at high rates is several calls.
	lag = 5 * time.Millisecond
	// settled is a debt so small that it is one of rounding: of times to nanoseconds, at any rate.
	settled = 1e-6
	// pieces is how many changes of the rate are followed over a time in which nobody called.
	pieces = 64
)

// NewPace makes a pace of a rate.
func NewPace(r Rate) *Pace { return &Pace{rate: r} }

// Change runs f, which changes what the rate is made of: what has passed counts by the old rate, what comes by the new.
func (p *Pace) Change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.at.IsZero() {
		p.reckon(time.Now())
	}
	f()
	p.until = time.Time{}
	if p.waiting.Len() > 0 {
		p.serve()
	}
}

// Hold makes the next call wait as if so much of one had just gone.
func (p *Pace) Hold(calls float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reckon(time.Now())
	p.debt = max(p.debt, calls)
}

// wait returns when the caller's turn has come, or when ctx ends. A turn that nobody took is the next one's.
func (p *Pace) wait(ctx context.Context) error {
	turn, place := p.enter()
	if turn == nil {
		return ctx.Err()
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		p.leave(turn, place)
		return ctx.Err()
	}
}

// enter takes a turn, or a place among those who wait for one.
func (p *Pace) enter() (turn chan struct{}, place *list.Element) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting.Len() == 0 {
		p.reckon(time.Now())
		if p.debt <= settled {
			p.debt++
			return nil, nil
		}
	}
	turn = make(chan struct{})
	place = p.waiting.PushBack(turn)
	if p.waiting.Len() == 1 {
		p.serve()
	}
	return turn, place
}

// leave gives a place up, and the turn too when that came meanwhile.
func (p *Pace) leave(turn chan struct{}, place *list.Element) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-turn:
		p.debt--
	default:
		p.waiting.Remove(place)
	}
	if p.waiting.Len() > 0 {
		p.serve()
	} else if p.timer != nil {
		p.timer.Stop()
	}
}

// serve lets go whose turn has come and sets the timer for the next. p.mu is held.
func (p *Pace) serve() {
	now := time.Now()
	p.reckon(now)
	for p.waiting.Len() > 0 && p.debt <= settled {
		p.debt++
		close(p.waiting.Remove(p.waiting.Front()).(chan struct{}))
	}
	if p.waiting.Len() == 0 {
		return
	}
	d := p.until.Sub(now)
	if p.now > 0 {
		d = min(d, seconds(p.debt/p.now))
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(d, p.fire)
	} else {
		p.timer.Reset(d)
	}
}

func (p *Pace) fire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve()
}

// reckon takes the account up to a moment. p.mu is held.
func (p *Pace) reckon(now time.Time) {
	if p.at.IsZero() {
		p.at = now
	}
	for shortest := now.Sub(p.at) / pieces; p.at.Before(now); {
		if !p.at.Before(p.until) {
			p.now, p.until = p.rate(p.at)
		}
		end := p.at.Add(max(p.until.Sub(p.at), shortest, 1))
		if end.After(now) {
			end = now
		}
		p.debt -= p.now * end.Sub(p.at).Seconds()
		p.at = end
	}
	if !now.Before(p.until) {
		p.now, p.until = p.rate(now)
	}
	credit := 0.0
	if p.waiting.Len() > 0 {
		credit = max(1, p.now*lag.Seconds())
	}
	p.debt = max(p.debt, -credit)
}

// seconds is a time that is not too short by rounding.
func seconds(s float64) time.Duration {
	ns := math.Ceil(s * float64(time.Second))
	if ns >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(ns)
}
