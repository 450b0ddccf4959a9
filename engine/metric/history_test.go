package metric

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const tenDays = 10 * 24 * 3600

// life is what one machine reports: a value at each second from one until before another.
type life struct {
	from, until int
	vus         func(sec int) float64
}

func constant(v float64) func(int) float64 { return func(int) float64 { return v } }

// machine records a life in a store, beginning with what it was before the run, and sends it.
func machine(t testing.TB, l life, before ...float64) *Snapshot {
	t.Helper()
	r := NewRegistry()
	s := NewStore(r, StoreOptions{Shards: 2})
	s.SetStart(epoch.AddDate(200, 0, 0))
	record := func(at time.Time, v float64) {
		s.Recorder(0).Record(r.Root(), Extra{}, at, Value{r.Builtin().VUs, v})
	}
	for i, v := range before {
		record(epoch.Add(time.Duration(l.from-len(before)+i)*time.Second), v)
	}
	s.SetStart(epoch)
	for sec := l.from; sec < l.until; sec++ {
		record(epoch.Add(time.Duration(sec)*time.Second+500*time.Millisecond), l.vus(sec))
	}
	return decode(t, encode(t, s.Snapshot()))
}

func wantVUs(t *testing.T, s *Snapshot, last, low, high float64) {
	t.Helper()
	a := NewView(s).Get("vus")
	if a.Last != last || a.Min != low || a.Max != high {
		t.Errorf("last, min, max = %v, %v, %v, want %v, %v, %v", a.Last, a.Min, a.Max, last, low, high)
	}
}

// crew is a run of 72 VUs on three machines of which one dies at second 30·scale. The others take
// its VUs over after a while, and give some back to its next life at second 60·scale.
func crew(t testing.TB, scale, gap, length int) []*Snapshot {
	t.Helper()
	died, back := 30*scale, 60*scale
	stays := func(skew int) func(int) float64 {
		return func(sec int) float64 {
			if sec >= died+gap+skew && sec < back+skew {
				return 36
			}
			return 24
		}
	}
	return []*Snapshot{
		machine(t, life{0, length, stays(0)}, 0, 24),
		machine(t, life{1, length - 1, stays(1)}, 24),
		machine(t, life{0, died, constant(24)}, 24),
		machine(t, life{back, length, constant(24)}, 0, 24),
	}
}

func TestLivesThatFollowEachOther(t *testing.T) {
	for _, scale := range []int{1, 5, 7, 40, 333} {
		for _, gap := range []int{1, 2, 8} {
			t.Run(fmt.Sprintf("back at %d s, gap %d s", 60*scale, gap), func(t *testing.T) {
				parts := crew(t, scale, gap, 90*scale)
				for range parts {
					parts = append(parts[1:], parts[0])
					a := NewView(Merge(parts...)).Get("vus")
					if a.Last != 72 || a.Max != 72 {
						t.Errorf("last, max = %v, %v, want 72, 72", a.Last, a.Max)
					}
				}
			})
		}
	}
}

// While the run goes on nobody knows yet that a machine will not report again, or that others still
// have the VUs of one that has just come.
func TestLivesAtEveryMoment(t *testing.T) {
	for now := 1; now <= 90; now++ {
		parts := crew(t, 1, 5, 90)
		for i, l := range []life{{0, now, nil}, {1, now, nil}, {0, min(30, now), nil}, {60, now, nil}} {
			parts[i] = until(t, parts[i], l.from, l.until)
		}
		if a := NewView(Merge(parts...)).Get("vus"); a.Max != 72 && !(now < 2 && a.Max == 48) {
			t.Errorf("after %d s the largest is %v, want 72", now, a.Max)
		}
	}
}

// until is the snapshot that a machine sent before a second; nil when it had not begun.
func until(t *testing.T, s *Snapshot, from, until int) *Snapshot {
	t.Helper()
	if until <= from {
		return nil
	}
	buckets := s.Series[0].state.gauge.history.buckets
	values := make([]float64, 0, until-from)
	for _, b := range buckets[:min(len(buckets), until-from)] {
		values = append(values, b.max)
	}
	return vusOf(t, from, values...)
}

// What sums up lives that are over adds up with the others as they themselves would.
func TestLivesMergedInStages(t *testing.T) {
	for _, scale := range []int{1, 7, 40} {
		died, back, end := 30*scale, 60*scale, 90*scale
		long := func(sec int) float64 {
			if sec >= died+5 && sec < back {
				return 32
			}
			return 24
		}
		a, b := machine(t, life{0, end, long}), machine(t, life{0, end, long})
		over := []*Snapshot{machine(t, life{0, died, constant(24)}), machine(t, life{0, end - 8, long})}
		d := machine(t, life{back, end, constant(24)})
		fold := decode(t, encode(t, Merge(over...)))
		staged := NewView(Merge(a, fold, Merge(b, d))).Get("vus")
		flat := NewView(Merge(append([]*Snapshot{a, b, d}, over...)...)).Get("vus")
		if staged.Max != 96 || flat.Max != 96 {
			t.Errorf("scale %d: max = %v in stages and %v at once, want 96", scale, staged.Max, flat.Max)
		}
		if staged.Last != flat.Last || staged.Min != flat.Min {
			t.Errorf("scale %d: last, min = %v, %v in stages, want %v, %v", scale, staged.Last, staged.Min, flat.Last, flat.Min)
		}
	}
}

