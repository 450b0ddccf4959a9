package metric

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

var epoch = time.Unix(1_700_000_000, 0)

func TestRecordKeepsWhatEachKindNeeds(t *testing.T) {
	r := NewRegistry()
	b := r.Builtin()
	gauge, err := r.Register("my_gauge", Gauge, Default)
	if err != nil {
		t.Fatal(err)
	}
	s := NewStore(r, StoreOptions{Shards: 3})
	for i := range 6 {
		s.Recorder(i).Record(r.Root().With("status", fmt.Sprint(i%2)), Extra{}, epoch.Add(time.Duration(i)*time.Second),
			Value{b.HTTPReqs, 1.5}, Value{gauge, float64(10 - i)}, Value{b.Checks, float64(i % 3)}, Value{b.HTTPReqDuration, float64(i)})
	}
	v := NewView(s.Snapshot())
	if got := v.Get("http_reqs").Sum; got != 9 {
		t.Errorf("counter = %v, want 9", got)
	}
	if g := v.Get("my_gauge"); g.Last != 5 || g.Min != 5 || g.Max != 10 {
		t.Errorf("gauge last, min, max = %v, %v, %v, want 5, 5, 10", g.Last, g.Min, g.Max)
	}
	if c := v.Get("checks"); c.Trues != 4 || c.Total != 6 {
		t.Errorf("rate = %d of %d, want 4 of 6", c.Trues, c.Total)
	}
	if d := v.Get("http_req_duration").Sketch; d.Count() != 6 || d.Quantile(0.5) != 2.5 {
		t.Errorf("trend has %d values, median %v, want 6 and 2.5", d.Count(), d.Quantile(0.5))
	}
	if v.Get("data_sent") != nil {
		t.Error("a metric without samples has an aggregate")
	}
}

func TestRecordSurvivesWhatIsNoNumber(t *testing.T) {
	r := NewRegistry()
	s := NewStore(r, StoreOptions{})
	rec := s.Recorder(0)
	for _, v := range []float64{math.NaN(), math.Inf(1), 1} {
		rec.Record(r.Root(), Extra{}, epoch, Value{r.Builtin().HTTPReqs, v}, Value{r.Builtin().Checks, v})
	}
	v := NewView(s.Snapshot())
	if a := v.Get("http_reqs"); a.Ignored != 1 || a.Sum != math.MaxFloat64 {
		t.Errorf("ignored, sum = %d, %v, want 1 and the largest float64", a.Ignored, a.Sum)
	}
	if a := v.Get("checks"); a.Total != 2 || a.Trues != 2 {
		t.Errorf("rate = %d of %d, want 2 of 2", a.Trues, a.Total)
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	r := NewRegistry()
	b := r.Builtin()
	if err := r.Submetric("http_req_duration{url:http://a/}"); err != nil {
		t.Fatal(err)
	}
	rec := NewStore(r, StoreOptions{}).Recorder(0)
	base := r.Root().With("scenario", "default")
	x := Extra{URL: "http://a/", VU: 3, Iter: 77}
	var n float64
	got := testing.AllocsPerRun(1000, func() {
		n++
		ts := base.With("method", "GET").With("status", "200").With("name", "http://a/")
		rec.Record(ts, x, epoch.Add(time.Duration(n)), Value{b.HTTPReqs, 1}, Value{b.HTTPReqDuration, math.Mod(n, 10)},
			Value{b.HTTPReqWaiting, 3}, Value{b.HTTPReqFailed, 0}, Value{b.VUs, n})
	})
	if got != 0 {
		t.Errorf("a record allocates %v times, want 0", got)
	}
}

func TestMergingAndEncodingDoNotAllocate(t *testing.T) {
	s, into := webSketch(10_000), webSketch(10_000)
	into.Merge(s) // makes room
	if got := testing.AllocsPerRun(100, func() { into.Merge(s) }); got > 0 {
		t.Errorf("merging a sketch into one that has its buckets allocates %v times, want 0", got)
	}
	buf := encoded(t, s)
	if got := testing.AllocsPerRun(100, func() { buf, _ = s.AppendBinary(buf[:0]) }); got > 0 {
		t.Errorf("encoding a sketch into a buffer allocates %v times, want 0", got)
	}
}

func TestSubmetrics(t *testing.T) {
	r := NewRegistry()
	b := r.Builtin()
	for _, key := range []string{
		"http_reqs{status:200}", "http_reqs{status:200,method:GET}", "http_reqs{url:http://a/}", "http_reqs{vu:2, status:200}",
		"http_reqs{iter:7}", "http_reqs{status:500}",
	} {
		if err := r.Submetric(key); err != nil {
			t.Fatal(err)
		}
	}
	s := NewStore(r, StoreOptions{Shards: 2})
	record := func(status, method string, x Extra) {
		s.Recorder(int(x.VU)).Record(r.Root().WithAll([]Tag{{"status", status}, {"method", method}}), x, epoch, Value{b.HTTPReqs, 1})
	}
	record("200", "GET", Extra{URL: "http://a/", VU: 1, Iter: 7})
	record("200", "POST", Extra{URL: "http://b/", VU: 2})
	record("404", "GET", Extra{URL: "http://a/", VU: 2})
	record("200", "GET", Extra{})
	v := NewView(s.Snapshot())
	for key, want := range map[string]float64{
		"http_reqs": 4, "http_reqs{status:200}": 3, "http_reqs{status:200,method:GET}": 2, "http_reqs{url:http://a/}": 2,
		"http_reqs{vu:2, status:200}": 1, "http_reqs{iter:7}": 1,
	} {
		if a := v.Get(key); a == nil || a.Sum != want {
			t.Errorf("%s = %+v, want a sum of %v", key, a, want)
		}
	}
	if a := v.Get("http_reqs{status:500}"); a != nil {
		t.Errorf("a submetric without samples is %+v, want nil", a)
	}
}

func TestRawSamplesAreHandedOverOnce(t *testing.T) {
	r := NewRegistry()
	var mu sync.Mutex
	var got []Sample
	s := NewStore(r, StoreOptions{Shards: 2, Raw: func(batch []Sample) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, batch...)
	}})
	ts := r.Root().With("a", "b")
	for i := range rawBatch + 10 {
		s.Recorder(1).Record(ts, Extra{VU: 5}, epoch, Value{r.Builtin().HTTPReqs, float64(i)})
	}
	if len(got) != rawBatch {
		t.Errorf("%d samples came by themselves, want %d", len(got), rawBatch)
	}
	s.FlushRaw()
	s.FlushRaw()
	if len(got) != rawBatch+10 {
		t.Errorf("%d samples after the flush, want %d", len(got), rawBatch+10)
	}
	if want := (Sample{r.Builtin().HTTPReqs, ts, Extra{VU: 5}, 3, epoch}); got[3] != want {
		t.Errorf("sample 3 is %+v, want %+v", got[3], want)
	}
}

