package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hive/engine/share"
)

// field is a pool whose VUs take a fixed time for each iteration, and a record of all that happened.
type field struct {
	take     func(it Iteration) time.Duration // of one iteration
	initTime time.Duration
	initErr  error
	clock    *Clock // of the run; may be nil

	mu          sync.Mutex
	began       time.Time
	out         map[int]bool // slots that are out
	starts      []event
	running     int
	most        int
	completed   int
	interrupted int
	dropped     map[Reason]int64
	droppedVUs  []int
	late        time.Duration
	warnings    []string
}

type event struct {
	at   time.Duration
	run  time.Duration // on the run's clock, where there is one
	slot int
	Iteration
}

func newField(take time.Duration) *field {
	return &field{
		take: func(Iteration) time.Duration { return take }, began: time.Now(),
		out: map[int]bool{}, dropped: map[Reason]int64{},
	}
}

func (f *field) Get(ctx context.Context, scenario, slot int) (VU, error) {
	if f.initTime > 0 { // timers of no length upset the race detector in a bubble of synctest (Go 1.26)
		select {
		case <-time.After(f.initTime):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.initErr != nil {
		return nil, f.initErr
	}
	if f.out[slot] {
		return nil, fmt.Errorf("slot %d was handed out twice", slot)
	}
	f.out[slot] = true
	return &man{field: f, slot: slot}, nil
}

func (f *field) Put(scenario, slot int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.out, slot)
}

func (f *field) Release(int) {}

func (f *field) Started(int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running++
	f.most = max(f.most, f.running)
}

func (f *field) Ended(_ int, interrupted bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
	if interrupted {
		f.interrupted++
	} else {
		f.completed++
	}
}

func (f *field) Dropped(_ int, n int64, why Reason, slot int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropped[why] += n
	f.droppedVUs = append(f.droppedVUs, slot)
}

func (f *field) Lateness(_ int, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late = max(f.late, d)
}

func (f *field) Warn(_ int, message string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.warnings = append(f.warnings, message)
}

// man is a VU of the field.
type man struct {
	field *field
	slot  int
}

func (m *man) Iterate(ctx context.Context, it Iteration) error {
	f := m.field
	f.mu.Lock()
	e := event{at: time.Since(f.began), slot: m.slot, Iteration: it}
	if f.clock != nil {
		e.run = f.clock.Now()
	}
	f.starts = append(f.starts, e)
	f.mu.Unlock()
	select {
	case <-time.After(f.take(it)):
		return nil
	case <-ctx.Done():
		return ErrInterrupted
	}
}

// times lists when iterations began, of one slot or (-1) of all.
func (f *field) times(slot int) []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []time.Duration
	for _, e := range f.starts {
		if slot < 0 || e.slot == slot {
			list = append(list, e.at)
		}
	}
	slices.Sort(list)
	return list
}

// numbers lists the iterations' numbers in the test, sorted.
func (f *field) numbers() []int64 {
	var list []int64
	for _, e := range f.starts {
		list = append(list, e.InTest)
	}
	slices.Sort(list)
	return list
}

func upTo(n int) []int64 {
	list := make([]int64, n)
	for i := range list {
		list[i] = int64(i)
	}
	return list
}

// whole is the epoch of a run on one machine.
func whole(s Scenario) Epoch { return Epoch{Number: 1, Share: share.Whole(Layout([]Scenario{s}))} }

// start makes an executor of the whole scenario, which begins at f.began.
func start(t *testing.T, s Scenario, f *field) Executor {
	t.Helper()
	ex, err := New(s, 0, whole(s), Config{Pool: f, Events: f, Clock: NewClock(f.began)})
	if err != nil {
		t.Fatal(err)
	}
	return ex
}