func TestLowWhileAMachineIsGone(t *testing.T) {
	parts := crew(t, 1, 8, 90)
	for _, p := range parts {
		p.Series[0].state.gauge.history.before = bucket{} // a bound of its own
	}
	wantVUs(t, Merge(parts...), 72, 48, 72)
}

func TestHistoryOfSteadyMachines(t *testing.T) {
	ramp := func(sec int) float64 { return float64(sec + 1) }
	zigzag := func(sec int) float64 { return float64(sec % 2) }
	tests := map[string]struct {
		parts           []life
		last, low, high float64
	}{
		"constant, a minute":   {[]life{{0, 60, constant(5)}, {0, 60, constant(7)}}, 12, 12, 12},
		"constant, a day":      {[]life{{0, 86400, constant(5)}, {2, 86399, constant(7)}}, 12, 12, 12},
		"opposite, 256 s":      {[]life{{0, 256, zigzag}, {0, 256, func(s int) float64 { return 1 - zigzag(s) }}}, 1, 1, 1},
		"ramp, 256 s":          {[]life{{0, 256, ramp}, {0, 256, ramp}}, 512, 2, 512},
		"ramp, one s late":     {[]life{{0, 256, ramp}, {1, 256, ramp}}, 512, 4, 512},
		"ramp down":            {[]life{{0, 200, func(s int) float64 { return float64(200 - s) }}, {0, 200, constant(1)}}, 2, 2, 201},
		"one that comes later": {[]life{{0, 250, ramp}, {0, 250, ramp}, {99, 250, ramp}}, 750, 2, 750},
		"nothing in common":    {[]life{{0, 100, constant(3)}, {200, 300, constant(4)}}, 4, 0, 4},
		"long apart":           {[]life{{0, 100, constant(3)}, {1e6, 1e6 + 100, constant(4)}}, 4, 0, 4},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var parts []*Snapshot
			for _, l := range tt.parts {
				parts = append(parts, machine(t, l))
			}
			wantVUs(t, Merge(parts...), tt.last, tt.low, tt.high)
			slices.Reverse(parts)
			wantVUs(t, Merge(parts...), tt.last, tt.low, tt.high)
		})
	}
}

// The extremes of a sum whose parts go opposite ways are right to within what they change by in a
// bucket.
func TestLongRampsAreRightWithinABucket(t *testing.T) {
	const length = 10_000
	ramp := func(sec int) float64 { return float64(min(sec, length-sec)) }
	m := Merge(machine(t, life{0, length, ramp}), machine(t, life{0, length, func(sec int) float64 { return 5000 - ramp(sec)/2 }}))
	a := NewView(m).Get("vus")
	const inBucket = 3 * 64 / 2 // both change at once
	if a.Max < 7500 || a.Max > 7500+inBucket || a.Min > 5000 || a.Min < 5000-inBucket {
		t.Errorf("min, max = %v, %v, want 5000 and 7500 to within %v", a.Min, a.Max, inBucket)
	}
}

func TestVUsBeforeTheRun(t *testing.T) {
	run := life{0, 10, constant(5)}
	tests := map[string]struct {
		parts           []*Snapshot
		last, low, high float64
	}{
		"one":           {[]*Snapshot{machine(t, run, 0, 2)}, 5, 0, 5},
		"both":          {[]*Snapshot{machine(t, run, 0, 2), machine(t, run, 1)}, 10, 1, 10},
		"one of two":    {[]*Snapshot{machine(t, run, 0), machine(t, run)}, 10, 5, 10},
		"never started": {[]*Snapshot{machine(t, life{}, 1, 3), machine(t, life{}, 2, 4)}, 7, 3, 7},
		"one started":   {[]*Snapshot{machine(t, run, 0), machine(t, life{}, 0, 4)}, 5, 0, 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { wantVUs(t, Merge(tt.parts...), tt.last, tt.low, tt.high) })
	}
}

func TestMergeLeavesHistoriesAlone(t *testing.T) {
	parts := append(crew(t, 1, 3, 90), machine(t, life{0, 900, constant(1)}))
	var before [][]byte
	for _, p := range parts {
		before = append(before, encode(t, p))
	}
	NewView(Merge(Merge(parts...), parts[0]))
	for i, p := range parts {
		if !bytes.Equal(encode(t, p), before[i]) {
			t.Errorf("merging changed part %d", i)
		}
	}
}

