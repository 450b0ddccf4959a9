package metric

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// A snapshot in bytes (integers are uvarints unless said otherwise, floats 8 bytes little endian,
// strings their length and their bytes):
//
//	"hm"  version (1 byte)
//	strings, and each of them
//	series, and for each:
//	    metric  kind (1 byte)  contains (1 byte)             (strings by number from here on)
//	    tags, and for each: key  value
//	    submetrics, and each of them
//	    time of the first sample (varint, Unix nanoseconds)
//	    values ignored
//	    counter: sum hi  sum lo
//	    rate:    trues  total
//	    trend:   the length of a sketch and the sketch
//	    gauge:   1 if it is set (1 byte), then: last  min  max  time (varint)
//	             1 if it has a history (1 byte), then: the bucket from before the run
//	             buckets, and if there are any: first and last second (varints)  log2 of a bucket's seconds
//	             and for each run of equal buckets: its length and the bucket:
//	                 flags (1 byte), and if it has values: machines  min  max (left out when it is min)
//	CRC-32 (IEEE) of all before, 4 bytes little endian
const snapshotVersion = 2

var snapshotMagic = []byte("hm")

// MarshalBinary encodes the snapshot. It never fails.
func (s *Snapshot) MarshalBinary() ([]byte, error) {
	e := encoder{numbers: map[string]uint64{}}
	for i := range s.Series {
		e.series(&s.Series[i])
	}
	b := append([]byte(nil), snapshotMagic...)
	b = append(b, snapshotVersion)
	b = binary.AppendUvarint(b, uint64(len(e.strings)))
	for _, str := range e.strings {
		b = appendString(b, str)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Series)))
	b = append(b, e.b...)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), nil
}

// encoder writes series and numbers the strings in them.
type encoder struct {
	b       []byte
	scratch []byte
	strings []string
	numbers map[string]uint64
}

func (e *encoder) uvarint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) varint(v int64)   { e.b = binary.AppendVarint(e.b, v) }

func (e *encoder) floats(values ...float64) {
	for _, f := range values {
		e.b = appendFloat(e.b, f)
	}
}

func (e *encoder) string(s string) {
	n, ok := e.numbers[s]
	if !ok {
		n = uint64(len(e.strings))
		e.numbers[s] = n
		e.strings = append(e.strings, s)
	}
	e.uvarint(n)
}

func (e *encoder) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) series(s *Series) {
	e.string(s.Metric)
	e.b = append(e.b, byte(s.Kind), byte(s.Contains))
	e.uvarint(uint64(len(s.Tags)))
	for _, t := range s.Tags {
		e.string(t.Key)
		e.string(t.Value)
	}
	e.uvarint(uint64(len(s.Submetrics)))
	for _, sub := range s.Submetrics {
		e.string(sub)
	}
	e.varint(s.First.UnixNano())
	e.uvarint(s.state.ignored)
	switch s.Kind {
	case Counter:
		e.floats(s.state.total.hi, s.state.total.lo)
	case Rate:
		e.uvarint(s.state.trues)
		e.uvarint(s.state.count)
	case Trend:
		sketch := s.state.sketch
		if sketch == nil {
			sketch = NewSketch()
		}
		e.scratch, _ = sketch.AppendBinary(e.scratch[:0])
		e.uvarint(uint64(len(e.scratch)))
		e.b = append(e.b, e.scratch...)
	case Gauge:
		e.gauge(s.state.gauge)
	}
}

func (e *encoder) gauge(g *gauge) {
	if g == nil {
		g = &gauge{}
	}
	e.bool(g.set)
	if !g.set {
		return
	}
	e.floats(g.last, g.min, g.max)
	e.varint(g.at)
	e.bool(g.history != nil)
	if g.history != nil {
		e.history(g.history)
	}
}

