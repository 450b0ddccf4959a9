package hive

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hive/engine/executor"
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

// An engine that is made while the run's clock stands still, or is about to go on, goes with the node's copy of it.
func TestEngineMadeInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		anchor := Anchor{Node: "n", Gen: 1}
		c := newRunClock(nil, "r")
		c.see(State{Anchor: anchor})
		c.tied = anchor
		c.jump(time.Now())
		time.Sleep(time.Second)
		c.see(State{Anchor: anchor, Halt: &Halt{At: 1700 * time.Millisecond}})
		time.Sleep(5 * time.Second)

		engine := func() *executor.Clock { start, _ := c.start(); return executor.NewClock(start) }
		same := func(when string, e *executor.Clock) {
			t.Helper()
			if got, want := e.Now(), c.Now(); got != want {
				t.Errorf("%s: the engine's clock reads %s and the node's %s", when, got, want)
			}
		}
		slow := engine()
		time.Sleep(200 * time.Millisecond)
		stood, gen := c.standing()
		slow.PauseAt(stood)
		time.Sleep(time.Second)
		same("in the pause", slow)

		anchor = Anchor{Node: "n", Run: stood, Gen: gen + 1}
		c.see(State{Anchor: anchor})
		c.tied = anchor
		c.jump(time.Now().Add(controlLead))
		at, ok := c.resumed(stood, gen)
		if !ok {
			t.Fatal("the clock is not known to go on")
		}
		slow.ResumeAt(at)
		time.Sleep(controlLead / 4)
		late := engine()
		time.Sleep(controlLead)
		same("after it", slow)
		same("made when its end was named", late)
	})
}

// A node that hears of a pause too late stands where its engine does.
func TestPauseHeardOfTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		anchor := Anchor{Node: "n", Gen: 1}
		c := newRunClock(nil, "r")
		c.see(State{Anchor: anchor})
		c.tied = anchor
		c.jump(time.Now())
		start, _ := c.start()
		engine := executor.NewClock(start)
		time.Sleep(2 * time.Second)
		c.see(State{Anchor: anchor, Halt: &Halt{At: 1700 * time.Millisecond}})
		time.Sleep(10 * time.Millisecond)
		stood, _ := c.standing()
		engine.PauseAt(stood)
		time.Sleep(time.Second)
		if got, want := engine.Now(), c.Now(); got != want || want > 2100*time.Millisecond {
			t.Errorf("the engine's clock stands at %s and the node's at %s, want both soon after 2 s", got, want)
		}
	})
}
