package hive

import (
	"strings"
	"testing"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/share"
)

func TestSeqSet(t *testing.T) {
	var s seqSet
	for _, tt := range []struct {
		n    int64
		want bool
	}{{1, true}, {2, true}, {2, false}, {5, true}, {4, true}, {3, true}, {3, false}, {5, false}, {1, false}, {9, true}, {7, true}, {8, true}, {6, true}} {
		if got := s.add(tt.n); got != tt.want {
			t.Errorf("add(%d) = %t, want %t (%v)", tt.n, got, tt.want, s.ranges)
		}
	}
	if len(s.ranges) != 1 || s.ranges[0] != [2]int64{1, 9} {
		t.Errorf("ranges %v, want one from 1 to 9", s.ranges)
	}
	for n := int64(20); n < 1000; n += 2 {
		s.add(n)
	}
	if len(s.ranges) > maxRanges {
		t.Errorf("%d ranges are kept, want at most %d", len(s.ranges), maxRanges)
	}
}

// counting is a snapshot of a counter.
func counting(t *testing.T, n float64) *metric.Snapshot {
	t.Helper()
	reg := metric.NewRegistry()
	store := metric.NewStore(reg, metric.StoreOptions{Shards: 1})
	store.Recorder(0).Record(reg.Root(), metric.Extra{}, time.Now(), metric.Value{Metric: reg.Builtin().Iterations, V: n})
	return store.Snapshot()
}

