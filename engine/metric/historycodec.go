package metric

import (
	"errors"
	"fmt"
	"math"
)

// Flags of a run of equal buckets.
const (
	bucketHas   = 1 << iota // it has values; without it nothing follows
	bucketTorn              // they are torn
	bucketFlat              // min and max are the same, only one follows
	bucketWhole             // the values are whole numbers, each a varint; without it they are floats
	bucketFlags = 1<<iota - 1
)

// Bounds of histories, far beyond any run.
const (
	maxSecond   = 1 << 40
	maxShift    = 40
	maxMachines = 1 << 32
)

// maxWhole is up to where every whole number is a float64.
const maxWhole = 1 << 53

func (e *encoder) history(h *history) {
	e.bucket(h.before)
	e.uvarint(uint64(len(h.buckets)))
	if len(h.buckets) == 0 {
		return
	}
	e.varint(h.first)
	e.varint(h.last)
	e.uvarint(uint64(h.shift))
	for i, n := 0, 0; i < len(h.buckets); i += n {
		for n = 1; i+n < len(h.buckets) && h.buckets[i+n] == h.buckets[i]; {
			n++
		}
		e.uvarint(uint64(n))
		e.bucket(h.buckets[i])
	}
}

func (e *encoder) bucket(b bucket) {
	if !b.has {
		e.b = append(e.b, 0)
		return
	}
	flags, values := byte(bucketHas), []float64{b.min, b.max}
	if b.torn {
		flags |= bucketTorn
	}
	if b.min == b.max {
		flags, values = flags|bucketFlat, values[:1]
	}
	whole := isWhole(b.min) && isWhole(b.max)
	if whole {
		flags |= bucketWhole
	}
	e.b = append(e.b, flags)
	e.uvarint(uint64(b.machines))
	for _, v := range values {
		if whole {
			e.varint(int64(v))
		} else {
			e.floats(v)
		}
	}
}

func isWhole(v float64) bool { return math.Trunc(v) == v && math.Abs(v) < maxWhole }

func (d *decoder) history() *history {
	h := &history{before: d.bucket()}
	n := d.uvarint()
	if n == 0 || d.err != nil {
		return h
	}
	h.first, h.last = d.varint(), d.varint()
	shift := d.uvarint()
	switch {
	case d.err != nil:
		return h
	case h.first < 0 || h.last < h.first || h.last > maxSecond:
		d.fail(fmt.Errorf("seconds %d to %d of a run", h.first, h.last))
		return h
	case shift > maxShift:
		d.fail(fmt.Errorf("buckets of 2^%d seconds", shift))
		return h
	}
	h.shift = uint(shift)
	if want := width(h.first, h.last, h.shift); n > maxBuckets || int64(n) != want {
		d.fail(fmt.Errorf("%d buckets for seconds %d to %d in steps of %d, should be %d and at most %d",
			n, h.first, h.last, int64(1)<<h.shift, want, maxBuckets))
		return h
	}
	h.buckets = make([]bucket, 0, n)
	for uint64(len(h.buckets)) < n && d.err == nil {
		run, b := d.uvarint(), d.bucket()
		if run == 0 || run > n-uint64(len(h.buckets)) {
			d.fail(fmt.Errorf("%d equal buckets after %d of %d", run, len(h.buckets), n))
		}
		for ; run > 0 && d.err == nil; run-- {
			h.buckets = append(h.buckets, b)
		}
	}
	return h
}

func (d *decoder) bucket() bucket {
	flags := d.byte()
	if flags == 0 {
		return bucket{}
	}
	if flags&bucketHas == 0 || flags > bucketFlags {
		d.fail(fmt.Errorf("a bucket with the flags %#x", flags))
	}
	b := bucket{has: true, torn: flags&bucketTorn != 0}
	machines := d.uvarint()
	if machines > maxMachines {
		d.fail(fmt.Errorf("%d machines", machines))
	}
	b.machines = int64(machines)
	value := d.float
	if flags&bucketWhole != 0 {
		value = func() float64 { return float64(d.varint()) }
	}
	b.min = value()
	if b.max = b.min; flags&bucketFlat == 0 {
		b.max = value()
	}
	if b.min > b.max {
		d.fail(errors.New("the smallest value of a bucket is above its largest"))
	}
	return b
}
