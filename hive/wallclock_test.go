package hive

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// A wall clock that is set while load is sent is told once, with those that were set with it; what it was set to before
// is not this run's affair.
func TestWallClockThatIsSetIsTold(t *testing.T) {
	d := ridden(t, Tick{Run: time.Minute, Wall: time.Now()})
	d.watch = newWatchlist(time.Second)
	d.st.Members = []Member{{ID: "a", Name: "a", Incarnation: 1}, {ID: "b", Name: "b", Incarnation: 2}, {ID: "c", Name: "c", Incarnation: 3}}
	seq := int64(10)
	report := func(set ...time.Duration) []string {
		seq++
		for i, s := range set {
			d.n.inbox.take(Report{Incarnation: int64(i + 1), Seq: seq, Stage: StageRunning, Clock: ClockSkew{Set: s}}, nil)
		}
		d.notes = nil
		d.findSet()
		var told []string
		for _, e := range d.notes {
			if e.Kind != TimelineClock {
				t.Errorf("an entry of kind %s, want %s", e.Kind, TimelineClock)
			}
			told = append(told, e.Message)
		}
		return told
	}
	if told := report(time.Hour, 0, 0); told != nil {
		t.Errorf("clocks that were set before the run: %q, want nothing", told)
	}
	if told := report(time.Hour+200*time.Millisecond, 0, 0); told != nil {
		t.Errorf("a clock that is being corrected: %q, want nothing", told)
	}
	if told := report(time.Hour, -time.Minute, -time.Minute); len(told) != 1 || !strings.Contains(told[0], "set back by 1m0s") || !strings.Contains(told[0], "nodes ") {
		t.Errorf("two clocks that were set back: %q, want one entry", told)
	}
	if told := report(time.Hour, -time.Minute, -time.Minute); told != nil {
		t.Errorf("the same again: %q, want nothing", told)
	}
	if told := report(2*time.Hour, -time.Minute, -time.Minute); len(told) != 1 || !strings.Contains(told[0], "set ahead by 1h0m0s") {
		t.Errorf("one clock that was set ahead: %q, want one entry", told)
	}
}

func TestClockNotes(t *testing.T) {
	for _, c := range []struct {
		skew ClockSkew
		want []string
	}{
		{ClockSkew{Set: time.Hour, Ahead: 900 * time.Millisecond, Worst: 20 * time.Millisecond}, nil},
		{ClockSkew{Ahead: time.Hour}, []string{"1h0m0s ahead of the leader's"}},
		{ClockSkew{Ahead: -2 * time.Second}, []string{"2s behind the leader's"}},
		{ClockSkew{Worst: 21 * time.Millisecond, Ahead: time.Minute}, []string{"up to 21ms off the run's", "1m0s ahead"}},
	} {
		got := clockNotes("n1", c.skew)
		if len(got) != len(c.want) {
			t.Errorf("%+v: %q, want %d notes", c.skew, got, len(c.want))
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(got[i], want) || !strings.Contains(got[i], "n1") {
				t.Errorf("%+v: %q, want %q in it", c.skew, got[i], want)
			}
		}
	}
}

// A process that took the place of one whose record is still there has a clock of its own, which is not the one that a
// run's clock was tied to.
func TestOffsetOfAnotherProcessIsRefused(t *testing.T) {
	t.Parallel()
	endpoints, _ := startStore(t)
	r := launch(t, Config{Name: "n1", Etcd: endpoints, Capacity: 1}, &script{})
	awaitNodes(t, r, 1)
	self, _ := r.find(r.Node.info.ID)
	for boot, want := range map[string]bool{self.Boot: true, "before": false} {
		ghost := self
		ghost.ID, ghost.Name, ghost.Boot, ghost.Capacity = "ghost-"+boot, "ghost-"+boot, boot, 0
		value, err := json.Marshal(ghost)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.etcd.Put(t.Context(), r.keys.Nodes()+ghost.ID, string(value)); err != nil {
			t.Fatal(err)
		}
		for _, ok := r.find(ghost.ID); !ok; _, ok = r.find(ghost.ID) {
			pause(t.Context(), 10*time.Millisecond)
		}
		if _, err := newRunClock(r.Node, "r").offset(t.Context(), ghost.ID); (err == nil) != want {
			t.Errorf("a record of process %q at an address where %q answers: %v", boot, self.Boot, err)
		}
	}
}
