package metric

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// distributions are shapes of values that trends meet.
var distributions = map[string]func(*rand.Rand) float64{
	"web":        func(r *rand.Rand) float64 { return 20 * math.Exp(r.NormFloat64()*0.8) },
	"lan":        func(r *rand.Rand) float64 { return 0.05 + r.ExpFloat64()*0.02 },
	"bimodal":    func(r *rand.Rand) float64 { return pick(r, 2+r.NormFloat64()*0.1, 900+r.NormFloat64()*30) },
	"negative":   func(r *rand.Rand) float64 { return -100 * math.Exp(r.NormFloat64()) },
	"both signs": func(r *rand.Rand) float64 { return 1000 + r.NormFloat64()*300 },
	"fractional": func(r *rand.Rand) float64 { return r.Float64() },
	"huge":       func(r *rand.Rand) float64 { return 1e15 * math.Exp(r.NormFloat64()*3) },
	"tiny":       func(r *rand.Rand) float64 { return 1e-12 * math.Exp(r.NormFloat64()*3) },
	"enormous":   func(r *rand.Rand) float64 { return math.Ldexp(1+r.Float64(), 1000+r.IntN(24)) },
	"subnormal":  func(r *rand.Rand) float64 { return math.Float64frombits(1 + r.Uint64N(1<<50)) },
	"whole":      func(r *rand.Rand) float64 { return float64(r.IntN(2000)) },
}

func pick(r *rand.Rand, a, b float64) float64 {
	if r.IntN(3) > 0 {
		return a
	}
	return b
}

// exact is k6's definition of a quantile over sorted values.
func exact(sorted []float64, q float64) float64 {
	rank := q * float64(len(sorted)-1)
	low := int(rank)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (sorted[low+1]-sorted[low])*(rank-float64(low))
}

func TestSketchIsAccurate(t *testing.T) {
	for name, next := range distributions {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			s := NewSketch()
			var values []float64
			for range 50_000 {
				v := next(r)
				values = append(values, v)
				s.Record(v)
			}
			slices.Sort(values)
			for _, q := range []float64{0.5, 0.75, 0.9, 0.95, 0.99, 0.999} {
				got, want := s.Quantile(q), exact(values, q)
				if math.Abs(got-want) > 0.001*math.Abs(want) {
					t.Errorf("quantile %v = %v, want %v within 0.1%%", q, got, want)
				}
			}
			if s.Min() != values[0] || s.Max() != values[len(values)-1] {
				t.Errorf("min, max = %v, %v, want %v, %v", s.Min(), s.Max(), values[0], values[len(values)-1])
			}
			if s.Count() != uint64(len(values)) {
				t.Errorf("count = %d, want %d", s.Count(), len(values))
			}
		})
	}
}

func TestSketchOfFewValues(t *testing.T) {
	tests := map[string]struct {
		values []float64
		q      float64
		want   float64
	}{
		"nothing":                      {nil, 0.5, 0},
		"one value":                    {[]float64{1234.5678}, 0.9, 1234.5678},
		"between two":                  {[]float64{10, 20}, 0.25, 12.5},
		"whole numbers are exact":      {[]float64{1, 2, 3, 4, 1001}, 0.75, 4},
		"zeros among both signs":       {[]float64{-3, 0, 0, 5}, 0.5, 0},
		"negatives in order":           {[]float64{-3, -2, -1}, 0.5, -2},
		"below the first":              {[]float64{-7, 3}, -1, -7},
		"above the last":               {[]float64{-7, 3}, 2, 3},
		"an infinity is the largest":   {[]float64{1, math.Inf(1)}, 1, math.MaxFloat64},
		"and so is the negative one":   {[]float64{1, math.Inf(-1)}, 0, -math.MaxFloat64},
		"what is no number is left":    {[]float64{math.NaN(), 7}, 0.5, 7},
		"the smallest there is":        {[]float64{0, math.SmallestNonzeroFloat64, 1}, 0.5, math.SmallestNonzeroFloat64},
		"classes in order of values":   {[]float64{-1e30, -1, 1e-30, 1, 1e30}, 0.5, 9.996e-31},
		"quantile that is no number":   {[]float64{1, 2}, math.NaN(), 1},
		"rank falls on the last but 1": {[]float64{1, 2, 3}, 0.5, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := NewSketch()
			for _, v := range tt.values {
				s.Record(v)
			}
			if got := s.Quantile(tt.q); math.Abs(got-tt.want) > 0.001*math.Abs(tt.want) {
				t.Errorf("quantile %v of %v = %v, want %v", tt.q, tt.values, got, tt.want)
			}
		})
	}
}

func TestSketchCountsWhatIsNoNumber(t *testing.T) {
	s := NewSketch()
	s.Record(math.NaN())
	s.Record(3)
	o := NewSketch()
	o.Record(math.NaN())
	s.Merge(o)
	if s.Ignored() != 2 || s.Count() != 1 || s.Sum() != 3 {
		t.Errorf("ignored, count, sum = %d, %d, %v, want 2, 1, 3", s.Ignored(), s.Count(), s.Sum())
	}
}

func encoded(t testing.TB, s *Sketch) []byte {
	t.Helper()
	b, err := s.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMergedSketchesEqualOne(t *testing.T) {
	for name, next := range distributions {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			whole := NewSketch()
			parts := []*Sketch{NewSketch(), NewSketch(), NewSketch(), NewSketch()}
			for range 20_000 {
				v := next(r)
				whole.Record(v)
				parts[r.IntN(4)].Record(v)
			}
			merged := NewSketch()
			for _, p := range parts {
				merged.Merge(p)
			}
			sameSketch(t, merged, whole)
		})
	}
}