// run runs the whole scenario to its end and says how long that took.
func run(t *testing.T, f *field, text string) time.Duration {
	t.Helper()
	f.began = time.Now()
	ex := start(t, parse(t, text), f)
	if err := ex.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(f.out) > 0 || f.running > 0 {
		t.Errorf("VUs that were not given back: %v; running: %d", f.out, f.running)
	}
	if p := ex.Progress(); !p.Done || p.Fraction != 1 || p.Active != 0 {
		t.Errorf("progress at the end: %+v", p)
	}
	return time.Since(f.began)
}

func (f *field) want(t *testing.T, completed, interrupted int, dropped int64) {
	t.Helper()
	if f.completed != completed || f.interrupted != interrupted || f.dropped[NoFreeVU]+f.dropped[MaxDuration] != dropped {
		t.Errorf("got %d completed, %d interrupted, %v dropped; want %d, %d, %d",
			f.completed, f.interrupted, f.dropped, completed, interrupted, dropped)
	}
}

func wantTook(t *testing.T, got, want time.Duration) {
	t.Helper()
	if got != want {
		t.Errorf("took %v, want %v", got, want)
	}
}

func TestSharedIterations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(0)
		f.take = func(it Iteration) time.Duration {
			if it.InTest == 0 {
				return 3 * time.Second // one VU is slow, the other does the rest
			}
			return time.Second
		}
		wantTook(t, run(t, f, `{"executor":"shared-iterations","vus":2,"iterations":4,"startTime":"5s"}`), 8*time.Second)
		f.want(t, 4, 0, 0)
		if got := f.numbers(); !slices.Equal(got, upTo(4)) {
			t.Errorf("numbers %v, want 0 to 3", got)
		}
	})
}

func TestSharedIterationsMaxDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(2 * time.Second)
		// At 3 s: 2 VUs have completed one each and are in their second; 6 of 10 are left.
		wantTook(t, run(t, f, `{"executor":"shared-iterations","vus":2,"iterations":10,"maxDuration":"3s"}`), 4*time.Second)
		f.want(t, 4, 0, 6)
		if f.dropped[MaxDuration] != 6 || !slices.Equal(f.droppedVUs, []int{NoSlot}) {
			t.Errorf("dropped %v of VUs %v", f.dropped, f.droppedVUs)
		}
	})
}

func TestPerVUIterations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(time.Second)
		wantTook(t, run(t, f, `{"executor":"per-vu-iterations","vus":3,"iterations":2}`), 2*time.Second)
		f.want(t, 6, 0, 0)
		if got := f.numbers(); !slices.Equal(got, upTo(6)) {
			t.Errorf("numbers %v, want 0 to 5", got)
		}
	})
}

func TestPerVUIterationsMaxDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(2 * time.Second)
		wantTook(t, run(t, f, `{"executor":"per-vu-iterations","vus":2,"iterations":5,"maxDuration":"3s","gracefulStop":"500ms"}`), 3500*time.Millisecond)
		f.want(t, 2, 2, 6)
		slices.Sort(f.droppedVUs)
		if !slices.Equal(f.droppedVUs, []int{0, 1}) {
			t.Errorf("dropped of VUs %v, want one report of each", f.droppedVUs)
		}
	})
}

func TestConstantVUs(t *testing.T) {
	for _, tt := range []struct {
		name, graceful         string
		took                   time.Duration
		completed, interrupted int
	}{
		{"ends within gracefulStop", "30s", 6 * time.Second, 6, 0},
		{"is cut", "500ms", 5500 * time.Millisecond, 4, 2},
		{"no grace", "0s", 5 * time.Second, 4, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newField(2 * time.Second)
				wantTook(t, run(t, f, `{"executor":"constant-vus","vus":2,"duration":"5s","gracefulStop":"`+tt.graceful+`"}`), tt.took)
				f.want(t, tt.completed, tt.interrupted, 0)
			})
		})
	}
}

func TestRampingVUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(130 * time.Millisecond)
		wantTook(t, run(t, f, `{"executor":"ramping-vus","startVUs":0,"stages":[{"duration":"4s","target":4},{"duration":"4s","target":0}]}`),
			8020*time.Millisecond) // the first VU's last iteration ends a little later
		// VU k starts at k+1 s and stops at 8-k s, after its iteration.
		for slot := range 4 {
			got := f.times(slot)
			if want := time.Duration(slot+1) * time.Second; got[0] != want {
				t.Errorf("VU %d began at %v, want %v", slot, got[0], want)
			}
			if last := time.Duration(8-slot) * time.Second; got[len(got)-1] > last || got[len(got)-1] < last-200*time.Millisecond {
				t.Errorf("VU %d began its last iteration at %v, want just before %v", slot, got[len(got)-1], last)
			}
		}
		if f.most != 4 || f.interrupted != 0 {
			t.Errorf("at most %d at once, %d interrupted", f.most, f.interrupted)
		}
	})
}

func TestGracefulRampDown(t *testing.T) {
	for _, tt := range []struct {
		name, grace            string
		took                   time.Duration
		completed, interrupted int
	}{
		{"long enough", "30s", 10 * time.Second, 2, 0},
		{"too short", "1s", 3 * time.Second, 0, 2},
		{"none", "0s", 2 * time.Second, 0, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newField(10 * time.Second)
				wantTook(t, run(t, f, `{"executor":"ramping-vus","startVUs":2,"stages":[{"duration":"2s","target":2},{"duration":"0s","target":0}],"gracefulRampDown":"`+tt.grace+`"}`), tt.took)
				f.want(t, tt.completed, tt.interrupted, 0)
			})
		})
	}
}

// A VU that is wanted again while it is still in its last iteration goes on with its count.
func TestRampUpWithinGracefulRampDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(3 * time.Second)
		run(t, f, `{"executor":"ramping-vus","startVUs":1,"stages":[{"duration":"1s","target":1},{"duration":"0s","target":0},{"duration":"1s","target":0},{"duration":"0s","target":1},{"duration":"2s","target":1}],"gracefulRampDown":"2s"}`)
		if got, want := f.times(0), []time.Duration{0, 3 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("began at %v, want %v", got, want)
		}
		f.want(t, 2, 0, 0)
	})
}

// A VU that was cut and is wanted again starts anew, with its count going on.
func TestRampUpAfterCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(3 * time.Second)
		run(t, f, `{"executor":"ramping-vus","startVUs":1,"stages":[{"duration":"1s","target":1},{"duration":"0s","target":0},{"duration":"1s","target":0},{"duration":"0s","target":1},{"duration":"2s","target":1}],"gracefulRampDown":"500ms"}`)
		if got, want := f.times(0), []time.Duration{0, 2 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("began at %v, want %v", got, want)
		}
		if n := f.starts[1].InVU; n != 1 {
			t.Errorf("the second iteration has number %d in its VU, want 1", n)
		}
		f.want(t, 1, 1, 0)
	})
}

func TestConstantArrivalRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(10 * time.Millisecond)
		wantTook(t, run(t, f, `{"executor":"constant-arrival-rate","rate":100,"duration":"2s","preAllocatedVUs":5}`), 2*time.Second)
		f.want(t, 200, 0, 0)
		for i, at := range f.times(-1) {
			if want := time.Duration(i) * 10 * time.Millisecond; at != want {
				t.Fatalf("iteration %d began at %v, want %v", i, at, want)
			}
		}
		if got := f.numbers(); !slices.Equal(got, upTo(200)) {
			t.Error("the numbers are not 0 to 199")
		}
		if f.late != 0 {
			t.Errorf("late by up to %v", f.late)
		}
	})
}

func TestRampingArrivalRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(time.Millisecond)
		wantTook(t, run(t, f, `{"executor":"ramping-arrival-rate","stages":[{"duration":"2s","target":10}],"preAllocatedVUs":2}`), 2*time.Second+time.Millisecond)
		f.want(t, 10, 0, 0)
		if first := f.times(-1)[0].Round(time.Millisecond); first != 632*time.Millisecond {
			t.Errorf("the first began at %v, want 632ms", first)
		}
	})
}

