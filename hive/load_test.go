package hive

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"hive/engine/executor"
)

// loadNode is a node that starts an exact rate and reports of it once a second.
type loadNode struct {
	life        int64
	rate        float64
	from, until time.Duration // of its load; no end when 0
	phase       time.Duration // of its reports within the second
}

// report is the newest one at a moment on the run's clock.
func (n loadNode) report(now time.Duration) (Report, bool) {
	at := now.Truncate(time.Second) + n.phase
	if at > now {
		at -= time.Second
	}
	if n.until > 0 && at > n.until {
		at = n.until.Truncate(time.Second)
	}
	if at < n.from {
		return Report{}, false
	}
	started := int64(n.rate * (at - n.from).Seconds())
	return Report{Incarnation: n.life, Ledger: []executor.Ledger{{Started: started, Reached: at}}}, true
}

// meterShows gives what the meter shows once a second; lives is how many incarnations there are at the beginning.
func meterShows(t *testing.T, s executor.Scenario, lives int64, until time.Duration, nodes ...loadNode) map[time.Duration]Load {
	t.Helper()
	var m loadMeter
	shown := map[time.Duration]Load{}
	for now := 2 * time.Second; now <= until; now += time.Second + 30*time.Millisecond {
		var reports []Report
		for _, n := range nodes {
			if r, ok := n.report(now); ok {
				reports = append(reports, r)
			}
		}
		living := func(life int64) bool {
			for _, n := range nodes {
				if n.life == life {
					return n.until == 0 || now < n.until+500*time.Millisecond
				}
			}
			return false
		}
		for _, l := range m.read([]executor.Scenario{s}, now, lives, reports, living) {
			shown[now] = l
		}
	}
	return shown
}

func TestLoadMeter(t *testing.T) {
	scenario := func(text string) executor.Scenario {
		s, err := executor.ParseScenario("a", json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const second = time.Second
	constant := scenario(`{"executor":"constant-arrival-rate","rate":300,"duration":"1m","preAllocatedVUs":1}`)
	ms := time.Millisecond
	for _, tt := range []struct {
		name   string
		lives  int64
		nodes  []loadNode
		want   float64 // of the plan
		within float64
		after  time.Duration
	}{
		{"an exact load", 3, []loadNode{{1, 100, 0, 0, 0}, {2, 100, 0, 0, 333 * ms}, {3, 100, 0, 0, 990 * ms}}, 1, 0.02, 0},
		{"one node falls short", 2, []loadNode{{1, 150, 0, 0, 0}, {2, 75, 0, 0, 500 * ms}}, 0.75, 0.02, 0},
		{"a node joins", 1, []loadNode{{1, 150, 0, 0, 0}, {2, 150, 10 * second, 0, 500 * ms}}, 1, 0.02, 15 * second},
		{"a node is lost for good", 2, []loadNode{{1, 150, 0, 0, 0}, {2, 150, 0, 10 * second, 500 * ms}}, 0.5, 0.02, 15 * second},
		{"shares move to a new node", 2, []loadNode{{1, 150, 0, 0, 0}, {2, 150, 0, 10 * second, 0}, {3, 150, 10 * second, 0, 500 * ms}}, 1, 0.25, 0},
		{"nothing is sent", 1, []loadNode{{1, 0, 0, 0, 0}}, 0, 0, 0},
	} {
		shown := meterShows(t, constant, tt.lives, 25*second, tt.nodes...)
		if len(shown) < 20 {
			t.Errorf("%s: shown only %d times", tt.name, len(shown))
		}
		for now, l := range shown {
			if now < tt.after {
				continue
			}
			if math.Abs(l.Planned-300) > 300*0.01 || math.Abs(l.Actual-tt.want*300) > tt.within*300 {
				t.Errorf("%s: at %s %.1f of %.1f, want %.1f of 300 within %.0f%%", tt.name, now, l.Actual, l.Planned, tt.want*300, tt.within*100)
			}
		}
	}
}

// A leader that takes a run over knows nothing of the past, and does not take it for the present.
func TestLoadMeterOfANewLeader(t *testing.T) {
	s, err := executor.ParseScenario("a", json.RawMessage(`{"executor":"constant-arrival-rate","rate":100,"duration":"1m","preAllocatedVUs":1}`))
	if err != nil {
		t.Fatal(err)
	}
	var m loadMeter
	read := func(at time.Duration, reports ...Report) []Load {
		return m.read([]executor.Scenario{s}, at, 2, reports, func(int64) bool { return true })
	}
	report := func(life int64, at time.Duration, started int64) Report {
		return Report{Incarnation: life, Ledger: []executor.Ledger{{Started: started, Reached: at}}}
	}
	if got := read(30*time.Second, report(1, 30*time.Second, 1500)); got != nil {
		t.Errorf("one look: got %v", got)
	}
	if got := read(31*time.Second, report(1, 31*time.Second, 1550), report(2, 31*time.Second, 1550)); got != nil {
		t.Errorf("a node that was heard of only once: got %v", got)
	}
	if got := read(32*time.Second, report(1, 32*time.Second, 1600), report(2, 32*time.Second, 1600)); len(got) != 1 || got[0] != (Load{"a", 100, 100}) {
		t.Errorf("two reports of each: got %v, want 100 of 100", got)
	}
	for i := range int64(60) {
		read(time.Duration(33+i)*time.Second, report(1, time.Duration(33+i)*time.Second, 1600+50*i))
	}
	if tracks := m.lines[1]; len(m.lines) != 1 || len(tracks[0].points) > 6 {
		t.Errorf("kept of %d incarnations, of one %d points", len(m.lines), len(tracks[0].points))
	}
}
