package metric

import "time"

// gauge is the state of a gauge. Gauges that add up over machines also keep a ring of their last
// values by second of the run, so that values of the same second can be added.
type gauge struct {
	set            bool // false: no value yet, the rest is zero
	last, min, max float64
	at             int64 // of last, in Unix nanoseconds
	ring           *ring // nil unless additive
}

// ringSeconds is how far back additive gauges remember: longer than any checkpoint is late.
const ringSeconds = 64

// staleSeconds is for how many seconds the value of a machine stands when it sends no newer one.
const staleSeconds = 3

// ring holds the values of the last ringSeconds whole seconds, each in the place second mod
// ringSeconds.
type ring struct {
	since int64 // the first second ever recorded
	last  int64 // the newest second
	from  int64 // the oldest second still held
	began int64 // when the last of the machines that were added up began
	ended int64 // when the first of them recorded its newest value
	has   [ringSeconds]bool
	value [ringSeconds]float64
}

func newGauge(additive bool) *gauge {
	g := &gauge{}
	if additive {
		g.ring = &ring{}
	}
	return g
}

// record sets the value at a time, in Unix nanoseconds; origin is when second 0 began.
func (g *gauge) record(v float64, at, origin int64) {
	if g.ring != nil {
		g.ring.put(floorDiv(at-origin, int64(time.Second)), v, !g.set)
	}
	if !g.set {
		*g = gauge{set: true, last: v, min: v, max: v, at: at, ring: g.ring}
		return
	}
	if at >= g.at {
		g.last, g.at = v, at
	}
	g.min, g.max = min(g.min, v), max(g.max, v)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func (r *ring) put(sec int64, v float64, empty bool) {
	if empty {
		*r = ring{since: sec, last: sec, from: sec}
	}
	r.since = min(r.since, sec)
	r.began = r.since
	if sec <= r.last-ringSeconds {
		return
	}
	for s := max(r.last+1, sec-ringSeconds+1); s < sec; s++ {
		r.has[place(s)] = false
	}
	r.last = max(r.last, sec)
	r.ended = r.last
	r.from = max(min(r.from, sec), r.last-ringSeconds+1)
	r.has[place(sec)], r.value[place(sec)] = true, v
}

func place(sec int64) int { return int(((sec % ringSeconds) + ringSeconds) % ringSeconds) }

// get returns the value that stood at a second: that of the second itself or of one of the few
// before it.
func (r *ring) get(sec int64) (float64, bool) {
	for s := min(sec, r.last); s >= r.from && s > sec-staleSeconds-1; s-- {
		if r.has[place(s)] {
			return r.value[place(s)], true
		}
	}
	return 0, false
}

func (g *gauge) clone() *gauge {
	c := *g
	if g.ring != nil {
		r := *g.ring
		c.ring = &r
	}
	return &c
}

// merge adds the state of another part of the same machine, or of any machine if the gauge is not
// additive: the later value counts, extremes are kept.
func (g *gauge) merge(o *gauge) {
	switch {
	case !o.set:
	case !g.set:
		*g = *o.clone()
	default:
		if o.at > g.at || (o.at == g.at && o.last > g.last) {
			g.last, g.at = o.last, o.at
		}
		g.min, g.max = min(g.min, o.min), max(g.max, o.max)
		if g.ring != nil && o.ring != nil {
			g.ring.overlay(o.ring)
		}
	}
}

// overlay takes over o's values, which win when they are newer.
func (r *ring) overlay(o *ring) {
	for sec := o.from; sec <= o.last; sec++ {
		if v, ok := o.value[place(sec)], o.has[place(sec)]; ok {
			r.put(sec, v, false)
		}
	}
	r.since = min(r.since, o.since)
	r.began = min(r.began, o.began)
}

// addGauges adds the gauges of several machines, second by second. The extremes of the sum are those
// of the seconds in which all of them ran; of seconds that are no longer remembered only the sum of
// the extremes is known.
func addGauges(parts []*gauge) *gauge {
	if len(parts) == 1 {
		return parts[0].clone()
	}
	g := &gauge{set: true, ring: span(parts)}
	s := g.ring
	for sec := s.from; sec <= s.last; sec++ {
		for _, p := range parts {
			if v, ok := p.ring.get(sec); ok {
				s.has[place(sec)] = true
				s.value[place(sec)] += v
			}
		}
	}
	g.last, _ = s.get(s.last)
	whole := s.began <= s.ended
	for _, p := range parts {
		g.at = max(g.at, p.at)
		g.min += p.min
		g.max += p.max
		whole = whole && p.ring.from == p.ring.since
	}
	if whole {
		g.min, g.max = s.extremes()
	}
	return g
}

// span returns an empty ring over the seconds of all parts.
func span(parts []*gauge) *ring {
	s := *parts[0].ring
	for _, p := range parts[1:] {
		s.since, s.from = min(s.since, p.ring.since), min(s.from, p.ring.from)
		s.last = max(s.last, p.ring.last)
		s.began, s.ended = max(s.began, p.ring.began), min(s.ended, p.ring.ended)
	}
	s.from = max(s.from, s.last-ringSeconds+1)
	s.has, s.value = [ringSeconds]bool{}, [ringSeconds]float64{}
	return &s
}

// extremes returns the smallest value while all parts ran and the largest of all.
func (r *ring) extremes() (low, high float64) {
	first, firstCommon := true, true
	for sec := r.from; sec <= r.last; sec++ {
		if !r.has[place(sec)] {
			continue
		}
		v := r.value[place(sec)]
		if first || v > high {
			high, first = v, false
		}
		if sec >= r.began && sec <= r.ended && (firstCommon || v < low) {
			low, firstCommon = v, false
		}
	}
	return low, high
}
