package metric

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// load records the same made-up load each time, sample i into the store that of gives.
func load(stores []*Store, regs []*Registry, of func(i int) int) {
	r := rand.New(rand.NewPCG(9, 9))
	for i := range 3000 {
		status, v := fmt.Sprint(200+r.IntN(3)), 20*r.ExpFloat64()-1
		n := of(i)
		reg, b := regs[n], regs[n].Builtin()
		stores[n].Recorder(i).Record(reg.Root().With("status", status), Extra{}, epoch.Add(time.Duration(i)*time.Millisecond),
			Value{b.HTTPReqs, 1}, Value{b.HTTPReqDuration, v}, Value{b.Checks, float64(i % 2)}, Value{b.DataSent, v})
	}
}

func newStores(t *testing.T, n int) (stores []*Store, regs []*Registry) {
	t.Helper()
	for range n {
		r := NewRegistry()
		if err := r.Submetric("http_req_duration{status:200}"); err != nil {
			t.Fatal(err)
		}
		regs, stores = append(regs, r), append(stores, NewStore(r, StoreOptions{Shards: 3}))
	}
	return stores, regs
}

func TestMergedSnapshotsEqualOne(t *testing.T) {
	one, oneReg := newStores(t, 1)
	load(one, oneReg, func(int) int { return 0 })
	four, fourRegs := newStores(t, 4)
	r := rand.New(rand.NewPCG(1, 1))
	load(four, fourRegs, func(int) int { return r.IntN(4) })

	var snaps []*Snapshot
	for _, s := range four {
		snaps = append(snaps, decode(t, encode(t, s.Snapshot())))
	}
	got, want := NewView(Merge(snaps...)), NewView(one[0].Snapshot())
	if !slices.Equal(got.Keys(), want.Keys()) {
		t.Fatalf("keys are %v, want %v", got.Keys(), want.Keys())
	}
	for _, key := range want.Keys() {
		g, w := got.Get(key), want.Get(key)
		if g.Sum != w.Sum || g.Trues != w.Trues || g.Total != w.Total || !g.First.Equal(w.First) {
			t.Errorf("%s = %+v, want %+v", key, g, w)
		}
		if w.Sketch != nil {
			sameSketch(t, g.Sketch, w.Sketch)
		}
	}
}

func TestMergeLeavesItsPartsAlone(t *testing.T) {
	stores, regs := newStores(t, 1)
	load(stores, regs, func(int) int { return 0 })
	s := stores[0].Snapshot()
	before := encode(t, s)
	m := Merge(s, s, nil)
	NewView(s).Get("http_req_duration")
	if !bytes.Equal(encode(t, s), before) {
		t.Error("merging or viewing changed a snapshot")
	}
	if got, want := NewView(m).Get("http_reqs").Sum, 6000.0; got != want {
		t.Errorf("the merge counts %v, want %v", got, want)
	}
}

