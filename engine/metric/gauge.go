package metric

import "time"

// gauge is the state of a gauge. Gauges that add up over machines also keep what they were by second
// of the run, so that values of the same time can be added.
type gauge struct {
	set            bool // false: no value yet, the rest is zero
	last, min, max float64
	at             int64    // of last, in Unix nanoseconds
	history        *history // nil unless additive
}

// staleSeconds is for how many seconds the value of a machine stands when it sends no newer one, and
// how far apart the machines of a run begin and end at most.
const staleSeconds = 3

func newGauge(additive bool) *gauge {
	g := &gauge{}
	if additive {
		g.history = &history{}
	}
	return g
}

// record sets the value at a time, in Unix nanoseconds; origin is when second 0 began.
func (g *gauge) record(v float64, at, origin int64) {
	if g.history != nil {
		g.history.put(floorDiv(at-origin, int64(time.Second)), v)
	}
	if !g.set {
		*g = gauge{set: true, last: v, min: v, max: v, at: at, history: g.history}
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

func (g *gauge) clone() *gauge {
	c := *g
	if g.history != nil {
		c.history = g.history.clone()
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
		if g.history != nil && o.history != nil {
			g.history.overlay(o.history)
		}
	}
}

// addGauges adds the gauges of several machines. A machine is one life of a node; machines that
// follow each other, of which some took over the VUs of others, add up to what there was at any one
// time. The extremes are exact as long as a bucket of the history covers a second, and right to
// within a bucket later; those of one machine alone are always exact.
func addGauges(parts []*gauge) *gauge {
	if len(parts) == 1 {
		return parts[0].clone()
	}
	histories := make([]*history, len(parts))
	for i, p := range parts {
		histories[i] = p.history
	}
	g := &gauge{set: true, history: addHistories(histories)}
	for _, p := range parts {
		g.at = max(g.at, p.at)
		if p.history.end() >= g.history.end()-staleSeconds {
			g.last += p.last
		}
	}
	g.addBefore(parts)
	b := g.history.before
	if len(g.history.buckets) == 0 {
		g.min, g.max = b.min, b.max
		return g
	}
	g.min, g.max = g.history.extremes()
	for _, p := range parts {
		_, alone := p.history.extremes() // all there is when lives are shorter than a bucket
		g.max = max(g.max, alone)
	}
	if b.has {
		g.min = min(g.min, b.min)
	}
	return g
}

// addBefore adds what the machines were before the run began. Each began to prepare in its own time,
// some when the run was long under way, so that it is a bound for the smallest value only; of those
// without a value from before, their smallest counts.
func (g *gauge) addBefore(parts []*gauge) {
	sum := &g.history.before
	for _, p := range parts {
		b := p.history.before
		if !b.has {
			b = bucket{min: p.min, max: p.max}
		}
		sum.has = sum.has || b.has
		sum.machines += b.machines
		sum.min += b.min
		sum.max += b.max
	}
	if !sum.has {
		*sum = bucket{}
	}
}

// end is the second of the last value; -1 when the last is from before the run.
func (h *history) end() int64 {
	if len(h.buckets) == 0 {
		return -1
	}
	return h.last
}
