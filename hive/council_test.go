package hive

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestNextStep(t *testing.T) {
	t.Parallel()
	voter := func(id uint64) seat { return seat{id: id, node: fmt.Sprint("n", id), here: true} }
	learner := func(id uint64, inSync bool) seat {
		return seat{id: id, node: fmt.Sprint("n", id), here: true, learner: true, inSync: inSync}
	}
	away := func(m seat) seat { m.here = false; return m }
	dead := func(m seat) seat { m.here, m.dead = false, true; return m }
	leaving := func(m seat) seat { m.leaving = true; return m }
	leads := func(m seat) seat { m.leads = true; return m }
	tests := []struct {
		name   string
		seats  []seat
		spares []string
		want   step
	}{
		{"alone", []seat{voter(1)}, nil, step{}},
		{"two nodes stay at one member", []seat{voter(1)}, []string{"b"}, step{}},
		{"the third node brings a learner", []seat{voter(1)}, []string{"b", "c", "d"}, step{call: []string{"b"}}},
		{"that starts alone", []seat{voter(1), away(learner(2, false))}, []string{"c", "d"}, step{}},
		{"before there is a second", []seat{voter(1), learner(2, false)}, []string{"c", "d"}, step{call: []string{"c"}}},
		{"one learner waits for the other", []seat{voter(1), learner(2, true)}, []string{"c"}, step{call: []string{"c"}}},
		{"one in sync waits for the other", []seat{voter(1), learner(2, true), learner(3, false)}, nil, step{}},
		{"both in sync are promoted together", []seat{voter(1), learner(2, true), learner(3, true)}, nil, step{promote: []uint64{2, 3}}},
		{"half a promotion is finished", []seat{voter(1), voter(2), learner(3, true)}, nil, step{promote: []uint64{3}}},
		{"a learner that is left alone goes", []seat{voter(1), learner(2, true)}, nil, step{remove: 2}},
		{"a learner that died goes", []seat{voter(1), dead(learner(2, true))}, []string{"c", "d"}, step{remove: 2}},
		{"three are enough", []seat{voter(1), voter(2), voter(3)}, []string{"d"}, step{}},
		{"a voter away for a moment is waited for", []seat{voter(1), voter(2), away(voter(3))}, []string{"d"}, step{}},
		{"a dead voter without a spare keeps its place", []seat{voter(1), voter(2), dead(voter(3))}, nil, step{}},
		{"a dead voter is replaced", []seat{voter(1), voter(2), dead(voter(3))}, []string{"d"}, step{call: []string{"d"}}},
		{"the replacement is promoted first", []seat{voter(1), voter(2), dead(voter(3)), learner(4, true)}, nil, step{promote: []uint64{4}}},
		{"then the dead one goes", []seat{voter(1), voter(2), dead(voter(3)), voter(4)}, nil, step{remove: 3}},
		{"a leaving voter is replaced", []seat{voter(1), voter(2), leaving(voter(3))}, []string{"d"}, step{call: []string{"d"}}},
		{"then it goes", []seat{voter(1), voter(2), leaving(voter(3)), voter(4)}, nil, step{remove: 3}},
		{"a leaving voter without a spare goes", []seat{voter(1), voter(2), leaving(voter(3))}, nil, step{remove: 3}},
		{"but a dead one goes before it", []seat{voter(1), dead(voter(2)), leaving(voter(3))}, nil, step{remove: 2}},
		{"of two voters the one that does not lead goes", []seat{voter(1), leads(voter(2))}, nil, step{remove: 1}},
		{"two voters find a third", []seat{voter(1), voter(2)}, []string{"c"}, step{call: []string{"c"}}},
		{"one that leaves hands over", []seat{leaving(voter(1))}, []string{"b"}, step{call: []string{"b"}}},
		{"and goes", []seat{leaving(voter(1)), voter(2)}, nil, step{remove: 1}},
		{"when all leave, all stay", []seat{leaving(voter(1)), leaving(voter(2)), leaving(voter(3))}, nil, step{}},
		{"without a quorum nothing is done", []seat{voter(1), dead(voter(2)), dead(voter(3))}, nil, step{}},
		{"learners are not made without end", []seat{voter(1), away(learner(2, false)), away(learner(3, false)), away(learner(4, false))}, []string{"e", "f"}, step{}},
	}
	for _, tt := range tests {
		got := nextStep(sitting{seats: tt.seats, spares: tt.spares})
		got.reason = ""
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// Only who may have clients is kept for a moment after another voter came: a dead one would take the quorum with it when
// a second voter dies in that moment.
func TestServes(t *testing.T) {
	t.Parallel()
	s := sitting{seats: []seat{{id: 1, here: true}, {id: 2, here: true, leaving: true}, {id: 3}, {id: 4, dead: true}}}
	for id, want := range map[uint64]bool{0: false, 1: true, 2: true, 3: true, 4: false} {
		if got := s.serves(id); got != want {
			t.Errorf("seat %d: serves %v, want %v", id, got, want)
		}
	}
}

func TestHeirs(t *testing.T) {
	t.Parallel()
	s := sitting{seats: []seat{
		{id: 1, node: "a", here: true}, {id: 2, node: "b", here: true}, {id: 3, node: "c", here: true}, {id: 4, node: "d", here: true},
		{id: 5, node: "e", here: true, leaving: true}, {id: 6, node: "f"}, {id: 7, node: "g", here: true, learner: true},
	}}
	var got []uint64
	for _, m := range s.heirs(1, []string{"a", "c", "b"}) {
		got = append(got, m.id)
	}
	if want := []uint64{2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: the last in line first, then who does not stand", got, want)
	}
}

// Over random histories of nodes that come, die, return and leave, no step
// leaves voters that cannot decide, and a hive that is left in peace ends with
// three voters on living nodes, or one.
func TestNextStepHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		w := &world{rng: rand.New(rand.NewPCG(seed, 1))}
		w.seats = []seat{{id: 1, node: "1", here: true}}
		w.next = 2
		for range 80 {
			w.happen()
			if err := w.act(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		voters, _ := w.split()
		if count(voters, func(m seat) bool { return m.here })*2 <= len(voters) {
			continue // too many died at once: nobody can do anything
		}
		for i := range w.seats { // peace: who is away is dead
			w.seats[i].dead = !w.seats[i].here
		}
		for range 40 {
			if err := w.act(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		voters, learners := w.split()
		staying := count(voters, func(m seat) bool { return m.here && !m.leaving })
		able := staying + len(w.spares)
		if len(learners) != 0 || able >= council && (staying != council || len(voters) != council) {
			t.Fatalf("seed %d: ended with %+v and the spares %v", seed, w.seats, w.spares)
		}
	}
}

// world is a hive whose nodes come and go.
type world struct {
	sitting
	rng  *rand.Rand
	next uint64
}

// happen lets something happen to a node.
func (w *world) happen() {
	i := w.rng.IntN(len(w.seats))
	m := &w.seats[i]
	switch w.rng.IntN(6) {
	case 0:
		w.spares = append(w.spares, fmt.Sprint(w.next))
		w.next++
	case 1: // dies, unless it is the last that can decide
		voters, _ := w.split()
		if m.learner || quorate(voters, 0) && count(voters, func(m seat) bool { return m.here })-1 > len(voters)/2 {
			m.here = false
		}
	case 2:
		m.here, m.dead = true, false
	case 3:
		m.dead = !m.here
	case 4:
		m.leaving = m.here && w.rng.IntN(4) == 0
	case 5:
		if len(w.spares) > 0 && w.rng.IntN(3) == 0 {
			w.spares = w.spares[1:]
		}
	}
}

// act takes one step, and checks that the voters could decide before and after.
func (w *world) act() error {
	s := nextStep(w.sitting)
	voters, _ := w.split()
	if !quorate(voters, 0) {
		return nil // etcd would not do it
	}
	for _, node := range s.call {
		w.spares = slices.DeleteFunc(w.spares, func(n string) bool { return n == node })
		w.seats = append(w.seats, seat{id: w.next, node: node, learner: true, inSync: true, here: true})
		w.next++
	}
	for _, id := range s.promote {
		i := slices.IndexFunc(w.seats, func(m seat) bool { return m.id == id })
		if !w.seats[i].inSync || !w.seats[i].here {
			return fmt.Errorf("a learner that is not ready is promoted: %+v of %+v", s, w.seats)
		}
		w.seats[i].learner = false
	}
	if s.remove != 0 {
		i := slices.IndexFunc(w.seats, func(m seat) bool { return m.id == s.remove })
		if m := w.seats[i]; m.here && !m.leaving {
			w.spares = append(w.spares, m.node)
		}
		w.seats = slices.Delete(w.seats, i, i+1)
	}
	if voters, _ = w.split(); !quorate(voters, 0) {
		return fmt.Errorf("after %+v the voters cannot decide: %+v", s, voters)
	}
	return nil
}

func TestAbsences(t *testing.T) {
	t.Parallel()
	a := absences{}
	now := time.Now()
	for i, tt := range []struct {
		here bool
		at   time.Duration
		want time.Duration
	}{{false, 0, 0}, {false, 4 * time.Second, 4 * time.Second}, {true, 5 * time.Second, 0}, {false, 6 * time.Second, 0}, {false, 7 * time.Second, time.Second}} {
		if got := a.of("n", tt.here, now.Add(tt.at)); got != tt.want {
			t.Errorf("look %d: away for %s, want %s", i, got, tt.want)
		}
	}
}