func TestInboxKeepsTheNewestAndFolds(t *testing.T) {
	b := newInbox(&Node{})
	h := newHub(1)
	b.mu.Lock()
	b.begin("r")
	b.mu.Unlock()
	put := func(r Report) {
		t.Helper()
		if _, err := b.put("r", r, counting(t, 1)); err != nil {
			t.Fatal(err)
		}
	}
	put(Report{Node: "a", Incarnation: 1, Seq: 2, Elapsed: 2, Logs: []LogLine{{Seq: 1, Message: "one"}, {Seq: 2, Message: "two"}}})
	put(Report{Node: "a", Incarnation: 1, Seq: 1, Elapsed: 1, Logs: []LogLine{{Seq: 1, Message: "one"}}})
	if c := b.of(1); c.Elapsed != 2 {
		t.Errorf("the checkpoint that came late counts: %+v", c.Report)
	}
	woken := 0
	b.drive("r", h, func() { woken++ })
	put(Report{Node: "a", Incarnation: 1, Seq: 3, Logs: []LogLine{{Seq: 2, Message: "two"}, {Seq: 3, Message: "three"}}})
	events, _, _ := h.after(0)
	if len(events) != 3 || woken != 1 {
		t.Errorf("%d lines were published and the driver was woken %d times, want 3 and 1", len(events), woken)
	}
	for life := int64(2); life < 2000; life++ {
		put(Report{Node: "b", Incarnation: life, Seq: 1, Stage: StageEnded, Progress: Progress{Iterations: 1, VUs: 5}, Ledger: []executor.Ledger{{Completed: 1}}})
		if life%100 == 0 {
			b.fold(lifeSet{{1, life}})
		}
	}
	put(Report{Node: "b", Incarnation: 50, Seq: 9}) // what is folded is over
	if n := len(b.all()); n > 100 {
		t.Errorf("%d checkpoints are kept one by one", n)
	}
	other := newInbox(&Node{})
	other.begin("r")
	bodies, err := b.pending(func(int64) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice does no harm
		for _, body := range bodies {
			r, s, err := decodeCheckpoint(body)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := other.put("r", r, s); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, in := range map[string]*inbox{"leader": b, "deputy": other} {
		snaps := []*metric.Snapshot{in.sum().snapshot}
		for _, c := range in.all() {
			snaps = append(snaps, c.snapshot)
		}
		sum := metric.NewView(metric.Merge(snaps...)).Get("iterations").Sum
		if sum != 1999 || int(in.sum().Lives.len())+len(in.all()) != 1999 {
			t.Errorf("the %s has %v iterations of %d incarnations, want 1999 of 1999", name, sum, int(in.sum().Lives.len())+len(in.all()))
		}
	}
}

func TestWatchlist(t *testing.T) {
	members := []Member{{ID: "a", Incarnation: 1}, {ID: "b", Incarnation: 2}, {ID: "c", Incarnation: 3}}
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	look := func(w *watchlist, ms int, gone, proven string) {
		w.note(at(ms), members, func(m Member) bool { return !strings.Contains(gone, m.ID) }, func(m Member) bool { return strings.Contains(proven, m.ID) })
	}
	w := newWatchlist(2 * time.Second)
	look(w, 0, "a", "a")
	if len(w.lost()) != 1 {
		t.Errorf("a node that is proven gone is not lost: %v", w.lost())
	}
	w = newWatchlist(2 * time.Second)
	look(w, 0, "b", "")
	if len(w.lost()) != 0 {
		t.Error("silence alone is believed at once")
	}
	look(w, 200, "b", "")
	if len(w.lost()) != 1 {
		t.Error("a node whose lease ran out is not lost")
	}
	w = newWatchlist(2 * time.Second)
	look(w, 0, "ab", "")
	look(w, 1900, "ab", "")
	if len(w.lost()) != 0 || w.still == 0 {
		t.Errorf("most nodes went at once, and %v are lost", w.lost())
	}
	look(w, 1950, "a", "")
	look(w, 2100, "a", "")
	if got := w.lost(); len(got) != 1 || got[1] == "" {
		t.Errorf("lost %v, want the one that did not come back", got)
	}
}

func TestRowsAreCutWithoutLoss(t *testing.T) {
	r := &rowsOf{Weights: []int{3, 3, 3}, Nodes: map[int64]row{
		1: {Pieces: firstPiece(0, 300)}, 2: {Pieces: firstPiece(1, 300)}, 3: {Pieces: firstPiece(2, 300)}}}
	limits := map[int64]int64{1: 100, 2: 120, 3: 90}
	after := r.cut(limits, []taker{{1, 4}, {2, 5}})
	if got, want := lengthOf(after.Nodes[1].Pieces)+lengthOf(after.Nodes[2].Pieces), int64(900-310); got != want {
		t.Errorf("%d iterations are left, want %d", got, want)
	}
	if after.Nodes[1].Done != 100 || after.Nodes[2].Done != 120 {
		t.Errorf("rows %+v, want what may have been begun in front", after.Nodes)
	}
	nobody := after.cut(map[int64]int64{1: 150, 2: 120}, nil)
	if got, want := lengthOf(nobody.Loose), int64(900-310-50); got != want {
		t.Errorf("%d iterations are loose, want %d", got, want)
	}
	last := nobody.cut(nil, []taker{{7, 9}})
	seen := map[share.Piece]bool{}
	for _, p := range last.Nodes[7].Pieces {
		seen[p] = true
	}
	if got := lengthOf(last.Nodes[7].Pieces); got != 900-310-50 || len(seen) != len(last.Nodes[7].Pieces) {
		t.Errorf("%d iterations came to the newcomer in %v", got, last.Nodes[7].Pieces)
	}
}

func TestCheckControl(t *testing.T) {
	ext := scenarios(t, `{"scenarios":{"e":{"executor":"externally-controlled","vus":2,"maxVUs":8,"duration":"10s"}}}`)
	other := scenarios(t, `{"scenarios":{"c":{"executor":"constant-vus","vus":2,"duration":"10s"}}}`)
	running, halted := State{Phase: Running}, State{Phase: Running, Halt: &Halt{At: time.Second}}
	for _, tt := range []struct {
		name string
		st   State
		c    Control
		want string // in the refusal; empty for none
	}{
		{"pause", running, Control{Action: ActionPause}, ""},
		{"pause twice", halted, Control{Action: ActionPause}, "paused already"},
		{"pause before the load", State{Phase: Setup}, Control{Action: ActionPause}, "the run is setup"},
		{"resume", halted, Control{Action: ActionResume}, ""},
		{"resume what goes on", running, Control{Action: ActionResume}, "not paused"},
		{"scale", running, Control{Action: ActionScale, VUs: 8}, ""},
		{"scale by name", halted, Control{Action: ActionScale, Scenario: "e", VUs: 0}, ""},
		{"scale below", running, Control{Action: ActionScale, VUs: -1}, "0 to 8"},
		{"scale above", running, Control{Action: ActionScale, VUs: 9}, "0 to 8"},
		{"scale another", running, Control{Action: ActionScale, Scenario: "x"}, "it has e"},
		{"unknown", running, Control{Action: "dance"}, "want stop, pause"},
	} {
		err := checkControl(ext, tt.st, tt.c)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	if err := checkControl(other, running, Control{Action: ActionScale, VUs: 1}); err == nil || !strings.Contains(err.Error(), "no externally-controlled") {
		t.Errorf("scaling what cannot be scaled: %v", err)
	}
}

func TestReserve(t *testing.T) {
	members := []Member{{Name: "a", Capacity: 10}, {Name: "b", Capacity: 30}, {Name: "c", Capacity: 20}}
	for reserve, want := range map[int]bool{0: true, 1: true, 2: false, 5: false} {
		err := checkReserve(30, members, reserve)
		if (err == nil) != want {
			t.Errorf("reserve %d: %v", reserve, err)
		}
	}
	if f := AsFailure(checkReserve(30, members, 2)); f.Kind != KindCapacity || !strings.Contains(f.Message, "carries 10") {
		t.Errorf("got %+v, want a refusal with the numbers", f)
	}
}

func TestStrained(t *testing.T) {
	for _, tt := range []struct {
		name   string
		h      Health
		before time.Duration
		want   bool
	}{
		{"idle", Health{CPU: 0.1}, 0, false},
		{"late", Health{Late: 60 * time.Millisecond}, 0, true},
		{"busy and in time", Health{CPU: 4, Late: time.Millisecond}, 0, false},
		{"busy and later and later", Health{CPU: 4, Late: 40 * time.Millisecond}, 20 * time.Millisecond, true},
	} {
		if got := strained(tt.h, tt.before, 4); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}