// UnmarshalBinary replaces s by what MarshalBinary wrote. It fails, and leaves s as it was, on bytes
// that were damaged or that another version wrote.
func (s *Snapshot) UnmarshalBinary(data []byte) error {
	d, err := decodeSnapshot(data)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	*s = *d
	return nil
}

func decodeSnapshot(data []byte) (*Snapshot, error) {
	head := len(snapshotMagic) + 1
	if len(data) < head+4 || string(data[:head-1]) != string(snapshotMagic) {
		return nil, errors.New("not a snapshot")
	}
	if v := data[head-1]; v != snapshotVersion {
		return nil, fmt.Errorf("version %d, this program reads version %d", v, snapshotVersion)
	}
	body := data[:len(data)-4]
	if got, want := crc32.ChecksumIEEE(body), binary.LittleEndian.Uint32(data[len(body):]); got != want {
		return nil, fmt.Errorf("checksum %08x, should be %08x: it was damaged on the way", got, want)
	}
	d := decoder{reader: reader{b: body[head:]}}
	d.strings = make([]string, d.length())
	for i := range d.strings {
		d.strings[i] = string(d.bytes())
	}
	s := &Snapshot{}
	for n := d.length(); n > 0 && d.err == nil; n-- {
		s.Series = append(s.Series, d.series())
		if i := len(s.Series) - 1; d.err == nil && i > 0 && compareSeries(s.Series[i-1], s.Series[i]) >= 0 {
			d.fail(fmt.Errorf("series %d is out of order", i))
		}
	}
	if d.err == nil && len(d.b) > 0 {
		d.fail(fmt.Errorf("%d bytes too many", len(d.b)))
	}
	if d.err != nil {
		return nil, d.err
	}
	return s, nil
}

// decoder reads series. Like its reader it returns zeros after the first error.
type decoder struct {
	reader
	strings []string
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n >= uint64(len(d.strings)) {
		d.fail(fmt.Errorf("string %d of %d", n, len(d.strings)))
		return ""
	}
	return d.strings[n]
}

func (d *decoder) bool() bool {
	v := d.byte()
	if v > 1 {
		d.fail(fmt.Errorf("%d where 0 or 1 should be", v))
	}
	return v == 1
}

func (d *decoder) series() Series {
	s := Series{Metric: d.string(), Kind: Kind(d.byte()), Contains: Contains(d.byte())}
	if s.Kind > Trend || s.Contains > Data {
		d.fail(fmt.Errorf("metric %q has the unknown type %v, %v", s.Metric, s.Kind, s.Contains))
	}
	for n := d.length(); n > 0 && d.err == nil; n-- {
		t := Tag{d.string(), d.string()}
		if len(s.Tags) > 0 && t.Key <= s.Tags[len(s.Tags)-1].Key {
			d.fail(fmt.Errorf("tag %q is out of order", t.Key))
		}
		s.Tags = append(s.Tags, t)
	}
	for n := d.length(); n > 0 && d.err == nil; n-- {
		s.Submetrics = append(s.Submetrics, d.string())
	}
	s.First = time.Unix(0, d.varint())
	s.state = d.state(s.Kind)
	return s
}

func (d *decoder) state(k Kind) state {
	s := state{ignored: d.uvarint()}
	switch k {
	case Counter:
		s.total = sum{d.float(), d.float()}
	case Rate:
		s.trues, s.count = d.uvarint(), d.uvarint()
		if s.trues > s.count {
			d.fail(fmt.Errorf("%d of %d values are true", s.trues, s.count))
		}
	case Trend:
		s.sketch = NewSketch()
		if b := d.bytes(); d.err == nil {
			d.fail(s.sketch.UnmarshalBinary(b))
		}
	case Gauge:
		s.gauge = d.gauge()
	}
	return s
}

func (d *decoder) gauge() *gauge {
	g := &gauge{set: d.bool()}
	if !g.set {
		return g
	}
	g.last, g.min, g.max, g.at = d.float(), d.float(), d.float(), d.varint()
	if d.bool() {
		g.history = d.history()
	}
	return g
}
