package http

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := NewPace(Fixed(10)), time.Now()
		for range 21 {
			if err := p.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(began); got != 2*time.Second {
			t.Errorf("21 calls at 10 a second took %v, want 2s", got)
		}
		time.Sleep(time.Minute)
		began = time.Now()
		p.wait(t.Context())
		p.wait(t.Context())
		if got := time.Since(began); got != 100*time.Millisecond {
			t.Errorf("after a pause two calls took %v, want 100ms: none are saved up", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := p.wait(ctx); err == nil {
			t.Error("waiting went on when its context had ended")
		}
		p.wait(t.Context())
		if got := time.Since(began); got != 200*time.Millisecond {
			t.Errorf("the call after one that gave up came at %v, want 200ms: its turn is the next one's", got)
		}
	})
}

// callers has n goroutines call as often as the pace lets them until ctx ends, and returns when each call went.
func callers(ctx context.Context, p *Pace, n int) *[]time.Time {
	var mu sync.Mutex
	var times []time.Time
	for range n {
		go func() {
			for p.wait(ctx) == nil {
				mu.Lock()
				times = append(times, time.Now())
				mu.Unlock()
			}
		}()
	}
	return &times
}

// A rate that changes is followed from the moment on at which it does, and fractions of a call are not lost.
func TestPaceOfChangingRate(t *testing.T) {
	for _, tt := range []struct {
		name string
		rate func(s float64) float64 // at a second
		want []int                   // calls in each second
	}{
		{"a third", func(float64) float64 { return 1.0 / 3 }, []int{1, 0, 0, 1, 0, 0, 1}},
		{"down", func(s float64) float64 { return 30 - 10*s }, []int{30, 20, 10, 1, 0}},
		{"up from nothing", func(s float64) float64 { return 10 * s }, []int{1, 9, 20, 30}}, // the first call goes at once, and is counted in the end
		{"never", func(float64) float64 { return 0 }, []int{1, 0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				p := NewPace(func(at time.Time) (float64, time.Time) {
					s := math.Floor(at.Sub(began).Seconds())
					return max(0, tt.rate(s)), began.Add(time.Duration(s+1) * time.Second)
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(len(tt.want))*time.Second-time.Millisecond)
				defer cancel()
				times := callers(ctx, p, 5)
				<-ctx.Done()
				synctest.Wait()
				got := make([]int, len(tt.want))
				for _, at := range *times {
					got[int(at.Sub(began)/time.Second)]++
				}
				for i, want := range tt.want {
					if got[i] != want {
						t.Fatalf("calls in each second: %v, want %v", got, tt.want)
					}
				}
			})
		})
	}
}

// Change is felt at once, by those who wait too.
func TestPaceChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		perSecond := 0.1
		p, began := NewPace(func(at time.Time) (float64, time.Time) { return perSecond, at.Add(time.Hour) }), time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		times := callers(ctx, p, 3)
		time.Sleep(5 * time.Second) // half of the next call's turn has passed
		p.Change(func() { perSecond = 50 })
		time.Sleep(995 * time.Millisecond)
		cancel()
		synctest.Wait()
		if got := (*times)[1].Sub(began); got != 5*time.Second+10*time.Millisecond {
			t.Errorf("the second call went after %v, want half a turn at 50 a second after the change", got)
		}
		if got := len(*times); got != 51 {
			t.Errorf("%d calls, want 1 before the change and 50 after it", got)
		}
	})
}

// What is held back goes when its turn comes, and not before.
func TestPaceHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := NewPace(Fixed(10)), time.Now()
		p.Hold(0.5)
		p.Hold(0)
		if err := p.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(began); got != 50*time.Millisecond {
			t.Errorf("the first call went after %v, want half a turn", got)
		}
	})
}
