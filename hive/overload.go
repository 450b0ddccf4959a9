package hive

import (
	"math"
	"time"
)

const (
	// strainLimit is how late iterations may start (99th percentile) until a node counts as overloaded.
	strainLimit = 50 * time.Millisecond
	// busyLimit is the part of its cores that a node may use until then, if it is late as well.
	busyLimit = 0.95
	// overloadedFor is for how long in a row it must have been so.
	overloadedFor = 5 * time.Second
	// derateStep is what is left of its weight then, derateFloor the least part of its capacity that is.
	derateStep, derateFloor = 0.8, 0.4
	// derateEvery is how often that may happen to a node.
	derateEvery = 30 * time.Second
	// calmFor is how long a node must have kept up until it gets a step of its weight back. Each time that it could not
	// keep up with what it got back, that doubles, up to calmMost.
	calmFor, calmMost = 30 * time.Second, 10 * time.Minute
	// blip is how long a node may be late without that counting against it.
	blip = 2 * time.Second
	// toldEvery is how often it is said of a node that it is overloaded, at first; that doubles too, up to toldMost.
	toldEvery, toldMost = 30 * time.Second, 10 * time.Minute
)

// overload is what the leader knows of nodes that cannot keep up. Times are on a clock that never stands still.
type overload struct {
	strains map[string]*strain // by node id: a node that is dealt in again is the same machine
	weights map[string]int     // by node id, of nodes whose weight was changed
	all     telling            // that no node keeps up
}

// strain is how one node has fared.
type strain struct {
	life, seq int64     // of the newest report
	since     time.Time // since when it is overloaded; zero when it is not
	calm      time.Time // since when it has not been so for longer than a blip; zero when it is
	late      time.Duration
	derated   time.Time     // when its weight was last taken; zero for never
	patience  time.Duration // what calmFor is for it
	restored  bool          // the last change gave weight back
	told      telling
	pressed   [pressures]time.Time // since when, by kind; zero when it is not
	warned    [pressures]bool
}

// telling keeps what goes on for long from being said too often.
type telling struct {
	last  time.Time
	pause time.Duration
}

// due says whether it is time to say it, and then waits longer the next time.
func (t *telling) due(at time.Time) bool {
	if !t.last.IsZero() && at.Sub(t.last) < t.pause {
		return false
	}
	t.last, t.pause = at, min(max(toldEvery, 2*t.pause), toldMost)
	return true
}

// fare is how a living member fares by its newest report, and what it carries.
type fare struct {
	node, name            string
	life, seq             int64 // of the report
	health                Health
	cores                 int
	weight, capacity, vus int
}

// room is how many more VUs it can carry.
func (f fare) room() int { return max(0, f.capacity-f.vus) }

// finding is something to be said, and to be done when weight is not 0.
type finding struct {
	fare
	kind   findingKind
	press  pressure // of kind pressed
	weight int      // the new one
}

type findingKind int

const (
	overloaded    findingKind = iota // it does not keep up
	allOverloaded                    // nobody does: there is nobody to give anything to
	derated                          // its weight is to fall
	restored                         // its weight is to rise again
	pressed                          // it runs out of something
)

// strained says whether a report shows a node that cannot keep up.
func strained(h Health, before time.Duration, cores int) bool {
	busy := cores > 0 && h.CPU >= busyLimit*float64(cores)
	return h.Late > strainLimit || busy && h.Late > before && h.Late > strainLimit/2
}

// look takes the newest reports of all living members and says what is new. Weights change only where derate says so.
func (o *overload) look(at time.Time, fares []fare, derate bool) (found []finding) {
	if o.strains == nil {
		o.strains, o.weights = map[string]*strain{}, map[string]int{}
	}
	var worn []fare // for long enough
	helpers, room := 0, 0
	for _, f := range fares {
		s := o.take(at, f)
		found = append(found, s.pressures(at, f)...)
		switch {
		case s.since.IsZero():
			helpers++
			room += f.room()
		case at.Sub(s.since) >= overloadedFor:
			worn = append(worn, f)
		}
	}
	if len(worn) == len(fares) && len(fares) > 1 {
		if o.all.due(at) {
			found = append(found, finding{fare: worst(worn), kind: allOverloaded})
		}
		return found
	}
	most := 2*helpers >= len(fares) // when few keep up, what is taken from the others would only wear these out too
	for _, f := range worn {
		found = append(found, o.relieve(at, f, derate && most, room)...)
	}
	if derate && len(worn) == 0 {
		found = append(found, o.restore(at, fares)...)
	}
	return found
}

// take notes a report.
func (o *overload) take(at time.Time, f fare) *strain {
	s := o.strains[f.node]
	if s == nil {
		s = &strain{calm: at, patience: calmFor}
		o.strains[f.node] = s
	}
	if s.life == f.life && s.seq == f.seq {
		return s
	}
	if s.life != f.life {
		s.warned, s.pressed = [pressures]bool{}, [pressures]time.Time{}
	}
	bad := strained(f.health, s.late, f.cores)
	s.life, s.seq, s.late = f.life, f.seq, f.health.Late
	switch {
	case !bad:
		s.since = time.Time{}
		if s.calm.IsZero() {
			s.calm = at
		}
	case s.since.IsZero():
		s.since = at
	case at.Sub(s.since) >= blip:
		s.calm = time.Time{}
	}
	return s
}

// relieve tells of an overloaded member, and takes a part of its weight where others have room for it.
func (o *overload) relieve(at time.Time, f fare, derate bool, room int) (found []finding) {
	s := o.strains[f.node]
	weight := max(int(float64(f.weight)*derateStep), int(float64(f.capacity)*derateFloor), 1)
	moves := f.vus - f.vus*weight/max(1, f.weight)
	lower := derate && weight < f.weight && moves <= room && (s.derated.IsZero() || at.Sub(s.derated) >= derateEvery)
	if s.told.due(at) || lower {
		found = append(found, finding{fare: f, kind: overloaded})
	}
	if !lower {
		return found
	}
	if s.restored {
		s.patience = min(2*s.patience, calmMost)
	}
	s.derated, s.restored = at, false
	o.weights[f.node] = weight
	return append(found, finding{fare: f, kind: derated, weight: weight})
}

// restore gives members that have kept up for long a step of their weight back.
func (o *overload) restore(at time.Time, fares []fare) (found []finding) {
	for _, f := range fares {
		s := o.strains[f.node]
		if f.weight >= f.capacity || !s.since.IsZero() || s.calm.IsZero() || at.Sub(s.calm) < s.patience {
			continue
		}
		weight := min(int(math.Ceil(float64(f.weight)/derateStep)), f.capacity)
		s.calm, s.restored = at, true
		o.weights[f.node] = weight
		found = append(found, finding{fare: f, kind: restored, weight: weight})
	}
	return found
}

// worst is the one whose iterations start latest.
func worst(fares []fare) fare {
	w := fares[0]
	for _, f := range fares {
		if f.health.Late > w.health.Late {
			w = f
		}
	}
	return w
}
