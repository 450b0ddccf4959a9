package hive

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// watched feeds an overload one report a second of every node, in which those listed are late.
type watched struct {
	overload
	at     time.Time
	seq    int64
	fares  []fare
	derate bool
}

func newWatched(names ...string) *watched {
	w := &watched{at: time.Unix(1000, 0), derate: true}
	for i, name := range names {
		w.fares = append(w.fares, fare{node: name, name: name, life: int64(i + 1), cores: 2, weight: 100, capacity: 100, vus: 30})
	}
	return w
}

// seconds lets so many pass and returns what was found, without what was only told.
func (w *watched) seconds(n int, late ...string) (found []finding) {
	for range n {
		w.at, w.seq = w.at.Add(time.Second), w.seq+1
		for i := range w.fares {
			f := &w.fares[i]
			f.seq, f.health = w.seq, Health{CPU: 1, Late: time.Millisecond}
			if slices.Contains(late, f.name) {
				f.health.Late = 80 * time.Millisecond
			}
		}
		news := w.look(w.at, w.fares, w.derate)
		for _, f := range news {
			for i := range w.fares {
				if w.fares[i].node == f.node && f.weight > 0 {
					w.fares[i].weight = f.weight // the next epoch
				}
			}
		}
		found = append(found, news...)
	}
	return found
}

// kinds counts what was found.
func kinds(found []finding) map[findingKind]int {
	n := map[findingKind]int{}
	for _, f := range found {
		n[f.kind]++
	}
	return n
}

func TestOverloadTakesWeightAndGivesItBack(t *testing.T) {
	w := newWatched("a", "b", "c")
	if found := w.seconds(5, "b"); len(found) != 0 {
		t.Errorf("5 reports in less than 5 s: %v, want nothing yet", found)
	}
	found := w.seconds(1, "b")
	if got := kinds(found); got[overloaded] != 1 || got[derated] != 1 || w.fares[1].weight != 80 {
		t.Fatalf("late for 5 s: %v and a weight of %d, want it told, and 80", got, w.fares[1].weight)
	}
	if found := w.seconds(29, "b"); kinds(found)[derated] != 0 {
		t.Errorf("derated again within 29 s: %v", found)
	}
	w.seconds(200, "b")
	if got := w.fares[1].weight; got != 40 {
		t.Errorf("late for minutes: a weight of %d, want the floor, 40", got)
	}
	if found := w.seconds(29); len(found) != 0 {
		t.Errorf("in time for less than 30 s: %v, want nothing yet", found)
	}
	w.seconds(2)
	if got := w.fares[1].weight; got != 50 {
		t.Errorf("in time for 30 s: a weight of %d, want 50", got)
	}
	w.seconds(120)
	if got := w.fares[1].weight; got != 100 {
		t.Errorf("in time for two minutes more: a weight of %d, want all of it", got)
	}
	if found := w.seconds(600); len(found) != 0 {
		t.Errorf("all is well: %v, want nothing", found)
	}
}

func TestOverloadDoesNotFlap(t *testing.T) {
	w := newWatched("a", "b", "c")
	changes := 0
	for range 3600 / 10 { // b carries 80 and not more
		late := []string{}
		if w.fares[1].weight > 80 {
			late = append(late, "b")
		}
		n := kinds(w.seconds(10, late...))
		changes += n[derated] + n[restored]
	}
	if changes > 20 {
		t.Errorf("the weight changed %d times in an hour, want fewer and fewer attempts", changes)
	}
}

func TestOverloadOfAll(t *testing.T) {
	w := newWatched("a", "b")
	found := w.seconds(600, "a", "b")
	if got := kinds(found); got[derated] != 0 || got[allOverloaded] < 1 || got[allOverloaded] > 6 {
		t.Errorf("all are late for ten minutes: %v, want no change, and it told a few times", got)
	}
}

func TestOverloadOfMost(t *testing.T) {
	w := newWatched("a", "b", "c")
	if got := kinds(w.seconds(100, "a", "b")); got[derated] != 0 || got[overloaded] == 0 {
		t.Errorf("two of three are late: %v, want it told and nothing changed", got)
	}
}

func TestOverloadNeedsRoom(t *testing.T) {
	w := newWatched("a", "b")
	w.fares[0].vus = 98
	if got := kinds(w.seconds(60, "b")); got[derated] != 0 || got[overloaded] == 0 {
		t.Errorf("the other node has room for 2 VUs: %v, want it told and nothing changed", got)
	}
	w = newWatched("a")
	if got := kinds(w.seconds(60, "a")); got[derated] != 0 || got[overloaded] == 0 {
		t.Errorf("the only node: %v, want it told and nothing changed", got)
	}
	w = newWatched("a", "b", "c")
	w.derate = false
	if got := kinds(w.seconds(60, "b")); got[derated] != 0 || got[overloaded] == 0 {
		t.Errorf("--derate=false: %v, want it told and nothing changed", got)
	}
}

func TestPressures(t *testing.T) {
	for _, tt := range []struct {
		name   string
		health Health
		want   string
	}{
		{"collector", Health{CPU: 1.5, GC: 0.45, Memory: 100 << 20, MemoryMax: 400 << 20}, "45% of its engine's CPU time on collecting garbage, with 100 MiB of at most 400 MiB"},
		{"memory", Health{CPU: 0.1, Memory: 380 << 20, MemoryMax: 400 << 20}, "uses 380 MiB of at most 400 MiB"},
		{"sockets", Health{Sockets: 1000, SocketsMax: 1024}, "1000 of at most 1024 files open"},
		{"nothing", Health{CPU: 2, GC: 0.1, Memory: 100 << 20, MemoryMax: 400 << 20, Sockets: 10, SocketsMax: 1024}, ""},
		{"unknown limits", Health{Memory: 100 << 30, Sockets: 1000}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o overload
			var texts []string
			for i := range 20 {
				f := fare{node: "id", name: "a", life: 1, seq: int64(i + 1), health: tt.health, cores: 8, weight: 1, capacity: 1}
				for _, f := range o.look(time.Unix(int64(i), 0), []fare{f}, true) {
					texts = append(texts, f.press.text(f.name, f.health))
				}
			}
			switch {
			case tt.want == "" && len(texts) > 0:
				t.Errorf("told %q, want nothing", texts)
			case tt.want != "" && (len(texts) != 1 || !strings.Contains(texts[0], tt.want)):
				t.Errorf("told %q, want one with %q", texts, tt.want)
			}
		})
	}
}
