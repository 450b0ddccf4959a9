package hive

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// The leader is killed before or after a write of its own while a run is paused, resumed and scaled, loses a node and
// has another drained. Whatever write it was, all of that happens once, and the run ends as it would have.
func TestLeaderKilledWhileMuchHappens(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("one hive for each write")
	}
	points := []string{"after setup", "before ready", "before pause", "after pause", "before resume", "after resume", "after scale",
		"before name from", "after name from", "after tick", "after allocations", "before end", "after end", "before result", "before finish",
		"after finish", "before stop", "after stop", "after teardown"}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			killAt(t, point)
		})
	}
}

// killAt plays a run in which the leader is killed at a write.
func killAt(t *testing.T, point string) {
	s := &script{traits: Traits{Setup: true, Teardown: true}}
	endpoints, _ := startStore(t)
	var first *running
	var once sync.Once
	ready, dead := make(chan struct{}), make(chan struct{})
	fault := func(at string) {
		if at == point && closed(ready) {
			once.Do(func() { first.cancel(errCrash); close(dead) })
		}
	}
	first = launch(t, Config{Name: "n1", Etcd: endpoints, Capacity: 0, Fault: fault}, s)
	eventually(t, "n1 leads", func() bool { return first.leading.Load() != nil })
	var others []*running
	for i := range 3 {
		others = append(others, launch(t, Config{Name: fmt.Sprintf("n%d", i+2), Etcd: endpoints, Capacity: 10}, s))
	}
	awaitNodes(t, others[0], 4)
	close(ready)
	c := client(t, others[0])
	stopped := strings.HasSuffix(point, "stop") || strings.HasSuffix(point, "teardown")
	rate, length := 40, 8 // seconds
	if stopped {
		length = 600
	}
	run := submit(t, c, consolidated(t, fmt.Sprintf(`{"scenarios":{
		"main":{"executor":"constant-arrival-rate","rate":%d,"duration":"%ds","preAllocatedVUs":6,"gracefulStop":"0s"},
		"side":{"executor":"externally-controlled","vus":1,"maxVUs":3,"duration":"%ds"}}}`, rate, length, length)))
	awaitBegun(t, s, "n4", 5)
	do := func(what string, f func() error) {
		if err := f(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	vus := 2
	do("scale", func() error { return c.Scale(t.Context(), run, ScaleRequest{VUs: &vus, By: "me"}) })
	do("pause", func() error { return c.Pause(t.Context(), run, PauseRequest{By: "me"}) })
	eventually(t, "the run is paused", func() bool { info, err := c.Show(t.Context(), run); return err == nil && info.Paused != nil })
	do("resume", func() error { return c.Resume(t.Context(), run, PauseRequest{By: "me"}) })
	others[2].stop(errCrash)
	do("drain", func() error { return others[1].Drain(t.Context()) })
	if stopped {
		do("stop", func() error { return c.Stop(t.Context(), run, StopRequest{Mode: StopGraceful}) })
	}
	res, _ := follow(t, c, run)
	if res.Failure != nil && res.Verdict != Inconclusive && !(stopped && res.Failure.Kind == KindStopped) {
		t.Errorf("verdict %s: %v", res.Verdict, res.Failure)
	}
	if !closed(dead) {
		t.Errorf("the leader came to no %q", point)
	}
	main := 0
	seen := map[int64]bool{}
	for _, it := range s.all() {
		if it.Scenario != 0 {
			continue
		}
		if main++; seen[it.Index] {
			t.Errorf("iteration %d was begun twice", it.Index)
		}
		seen[it.Index] = true
	}
	if l := res.Ledger[0]; l.sum() != float64(rate*length) || float64(main) < l.Completed || float64(main) > l.Completed+l.Unknown+l.Interrupted {
		t.Errorf("%d iterations were begun, and the ledger has %+v", main, l)
	}
	for _, call := range []string{"setup", "teardown"} {
		if n, _ := s.count(call); n != 1 {
			t.Errorf("%s ran %d times, want once", call, n)
		}
	}
	kinds := map[string]int{}
	for i, e := range res.Timeline {
		if e.N != int64(i+1) {
			t.Errorf("entry %d of the timeline has the number %d", i+1, e.N)
		}
		kinds[e.Kind]++
	}
	for _, kind := range []string{TimelineStart, TimelineScale, TimelinePause, TimelineResume, TimelineEnd} {
		if kinds[kind] != 1 && !(stopped && kind == TimelineEnd) {
			t.Errorf("the timeline has %d entries of the kind %s, want 1", kinds[kind], kind)
		}
	}
	if left, err := others[0].etcd.Get(t.Context(), others[0].keys.Active()); err != nil || len(left.Kvs) > 0 {
		t.Errorf("a run is under way after the last one (%v)", err)
	}
}