func TestMergedSketchesEqualOneProperty(t *testing.T) {
	value := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-1e4, 1e4), rapid.Just(0.0))
	rapid.Check(t, func(t *rapid.T) {
		whole, parts := NewSketch(), [4]*Sketch{NewSketch(), NewSketch(), NewSketch(), NewSketch()}
		for i, v := range rapid.SliceOfN(value, 0, 200).Draw(t, "values") {
			whole.Record(v)
			parts[i%4].Record(v)
		}
		merged := NewSketch()
		for _, p := range parts {
			merged.Merge(p)
		}
		for q := 0.0; q <= 1; q += 0.05 {
			if got, want := merged.Quantile(q), whole.Quantile(q); got != want {
				t.Fatalf("quantile %v = %v, want %v", q, got, want)
			}
		}
		if merged.Min() != whole.Min() || merged.Max() != whole.Max() || merged.Count() != whole.Count() {
			t.Fatalf("min, max or count differ")
		}
	})
}

// sameSketch wants two sketches to tell the same in everything.
func sameSketch(t *testing.T, got, want *Sketch) {
	t.Helper()
	if got.Count() != want.Count() || got.Sum() != want.Sum() || got.Min() != want.Min() || got.Max() != want.Max() {
		t.Errorf("count, sum, min, max = %d, %v, %v, %v, want %d, %v, %v, %v", got.Count(), got.Sum(), got.Min(), got.Max(),
			want.Count(), want.Sum(), want.Min(), want.Max())
	}
	type bucket struct {
		v float64
		n uint64
	}
	collect := func(s *Sketch) (all []bucket) {
		for v, n := range s.Buckets {
			all = append(all, bucket{v, n})
		}
		return all
	}
	if !slices.Equal(collect(got), collect(want)) {
		t.Error("buckets differ")
	}
}

func TestSumKeepsWhatAFloatLoses(t *testing.T) {
	s := NewSketch()
	for range 1000 {
		s.Record(1e16)
		s.Record(1)
		s.Record(-1e16)
	}
	if got := s.Sum(); got != 1000 {
		t.Errorf("sum = %v, want 1000", got)
	}
	for range 3 {
		s.Record(math.MaxFloat64)
	}
	if got := s.Sum(); got != math.MaxFloat64 {
		t.Errorf("sum beyond the range = %v, want the largest float64", got)
	}
}

func TestSketchRoundTrip(t *testing.T) {
	for name, next := range distributions {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 6))
			s := NewSketch()
			for range 1000 {
				s.Record(next(r))
			}
			b := encoded(t, s)
			var got Sketch
			if err := got.UnmarshalBinary(b); err != nil {
				t.Fatal(err)
			}
			sameSketch(t, &got, s)
			if again := encoded(t, &got); !bytes.Equal(again, b) {
				t.Error("encoding what was decoded gives other bytes")
			}
		})
	}
}

func TestSketchIsSmallInBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	s := NewSketch()
	for range 10_000 {
		s.Record(distributions["web"](r))
	}
	if n := len(encoded(t, s)); n > 10_000 {
		t.Errorf("10,000 values take %d bytes, want at most one a value", n)
	}
}

func TestSketchRefusesDamage(t *testing.T) {
	s := NewSketch()
	for _, v := range []float64{1, 2, -3, 1e12, 0} {
		s.Record(v)
	}
	b := encoded(t, s)
	for i := range b {
		var got Sketch
		if err := got.UnmarshalBinary(b[:i]); err == nil {
			t.Errorf("the first %d of %d bytes decode", i, len(b))
		}
	}
	var got Sketch
	if err := got.UnmarshalBinary(append(slices.Clone(b), 0)); err == nil {
		t.Error("a byte too many decodes")
	}
	if err := got.UnmarshalBinary(append([]byte{9}, b[1:]...)); err == nil {
		t.Error("an unknown version decodes")
	}
}

func TestBucketIndex(t *testing.T) {
	for i := uint64(0); i <= maxBucket; i++ {
		v := bucketValue(i)
		if v < 0 || bucketIndex(v) != i {
			t.Fatalf("bucket %d begins at %d, which is in bucket %d", i, v, bucketIndex(v))
		}
	}
	if got := bucketIndex(math.MaxInt64); got != maxBucket {
		t.Errorf("the largest value is in bucket %d, want %d", got, maxBucket)
	}
}

func TestClassPlaces(t *testing.T) {
	for _, neg := range []bool{true, false} {
		for k := minClass; k <= maxClass; k++ {
			place := uint64(order(neg, k)-order(true, maxClass)) + 1
			if gotNeg, gotK := classAt(place); gotNeg != neg || gotK != k || place > places {
				t.Errorf("class %v %d has place %d, which is %v %d", neg, k, place, gotNeg, gotK)
			}
		}
	}
}

func FuzzSketch(f *testing.F) {
	s := NewSketch()
	for _, v := range []float64{0, 1, -1, 1e-300, 1e300, 3.7} {
		s.Record(v)
	}
	f.Add(encoded(f, s))
	f.Add(encoded(f, NewSketch()))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Sketch
		if s.UnmarshalBinary(data) != nil {
			return
		}
		b := encoded(t, &s)
		var again Sketch
		if err := again.UnmarshalBinary(b); err != nil {
			t.Fatalf("what was accepted and encoded again is refused: %v", err)
		}
		s.Quantile(0.5)
		s.Merge(&again)
	})
}
