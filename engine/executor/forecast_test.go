package executor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// kept runs a marked scenario and raises its marks as a node does: when it is asked, and now and then; each time takes
// 10 ms. The function ends both.
func kept(t *testing.T, f *field, kind Kind, vus int) (Executor, func()) {
	t.Helper()
	text := fmt.Sprintf(`{"executor":%q,"vus":%d,"iterations":1000000,"maxDuration":"1h"}`, kind, vus)
	ex, _, need := onClock(t, f, text, nil, true)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := ex.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			m := ex.Marks()
			time.Sleep(10 * time.Millisecond)
			ex.Allow(m)
			select {
			case <-need:
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return ex, func() { cancel(); wg.Wait() }
}

// reserved is how many iterations may begin and have not.
func reserved(ex Executor) int64 {
	m, n := ex.Marks(), int64(0)
	switch x := ex.(type) {
	case *sharedIterations:
		return max(m.Limit, x.limit.Load()) - x.taken.Load()
	case *perVUIterations:
		x.mu.Lock()
		defer x.mu.Unlock()
		for slot, l := range x.of {
			n += max(m.Slots[slot], l.limit.Load()) - l.n.Load()
		}
	}
	return n
}

// What is reserved at any moment is no more than two seconds of work and one iteration of each VU, and yet VUs wait
// for no more than a few words.
func TestMarksFollowThePace(t *testing.T) {
	const vus = 10
	for name, take := range map[string]func(Iteration) time.Duration{
		"5ms":   func(Iteration) time.Duration { return 5 * time.Millisecond },
		"50ms":  func(Iteration) time.Duration { return 50 * time.Millisecond },
		"700ms": func(Iteration) time.Duration { return 700 * time.Millisecond },
		"2s":    func(Iteration) time.Duration { return 2 * time.Second },
		"3s":    func(Iteration) time.Duration { return 3 * time.Second },
		"60s":   func(Iteration) time.Duration { return 60 * time.Second },
		"20ms to 80ms": func(it Iteration) time.Duration {
			return time.Duration(20+rand.New(rand.NewPCG(uint64(it.InTest), 1)).IntN(61)) * time.Millisecond
		},
		"the first ones fail at once": func(it Iteration) time.Duration {
			if it.InVU == 0 && it.InTest%3 == 0 {
				return time.Millisecond
			}
			return time.Second
		},
	} {
		for _, executor := range []Kind{SharedIterations, PerVUIterations} {
			t.Run(fmt.Sprintf("%s/%s", executor, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newField(0)
					f.take = take
					ex, end := kept(t, f, executor, vus)
					mean := meanOf(take)
					for time.Since(f.began) < max(8*time.Second, 6*min(mean, 5*time.Second)) {
						time.Sleep(7 * time.Millisecond)
						synctest.Wait()
						if got, most := reserved(ex), vus+vus*int64(2*time.Second/mean); got > most {
							t.Fatalf("after %v, %d iterations of %v are reserved, want at most %d", time.Since(f.began), got, mean, most)
						}
					}
					end()
					spent := time.Since(f.began)
					if got, want := ex.Ledger().Started, vus*int64(spent/(mean+12*time.Millisecond)); got < want || mean < time.Second && got < vus*int64(spent/mean)*97/100 {
						t.Errorf("%d iterations of %v began in %v, want %d", got, mean, spent, want)
					}
				})
			})
		}
	}
}

// meanOf is how long iterations take in the long run.
func meanOf(take func(Iteration) time.Duration) time.Duration {
	sum := time.Duration(0)
	for i := range int64(1000) {
		sum += take(Iteration{InTest: i, InVU: 1})
	}
	return sum / 1000
}

// A VU whose iterations are slow has its next one reserved when the one that it is in is about to end, and not before.
func TestSlowVUsReserveLate(t *testing.T) {
	const vus, take = 10, 3 * time.Second
	for _, executor := range []Kind{SharedIterations, PerVUIterations} {
		synctest.Test(t, func(t *testing.T) {
			f := newField(take)
			ex, end := kept(t, f, executor, vus)
			for _, tt := range []struct {
				at   time.Duration
				want int64
			}{
				{time.Second, 0}, {2900 * time.Millisecond, 0}, // nothing is known yet
				{3500 * time.Millisecond, 0}, {4200 * time.Millisecond, 0}, {4900 * time.Millisecond, vus},
				{7000 * time.Millisecond, 0}, {8000 * time.Millisecond, vus},
			} {
				time.Sleep(tt.at - time.Since(f.began))
				synctest.Wait()
				if got := reserved(ex); got != tt.want {
					t.Errorf("%s: after %v, %d iterations are reserved, want %d", executor, tt.at, got, tt.want)
				}
			}
			end()
			if got := ex.Ledger().Started; got != 3*vus {
				t.Errorf("%s: %d iterations began, want %d", executor, got, 3*vus)
			}
		})
	}
}

// What was learned long ago counts for little.
func TestMarksForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(0)
		slow := 20 * time.Second
		f.take = func(Iteration) time.Duration {
			if time.Since(f.began) > slow {
				return 10 * time.Second
			}
			return 10 * time.Millisecond
		}
		ex, end := kept(t, f, SharedIterations, 10)
		time.Sleep(slow + 5*time.Minute)
		synctest.Wait()
		if o := ex.(*sharedIterations).ahead.look(ex.(*sharedIterations).crew); o.mean < 9*time.Second {
			t.Errorf("iterations are thought to take %v, want 10s", o.mean)
		}
		end()
	})
}
