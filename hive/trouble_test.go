package hive

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestTroubles(t *testing.T) {
	var got troubles
	at := func(ms int) Instant { return Instant(time.Duration(ms) * time.Millisecond) }
	if got.anyAfter(at(0)) || got.after(at(0)) != nil {
		t.Error("there was trouble before there was any")
	}
	got.begin(at(1000))
	got.begin(at(1200)) // the same
	if since, ok := got.going(); !ok || since != at(1000) || !got.anyAfter(at(5000)) {
		t.Errorf("trouble since %d, %v; want %d", since, ok, at(1000))
	}
	got.end(at(1000), at(2000))
	got.begin(at(3000))
	got.drop()
	if got.anyAfter(at(2000)) || !got.anyAfter(at(1999)) {
		t.Error("trouble that ended at 2 s is to be known until then, and what was too short not at all")
	}
	for i := range keptTroubles + 5 {
		got.end(at(10_000*i), at(10_000*i+1000))
	}
	if n := len(got.after(0)); n != keptTroubles {
		t.Errorf("%d are kept, want %d", n, keptTroubles)
	}
	if last := got.after(at(10_000*(keptTroubles+4) + 999)); len(last) != 1 || last[0].until != at(10_000*(keptTroubles+4)+1000) {
		t.Errorf("the last is %v", last)
	}
}

func TestWriteLag(t *testing.T) {
	const ms = time.Millisecond
	var w writeLag
	tell := func() (told string) {
		if w.fresh {
			told = map[bool]string{true: "slow", false: "quick"}[w.slow]
		}
		w.fresh = false
		return told
	}
	for i, step := range []struct {
		took time.Duration
		want string
	}{
		{20 * ms, ""}, {900 * ms, ""}, {1200 * ms, "slow"}, {1900 * ms, ""}, {20 * ms, ""}, {20 * ms, ""}, {600 * ms, ""},
		{20 * ms, ""}, {20 * ms, ""}, {20 * ms, "quick"}, {20 * ms, ""}, {1100 * ms, "slow"},
	} {
		w.wrote(time.Duration(i)*time.Second, step.took)
		if got := tell(); got != step.want {
			t.Errorf("write %d of %s: told %q, want %q", i, step.took, got, step.want)
		}
		if i == 9 && (w.worst != 1900*ms || w.since != 2*time.Second) {
			t.Errorf("since %s writes took up to %s, want 2s and 1.9s", w.since, w.worst)
		}
	}
}

// entries are those of a kind.
func entries(res *Result, kind string) (list []TimelineEvent) {
	return slices.DeleteFunc(slices.Clone(res.Timeline), func(e TimelineEvent) bool { return e.Kind != kind })
}

// A time in which etcd does not answer, shorter than the lease, costs nothing and is told.
func TestEtcdDoesNotAnswerForAMoment(t *testing.T) {
	t.Parallel()
	s := &script{}
	endpoints, _ := startStore(t)
	way := newLink(t, endpoints[0])
	n := launch(t, Config{Name: "n1", Etcd: []string{way.l.Addr().String()}, Capacity: 10, LeaseTTL: 12 * time.Second}, s)
	c := client(t, n)
	run := submit(t, c, arriving(t, 50, 4, 4*time.Second))
	awaitBegun(t, s, "n1", 20)
	way.set(true)
	time.Sleep(time.Second)
	way.set(false)
	res, _ := follow(t, c, run)
	if res.Verdict != Passed || begunOnce(t, s, 200) != 0 {
		t.Errorf("verdict %s (%v), want all iterations", res.Verdict, res.Failure)
	}
	told := entries(res, TimelineEtcd)
	if len(told) == 0 || !strings.Contains(told[0].Message, "did not answer") || told[0].Cost["seconds"] < 0.6 {
		t.Errorf("the timeline tells of %+v, want that etcd did not answer for a second", told)
	}
}

// A node that has no lease for a while and is not dealt anew says when it sent nothing.
func TestTimeWithoutALeaseIsTold(t *testing.T) {
	t.Parallel()
	s := &script{}
	endpoints, _ := startStore(t)
	way := newLink(t, endpoints[0])
	n := launch(t, Config{Name: "n1", Etcd: []string{way.l.Addr().String()}, Capacity: 10, LeaseTTL: 3 * time.Second}, s)
	c := client(t, n)
	run := submit(t, c, arriving(t, 50, 4, 12*time.Second))
	awaitBegun(t, s, "n1", 20)
	way.set(true)
	eventually(t, "the node sends nothing", func() bool { return s.lives("n1")[0].Fenced() })
	time.Sleep(300 * time.Millisecond)
	way.set(false)
	eventually(t, "the node sends again", func() bool { return !s.lives("n1")[0].Fenced() })
	res, _ := follow(t, c, run)
	begunOnce(t, s, 600)
	told := entries(res, TimelineFenced)
	if len(told) == 0 && len(entries(res, TimelineNodeLost)) == 0 && len(entries(res, TimelineOutage)) == 0 {
		t.Errorf("the timeline does not tell that nothing was sent: %+v", res.Timeline)
	}
	if len(told) > 0 && !strings.Contains(told[0].Message, "n1 sent nothing for want of a lease") {
		t.Errorf("it tells: %s", told[0].Message)
	}
	if len(entries(res, TimelineEtcd)) == 0 {
		t.Errorf("the timeline does not tell of etcd: %+v", res.Timeline)
	}
}

