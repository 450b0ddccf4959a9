package hive

import (
	"slices"
	"time"
)

const (
	// lossGather is how long a loss without proof waits for others that may come with it.
	lossGather = 150 * time.Millisecond
	// lossWindow is within what time losses count as having come together.
	lossWindow = time.Second
)

// absence is a member that is not in the hive's records.
type absence struct {
	member Member
	since  time.Duration // on the leader's monotonic clock
	// until is since on the run's clock, which may stand still, once this leader goes by that clock: from then on the
	// member certainly sends no load. After an outage of the whole hive it is known otherwise.
	until  *time.Duration
	proven bool // a refused connection said so
	stayed bool // its absence outlasted all patience, or was proven: it is lost
	reason string
}

// watchlist is what a leader knows of members that are not there. It decides who is lost, and when.
type watchlist struct {
	ttl    time.Duration
	absent map[int64]*absence
	still  time.Duration // until when nothing is decided from silence; 0 when not holding still
}

func newWatchlist(ttl time.Duration) *watchlist {
	return &watchlist{ttl: ttl, absent: map[int64]*absence{}}
}

// note takes in who is there now. It returns who came back before being lost, and whether holding still began or ended.
func (w *watchlist) note(at time.Duration, members []Member, there func(Member) bool, proof func(Member) bool) (back []Member, began, ended bool) {
	for _, m := range members {
		a := w.absent[m.Incarnation]
		switch {
		case there(m):
			if a != nil {
				back = append(back, m)
				delete(w.absent, m.Incarnation)
			}
			continue
		case a == nil:
			a = &absence{member: m, since: at}
			w.absent[m.Incarnation] = a
		}
		a.proven = a.proven || proof(m)
	}
	for life := range w.absent {
		if !slices.ContainsFunc(members, func(m Member) bool { return m.Incarnation == life }) {
			delete(w.absent, life)
		}
	}
	began = w.holdStill(at, len(members))
	ended = w.still != 0 && at >= w.still
	if ended {
		w.still = 0
	}
	for _, a := range w.absent {
		w.settle(a, at, ended)
	}
	return back, began, ended
}

// holdStill begins to hold still when most members went at once and nothing proves that they are gone.
func (w *watchlist) holdStill(at time.Duration, members int) bool {
	if w.still != 0 {
		return false
	}
	silent, fresh := 0, false
	for _, a := range w.absent {
		if !a.proven && at-a.since < lossWindow+lossGather {
			silent++
			fresh = fresh || !a.stayed
		}
	}
	if silent < 2 || 2*silent <= members || !fresh {
		return false
	}
	w.still = at + w.ttl
	return true
}

// settle says of an absence whether it is a loss.
func (w *watchlist) settle(a *absence, at time.Duration, ended bool) {
	switch {
	case a.stayed:
	case a.proven:
		a.stayed, a.reason = true, "connection refused, lease revoked"
	case ended || w.still == 0 && at-a.since >= lossGather:
		a.stayed, a.reason = true, "its lease ran out"
	}
}

// lost are the members that are lost, with the reason.
func (w *watchlist) lost() map[int64]string {
	lost := map[int64]string{}
	for life, a := range w.absent {
		if a.stayed {
			lost[life] = a.reason
		}
	}
	return lost
}
