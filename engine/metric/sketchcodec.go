package metric

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A sketch in bytes (integers are uvarints, floats 8 bytes, little endian):
//
//	version (1 byte)  count  ignored  zeros
//	if count > 0:     sum hi  sum lo  min  max          (floats)
//	classes, and for each, in ascending order of values:
//	    its place in that order, from 1
//	    buckets, and for each: index, as the distance from the one before, and count
const sketchVersion = 1

var errTruncated = errors.New("truncated")

// AppendBinary appends the sketch in a compact form that UnmarshalBinary reads. It never fails.
func (s *Sketch) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, sketchVersion)
	b = binary.AppendUvarint(b, s.count)
	b = binary.AppendUvarint(b, s.ignored)
	b = binary.AppendUvarint(b, s.zeros)
	if s.count > 0 {
		for _, f := range []float64{s.sum.hi, s.sum.lo, s.min, s.max} {
			b = appendFloat(b, f)
		}
	}
	classes := uint64(len(s.others))
	if s.first != nil {
		classes++
	}
	b = binary.AppendUvarint(b, classes)
	s.each(func(c class) { b = c.append(b) })
	return b, nil
}

// MarshalBinary is AppendBinary to new memory.
func (s *Sketch) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

func (c class) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(order(c.neg, c.k)-order(true, maxClass))+1)
	b = binary.AppendUvarint(b, uint64(c.hist.Populated()))
	last := uint64(0)
	for v, n := range c.hist.ForEachBucket {
		i := bucketIndex(v)
		b = binary.AppendUvarint(b, i-last)
		b = binary.AppendUvarint(b, uint64(n))
		last = i
	}
	return b
}

// UnmarshalBinary replaces s by what AppendBinary wrote. It fails, and leaves s as it was, on bytes
// that no sketch has.
func (s *Sketch) UnmarshalBinary(data []byte) error {
	r := reader{b: data}
	d, err := r.sketch()
	if err != nil {
		return fmt.Errorf("sketch: %w", err)
	}
	*s = *d
	return nil
}

func (r *reader) sketch() (*Sketch, error) {
	s := NewSketch()
	if v := r.byte(); r.err == nil && v != sketchVersion {
		return nil, fmt.Errorf("version %d, this program reads version %d", v, sketchVersion)
	}
	s.count, s.ignored, s.zeros = r.uvarint(), r.uvarint(), r.uvarint()
	if s.count > 0 {
		s.sum.hi, s.sum.lo, s.min, s.max = r.float(), r.float(), r.float(), r.float()
		if r.err == nil && s.min > s.max {
			return nil, fmt.Errorf("smallest value %v above largest %v", s.min, s.max)
		}
	}
	total, last := s.zeros, uint64(0)
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		place := r.uvarint()
		if place <= last || place > places {
			return nil, fmt.Errorf("class %d after class %d of %d", place, last, places)
		}
		last = place
		if err := r.class(s, place, &total); err != nil {
			return nil, err
		}
	}
	switch {
	case r.err != nil:
		return nil, r.err
	case len(r.b) > 0:
		return nil, fmt.Errorf("%d bytes too many", len(r.b))
	case total != s.count:
		return nil, fmt.Errorf("buckets hold %d values, not %d", total, s.count)
	}
	return s, nil
}

// places is the number of classes of both signs; order(false, minClass)-order(true, minClass) is 2
// since 0 is the place of zeros.
const places = 2*(maxClass-minClass+1) + 1

func (r *reader) class(s *Sketch, place uint64, total *uint64) error {
	neg, k := classAt(place)
	if k < minClass {
		return errors.New("a class of zeros")
	}
	hist := s.histogram(neg, k)
	index := uint64(0)
	buckets := r.uvarint()
	for i := uint64(0); i < buckets && r.err == nil; i++ {
		delta, n := r.uvarint(), r.uvarint()
		switch {
		case r.err != nil:
		case delta == 0 && i > 0, delta > maxBucket, index+delta > maxBucket:
			return fmt.Errorf("bucket %d after bucket %d of %d", index+delta, index, maxBucket)
		case n == 0, n > math.MaxInt64-min(*total, math.MaxInt64):
			return fmt.Errorf("%d values in a bucket", n)
		default:
			index += delta
			*total += n
			record(hist, bucketValue(index), int64(n))
		}
	}
	return r.err
}

// classAt is the reverse of a class' place; k is below minClass for the place of zeros.
func classAt(place uint64) (neg bool, k int) {
	o := int(place) - 1 + order(true, maxClass)
	if o < 0 {
		return true, -1 - o + minClass
	}
	return false, o - 1 + minClass
}

func appendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

// reader takes values off the front of b; after the first error it returns zeros.
type reader struct {
	b   []byte
	err error
}

// fail keeps the first error; nil is none.
func (r *reader) fail(err error) {
	if r.err == nil && err != nil {
		r.err, r.b = err, nil
	}
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail(errTruncated)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(errTruncated)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// length reads a count of things of which each takes at least one byte.
func (r *reader) length() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail(errTruncated)
		return 0
	}
	return int(n)
}

func (r *reader) bytes() []byte {
	n := r.length()
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail(errTruncated)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// float reads a finite number.
func (r *reader) float() float64 {
	if len(r.b) < 8 {
		r.fail(errTruncated)
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(r.b))
	r.b = r.b[8:]
	if math.IsNaN(f) || math.IsInf(f, 0) {
		r.fail(fmt.Errorf("%v is no finite number", f))
	}
	return f
}
