package executor

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestClockPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClock(time.Now().Add(2 * time.Second))
		reads := func(want time.Duration, standing bool) {
			t.Helper()
			if got := c.Now(); got != want || c.Standing() != standing {
				t.Errorf("reads %v, standing %v; want %v, %v", got, c.Standing(), want, standing)
			}
		}
		reads(-2*time.Second, false)
		time.Sleep(3 * time.Second)
		reads(time.Second, false)
		c.PauseAt(3 * time.Second)
		time.Sleep(time.Second)
		reads(2*time.Second, false)
		time.Sleep(time.Hour)
		reads(3*time.Second, true)
		if _, ok := c.Instant(4 * time.Second); ok {
			t.Error("a clock that stands still reads 4 s some time")
		}
		c.PauseAt(time.Second) // it stands already
		c.ResumeAt(time.Now().Add(time.Second))
		if at, ok := c.Instant(4 * time.Second); !ok || time.Until(at) != 2*time.Second {
			t.Errorf("reads 4 s in %v, %v", time.Until(at), ok)
		}
		c.PauseAt(5 * time.Second) // before it goes on
		time.Sleep(2 * time.Second)
		reads(4*time.Second, false)
		time.Sleep(time.Minute)
		reads(5*time.Second, true)
		c.ResumeAt(time.Now().Add(-10 * time.Second))
		reads(15*time.Second, false)
		c.PauseAt(time.Second) // has passed: at once
		time.Sleep(time.Second)
		reads(15*time.Second, true)
		c.ResumeAt(time.Now())
		c.PauseAt(20 * time.Second)
		c.ResumeAt(time.Now()) // over before it begins
		time.Sleep(10 * time.Second)
		reads(25*time.Second, false)
	})
}

func TestClockAdjust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, d := range []time.Duration{10 * time.Millisecond, -7 * time.Millisecond, 1, -1} {
			c := NewClock(time.Now())
			time.Sleep(time.Second)
			c.Adjust(d)
			last := c.Now()
			for range 25 {
				time.Sleep(time.Second)
				now := c.Now()
				if pace := now - last - time.Second; pace.Abs() > 500*time.Microsecond {
					t.Fatalf("adjusted by %v, it is off by %v in a second, want at most 500µs", d, pace)
				}
				last = now
			}
			if got, want := c.Now(), 26*time.Second+d; got != want {
				t.Errorf("adjusted by %v it reads %v, want %v", d, got, want)
			}
		}
		c := NewClock(time.Now())
		c.Adjust(time.Second)
		time.Sleep(time.Second)
		c.Adjust(0)
		time.Sleep(time.Second)
		if got, want := c.Now(), 2*time.Second+500*time.Microsecond; got != want {
			t.Errorf("an adjustment given up: it reads %v, want %v", got, want)
		}
		c.PauseAt(0)
		c.Adjust(time.Second)
		time.Sleep(time.Hour)
		if got, want := c.Now(), 2*time.Second+500*time.Microsecond; got != want {
			t.Errorf("adjusted while it stands it reads %v, want %v", got, want)
		}
	})
}

// A wait ends when the clock reads what was waited for, whatever happens to the clock meanwhile.
func TestClockWait(t *testing.T) {
	const seed = 4
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			c := NewClock(time.Now().Add(time.Duration(random.IntN(3000)-1000) * time.Millisecond))
			target := 10*time.Second + time.Duration(random.IntN(1000000000))
			done := make(chan time.Duration)
			go func() {
				c.wait(newTimer(), target, nil, nil, nil)
				done <- c.Now()
			}()
			for c.Now() < 8*time.Second {
				time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
				switch random.IntN(4) {
				case 0:
					c.PauseAt(c.Now() + time.Duration(random.IntN(500)-100)*time.Millisecond)
				case 1, 2:
					c.ResumeAt(time.Now().Add(time.Duration(random.IntN(1000)-200) * time.Millisecond))
				case 3:
					c.Adjust(time.Duration(random.IntN(20_000_000) - 10_000_000))
				}
			}
			c.ResumeAt(time.Now())
			if got := <-done; got < target-2 || got > target+2 {
				t.Errorf("woke up at %v, want %v", got, target)
			}
		})
	}
}

func BenchmarkClockNow(b *testing.B) {
	c := NewClock(time.Now())
	for b.Loop() {
		c.Now()
	}
}
