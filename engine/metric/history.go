package metric

import "math"

// maxBuckets is how many buckets a history has at most.
const maxBuckets = 256

// history is what an additive gauge was over a whole run, by the run's clock: smallest and largest
// value in each of at most maxBuckets buckets. A bucket covers 1 s at first. When they are too many,
// neighbours are joined and each covers twice as long, so that after a run of any length the extremes
// of a sum are known to within one bucket, which is at most 1/128 of the run.
//
// Bucket i covers the seconds from (first>>shift + i) << shift on, 1<<shift of them.
type history struct {
	first, last int64 // the seconds of the first and the last value; 0 when there are no buckets
	shift       uint
	buckets     []bucket
	before      bucket // values from before second 0, when machines have no common clock
}

// bucket is what is known of some seconds.
type bucket struct {
	min, max float64
	machines int64 // that stand behind the values
	has      bool  // false: nothing is known, the rest is zero
	torn     bool  // a machine came, went or was silent meanwhile: of max only min is certain
}

// put records the value of one machine at a second.
func (h *history) put(sec int64, v float64) {
	one := bucket{min: v, max: v, machines: 1, has: true}
	if sec < 0 {
		h.before = h.before.join(one)
		return
	}
	h.cover(sec, sec)
	at := &h.buckets[sec>>h.shift-h.base()]
	*at = at.join(one)
}

// base is the number of the first bucket, counted from second 0.
func (h *history) base() int64 { return h.first >> h.shift }

// cover makes room for the seconds from first to last.
func (h *history) cover(first, last int64) {
	if len(h.buckets) == 0 {
		h.first, h.last = first, first
		h.buckets = append(h.buckets, bucket{})
	}
	first, last = min(first, h.first), max(last, h.last)
	for width(first, last, h.shift) > maxBuckets {
		h.widen()
	}
	if n := h.base() - first>>h.shift; n > 0 {
		h.buckets = append(make([]bucket, n, int(n)+len(h.buckets)), h.buckets...)
	}
	h.first, h.last = first, last
	for n := width(first, last, h.shift); int64(len(h.buckets)) < n; {
		h.buckets = append(h.buckets, bucket{})
	}
}

// width is the number of buckets of 1<<shift seconds from a first second to a last.
func width(first, last int64, shift uint) int64 { return last>>shift - first>>shift + 1 }

// widen doubles what a bucket covers.
func (h *history) widen() {
	base := h.base()
	h.shift++
	if len(h.buckets) == 0 {
		return
	}
	to := h.base()
	n := 0
	for i, b := range h.buckets {
		if at := int((base+int64(i))>>1 - to); at < n {
			h.buckets[at] = h.buckets[at].join(b)
		} else {
			h.buckets[at] = b
			n = at + 1
		}
	}
	h.buckets = h.buckets[:n]
}

// join is what is known of two buckets as one. Where more machines were in one of them, the smallest
// value is that one's: machines do not start in the same second.
func (b bucket) join(o bucket) bucket {
	if !b.has {
		return o
	}
	if !o.has {
		return b
	}
	j := bucket{has: true, torn: b.torn || o.torn, max: max(b.max, o.max), machines: max(b.machines, o.machines)}
	switch {
	case j.torn || b.machines == o.machines:
		j.min = min(b.min, o.min)
	case b.machines > o.machines:
		j.min = b.min
	default:
		j.min = o.min
	}
	return j
}

func (h *history) clone() *history {
	c := *h
	c.buckets = append([]bucket(nil), h.buckets...)
	return &c
}

// widened is h, or a copy of it, with buckets of 1<<shift seconds.
func (h *history) widened(shift uint) *history {
	if h.shift >= shift {
		return h
	}
	c := h.clone()
	for c.shift < shift {
		c.widen()
	}
	return c
}

// overlay takes in another part of what the same machine recorded.
func (h *history) overlay(o *history) {
	h.before = h.before.join(o.before)
	if len(o.buckets) == 0 {
		return
	}
	for h.shift < o.shift {
		h.widen()
	}
	h.cover(o.first, o.last)
	o = o.widened(h.shift)
	for i, b := range o.buckets {
		at := &h.buckets[o.base()+int64(i)-h.base()]
		*at = at.join(b)
	}
}

// addHistories adds the histories of several machines, bucket by bucket.
//
// Machines come and go while others take over their VUs, and in the bucket in which that happens
// both would count. So a machine that comes when the run is under way counts from the bucket after
// its first seconds on, one that goes counts up to the bucket before its last, and buckets in which
// that was, or in which a machine was silent, are torn.
func addHistories(parts []*history) *history {
	sum := &history{}
	for _, p := range parts {
		sum.shift = max(sum.shift, p.shift)
	}
	for _, p := range parts {
		if len(p.buckets) > 0 {
			sum.cover(p.first, p.last)
		}
	}
	for i := range sum.buckets {
		sum.buckets[i].has = true
	}
	for _, p := range parts {
		if len(p.buckets) > 0 {
			sum.add(p.widened(sum.shift))
		}
	}
	return sum
}

// add adds a machine's history to buckets of the same width that cover it.
func (h *history) add(p *history) {
	from, until := p.base(), p.last>>p.shift // of what counts, both inclusive
	if p.first > h.first+staleSeconds {
		from = (p.first+staleSeconds)>>p.shift + 1
	}
	if p.last < h.last-staleSeconds {
		until--
	} else {
		until = min(h.last>>h.shift, until+int64(staleSeconds>>p.shift))
	}
	for n := p.base(); n <= max(until, p.last>>p.shift); n++ {
		to := &h.buckets[n-h.base()]
		b := p.standing(n - p.base())
		if n < from || n > until || !b.has {
			to.torn = true
			continue
		}
		to.machines += b.machines
		to.min += b.min
		if b.torn {
			to.torn = true
			to.max += b.min
		} else {
			to.max += b.max
		}
	}
}

// standing returns bucket i or, when it has no value, the one a few seconds before whose value still
// stood.
func (h *history) standing(i int64) bucket {
	for j := i; j >= max(0, i-int64(staleSeconds>>h.shift)); j-- {
		if j < int64(len(h.buckets)) && h.buckets[j].has {
			return h.buckets[j]
		}
	}
	return bucket{}
}

// extremes returns the smallest and the largest value of a sum, none of which is below 0. The smallest is that of the time from
// when all machines of the beginning ran until the last moment at which as many did: those that end
// early have done their part, and those that start a little later are not missing before. Torn
// buckets say nothing about it.
func (h *history) extremes() (low, high float64) {
	from, until := h.full()
	low = math.Inf(1)
	for i, b := range h.buckets {
		high = max(high, b.max)
		if i >= from && i <= until && !b.torn {
			low = min(low, b.min)
		}
	}
	return min(low, high), high
}

// full returns the first and the last bucket between which the smallest value of a sum is looked for.
func (h *history) full() (from, until int) {
	most := int64(0)
	for i, b := range h.buckets {
		if i <= staleSeconds>>h.shift && b.machines > most {
			most, from = b.machines, i
		}
	}
	for i, b := range h.buckets {
		if b.machines >= most {
			until = i
		}
	}
	return from, until
}