// With no free VU an iteration is dropped, and up to maxVUs one VU at a time is initialised.
func TestArrivalGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(10 * time.Second)
		f.initTime = 0
		s := parse(t, `{"executor":"constant-arrival-rate","rate":10,"duration":"2s","preAllocatedVUs":1,"maxVUs":3,"gracefulStop":"0s"}`)
		ex := start(t, s, f)
		f.initTime = 250 * time.Millisecond
		if err := ex.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Due at 0: VU 1, which is ready at 0.25 s. Due at 0.1: dropped, VU 2 ready at 0.35 and used at 0.4.
		// Due at 0.5: dropped, VU 3 ready at 0.75 and used at 0.8. All others are dropped.
		want := []time.Duration{250 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}
		if got := f.times(-1); !slices.Equal(got, want) {
			t.Errorf("began at %v, want %v", got, want)
		}
		f.want(t, 0, 3, 17)
		if f.late != 250*time.Millisecond {
			t.Errorf("late by up to %v, want 250ms", f.late)
		}
		if len(f.warnings) != 1 {
			t.Errorf("warnings %q, want one", f.warnings)
		}
	})
}

func TestArrivalEndsWhileGrowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(time.Second)
		f.initTime = time.Hour
		wantTook(t, run(t, f, `{"executor":"constant-arrival-rate","rate":1,"duration":"1s","preAllocatedVUs":0,"maxVUs":3}`), time.Second)
		f.want(t, 0, 0, 1)
	})
}

func TestStop(t *testing.T) {
	for _, text := range []string{
		`{"executor":"shared-iterations","vus":2,"iterations":100,"gracefulStop":"5s"}`,
		`{"executor":"per-vu-iterations","vus":2,"iterations":100,"gracefulStop":"5s"}`,
		`{"executor":"constant-vus","vus":2,"duration":"1m","gracefulStop":"5s"}`,
		`{"executor":"ramping-vus","startVUs":2,"stages":[{"duration":"1m","target":2}],"gracefulStop":"5s"}`,
		`{"executor":"constant-arrival-rate","rate":2,"timeUnit":"4s","duration":"1m","preAllocatedVUs":5,"gracefulStop":"5s"}`,
		`{"executor":"ramping-arrival-rate","startRate":1,"timeUnit":"2s","stages":[{"duration":"1m","target":1}],"preAllocatedVUs":5,"gracefulStop":"5s"}`,
	} {
		s := parse(t, text)
		t.Run(string(s.Executor), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newField(3 * time.Second)
				ex := start(t, s, f)
				time.AfterFunc(4*time.Second+time.Millisecond, func() { ex.Stop(); ex.Stop() })
				if err := ex.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if f.interrupted > 0 || len(f.dropped) > 0 || f.completed == 0 {
					t.Errorf("%d completed, %d interrupted, %v dropped", f.completed, f.interrupted, f.dropped)
				}
				for _, at := range f.times(-1) {
					if at > 4*time.Second+time.Millisecond {
						t.Errorf("an iteration began at %v, after Stop", at)
					}
				}
			})
			synctest.Test(t, func(t *testing.T) {
				f := newField(time.Hour)
				ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
				defer cancel()
				if err := start(t, s, f).Run(ctx); err != nil {
					t.Fatal(err)
				}
				wantTook(t, time.Since(f.began), 7*time.Second)
				if f.completed > 0 || f.interrupted == 0 || len(f.out) > 0 {
					t.Errorf("%d completed, %d interrupted, out: %v", f.completed, f.interrupted, f.out)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				f := newField(time.Second)
				f.began = f.began.Add(time.Hour)
				ex := start(t, s, f)
				ex.Stop()
				if err := ex.Run(t.Context()); err != nil || len(f.starts) > 0 {
					t.Errorf("stopped before the start: %v, %d iterations", err, len(f.starts))
				}
			})
			synctest.Test(t, func(t *testing.T) {
				f := newField(time.Second)
				f.initErr = errors.New("no memory")
				err := start(t, s, f).Run(t.Context())
				if !errors.Is(err, f.initErr) {
					t.Errorf("got %v, want the error of the pool", err)
				}
			})
		})
	}
}

