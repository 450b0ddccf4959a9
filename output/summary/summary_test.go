package summary

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hive/engine/metric"
	"hive/engine/threshold"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// recording is a run that is made up sample by sample.
type recording struct {
	t     *testing.T
	reg   *metric.Registry
	store *metric.Store
	rec   *metric.Recorder
	at    time.Time
}

func newRecording(t *testing.T) *recording {
	r := metric.NewRegistry()
	s := metric.NewStore(r, metric.StoreOptions{Shards: 1})
	return &recording{t, r, s, s.Recorder(0), time.Unix(1_700_000_000, 0)}
}

// add records values of one metric; tags are key, value, key, value …
func (r *recording) add(name string, tags []string, values ...float64) {
	ts := r.reg.Root()
	for i := 0; i+1 < len(tags); i += 2 {
		ts = ts.With(tags[i], tags[i+1])
	}
	for _, v := range values {
		r.at = r.at.Add(time.Millisecond)
		r.rec.Record(ts, metric.Extra{}, r.at, metric.Value{Metric: r.reg.Lookup(name), V: v})
	}
}

func (r *recording) register(name string, k metric.Kind, c metric.Contains) {
	r.t.Helper()
	if _, err := r.reg.Register(name, k, c); err != nil {
		r.t.Fatal(err)
	}
}

func (r *recording) input(rules map[string][]threshold.Rule, set *threshold.Set) Input {
	v := metric.NewView(r.store.Snapshot())
	d := 2500 * time.Millisecond
	return Input{View: v, Judgement: set.Judge(v, d, true), Rules: rules, Metrics: r.reg.Lookup, Duration: d}
}

func rulesOf(exprs map[string][]string) map[string][]threshold.Rule {
	rules := map[string][]threshold.Rule{}
	for key, list := range exprs {
		rules[key] = []threshold.Rule{}
		for _, e := range list {
			rules[key] = append(rules[key], threshold.Rule{Threshold: e})
		}
	}
	return rules
}

// site is a run with two scenarios, groups in groups, checks, custom metrics and thresholds.
func site(t *testing.T) Input {
	r := newRecording(t)
	r.register("my_counter", metric.Counter, metric.Default)
	r.register("my_gauge", metric.Gauge, metric.Default)
	r.register("my_rate", metric.Rate, metric.Default)
	r.register("my_trend", metric.Trend, metric.Default)
	r.register("unused_trend", metric.Trend, metric.Time)
	rules := rulesOf(map[string][]string{
		"http_req_duration":             {"p(95)<500", "avg<0.0001", "max < 10000"},
		"http_req_duration{status:200}": {"p(90)<100"},
		"http_reqs{status:404}":         {"count<1"},
		"my_trend{a:b, c:d}":            {},
		"my_rate":                       {"rate>0.5"},
		"checks":                        {"rate>0.9"},
		"data_received":                 {"count>1", "rate>1"},
		"unused_trend":                  {"avg<5"},
		"http_req_failed{x:y}":          {"rate<0.1"},
	})
	set, err := threshold.New(rules, r.reg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.reg.Submetric("http_req_duration{expected_response:true}"); err != nil {
		t.Fatal(err)
	}
	r.add("checks", []string{"group", "::setup", "check", "in setup"}, 1)
	first := []string{"scenario", "first", "group", ""}
	outer := []string{"scenario", "first", "group", "::outer"}
	inner := []string{"scenario", "first", "group", "::outer::inner"}
	request(r, append(outer, "status", "200", "expected_response", "true"), 0, 2, 4, 6)
	r.add("checks", append(outer, "check", "status is 200"), 1, 1, 1)
	r.add("checks", append(outer, "check", "is bad"), 0, 0, 0)
	request(r, append(inner, "status", "500", "expected_response", "false"), 1, 8, 16)
	r.add("checks", append(inner, "check", "inner ok"), 1, 0)
	r.add("group_duration", inner, 10)
	r.add("group_duration", outer, 20)
	r.add("my_trend", inner, 5)
	r.add("my_counter", first, 4.5, 4.5)
	r.add("my_gauge", first, 3, 7.25)
	r.add("my_rate", first, 1, 0, 1)
	r.add("my_trend", first, -1.5, 1024)
	r.add("my_trend", append(first, "a", "b", "c", "d"), 12)
	r.add("checks", append(first, "check", "top"), 1)
	r.add("iteration_duration", first, 2, 4)
	r.add("iterations", first, 1, 1)
	r.add("data_received", first, 1_234_567)
	r.add("data_sent", first, 1967)
	second := []string{"scenario", "default", "group", ""}
	r.add("checks", append(second, "check", "top"), 1, 0)
	r.add("iterations", second, 1)
	r.add("group_duration", []string{"scenario", "default", "group", "::alone"}, 1)
	r.add("vus", nil, 1, 3, 2)
	r.add("vus_max", nil, 3)
	return r.input(rules, set)
}

func request(r *recording, tags []string, failed float64, durations ...float64) {
	for _, d := range durations {
		r.add("http_reqs", tags, 1)
		r.add("http_req_duration", tags, d)
		r.add("http_req_waiting", tags, d/2)
		r.add("http_req_failed", tags, failed)
	}
}

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func text(t *testing.T, in Input, mode string, color bool) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, in, mode, color); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestText(t *testing.T) {
	in := site(t)
	golden(t, "compact.txt", text(t, in, Compact, false))
	golden(t, "full.txt", text(t, in, Full, false))
	golden(t, "color.txt", text(t, in, Full, true))
	if got := text(t, in, Disabled, false); len(got) > 0 {
		t.Errorf("disabled prints %q", got)
	}
	in.TrendStats, in.TimeUnit = []string{"count", "p(99.9)", "med"}, "us"
	golden(t, "stats.txt", text(t, in, Compact, false))
}

