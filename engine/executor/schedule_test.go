package executor

import (
	"math"
	"slices"
	"testing"
	"time"

	"hive/engine/share"
)

// parse reads a scenario that the test knows to be right.
func parse(t testing.TB, text string) Scenario {
	t.Helper()
	s, err := ParseScenario("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// dues lists the due times of a schedule, at most n of them.
func dues(s Scenario, n int) []time.Duration {
	at := s.ArrivalSchedule()
	var list []time.Duration
	for i := range int64(n) {
		d, ok := at(i)
		if !ok {
			break
		}
		list = append(list, d)
	}
	return list
}

func TestConstantSchedule(t *testing.T) {
	s := parse(t, `{"executor":"constant-arrival-rate","rate":10,"duration":"2s","preAllocatedVUs":5}`)
	got := dues(s, 100)
	if len(got) != 20 {
		t.Fatalf("got %d iterations, want 20", len(got))
	}
	for i, d := range got {
		if want := time.Duration(i) * 100 * time.Millisecond; d != want {
			t.Errorf("iteration %d is due at %v, want %v", i, d, want)
		}
	}
}

func TestConstantScheduleDoesNotDrift(t *testing.T) {
	s := parse(t, `{"executor":"constant-arrival-rate","rate":7,"timeUnit":"1m","duration":"8760h","preAllocatedVUs":1}`)
	got, ok := s.ArrivalSchedule()(7 * 60 * 24 * 300)
	if want := 300 * 24 * time.Hour; got != want || !ok {
		t.Errorf("got %v, %v, want %v", got, ok, want)
	}
	if _, ok := s.ArrivalSchedule()(math.MaxInt64); ok {
		t.Error("an iteration beyond the end was given")
	}
}

func TestRampSchedule(t *testing.T) {
	ms := func(list ...float64) []time.Duration {
		var out []time.Duration
		for _, v := range list {
			out = append(out, time.Duration(v*float64(time.Millisecond)))
		}
		return out
	}
	for _, tt := range []struct {
		name, stages string
		want         []time.Duration
	}{
		{"0 to 5/s over 2s", `"stages":[{"duration":"2s","target":5}]`, ms(894.427, 1264.911, 1549.193, 1788.854, 2000)},
		{"level", `"startRate":5,"stages":[{"duration":"1s","target":5}]`, ms(200, 400, 600, 800, 1000)},
		{"falling", `"startRate":4,"stages":[{"duration":"1s","target":0}]`, ms(292.893, 1000)},
		{"jump", `"startRate":1,"stages":[{"duration":"1500ms","target":1},{"duration":"0s","target":5},{"duration":"500ms","target":5}]`,
			ms(1000, 1600, 1800, 2000)},
		{"fraction carried over a pause", `"startRate":1,"stages":[{"duration":"500ms","target":1},{"duration":"0s","target":0},{"duration":"1s","target":0},{"duration":"0s","target":1},{"duration":"1s","target":1}]`,
			ms(2000)},
		{"nothing", `"stages":[{"duration":"1s","target":0}]`, nil},
		{"only jumps", `"stages":[{"duration":"0s","target":100}]`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, `{"executor":"ramping-arrival-rate","preAllocatedVUs":1,`+tt.stages+`}`)
			got := dues(s, 100)
			if len(got) != len(tt.want) {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
			for i := range got {
				if diff := (got[i] - tt.want[i]).Abs(); diff > time.Microsecond {
					t.Errorf("iteration %d is due at %v, want %v", i, got[i], tt.want[i])
				}
			}
		})
	}
}

// A long ramp has exactly the iterations of its integral, in order.
func TestRampScheduleIsMonotonic(t *testing.T) {
	s := parse(t, `{"executor":"ramping-arrival-rate","preAllocatedVUs":1,"startRate":13,"timeUnit":"700ms",
		"stages":[{"duration":"11s","target":977},{"duration":"3s","target":977},{"duration":"7s","target":1},{"duration":"0s","target":50},{"duration":"5s","target":0}]}`)
	got := dues(s, 1_000_000)
	integral := ((13+977)/2.0*11 + 977*3 + (977+1)/2.0*7 + 50/2.0*5) / 0.7
	if len(got) != int(integral) {
		t.Errorf("got %d iterations, want %d", len(got), int(integral))
	}
	if !slices.IsSorted(got) || got[len(got)-1] > s.Regular() {
		t.Error("the schedule is not ascending within the stages")
	}
}

func TestRampingSchedule(t *testing.T) {
	s := parse(t, `{"executor":"ramping-vus","startVUs":1,"stages":[{"duration":"4s","target":5},{"duration":"0s","target":3},{"duration":"2s","target":1},{"duration":"1s","target":2}]}`)
	want := []Step{
		{0, 0, true}, {1 * time.Second, 1, true}, {2 * time.Second, 2, true}, {3 * time.Second, 3, true}, {4 * time.Second, 4, true},
		{4 * time.Second, 4, false}, {4 * time.Second, 3, false}, {5 * time.Second, 2, false}, {6 * time.Second, 1, false}, {7 * time.Second, 1, true},
	}
	if got := slices.Collect(s.RampingSchedule([]int{0, 1, 2, 3, 4})); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// A node's steps are those of the whole for its slots.
	own := []int{1, 4}
	want = slices.DeleteFunc(want, func(s Step) bool { return !slices.Contains(own, s.Slot) })
	if got := slices.Collect(s.RampingSchedule(own)); !slices.Equal(got, want) {
		t.Errorf("own slots: got %v, want %v", got, want)
	}
}

func TestTimesAndVUs(t *testing.T) {
	for _, tt := range []struct {
		text         string
		end          time.Duration
		most, before int
		describe     string
	}{
		{`{"executor":"shared-iterations","vus":2,"iterations":10,"maxDuration":"3s"}`, 33 * time.Second, 2, 2,
			"10 iterations shared among 2 VUs (maxDuration: 3s, gracefulStop: 30s)"},
		{`{"executor":"per-vu-iterations","vus":2,"iterations":3,"exec":"foo"}`, 10*time.Minute + 30*time.Second, 2, 2,
			"3 iterations for each of 2 VUs (maxDuration: 10m0s, exec: foo, gracefulStop: 30s)"},
		{`{"executor":"constant-vus","vus":5,"duration":"3s","startTime":"1s"}`, 34 * time.Second, 5, 5,
			"5 looping VUs for 3s (startTime: 1s, gracefulStop: 30s)"},
		{`{"executor":"ramping-vus","startVUs":0,"stages":[{"duration":"1s","target":10},{"duration":"2s","target":0}],"gracefulRampDown":"5s"}`,
			8 * time.Second, 10, 10, "Up to 10 looping VUs for 3s over 2 stages (gracefulRampDown: 5s, gracefulStop: 30s)"},
		{`{"executor":"ramping-vus","stages":[{"duration":"1s","target":5},{"duration":"1s","target":0}],"gracefulRampDown":"0s","gracefulStop":"0s"}`,
			2 * time.Second, 5, 5, "Up to 5 looping VUs for 2s over 2 stages (gracefulRampDown: 0s)"},
		{`{"executor":"constant-arrival-rate","rate":100,"duration":"3s","preAllocatedVUs":5,"maxVUs":10}`, 33 * time.Second, 10, 5,
			"100.00 iterations/s for 3s (maxVUs: 5-10, gracefulStop: 30s)"},
		{`{"executor":"ramping-arrival-rate","startRate":1,"timeUnit":"1m","stages":[{"duration":"2s","target":600},{"duration":"0s","target":60},{"duration":"1s","target":60}],"preAllocatedVUs":3}`,
			33 * time.Second, 3, 3, "Up to 10.00 iterations/s for 3s over 3 stages (maxVUs: 3, gracefulStop: 30s)"},
		{`{"executor":"externally-controlled","vus":10,"maxVUs":20,"duration":"10m"}`, 10 * time.Minute, 20, 20,
			"Externally controlled execution with 10 VUs, 20 max VUs, 10m0s duration"},
		{`{"executor":"externally-controlled","vus":10,"duration":0}`, math.MaxInt64, 10, 10,
			"Externally controlled execution with 10 VUs, 10 max VUs, infinite duration"},
	} {
		s := parse(t, tt.text)
		if got := s.End(); got != tt.end {
			t.Errorf("%s: end %v, want %v", tt.text, got, tt.end)
		}
		if got := s.MaxVUs(); got != tt.most {
			t.Errorf("%s: max VUs %d, want %d", tt.text, got, tt.most)
		}
		if got := s.Planned(); got != tt.before {
			t.Errorf("%s: planned VUs %d, want %d", tt.text, got, tt.before)
		}
		if got := s.Describe(); got != tt.describe {
			t.Errorf("got  %s\nwant %s", got, tt.describe)
		}
	}
}

func TestLayout(t *testing.T) {
	vus := func(name, start, duration string, n string) Scenario {
		s, err := ParseScenario(name, []byte(`{"executor":"constant-vus","gracefulStop":"0s","startTime":"`+start+`","duration":"`+duration+`","vus":`+n+`}`))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct {
		name      string
		scenarios []Scenario
		slots     int
	}{
		{"none", nil, 0},
		{"side by side", []Scenario{vus("a", "0s", "10s", "3"), vus("b", "5s", "10s", "4")}, 7},
		{"one after the other", []Scenario{vus("a", "0s", "10s", "3"), vus("b", "10s", "10s", "4")}, 4},
		{"a gap too small", []Scenario{vus("a", "0s", "10s", "5"), vus("b", "0s", "20s", "5"), vus("c", "10s", "10s", "8")}, 13},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan := Layout(tt.scenarios)
			if plan.Slots != tt.slots {
				t.Errorf("got %d slots, want %d: %v", plan.Slots, tt.slots, plan)
			}
			if err := plan.Validate(); err != nil {
				t.Error(err)
			}
			for i, a := range tt.scenarios {
				for j, b := range tt.scenarios[:i] {
					if p, q := plan.Scenarios[i], plan.Scenarios[j]; a.StartTime < b.End() && b.StartTime < a.End() && overlap(p, q) {
						t.Errorf("%s and %s share slots at the same time: %v, %v", a.Name, b.Name, p, q)
					}
				}
			}
		})
	}
}

func overlap(p, q share.Range) bool { return p.Base < q.Base+q.Max && q.Base < p.Base+p.Max }

func TestClock(t *testing.T) {
	for _, tt := range []struct {
		d, length time.Duration
		want      string
	}{
		{0, 10 * time.Minute, "00m00.0s"}, {1500 * time.Millisecond, 3 * time.Second, "1.5s"}, {9 * time.Second, 30 * time.Second, "09.0s"},
		{61 * time.Second, time.Hour, "0h01m01.0s"},
	} {
		if got := clock(tt.d, tt.length); got != tt.want {
			t.Errorf("clock(%v, %v): got %s, want %s", tt.d, tt.length, got, tt.want)
		}
	}
}
