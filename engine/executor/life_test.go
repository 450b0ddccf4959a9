package executor

import (
	"context"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hive/engine/share"
)

// The local share, on a clock that the test moves, behind a fence where it wants one.
func onClock(t *testing.T, f *field, text string, fence *Fence, marked bool) (Executor, *Clock, chan struct{}) {
	t.Helper()
	s := parse(t, text)
	f.clock = NewClock(f.began)
	need := make(chan struct{}, 1)
	ex, err := New(s, 0, whole(s), Config{Pool: f, Events: f, Clock: f.clock, Fence: fence, Marked: marked, NeedMarks: need})
	if err != nil {
		t.Fatal(err)
	}
	return ex, f.clock, need
}

// In a pause nothing begins and no time passes, whatever the executor; tails stand still too.
func TestPauseOfTheRun(t *testing.T) {
	for _, text := range []string{
		`{"executor":"shared-iterations","vus":2,"iterations":60}`,
		`{"executor":"per-vu-iterations","vus":2,"iterations":30}`,
		`{"executor":"constant-vus","vus":2,"duration":"5s"}`,
		`{"executor":"ramping-vus","startVUs":2,"stages":[{"duration":"5s","target":2}]}`,
		`{"executor":"constant-arrival-rate","rate":10,"duration":"5s","preAllocatedVUs":4}`,
		`{"executor":"ramping-arrival-rate","startRate":10,"stages":[{"duration":"5s","target":10}],"preAllocatedVUs":4}`,
		`{"executor":"externally-controlled","vus":2,"maxVUs":2,"duration":"5s"}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newField(150 * time.Millisecond)
			ex, clock, _ := onClock(t, f, text, nil, false)
			clock.PauseAt(2 * time.Second)
			time.AfterFunc(time.Hour, func() { clock.ResumeAt(time.Now()) })
			if err := ex.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, at := range f.times(-1) {
				if at > 2*time.Second && at < time.Hour {
					t.Errorf("%s: an iteration began at %v, in the pause", text, at)
				}
			}
			if took := time.Since(f.began); took < time.Hour+2*time.Second || took > time.Hour+4*time.Second {
				t.Errorf("%s: took %v, want some 3 s after the pause", text, took)
			}
			if l := ex.Ledger(); l.Active > 0 && l.Active != 10 {
				t.Errorf("%s: VUs looped for %v s, want 10", text, l.Active)
			}
		})
	}
}

// A scenario that is stopped in a pause ends in the time that it gives its iterations.
func TestStopInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(time.Hour)
		ex, clock, _ := onClock(t, f, `{"executor":"constant-vus","vus":2,"duration":"50s","gracefulStop":"3s"}`, nil, false)
		clock.PauseAt(time.Second)
		time.AfterFunc(5*time.Second, ex.Stop)
		if err := ex.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTook(t, time.Since(f.began), 8*time.Second)
	})
}

// Behind a closed fence nothing runs: arrivals are lost, others wait.
func TestFenced(t *testing.T) {
	for _, tt := range []struct {
		text              string
		started, cut, gap int64
	}{
		{`{"executor":"shared-iterations","vus":2,"iterations":20}`, 20, 2, 0},
		{`{"executor":"per-vu-iterations","vus":2,"iterations":10}`, 20, 2, 0},
		{`{"executor":"constant-vus","vus":2,"duration":"8s","gracefulStop":"0s"}`, 20, 4, 0},
		{`{"executor":"constant-arrival-rate","rate":2,"duration":"8s","preAllocatedVUs":4,"gracefulStop":"0s"}`, 10, 0, 6},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newField(400 * time.Millisecond)
			var skew time.Duration
			fence := fakeFence(&skew)
			fence.Extend(time.Now().Add(3500 * time.Millisecond))
			time.AfterFunc(6200*time.Millisecond, func() { fence.Extend(time.Now().Add(time.Hour)) })
			ex, _, _ := onClock(t, f, tt.text, fence, false)
			if err := ex.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, at := range f.times(-1) {
				if at > 3500*time.Millisecond && at < 6200*time.Millisecond {
					t.Errorf("%s: an iteration began at %v, behind the fence", tt.text, at)
				}
			}
			l := ex.Ledger()
			if l.Lost != tt.gap || l.Started != tt.started && tt.gap == 0 && l.Active == 0 {
				t.Errorf("%s: %+v; want %d lost", tt.text, l, tt.gap)
			}
			if l.Active > 0 && l.Active != 2*(8-2.7) {
				t.Errorf("%s: looped for %v s", tt.text, l.Active)
			}
			if l.Started != l.Completed+l.Interrupted || l.Interrupted > tt.cut {
				t.Errorf("%s: %+v; want at most %d interrupted", tt.text, l, tt.cut)
			}
		})
	}
}

// A machine that stood still sends nothing of what it missed.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(time.Millisecond)
		ex, clock, _ := onClock(t, f, `{"executor":"constant-arrival-rate","rate":100,"duration":"10s","preAllocatedVUs":4}`, nil, false)
		done := make(chan error)
		go func() { done <- ex.Run(t.Context()) }()
		time.Sleep(2*time.Second + time.Millisecond)
		// As if nobody had been there for 3 s: the clock jumps.
		old := clock.cur.Swap(newCourse([]clockLeg{{at: f.began.Add(-3 * time.Second)}}))
		close(old.changed)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		l := ex.Ledger()
		if got := l.Dropped[Stalled.String()]; got != 300 || l.Dropped[NoFreeVU.String()]+got+l.Started != 1000 {
			t.Errorf("%+v, want 300 stalled of 1000", l)
		}
	})
}

// A process that stood still for longer than its lease counts none of that as time in which its VUs looped, whoever of
// them notices first; one that was back in time does, as its iterations went on.
func TestStoodStill(t *testing.T) {
	for _, tt := range []struct {
		still, fenced time.Duration
		want          float64
	}{
		{8 * time.Second, time.Second, 2 * (20 - 8 - 1)},
		{8 * time.Second, 0, 2 * (20 - 8)},
		{18 * time.Second, time.Second, 2 * 3.1},
		{2 * time.Second, 0, 2 * 20},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newField(400 * time.Millisecond)
			var skew atomic.Int64
			began := time.Now()
			fence := newFence(func() int64 { return int64(time.Since(began)) + skew.Load() })
			fence.Extend(time.Now().Add(6 * time.Second))
			ex, clock, _ := onClock(t, f, `{"executor":"constant-vus","vus":2,"duration":"20s","gracefulStop":"0s"}`, fence, false)
			done := make(chan error)
			go func() { done <- ex.Run(t.Context()) }()
			time.Sleep(3100 * time.Millisecond) // when nobody does anything, for the clocks do not jump at one instant
			skew.Store(int64(tt.still))
			old := clock.cur.Swap(newCourse([]clockLeg{{at: f.began.Add(-tt.still)}}))
			close(old.changed)
			time.Sleep(tt.fenced)
			fence.Extend(time.Now().Add(time.Hour))
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := ex.Ledger().Active; math.Abs(got-tt.want) > 2*pulseEvery.Seconds()+0.01 {
				t.Errorf("stood still for %v and fenced for %v more: looped for %v s, want %v", tt.still, tt.fenced, got, tt.want)
			}
		})
	}
}

// What a promise kept back begins when it is less than 250 ms late, and is lost otherwise; nothing of it counts as
// stalled.
func TestArrivalsWaitForAPromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(time.Millisecond)
		ex, _, _ := onClock(t, f, `{"executor":"constant-arrival-rate","rate":100,"duration":"10s","preAllocatedVUs":100}`, nil, false)
		s := parse(t, `{"executor":"constant-arrival-rate","rate":100,"duration":"10s","preAllocatedVUs":100}`)
		done := make(chan error)
		go func() { done <- ex.Run(t.Context()) }()
		time.Sleep(1500 * time.Millisecond)
		if err := ex.Propose(Epoch{Number: 2, From: time.Second, Share: whole(s).Share}); err == nil {
			t.Error("a proposal was accepted from a moment on up to which iterations have begun")
		}
		e := Epoch{Number: 2, From: 2 * time.Second, Share: whole(s).Share}
		if err := ex.Propose(e); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1495 * time.Millisecond)
		if l := ex.Ledger(); l.Started != 200 || l.Reached != 2*time.Second {
			t.Errorf("in the hold: %+v, want 200 started and all reached up to 2s", l)
		}
		if err := ex.Commit(e); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if l := ex.Ledger(); l.Lost != 75 || l.Started != 225 {
			t.Errorf("after the commit: %+v, want 75 lost and 225 started", l)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if l := ex.Ledger(); l.Lost+l.Started != 1000 || len(l.Dropped) > 0 || l.Reached < 10*time.Second {
			t.Errorf("at the end: %+v", l)
		}
	})
}

// How far marks go follows the pace, and VUs wait for them no longer than it takes to ask.
func TestMarks(t *testing.T) {
	for _, tt := range []struct {
		text string
		take time.Duration
		most int64 // what the marks may be ahead at the end
	}{
		{`{"executor":"shared-iterations","vus":5,"iterations":1000000,"maxDuration":"3m"}`, 60 * time.Second, 5},
		{`{"executor":"shared-iterations","vus":5,"iterations":1000000,"maxDuration":"3m"}`, 3 * time.Second, 5},
		{`{"executor":"shared-iterations","vus":5,"iterations":1000000,"maxDuration":"3m"}`, 10 * time.Millisecond, 1500},
		{`{"executor":"per-vu-iterations","vus":5,"iterations":1000000,"maxDuration":"3m"}`, 60 * time.Second, 1},
		{`{"executor":"per-vu-iterations","vus":5,"iterations":1000000,"maxDuration":"3m"}`, 10 * time.Millisecond, 300},
		{`{"executor":"constant-vus","vus":5,"duration":"3m"}`, 60 * time.Second, loopingFirst},
		{`{"executor":"constant-vus","vus":5,"duration":"3m"}`, 10 * time.Millisecond, 1300},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newField(tt.take)
			ex, _, need := onClock(t, f, tt.text, nil, true)
			ex.Allow(ex.Marks())
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- ex.Run(ctx) }()
			marks := Marks{}
			for time.Since(f.began) < 2*time.Minute+time.Second {
				time.Sleep(8 * time.Millisecond)
				select {
				case <-need:
					marks = ex.Marks()
					ex.Allow(marks)
				default:
				}
			}
			l := ex.Ledger()
			want := 5 * (1 + int64(121*time.Second/tt.take))
			if tt.take >= time.Second && l.Started != want || l.Started < want*97/100 {
				t.Errorf("%s: %d iterations of %v began in 2 minutes, want %d", tt.text, l.Started, tt.take, want)
			}
			ahead := marks.Limit - l.Started
			if l.Active > 0 {
				ahead = marks.Limit - l.Started/5
			}
			for _, limit := range marks.Slots {
				ahead = max(ahead, limit) // all VUs are alike
			}
			if len(marks.Slots) > 0 {
				ahead -= l.Started
				ahead += l.Started - l.Started/5
			}
			if ahead > tt.most {
				t.Errorf("%s: marks are %d ahead of iterations of %v, want at most %d", tt.text, ahead, tt.take, tt.most)
			}
			cancel()
			<-done
		})
	}
}

// A share that is complete counts n·V+k where it may move.
func TestMarkedNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(time.Second)
		ex, _, _ := onClock(t, f, `{"executor":"constant-vus","vus":3,"duration":"1s"}`, nil, true)
		ex.Allow(Marks{Limit: 10})
		if err := ex.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, e := range f.starts {
			if e.InTest != e.InVU*3+int64(e.slot) {
				t.Errorf("iteration %d of VU %d has number %d", e.InVU, e.slot, e.InTest)
			}
		}
	})
}

func TestScaleAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(100 * time.Millisecond)
		ex, _, _ := onClock(t, f, `{"executor":"externally-controlled","vus":1,"maxVUs":5,"duration":"10s"}`, nil, false)
		c := ex.(Controller)
		for _, err := range []error{c.ScaleAt(4, 2*time.Second), c.ScaleAt(3, 4*time.Second)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if c.ScaleAt(6, 0) == nil || c.ScaleAt(-1, 0) == nil {
			t.Error("a scale beyond the limits was accepted")
		}
		if err := ex.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := ex.Ledger().Active, float64(2+4*2+3*6); got != want {
			t.Errorf("VUs looped for %v s, want %v", got, want)
		}
		if at := f.times(3)[0]; at != 2*time.Second {
			t.Errorf("the fourth VU began at %v, want 2s", at)
		}
	})
}

// What is due while VUs are on their way from another node waits for them, for a moment.
func TestArrivalsWaitForMovedVUs(t *testing.T) {
	tests := []struct {
		name           string
		after          time.Duration // from the beginning of the epoch to the handover
		begun, dropped float64
	}{
		{"they come soon", 100 * time.Millisecond, 20, 0},
		{"they come late", 600 * time.Millisecond, 14, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := parse(t, `{"executor":"constant-arrival-rate","rate":10,"duration":"4s","preAllocatedVUs":2}`)
				plan := Layout([]Scenario{s})
				moved, err := share.Assign(plan, []int{0, 0}, 1)
				if err != nil {
					t.Fatal(err)
				}
				f := newField(time.Millisecond)
				from := 2 * time.Second
				ex, err := New(s, 0, Epoch{Number: 2, From: from, Share: moved[0], Awaits: moved[0].All()}, Config{Pool: f, Events: f, Clock: NewClock(f.began)})
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() { done <- ex.Run(t.Context()) }()
				time.Sleep(from + tt.after - 50*time.Millisecond)
				ex.Receive([]Handover{{Slot: 0, Next: 3}, {Slot: 1, Next: 4}})
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				l := ex.Ledger()
				var dropped int64
				for _, n := range l.Dropped {
					dropped += n
				}
				if float64(l.Completed) != tt.begun || float64(dropped) != tt.dropped {
					t.Errorf("%d iterations begun, %d dropped: want %v and %v", l.Completed, dropped, tt.begun, tt.dropped)
				}
			})
		})
	}
}

// An executor that has nothing to do waits for more, and one that has let everything go ends when it is told.
func TestEmptyShareWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := parse(t, `{"executor":"constant-vus","vus":2,"duration":"10s"}`)
		plan := Layout([]Scenario{s})
		shares, err := share.Assign(plan, []int{0, 0}, 2)
		if err != nil {
			t.Fatal(err)
		}
		f := newField(time.Second)
		cfg := Config{Pool: f, Events: f, Clock: NewClock(f.began), Marked: true}
		a, errA := New(s, 0, Epoch{Number: 1, Share: shares[0]}, cfg)
		b, errB := New(s, 0, Epoch{Number: 1, Share: shares[1]}, cfg)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		a.Allow(Marks{Limit: 100})
		b.Allow(Marks{Limit: 100})
		done := make(chan error, 2)
		for _, ex := range []Executor{a, b} {
			go func() { done <- ex.Run(t.Context()) }()
		}
		time.Sleep(2500 * time.Millisecond)
		moved, err := share.Assign(plan, []int{1, 1}, 2)
		if err != nil {
			t.Fatal(err)
		}
		from := 3*time.Second + 500*time.Millisecond
		if err := a.Commit(Epoch{Number: 2, From: from, Share: moved[0]}); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(Epoch{Number: 2, From: from, Share: moved[1], Awaits: moved[1].All()}); err != nil {
			t.Fatal(err)
		}
		a.Stop() // it has a share until the epoch begins
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		wantTook(t, time.Since(f.began), 4*time.Second) // the iterations of 3 s to 4 s have ended
		if got, want := a.Released(), []Handover{{Slot: 0, Next: 4, At: 4 * time.Second}, {Slot: 1, Next: 4, At: 4 * time.Second}}; !slices.Equal(got, want) {
			t.Fatalf("released %v, want %v", got, want)
		}
		time.Sleep(250 * time.Millisecond)
		b.Receive(a.Released())
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		la, lb := a.Ledger(), b.Ledger()
		if la.Active != 8 || lb.Active != 11.5 || lb.Handover != 0.5 {
			t.Errorf("looped for %v s and %v s, handed over for %v s", la.Active, lb.Active, lb.Handover)
		}
		if n := f.upTo(0); n != 10 {
			t.Errorf("the VU went on to iteration %d, want 10", n)
		}
	})
}