// Three nodes together run each iteration of the whole once.
func TestNodesTogether(t *testing.T) {
	for _, text := range []string{
		`{"executor":"shared-iterations","vus":7,"iterations":50}`,
		`{"executor":"per-vu-iterations","vus":7,"iterations":5}`,
		`{"executor":"constant-arrival-rate","rate":25,"duration":"2s","preAllocatedVUs":7}`,
		`{"executor":"ramping-arrival-rate","stages":[{"duration":"2s","target":50}],"preAllocatedVUs":7}`,
		`{"executor":"constant-vus","vus":7,"duration":"3s"}`,
		`{"executor":"ramping-vus","stages":[{"duration":"3s","target":7}]}`,
	} {
		s := parse(t, text)
		t.Run(string(s.Executor), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shares, err := share.Split(Layout([]Scenario{s}), []int{100, 100, 200})
				if err != nil {
					t.Fatal(err)
				}
				f := newField(100 * time.Millisecond)
				var nodes sync.WaitGroup
				for _, sh := range shares {
					ex, err := New(s, 0, Epoch{Number: 1, Share: sh}, Config{Pool: f, Events: f, Clock: NewClock(f.began)})
					if err != nil {
						t.Fatal(err)
					}
					nodes.Go(func() {
						if err := ex.Run(t.Context()); err != nil {
							t.Error(err)
						}
					})
				}
				nodes.Wait()
				got := f.numbers()
				if n := len(slices.Compact(slices.Clone(got))); n != len(got) {
					t.Fatalf("%d iterations with %d numbers", len(got), n)
				}
				want := map[Kind]int{SharedIterations: 50, PerVUIterations: 35, ConstantArrivalRate: 50, RampingArrivalRate: 50}[s.Executor]
				if want > 0 && !slices.Equal(got, upTo(want)) {
					t.Errorf("got the numbers %v, want 0 to %d", got, want-1)
				}
			})
		})
	}
}

func TestExternallyControlled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(time.Second)
		ex := start(t, parse(t, `{"executor":"externally-controlled","vus":2,"maxVUs":5,"duration":"10s"}`), f)
		control := ex.(Controller)
		done := make(chan error)
		go func() { done <- ex.Run(t.Context()) }()
		active := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := ex.Progress().Active; got != want {
				t.Errorf("at %v %d VUs are active, want %d", time.Since(f.began), got, want)
			}
		}
		time.Sleep(500 * time.Millisecond)
		active(2)
		if err := control.Scale(5, 5); err != nil {
			t.Fatal(err)
		}
		active(5)
		for _, bad := range [][2]int{{6, 5}, {-1, 5}, {3, 6}, {3, -1}} {
			if err := control.Scale(bad[0], bad[1]); err == nil {
				t.Errorf("Scale(%d, %d) was accepted", bad[0], bad[1])
			}
		}
		if err := control.Scale(1, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // the others end their iterations
		active(1)
		control.Pause()
		time.Sleep(time.Hour)
		active(0)
		count := len(f.starts)
		control.Resume()
		active(1)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		wantTook(t, time.Since(f.began), time.Hour+10*time.Second)
		// The last iteration is interrupted: there is no graceful stop.
		if got := len(f.starts) - count; got != 9 || f.interrupted != 1 {
			t.Errorf("%d iterations after the pause, %d interrupted", got, f.interrupted)
		}
	})
}