func TestTextOfNothing(t *testing.T) {
	r := newRecording(t)
	set, err := threshold.New(nil, r.reg)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "nothing.txt", text(t, r.input(nil, set), Full, false))
}

func TestChecksJudgedButNeverMade(t *testing.T) {
	r := newRecording(t)
	rules := rulesOf(map[string][]string{"checks": {"rate>0.5"}})
	set, err := threshold.New(rules, r.reg)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "nochecks.txt", text(t, r.input(rules, set), Compact, false))
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func TestData(t *testing.T) {
	in := site(t)
	in.SetupData = json.RawMessage(`{"hello":[1,2]}`)
	golden(t, "data.json", indented(t, Data(in)))
	b, err := Export(in)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "export.json", b)
	b, err = MachineReadable(in, About{Script: "export default function () {}", Version: "0.1.0", Generated: time.Unix(1_700_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "machine.json", b)
}

func TestDataSurvivesExtremeValues(t *testing.T) {
	r := newRecording(t)
	r.register("my_trend", metric.Trend, metric.Default)
	set, err := threshold.New(nil, r.reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64} {
		r.add("my_trend", nil, v)
		r.add("vus", nil, v)
		r.add("iterations", nil, v)
	}
	in := r.input(nil, set)
	in.Duration = time.Nanosecond
	indented(t, Data(in))
	if _, err := Export(in); err != nil {
		t.Error(err)
	}
	if _, err := MachineReadable(in, About{}); err != nil {
		t.Error(err)
	}
}

func TestFormat(t *testing.T) {
	tests := []struct {
		contains metric.Contains
		unit     string
		v        float64
		want     string
	}{
		{metric.Time, "", 0, "0s"},
		{metric.Time, "", 0.000001, "1ns"},
		{metric.Time, "", 0.00012345, "123ns"},
		{metric.Time, "", 0.0015, "1.5µs"},
		{metric.Time, "", 0.999999, "999.99µs"},
		{metric.Time, "", 1.15, "1.14ms"},
		{metric.Time, "", 999.999, "999.99ms"},
		{metric.Time, "", 59999.9, "59.99s"},
		{metric.Time, "", 61234.5, "1m1s"},
		{metric.Time, "", 3599999, "59m59s"},
		{metric.Time, "", 3661000.5, "1h1m1s"},
		{metric.Time, "", 90061001, "25h1m1s"},
		{metric.Time, "", -0.5, "-500000ns"},
		{metric.Time, "s", -5, "-0.01s"},
		{metric.Time, "ms", 0.0005, "0.00ms"},
		{metric.Time, "us", 0.00012345, "0.12µs"},
		{metric.Data, "", 0, "0 B"},
		{metric.Data, "", 382, "382 B"},
		{metric.Data, "", 1094, "1.1 kB"},
		{metric.Data, "", 1967, "2.0 kB"},
		{metric.Data, "", 37_000, "37 kB"},
		{metric.Data, "", 1_550_000, "1.6 MB"},
		{metric.Data, "ms", 1e12, "1.0 TB"},
		{metric.Default, "", 0.1234567, "0.123457"},
		{metric.Default, "", 4e-7, "0"},
		{metric.Default, "", -4e-7, "0"},
		{metric.Default, "", 123456789.123, "123456789.123"},
		{metric.Default, "", 1e15, "1000000000000000"},
		{metric.Default, "", 1e21, "1e+21"},
		{metric.Default, "s", -3.25, "-3.25"},
	}
	for _, tt := range tests {
		if got := format(tt.contains, tt.unit, tt.v); got != tt.want {
			t.Errorf("%v %q of %v = %q, want %q", tt.contains, tt.unit, tt.v, got, tt.want)
		}
	}
	for share, want := range map[float64]string{0: "0.00%", 1: "100.00%", 1.0 / 3: "33.33%", 0.57: "56.99%", 2.0 / 3: "66.66%"} {
		if got := formatPercent(share); got != want {
			t.Errorf("percentage of %v = %q, want %q", share, got, want)
		}
	}
}

func TestColumnsAreAligned(t *testing.T) {
	lines := strings.Split(string(text(t, site(t), Compact, false)), "\n")
	at := -1
	for _, l := range lines {
		if i := strings.Index(l, "...:"); i >= 0 && strings.Contains(l, "p(95)=") {
			if j := strings.Index(l, "p(95)="); at >= 0 && len([]rune(l[:j])) != at {
				t.Errorf("column is not aligned in %q", l)
			} else {
				at = len([]rune(l[:j]))
			}
		}
	}
}
