package executor

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The plan of a ramp is what its schedule lists, for any slots and from any moment on.
func TestSlopeIsTheSchedule(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		s := Scenario{Executor: RampingVUs, StartVUs: random.IntN(6)}
		for range 1 + random.IntN(5) {
			st := Stage{Duration: time.Duration(random.IntN(60)), Target: int64(random.IntN(12))}
			if random.IntN(3) == 0 {
				st.Duration *= 1_000_000_007
			}
			s.Stages = append(s.Stages, st)
		}
		p := slope{int64(s.StartVUs), s.Stages}
		var slots []int
		for slot := range s.MaxVUs() {
			if random.IntN(3) > 0 {
				slots = append(slots, slot)
			}
		}
		up, since := map[int]bool{}, map[int]time.Duration{}
		steps := slices.Collect(s.RampingSchedule(slots))
		at := time.Duration(-1)
		for i, step := range steps {
			up[step.Slot], since[step.Slot] = step.Up, step.At
			if i+1 < len(steps) && steps[i+1].At == step.At {
				continue
			}
			if got := p.next(at, slots); got != step.At && (at >= 0 || got != 0) {
				t.Fatalf("%+v, slots %v: after %v the next step is at %v, want %v", s, slots, at, got, step.At)
			}
			at = step.At
			n := p.count(at)
			for _, slot := range slots {
				if (slot < n) != up[slot] {
					t.Fatalf("%+v: at %v %d VUs are wanted, but slot %d is up: %v", s, at, n, slot, up[slot])
				}
				if got := p.since(slot, at); up[slot] && got != since[slot] {
					t.Fatalf("%+v: at %v slot %d is as it is since %v, want %v", s, at, slot, got, since[slot])
				}
			}
		}
		if got := p.next(max(at, 0), slots); got != Never {
			t.Fatalf("%+v: a step at %v after the last at %v", s, got, at)
		}
	}
}

// vuTime is for how long the VUs of a looping scenario are to loop, all together; 0 for other executors.
func vuTime(s Scenario) time.Duration {
	if s.Executor == ConstantVUs || s.Executor == ExternallyControlled {
		return time.Duration(s.VUs) * s.Duration
	}
	if s.Executor != RampingVUs {
		return 0
	}
	all := make([]int, s.MaxVUs())
	for i := range all {
		all[i] = i
	}
	var sum time.Duration
	for step := range s.RampingSchedule(all) {
		if step.Up {
			sum += s.Regular() - step.At
		} else {
			sum -= s.Regular() - step.At
		}
	}
	return sum
}

func TestDueBefore(t *testing.T) {
	for _, text := range []string{
		`{"executor":"constant-arrival-rate","rate":7,"duration":"3s","preAllocatedVUs":5,"startTime":"1500ms"}`,
		`{"executor":"ramping-arrival-rate","startRate":3,"stages":[{"duration":"2s","target":50},{"duration":"0s","target":5},{"duration":"1s","target":0}],"preAllocatedVUs":5,"startTime":"300ms"}`,
		`{"executor":"ramping-arrival-rate","stages":[{"duration":"1s","target":0}],"preAllocatedVUs":5}`,
	} {
		s := parse(t, text)
		all := dues(s, 1000)
		if n, ok := s.PlannedIterations(); !ok || n != int64(len(all)) {
			t.Errorf("%s: %d iterations planned, want %d", text, n, len(all))
		}
		for i, d := range all {
			at := s.StartTime + d
			first := slices.Index(all, d) // two may be due at once
			if got := s.DueBefore(at); got != int64(first) {
				t.Errorf("%s: %d are due before %v, want %d", text, got, at, first)
			}
			if got := s.DueBefore(at + 1); got < int64(i+1) {
				t.Errorf("%s: %d are due up to %v, want %d", text, got, at, i+1)
			}
		}
		if got := s.DueBefore(-time.Hour) + s.DueBefore(s.StartTime); got != 0 {
			t.Errorf("%s: %d are due before the start", text, got)
		}
		if got := s.DueBefore(time.Hour); got != int64(len(all)) {
			t.Errorf("%s: %d in all, want %d", text, got, len(all))
		}
	}
}

func TestPlanned(t *testing.T) {
	for _, tt := range []struct {
		text    string
		n       int64
		counted bool
	}{
		{`{"executor":"shared-iterations","vus":2,"iterations":10}`, 10, true},
		{`{"executor":"per-vu-iterations","vus":3,"iterations":10}`, 30, true},
		{`{"executor":"constant-arrival-rate","rate":1000000000,"timeUnit":"1s","duration":"100h","preAllocatedVUs":1}`, 360_000_000_000_000, true},
		{`{"executor":"constant-vus","vus":3,"duration":"5s"}`, 0, false},
		{`{"executor":"ramping-vus","startVUs":0,"stages":[{"duration":"10s","target":10},{"duration":"1s","target":10}]}`, 0, false},
		{`{"executor":"externally-controlled","vus":3,"maxVUs":5,"duration":"5s"}`, 0, false},
		{`{"executor":"externally-controlled","vus":3,"duration":0}`, 0, false},
	} {
		s := parse(t, tt.text)
		if n, counted := s.PlannedIterations(); n != tt.n || counted != tt.counted {
			t.Errorf("%s: %d iterations planned (counted: %v), want %d (%v)", tt.text, n, counted, tt.n, tt.counted)
		}
	}
}
