package hive

import (
	"strings"
	"testing"
	"time"

	"hive/registry"
)

// ridden is a driver that took a run up whose clock another leader wrote down last.
func ridden(t *testing.T, last Tick) *driver {
	n := &Node{clock: NewClock(), nodes: registry.NewMirror(nil, "nodes/")} // nobody else is there
	n.cfg.LeaseTTL = 5 * time.Second
	n.inbox = newInbox(n)
	n.inbox.begin("r")
	d := &driver{n: n, id: "r", born: time.Now(), last: last, outage: outage{down: true}}
	d.st.Anchor.Gen, d.st.Phase = 1, Running
	d.spec.Flags.Policy.OnOutage = OutageSkip
	return d
}

// What the wall clock shows after an outage must not let anybody think that nothing was sent any more, for what it was
// set to decides then which iterations are begun a second time.
func TestWallTimeIsNoWitnessOfAnOutage(t *testing.T) {
	now := momentNow()
	ago := func(d time.Duration) Moment { return Moment{Machine: now.Machine, Up: now.Up - d} }
	const minute = time.Minute // where the run's clock stood
	for _, c := range []struct {
		name    string
		wall    time.Duration // how long ago it was by wall time
		moment  Moment
		sent    time.Duration // nothing is sent after
		present time.Duration // where the clock would stand
		by      string
	}{
		{"same machine", 2 * time.Second, ago(2 * time.Second), minute + 2*time.Second, minute + 2*time.Second, "nobody can set"},
		{"same machine, set ahead", time.Hour, ago(2 * time.Second), minute + 2*time.Second, minute + 2*time.Second, "nobody can set"},
		{"same machine, set back", -time.Hour, ago(2 * time.Second), minute + 2*time.Second, minute + 2*time.Second, "nobody can set"},
		{"same machine, long ago", 20 * time.Second, ago(20 * time.Second), minute + 6*time.Second, minute + 20*time.Second, "nobody can set"},
		{"another machine", 20 * time.Second, Moment{Machine: "other", Up: now.Up}, minute + 6*time.Second, minute + 20*time.Second, "wall clocks of two nodes"},
		{"another machine, a moment ago", time.Second, Moment{Machine: "other", Up: now.Up}, minute + 6*time.Second, minute + time.Second, "wall clocks of two nodes"},
		{"another machine, set back", -time.Hour, Moment{Machine: "other", Up: now.Up}, minute + 6*time.Second, minute, "before that"},
		{"no such clock", 2 * time.Second, Moment{}, minute + 6*time.Second, minute + 2*time.Second, "wall clocks of two nodes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if now.Machine == "" && strings.HasPrefix(c.name, "same") {
				t.Skip("this machine has no clock that nobody can set")
			}
			d := ridden(t, Tick{Run: minute, Wall: time.Now().Add(-c.wall).Round(0), Moment: c.moment})
			d.timeOutage(t.Context())
			near := func(what string, got, want time.Duration) {
				if off := got - want; off < 0 || off > time.Second {
					t.Errorf("%s: got %s, want %s", what, got, want)
				}
			}
			near("nothing is sent after", d.sentUntil(), c.sent)
			near("the clock would stand at", d.presentRun(), c.present)
			if got := d.timedBy(); !strings.Contains(got, c.by) {
				t.Errorf("timed %q, want %q in it", got, c.by)
			}
		})
	}
}

// What nodes wrote down for themselves tells that load went on while nothing could be written to etcd.
func TestNodesBearWitnessOfAnOutage(t *testing.T) {
	const minute, ttl = time.Minute, 5 * time.Second
	for _, c := range []struct {
		name string
		sent map[string]time.Duration
		want time.Duration // nothing is sent after
	}{
		{"nothing", nil, minute + time.Second + ttl},
		{"later than etcd knows", map[string]time.Duration{"r": minute + 20*time.Second}, minute + 21*time.Second + ttl},
		{"earlier", map[string]time.Duration{"r": minute - 20*time.Second}, minute + time.Second + ttl},
		{"another run", map[string]time.Duration{"q": 2 * minute}, minute + time.Second + ttl},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := ridden(t, Tick{Run: minute, Wall: time.Now(), Moment: Moment{Machine: "other"}})
			d.n.self.Store(&registry.Node{ID: "a", Boot: "after", Sent: c.sent})
			d.st.Members = []Member{{ID: "a", Boot: "before", Incarnation: 1}}
			if got := d.sentUntil(); got != c.want {
				t.Errorf("nothing is sent after %s, want %s", got, c.want)
			}
		})
	}
}

func TestMomentsOfOneMachineOnly(t *testing.T) {
	for _, c := range []struct {
		later, earlier Moment
		want           time.Duration
		ok             bool
	}{
		{Moment{"a", 5}, Moment{"a", 3}, 2, true},
		{Moment{"a", 5}, Moment{"b", 3}, 0, false},
		{Moment{"a", 3}, Moment{"a", 5}, 0, false},
		{Moment{}, Moment{}, 0, false},
	} {
		if got, ok := c.later.after(c.earlier); got != c.want || ok != c.ok {
			t.Errorf("%+v after %+v: %s, %t, want %s, %t", c.later, c.earlier, got, ok, c.want, c.ok)
		}
	}
}