func TestRecordFromManyGoroutines(t *testing.T) {
	r := NewRegistry()
	s := NewStore(r, StoreOptions{Shards: 2, Raw: func([]Sample) {}})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rec := s.Recorder(g)
			for i := range 500 {
				ts := r.Root().With("status", fmt.Sprint(i%7)).With("name", fmt.Sprint(i%3))
				rec.Record(ts, Extra{}, epoch, Value{r.Builtin().HTTPReqs, 1}, Value{r.Builtin().HTTPReqDuration, float64(i)})
				if i%100 == 0 {
					s.Snapshot()
					s.FlushRaw()
				}
			}
		})
	}
	wg.Wait()
	v := NewView(s.Snapshot())
	if got := v.Get("http_reqs").Sum; got != 4000 {
		t.Errorf("counted %v, want 4000", got)
	}
	if got := v.Get("http_req_duration").Sketch.Count(); got != 4000 {
		t.Errorf("the trend has %v values, want 4000", got)
	}
}

func TestGroupByKeepsTheOrderOfAppearance(t *testing.T) {
	r := NewRegistry()
	s := NewStore(r, StoreOptions{Shards: 1})
	for _, name := range []string{"zebra", "ant", "zebra", "cow"} {
		s.Recorder(0).Record(r.Root().With("check", name), Extra{}, epoch, Value{r.Builtin().Checks, 1})
	}
	var got []string
	for _, g := range NewView(s.Snapshot()).GroupBy("checks", "check") {
		got = append(got, fmt.Sprint(g.Values[0], g.Total))
	}
	if want := []string{"zebra2", "ant1", "cow1"}; !slices.Equal(got, want) {
		t.Errorf("groups are %v, want %v", got, want)
	}
}

func TestSplit(t *testing.T) {
	r := NewRegistry()
	s := NewStore(r, StoreOptions{Shards: 1})
	for _, name := range []string{"b", "a", "b"} {
		s.Recorder(0).Record(r.Root().With("scenario", name), Extra{}, epoch, Value{r.Builtin().Iterations, 1})
	}
	s.Recorder(0).Record(r.Root(), Extra{}, epoch, Value{r.Builtin().Iterations, 5})
	got := map[string]float64{}
	var order []string
	for _, p := range NewView(s.Snapshot()).Split("scenario") {
		order = append(order, p.Values[0])
		got[p.Values[0]] = p.Get("iterations").Sum
	}
	if !slices.Equal(order, []string{"b", "a", ""}) || got["b"] != 2 || got["a"] != 1 || got[""] != 5 {
		t.Errorf("parts %v are %v", order, got)
	}
}

// Adding a value and merging a sum of that value alone are the same, to the last bit.
func TestSumAddIsMerge(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	values := []float64{0, 1e300, -1e300, math.MaxFloat64, math.MaxFloat64, -math.MaxFloat64, 1e-300, 5e-324}
	for range 10_000 {
		values = append(values, (rnd.Float64()-0.5)*math.Pow(10, float64(rnd.IntN(40)-20)))
	}
	var added, merged sum
	for i, v := range values {
		added.add(v)
		merged.merge(sum{hi: v})
		if added != merged {
			t.Fatalf("after value %d, %g: %v, want %v", i, v, added, merged)
		}
	}
}