// A database that is full in the middle of a run is cleared, the run goes on, and the timeline tells of it.
func TestFullDatabaseUnderLoad(t *testing.T) {
	t.Parallel()
	s := &script{}
	n := launch(t, Config{Name: "n1", Capacity: 10, quota: 16 << 20}, s)
	c := client(t, n)
	run := submit(t, c, arriving(t, 50, 4, 10*time.Minute))
	awaitBegun(t, s, "n1", 20)
	within(t, longWait, "the hive tells that the database was full", func() bool {
		if !n.fulls.anyAfter(0) { // it had room again before the hive wrote anything
			fillUp(t, n)
		}
		info, err := c.Show(t.Context(), run)
		return err == nil && slices.ContainsFunc(info.Timeline, func(e TimelineEvent) bool { return strings.Contains(e.Message, "was full") })
	})
	stop(t, c, run)
	res, _ := follow(t, c, run)
	if l := res.Ledger[0]; res.Failure.Kind != KindStopped || l.Lost+l.Unknown > 0 || len(l.Dropped) > 0 {
		t.Errorf("verdict %s (%v) with %+v, want all iterations until the stop", res.Verdict, res.Failure, l)
	}
	begunOnce(t, s, 20)
	if told := entries(res, TimelineEtcd); !slices.ContainsFunc(told, func(e TimelineEvent) bool { return strings.Contains(e.Message, "was full") }) {
		t.Errorf("the timeline tells of %+v, want that the database was full", told)
	}
}

// Results that are too large together are dropped, the oldest first, and the newest is kept.
func TestLargeResultsAreDropped(t *testing.T) {
	t.Parallel()
	timing := quick
	timing.HoldBytes = 1
	s := &script{}
	n := launch(t, Config{Name: "n1", Capacity: 10, Timing: timing}, s)
	c := client(t, n)
	for range 2 {
		follow(t, c, submit(t, c, arriving(t, 20, 2, time.Second)))
	}
	eventually(t, "one run is left", func() bool { runs, err := c.Runs(t.Context()); return err == nil && len(runs) == 1 })
}

// A database that is full when the load ends, and is freed by others, holds the end up; the timeline tells of it.
func TestFullDatabaseAtTheEndOfTheLoad(t *testing.T) {
	t.Parallel()
	s := &script{}
	endpoints, _ := startStoreOf(t, 4<<20)
	n := launch(t, Config{Name: "n1", Etcd: endpoints, Capacity: 10}, s)
	c := client(t, n)
	run := submit(t, c, arriving(t, 50, 4, 6*time.Second))
	awaitBegun(t, s, "n1", 20)
	fillUp(t, n)
	eventually(t, "the load is over", func() bool { return len(s.all()) == 300 })
	eventually(t, "a write of the hive is refused", func() bool { return n.fulls.anyAfter(0) })
	st, err := n.etcd.Status(t.Context(), endpoints[0])
	if err != nil {
		t.Fatal(err)
	}
	_, compactErr := n.etcd.Compact(t.Context(), st.Header.Revision, clientv3.WithCompactPhysical())
	_, shrinkErr := n.etcd.Defragment(t.Context(), endpoints[0])
	_, disarmErr := n.etcd.AlarmDisarm(t.Context(), &clientv3.AlarmMember{})
	if err := errors.Join(compactErr, shrinkErr, disarmErr); err != nil {
		t.Fatal(err)
	}
	res, _ := follow(t, c, run)
	if res.Verdict != Passed || begunOnce(t, s, 300) != 0 {
		t.Errorf("verdict %s (%v), want all iterations", res.Verdict, res.Failure)
	}
	if told := entries(res, TimelineEtcd); !slices.ContainsFunc(told, func(e TimelineEvent) bool { return strings.Contains(e.Message, "was full") }) {
		t.Errorf("the timeline tells of %+v, want that the database was full", told)
	}
}
