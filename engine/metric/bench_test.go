package metric

import (
	"math/rand/v2"
	"testing"
)

func webSketch(n int) *Sketch {
	r := rand.New(rand.NewPCG(1, 1))
	s := NewSketch()
	for range n {
		s.Record(distributions["web"](r))
	}
	return s
}

// BenchmarkRecordRequest records what one HTTP request gives.
func BenchmarkRecordRequest(b *testing.B) {
	r := NewRegistry()
	m := r.Builtin()
	rec := NewStore(r, StoreOptions{}).Recorder(0)
	ts := r.Root().WithAll([]Tag{{"method", "GET"}, {"status", "200"}, {"name", "http://a/"}})
	rnd := rand.New(rand.NewPCG(1, 1))
	values := make([]float64, 1<<12)
	for i := range values {
		values[i] = distributions["web"](rnd)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		v := values[i&(len(values)-1)]
		i++
		rec.Record(ts, Extra{URL: "http://a/", VU: 1}, epoch, Value{m.HTTPReqs, 1}, Value{m.HTTPReqDuration, v},
			Value{m.HTTPReqBlocked, 0}, Value{m.HTTPReqConnecting, 0}, Value{m.HTTPReqTLSHandshaking, 0},
			Value{m.HTTPReqSending, v / 100}, Value{m.HTTPReqWaiting, v * 0.9}, Value{m.HTTPReqReceiving, v / 50}, Value{m.HTTPReqFailed, 0})
	}
}

func BenchmarkTagSetWith(b *testing.B) {
	base := NewRegistry().Root().With("scenario", "default")
	b.ReportAllocs()
	for b.Loop() {
		base.With("status", "200")
	}
}

func BenchmarkSketchRecord(b *testing.B) {
	s, i := webSketch(10_000), 0.0
	b.ReportAllocs()
	for b.Loop() {
		if i++; i > 300 {
			i = 1
		}
		s.Record(i)
	}
}

func BenchmarkSketchMerge(b *testing.B) {
	s, into := webSketch(10_000), webSketch(10_000)
	b.ReportAllocs()
	for b.Loop() {
		into.Merge(s)
	}
}

func BenchmarkSketchQuantile(b *testing.B) {
	s := webSketch(10_000)
	for b.Loop() {
		s.Quantile(0.99)
	}
}

func BenchmarkSketchEncode(b *testing.B) {
	s := webSketch(10_000)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = s.AppendBinary(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkSketchDecode(b *testing.B) {
	data := encoded(b, webSketch(10_000))
	b.ReportAllocs()
	for b.Loop() {
		var s Sketch
		if err := s.UnmarshalBinary(data); err != nil {
			b.Fatal(err)
		}
	}
}

// webSnapshot is that of a small test: some requests, each with its trends.
func webSnapshot() *Snapshot {
	r := NewRegistry()
	m := r.Builtin()
	store := NewStore(r, StoreOptions{Shards: 2})
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range 10_000 {
		v := distributions["web"](rnd)
		ts := r.Root().WithAll([]Tag{{"method", "GET"}, {"status", "200"}, {"name", string(rune('a' + i%8))}})
		store.Recorder(i).Record(ts, Extra{}, epoch, Value{m.HTTPReqs, 1}, Value{m.HTTPReqDuration, v}, Value{m.HTTPReqWaiting, v * 0.9},
			Value{m.HTTPReqFailed, 0})
	}
	return store.Snapshot()
}

func BenchmarkSnapshotMerge(b *testing.B) {
	one, other := webSnapshot(), webSnapshot()
	b.ReportAllocs()
	for b.Loop() {
		Merge(one, other)
	}
}

func BenchmarkSnapshotEncode(b *testing.B) {
	s := webSnapshot()
	b.ReportAllocs()
	for b.Loop() {
		data, err := s.MarshalBinary()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(data)))
	}
}

// BenchmarkTagSetStep goes to a set by several tags at once, as a request with tags of its own does.
func BenchmarkTagSetStep(b *testing.B) {
	base := NewRegistry().Root().With("scenario", "default")
	b.ReportAllocs()
	for b.Loop() {
		base.WithAll([]Tag{{"method", "GET"}, {"status", "200"}, {"name", "http://a/"}})
	}
}

// BenchmarkVUsMerge adds up the VUs of a hundred machines after ten hours of a ramp.
func BenchmarkVUsMerge(b *testing.B) {
	parts := make([]*Snapshot, 100)
	for i := range parts {
		parts[i] = machine(b, life{i % 3, 36_000, func(sec int) float64 { return float64(sec / 50) }})
	}
	b.ReportAllocs()
	for b.Loop() {
		Merge(parts...)
	}
}
