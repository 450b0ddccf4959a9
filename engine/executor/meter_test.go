package executor

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// The time of many VUs is more than a Duration can be.
func TestMeterOfMany(t *testing.T) {
	const vus, day = 100_000, 24 * time.Hour
	var m meter
	for range vus {
		m.start(300*day + 250*time.Millisecond)
	}
	if got, want := m.total(600*day+750*time.Millisecond), vus*(300*86400+0.5); got != want {
		t.Errorf("running: got %v s, want %v", got, want)
	}
	for range vus {
		m.end(400*day + 500*time.Millisecond)
	}
	if got, want := m.total(900*day), vus*(100*86400+0.25); got != want {
		t.Errorf("ended: got %v s, want %v", got, want)
	}
}

// Waiting for marks costs nothing when it takes no more than a moment, be it at the start, between or at the end. What
// takes longer shows in full.
func TestActiveWhileWaitingForMarks(t *testing.T) {
	for _, tt := range []struct {
		first, next time.Duration // after the start when marks come, and after 4, 8, ... s
		want        float64
	}{
		{0, 0, 20},
		{50 * time.Millisecond, 90 * time.Millisecond, 20},
		{200 * time.Millisecond, 0, 20 - 2*0.2},
		{0, time.Second, 20 - 2*1},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newField(time.Second)
			ex, _, need := onClock(t, f, `{"executor":"constant-vus","vus":2,"duration":"10s"}`, nil, true)
			done := make(chan error)
			go func() { done <- ex.Run(t.Context()) }()
			for limit, wait := int64(4), tt.first; limit < 20; limit, wait = limit+4, tt.next {
				if limit > 4 || wait > 0 {
					time.Sleep(time.Until(f.began.Add(time.Duration(limit-4)*time.Second)) + wait)
				}
				select {
				case <-need:
				default:
				}
				ex.Allow(Marks{Limit: limit})
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if l := ex.Ledger(); fmt.Sprintf("%.6f", l.Active) != fmt.Sprintf("%.6f", tt.want) || l.Handover != 0 {
				t.Errorf("marks after %v and %v: active for %v s, handed over for %v s; want %v and none", tt.first, tt.next, l.Active, l.Handover, tt.want)
			}
		})
	}
}

// A VU that begins a little late has been looping since it was to; one that is much too late has not.
func TestActiveAfterALateStart(t *testing.T) {
	for _, tt := range []struct {
		initTime         time.Duration
		active, handover float64
	}{
		{3 * time.Millisecond, 6, 0},
		{100 * time.Millisecond, 6, 0},
		{250 * time.Millisecond, 5.5, 0.5},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newField(170 * time.Millisecond)
			f.initTime = tt.initTime
			ex, _, _ := onClock(t, f, `{"executor":"constant-vus","vus":2,"duration":"3s"}`, nil, false)
			if err := ex.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if l := ex.Ledger(); l.Active != tt.active || l.Handover != tt.handover {
				t.Errorf("made in %v: active for %v s, handed over for %v s; want %v and %v", tt.initTime, l.Active, l.Handover, tt.active, tt.handover)
			}
		})
	}
}