func encode(t testing.TB, s *Snapshot) []byte {
	t.Helper()
	b, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, b []byte) *Snapshot {
	t.Helper()
	var s Snapshot
	if err := s.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestSnapshotRoundTrip(t *testing.T) {
	stores, regs := newStores(t, 1)
	load(stores, regs, func(int) int { return 0 })
	for sec := range 100 {
		stores[0].Recorder(0).Record(regs[0].Root(), Extra{}, epoch.Add(time.Duration(sec)*time.Second), Value{regs[0].Builtin().VUs, float64(sec)})
	}
	b := encode(t, stores[0].Snapshot())
	if again := encode(t, decode(t, b)); !bytes.Equal(b, again) {
		t.Error("encoding what was decoded gives other bytes")
	}
	if got := encode(t, decode(t, encode(t, &Snapshot{}))); !bytes.Equal(got, encode(t, &Snapshot{})) {
		t.Error("an empty snapshot changes on the way")
	}
}

func TestSnapshotRefusesDamage(t *testing.T) {
	stores, regs := newStores(t, 1)
	stores[0].Recorder(0).Record(regs[0].Root().With("a", "b"), Extra{}, epoch, Value{regs[0].Builtin().VUs, 3}, Value{regs[0].Builtin().HTTPReqDuration, 3})
	b := encode(t, stores[0].Snapshot())
	for i := range b {
		var s Snapshot
		if s.UnmarshalBinary(b[:i]) == nil {
			t.Errorf("the first %d of %d bytes decode", i, len(b))
		}
		bad := slices.Clone(b)
		bad[i] ^= 0x40
		if s.UnmarshalBinary(bad) == nil {
			t.Errorf("a change in byte %d goes unnoticed", i)
		}
	}
}

func TestSnapshotRefusesOtherVersions(t *testing.T) {
	b := encode(t, &Snapshot{})
	b[len(snapshotMagic)] = 1
	err := new(Snapshot).UnmarshalBinary(b)
	if want := "snapshot: version 1, this program reads version 2"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

// vusOf is the snapshot of a machine that reports values from one second of the run on.
func vusOf(t *testing.T, from int, values ...float64) *Snapshot {
	t.Helper()
	r := NewRegistry()
	s := NewStore(r, StoreOptions{Shards: 2})
	s.SetStart(epoch)
	for i, v := range values {
		at := epoch.Add(time.Duration(from+i)*time.Second + 300*time.Millisecond)
		s.Recorder(0).Record(r.Root(), Extra{}, at, Value{r.Builtin().VUs, v})
	}
	return decode(t, encode(t, s.Snapshot()))
}

func repeat(v float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestVUsOfManyMachinesAreAdded(t *testing.T) {
	tests := map[string]struct {
		parts          []*Snapshot
		last, min, max float64
	}{
		"one":                    {[]*Snapshot{vusOf(t, 0, 1, 5, 3)}, 3, 1, 5},
		"ramps add by second":    {[]*Snapshot{vusOf(t, 0, 1, 2, 3), vusOf(t, 0, 3, 2, 1)}, 4, 4, 4},
		"a late start":           {[]*Snapshot{vusOf(t, 0, 5, 5, 5), vusOf(t, 1, 5, 5)}, 10, 10, 10},
		"a missed second":        {[]*Snapshot{vusOf(t, 0, 5, 5, 5), vusOf(t, 0, 5, 5)}, 10, 10, 10},
		"one that went":          {[]*Snapshot{vusOf(t, 0, repeat(5, 20)...), vusOf(t, 0, 7, 7)}, 5, 12, 12},
		"three":                  {[]*Snapshot{vusOf(t, 0, 1, 9), vusOf(t, 0, 2, 9), vusOf(t, 1, 3)}, 21, 21, 21},
		"longer than the memory": {[]*Snapshot{vusOf(t, 0, append([]float64{9}, repeat(5, 100)...)...), vusOf(t, 0, append([]float64{9}, repeat(5, 100)...)...)}, 10, 10, 18},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				a := NewView(Merge(tt.parts...)).Get("vus")
				if a.Last != tt.last || a.Min != tt.min || a.Max != tt.max {
					t.Errorf("last, min, max = %v, %v, %v, want %v, %v, %v", a.Last, a.Min, a.Max, tt.last, tt.min, tt.max)
				}
				slices.Reverse(tt.parts)
			}
		})
	}
}

func FuzzSnapshot(f *testing.F) {
	r := NewRegistry()
	s := NewStore(r, StoreOptions{Shards: 1})
	s.Recorder(0).Record(r.Root().With("a", "b"), Extra{}, epoch, Value{r.Builtin().VUs, 3}, Value{r.Builtin().HTTPReqDuration, 3}, Value{r.Builtin().Checks, 3})
	f.Add(encode(f, s.Snapshot())[3:])
	f.Add(encode(f, Merge(crew(f, 5, 8, 450)...))[3:])
	f.Fuzz(func(t *testing.T, body []byte) {
		data := sealed(body)
		var s Snapshot
		if s.UnmarshalBinary(data) != nil {
			return
		}
		decode(t, encode(t, &s))
		NewView(Merge(&s, &s)).Split("a")
	})
}

// sealed puts a head and a right checksum around a body, so that the fuzzer gets past them.
func sealed(body []byte) []byte {
	if len(body) >= 4 {
		body = body[:len(body)-4]
	}
	b := append(slices.Clone(snapshotMagic), snapshotVersion)
	b = append(b, body...)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}
