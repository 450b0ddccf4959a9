package hive

import (
	"slices"
	"time"
)

// council is how many voters an embedded etcd has when there are nodes enough:
// any one of them may die. With fewer nodes it has one.
const council = 3

// seat is one member of the embedded etcd, as the controller sees it.
type seat struct {
	id      uint64
	node    string // that holds it; empty before it has started
	learner bool
	inSync  bool // of a learner: it has what the others have
	here    bool // its node is in the hive
	leaving bool // its node is being drained
	dead    bool // its node has been away for so long that it is given up
	leads   bool // raft
}

// sitting is what there is to decide from.
type sitting struct {
	seats  []seat
	spares []string // nodes that could hold a member and hold none, the longest in the hive first
}

// step is one change of the membership. At most one of its fields is set; none
// means that all is as it should be, or that there is something to wait for.
type step struct {
	call    []string // ask these nodes, and no others, to become learners
	promote []uint64 // make these learners voters, one right after the other
	remove  uint64
	reason  string
}

func (s step) none() bool { return len(s.call) == 0 && len(s.promote) == 0 && s.remove == 0 }

// nextStep decides what is to be done next for the hive to have council voters
// on living nodes that stay, or one. It never leaves voters that could not form
// a quorum of those that live, and never adds a voter that is not in sync.
//
// Learners come first, then all promotions that are needed at once (so that
// there are never two voters for longer than that takes), and removals last.
func nextStep(s sitting) step {
	voters, learners := s.split()
	staying := count(voters, func(m seat) bool { return m.here && !m.leaving })
	away := count(voters, func(m seat) bool { return !m.here && !m.dead })
	able := learners[:0:0]
	for _, m := range learners {
		if m.dead || m.leaving {
			return step{remove: m.id, reason: "a learner that does not come"}
		}
		if m.here {
			able = append(able, m)
		}
	}
	pool := staying + len(able) + len(s.spares)
	want := min(pool, 1)
	if pool >= council {
		want = council
	}
	// A voter that is away for a moment still counts: it is expected back.
	if need := want - staying - away; need > 0 {
		return gather(need, able, len(learners), s.spares)
	}
	if len(learners) > 0 && away == 0 {
		return step{remove: learners[0].id, reason: "a learner too many"}
	}
	return retire(voters, want, away)
}

// gather gets need more voters: by calls for learners, one at a time (two that
// start at once wait for each other until one gives up, some 6 s), then by
// their promotion, all together.
func gather(need int, able []seat, learners int, spares []string) step {
	var ready []uint64
	for _, m := range able {
		if m.inSync && len(ready) < need {
			ready = append(ready, m.id)
		}
	}
	if len(ready) == need {
		return step{promote: ready, reason: "in sync"}
	}
	if learners == len(able) && len(able) < need && learners < maxLearners && len(spares) > 0 {
		return step{call: spares[:1], reason: "the hive is large enough"}
	}
	return step{}
}

// retire takes a voter away that is dead, leaving or one too many.
func retire(voters []seat, want, away int) step {
	staying := count(voters, func(m seat) bool { return m.here && !m.leaving })
	leaving := count(voters, func(m seat) bool { return m.here && m.leaving })
	if away > 0 || staying == 0 {
		return step{}
	}
	// Without a replacement, a dead voter keeps its place, for it may come back,
	// unless others leave: then it must not count in the quorum of the rest.
	if staying >= want && (want == council || leaving > 0) {
		for _, m := range voters {
			if m.dead && quorate(voters, m.id) {
				return step{remove: m.id, reason: "its node is gone"}
			}
		}
	}
	if count(voters, func(m seat) bool { return m.dead }) > 0 {
		return step{}
	}
	for _, gone := range []bool{true, false} {
		for _, m := range slices.Backward(voters) { // the newest first
			if m.leaving != gone || m.leads && len(voters) > 1 && !gone {
				continue
			}
			if (gone || staying > want) && quorate(voters, m.id) {
				reason := "its node leaves"
				if !gone {
					reason = "one too many" // of two, either one would stop all
				}
				return step{remove: m.id, reason: reason}
			}
		}
	}
	return step{}
}

// quorate says whether the voters other than id, those of living nodes, are a
// quorum of what is left without id.
func quorate(voters []seat, id uint64) bool {
	left := slices.DeleteFunc(slices.Clone(voters), func(m seat) bool { return m.id == id })
	return count(left, func(m seat) bool { return m.here }) > len(left)/2
}

// serves says whether a seat may have clients. One of a dead node has none, and until it is removed, the voter in its place
// is one more that a quorum needs: none of the others may die.
func (s sitting) serves(id uint64) bool {
	return slices.ContainsFunc(s.seats, func(m seat) bool { return m.id == id && !m.dead })
}

// heirs are the voters other than id that could lead etcd, those first whose nodes are the last to lead the hive next by
// line.
func (s sitting) heirs(id uint64, line []string) []seat {
	voters, _ := s.split()
	heirs := slices.DeleteFunc(voters, func(m seat) bool { return !m.here || m.leaving || m.id == id })
	slices.SortStableFunc(heirs, func(a, b seat) int { return slices.Index(line, b.node) - slices.Index(line, a.node) })
	return heirs
}

func (s sitting) split() (voters, learners []seat) {
	for _, m := range s.seats {
		if m.learner {
			learners = append(learners, m)
		} else {
			voters = append(voters, m)
		}
	}
	return voters, learners
}

func count(seats []seat, is func(seat) bool) (n int) {
	for _, m := range seats {
		if is(m) {
			n++
		}
	}
	return n
}

// absences tells since when nodes have been away, by the clock of whoever
// watches; nodes that are back are forgotten.
type absences map[string]time.Time

// of notes whether a node is here, and returns for how long it has not been.
func (a absences) of(node string, here bool, now time.Time) time.Duration {
	if here {
		delete(a, node)
		return 0
	}
	since, known := a[node]
	if !known {
		since = now
		a[node] = now
	}
	return now.Sub(since)
}