func TestProgressText(t *testing.T) {
	for _, tt := range []struct{ text, waiting, running, done string }{
		{`{"executor":"shared-iterations","vus":2,"iterations":10,"maxDuration":"30s"}`, "", "2 VUs  01.5s/30s  02/10 shared iters", "2 VUs  05.0s/30s  10/10 shared iters"},
		{`{"executor":"per-vu-iterations","vus":2,"iterations":3}`, "", "2 VUs  00m01.5s/10m0s  2/6 iters, 3 per VU", "2 VUs  00m03.0s/10m0s  6/6 iters, 3 per VU"},
		{`{"executor":"constant-vus","vus":5,"duration":"3s","startTime":"10s"}`, "waiting  08.5s", "5 VUs  1.5s/3s", "5 VUs  3s"},
		{`{"executor":"ramping-vus","startVUs":10,"stages":[{"duration":"3s","target":5}]}`, "", "09/10 VUs  1.5s/3.0s", "00/10 VUs  3s"},
		{`{"executor":"constant-arrival-rate","rate":6,"timeUnit":"3s","duration":"3s","preAllocatedVUs":5,"maxVUs":10}`, "", "02/05 VUs  1.5s/3s  2.00 iters/s", "00/05 VUs  3s  2.00 iters/s"},
		{`{"executor":"ramping-arrival-rate","startRate":10,"stages":[{"duration":"3s","target":0}],"preAllocatedVUs":9}`, "", "", ""},
	} {
		s := parse(t, tt.text)
		t.Run(string(s.Executor), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newField(time.Second)
				ex := start(t, s, f)
				done := make(chan error)
				go func() { done <- ex.Run(t.Context()) }()
				if tt.waiting != "" {
					time.Sleep(1500 * time.Millisecond)
					if got := ex.Progress().Text; got != tt.waiting {
						t.Errorf("got %q, want %q", got, tt.waiting)
					}
					time.Sleep(8500 * time.Millisecond)
				}
				time.Sleep(1500 * time.Millisecond)
				synctest.Wait()
				if got := ex.Progress().Text; tt.running != "" && got != tt.running {
					t.Errorf("got %q, want %q", got, tt.running)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if got := ex.Progress().Text; tt.done != "" && got != tt.done {
					t.Errorf("got %q, want %q", got, tt.done)
				}
			})
		})
	}
}

// Iterations allocate nothing of the executor's own.
func TestAllocations(t *testing.T) {
	s := parse(t, `{"executor":"shared-iterations","vus":1,"iterations":10000}`)
	allocs := testing.AllocsPerRun(3, func() {
		ex, err := New(s, 0, whole(s), Config{Pool: idle{}, Events: idle{}, Clock: NewClock(time.Now())})
		if err != nil {
			t.Fatal(err)
		}
		if err := ex.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 500 {
		t.Errorf("a run of 10,000 iterations makes %v allocations", allocs)
	}
}

func BenchmarkEmptyIteration(b *testing.B) {
	s := parse(b, `{"executor":"shared-iterations","vus":1,"iterations":1}`)
	s.Iterations = int64(b.N)
	s.MaxDuration = time.Hour
	ex, err := New(s, 0, whole(s), Config{Pool: idle{}, Events: idle{}, Clock: NewClock(time.Now())})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	if err := ex.Run(b.Context()); err != nil {
		b.Fatal(err)
	}
}

type idle struct{}

func (idle) Get(context.Context, int, int) (VU, error) { return idle{}, nil }
func (idle) Put(int, int)                              {}
func (idle) Release(int)                               {}
func (idle) Iterate(context.Context, Iteration) error  { return nil }
func (idle) Started(int)                               {}
func (idle) Ended(int, bool)                           {}
func (idle) Dropped(int, int64, Reason, int)           {}
func (idle) Lateness(int, time.Duration)               {}
func (idle) Warn(int, string)                          {}