func TestHistoryInAnyOrder(t *testing.T) {
	in, shuffled := &history{}, &history{}
	for sec := range int64(1000) {
		in.put(sec+77, float64(sec%13))
	}
	for _, sec := range rand.New(rand.NewPCG(3, 4)).Perm(1000) {
		shuffled.put(int64(sec)+77, float64(sec%13))
	}
	odd, even := &history{}, &history{}
	for sec := range int64(1000) {
		h := odd
		if sec%2 == 0 {
			h = even
		}
		h.put(sec+77, float64(sec%13))
	}
	odd.overlay(even)
	for name, h := range map[string]*history{"shuffled": shuffled, "laid over each other": odd} {
		if h.first != in.first || h.last != in.last || h.shift != in.shift || !slices.Equal(h.buckets, in.buckets) {
			t.Errorf("%s: %+v, want %+v", name, h, in)
		}
	}
	if in.shift != 2 || len(in.buckets) > maxBuckets {
		t.Errorf("%d buckets of 2^%d s, want at most %d of 2^2", len(in.buckets), in.shift, maxBuckets)
	}
}

// Stretches in which nothing changes from bucket to bucket cost next to nothing, however long.
func TestHistorySizes(t *testing.T) {
	empty := len(encode(t, machine(t, life{0, 1, constant(50)})))
	tests := map[string]struct {
		of    func(sec int) float64
		until int
		most  int // bytes beyond the smallest
	}{
		"constant, 10 days":       {constant(50), tenDays, 16},
		"zigzag, 10 days":         {func(sec int) float64 { return float64(sec % 100) }, tenDays, 24},
		"ramp, 10 days":           {func(sec int) float64 { return float64(sec / 100) }, tenDays, 8 * maxBuckets},
		"zigzag, 256 s":           {func(sec int) float64 { return float64(sec % 100) }, 256, 6 * maxBuckets},
		"no whole numbers, 256 s": {func(sec int) float64 { return float64(sec) + 0.5 }, 256, 20 * maxBuckets},
	}
	for name, tt := range tests {
		got := len(encode(t, machine(t, life{0, tt.until, tt.of}))) - empty
		t.Logf("%s: %d bytes and %d more", name, empty, got)
		if got > tt.most {
			t.Errorf("%s: %d bytes more than after a second, want at most %d", name, got, tt.most)
		}
	}
}

func TestHistoriesThatCannotBe(t *testing.T) {
	tests := map[string]struct {
		h    history
		want string
	}{
		"too many":    {history{last: 300, buckets: make([]bucket, 301)}, "301 buckets"},
		"too few":     {history{last: 9, buckets: make([]bucket, 3)}, "should be 10"},
		"backwards":   {history{first: 9, last: 3, buckets: make([]bucket, 7)}, "seconds 9 to 3"},
		"before 0":    {history{first: -9, last: 3, buckets: make([]bucket, 13)}, "seconds -9 to 3"},
		"wide":        {history{last: 3, shift: 41, buckets: make([]bucket, 1)}, "2^41"},
		"upside down": {history{buckets: []bucket{{has: true, min: 2, max: 1}}}, "above its largest"},
		"a multitude": {history{buckets: []bucket{{has: true, machines: 1 << 40}}}, "machines"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := machine(t, life{0, 1, constant(1)})
			s.Series[0].state.gauge.history = &tt.h
			err := new(Snapshot).UnmarshalBinary(encode(t, s))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// What was summed up by the second is added by wider buckets later, and must not forget in which of
// them a machine went, nor that one began a little late.
func TestSumsAreWidened(t *testing.T) {
	long := func(sec int) float64 {
		switch {
		case sec < 102:
			return 24
		case sec < 230:
			return 32
		default:
			return 48
		}
	}
	fold := Merge(machine(t, life{0, 101, constant(24)}), machine(t, life{2, 225, long}))
	for range 2 {
		a := NewView(Merge(fold, machine(t, life{0, 2000, long}), machine(t, life{0, 2000, long}))).Get("vus")
		if a.Max != 96 || a.Min != 96 {
			t.Errorf("min, max = %v, %v, want 96, 96", a.Min, a.Max)
		}
		fold = Merge(machine(t, life{2, 225, long}), machine(t, life{0, 101, constant(24)}))
	}
	fold = Merge(machine(t, life{0, 250, constant(5)}), machine(t, life{2, 250, constant(5)}))
	wantVUs(t, Merge(fold, machine(t, life{0, 2000, constant(1)})), 1, 11, 11)
	fold = Merge(machine(t, life{0, 250, constant(5)}), machine(t, life{0, 248, constant(5)}))
	wantVUs(t, Merge(fold, machine(t, life{0, 2000, constant(1)})), 1, 11, 11)
}
