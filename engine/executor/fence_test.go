package executor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// fakeFence is a fence on the time of a synctest bubble; skew is time that only it counts, as when a machine was
// suspended.
func fakeFence(skew *time.Duration) *Fence {
	began := time.Now()
	return newFence(func() int64 { return int64(time.Since(began) + *skew) })
}

func TestFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var skew time.Duration
		f := fakeFence(&skew)
		open := func(want bool) {
			t.Helper()
			synctest.Wait()
			opened := false
			select {
			case <-f.Opened():
				opened = true
			default:
			}
			if f.Open() != want || opened != want {
				t.Errorf("open %v, opened %v; want %v", f.Open(), opened, want)
			}
		}
		open(false)
		closed, free := f.Bind(t.Context())
		if synctest.Wait(); closed.Err() == nil {
			t.Error("a context of a closed fence has not ended")
		}
		free()
		f.Extend(time.Now().Add(5 * time.Second))
		open(true)
		ctx, free := f.Bind(t.Context())
		defer free()
		time.Sleep(4 * time.Second)
		f.Extend(time.Now().Add(5 * time.Second))
		f.Extend(time.Now().Add(time.Second)) // earlier than it knows already
		time.Sleep(4 * time.Second)
		open(true)
		if ctx.Err() != nil {
			t.Error("interrupted while the fence is open")
		}
		time.Sleep(time.Second)
		open(false)
		if !errors.Is(context.Cause(ctx), ErrFenced) {
			t.Errorf("the cause of the interruption is %v", context.Cause(ctx))
		}
		f.Extend(time.Now().Add(-time.Second)) // has passed
		open(false)
		f.Extend(time.Now().Add(time.Minute))
		open(true)
		again, free := f.Bind(t.Context())
		defer free()
		if ctx.Err() == nil || again.Err() != nil {
			t.Error("a context goes with one stretch of the fence")
		}
		skew = 2 * time.Minute // the machine was suspended: no timer has fired
		if f.Open() {
			t.Error("open after a suspension that took longer than the deadline")
		}
		open(false)
		if synctest.Wait(); again.Err() == nil {
			t.Error("not interrupted after a suspension")
		}
	})
}

// A lease that is known to be over closes the fence before its deadline.
func TestFenceClosedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, shut := range []func(*Fence){
			(*Fence).Close,
			func(f *Fence) { f.Extend(time.Now()) },
			func(f *Fence) { f.Extend(time.Now().Add(-time.Hour)) },
		} {
			var skew time.Duration
			f := fakeFence(&skew)
			f.Extend(time.Now().Add(time.Minute))
			ctx, free := f.Bind(t.Context())
			shut(f)
			if synctest.Wait(); f.Open() || !errors.Is(context.Cause(ctx), ErrFenced) {
				t.Errorf("open %v, the cause of the interruption is %v", f.Open(), context.Cause(ctx))
			}
			free()
			select {
			case <-f.Opened():
				t.Error("said to be open")
			default:
			}
			shut(f) // again
			f.Extend(time.Now().Add(time.Second))
			again, free := f.Bind(t.Context())
			if !f.Open() || again.Err() != nil {
				t.Error("not opened again")
			}
			time.Sleep(time.Second)
			if synctest.Wait(); f.Open() || again.Err() == nil {
				t.Error("not closed at the deadline after it was opened again")
			}
			free()
		}
	})
}

// Behind a fence that is closed at once iterations are interrupted, and none begins until it is opened.
func TestFenceClosedUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(400 * time.Millisecond)
		var skew time.Duration
		fence := fakeFence(&skew)
		fence.Extend(time.Now().Add(time.Hour))
		time.AfterFunc(1500*time.Millisecond, func() { fence.Extend(time.Now()) })
		time.AfterFunc(3*time.Second, func() { fence.Extend(time.Now().Add(time.Hour)) })
		ex, _, _ := onClock(t, f, `{"executor":"constant-vus","vus":2,"duration":"5s"}`, fence, false)
		if err := ex.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, at := range f.times(-1) {
			if at > 1500*time.Millisecond && at < 3*time.Second {
				t.Errorf("an iteration began at %v, behind the fence", at)
			}
		}
		if l := ex.Ledger(); l.Interrupted != 2 || l.Active != 7 {
			t.Errorf("%+v, want 2 interrupted and 7 s active", l)
		}
	})
}

func TestNoFence(t *testing.T) {
	var f *Fence
	ctx, free := f.Bind(t.Context())
	defer free()
	f.Extend(time.Now())
	f.Close()
	select {
	case <-f.Opened():
	default:
		t.Error("no fence is not open")
	}
	if !f.Open() || ctx != t.Context() {
		t.Error("no fence is a fence")
	}
}

// On this machine's own clock.
func TestFenceOnBootTime(t *testing.T) {
	f := NewFence()
	if f.Open() {
		t.Error("open before the first Extend")
	}
	f.Extend(time.Now().Add(time.Hour))
	if !f.Open() {
		t.Error("closed before its deadline")
	}
}

func BenchmarkFenceOpen(b *testing.B) {
	f := NewFence()
	f.Extend(time.Now().Add(time.Hour))
	for b.Loop() {
		f.Open()
	}
}

func TestWakefulFollowsBootTime(t *testing.T) {
	w := newWakeful()
	for _, moved := range []int64{0, int64(time.Hour), -int64(time.Hour)} {
		w.gap.Add(moved) // as if the wall clock had been set, or the machine suspended
		before := bootTime()
		if got := w.now(); got < before-int64(time.Millisecond) || got > bootTime()+int64(time.Millisecond) {
			t.Errorf("reads %d, want about %d", got, before)
		}
	}
}
