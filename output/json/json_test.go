package json

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hive/engine/metric"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

var at = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

func samples(t *testing.T, r *metric.Registry) []metric.Sample {
	t.Helper()
	if err := r.Submetric("http_req_duration{status:200}"); err != nil {
		t.Fatal(err)
	}
	b := r.Builtin()
	tags := r.Root().WithAll([]metric.Tag{{Key: "status", Value: "200"}, {Key: "group", Value: ""}, {Key: "sp ace", Value: "a&b\"<ä>\n\xff"}})
	x := metric.Extra{URL: "http://a/?x=1&y=2", VU: 3, Iter: 7}
	return []metric.Sample{
		{Metric: b.HTTPReqs, Tags: tags, Extra: x, Value: 1, Time: at},
		{Metric: b.HTTPReqDuration, Tags: tags, Extra: x, Value: 2.54709, Time: at},
		{Metric: b.HTTPReqDuration, Tags: tags.With("url", "mine"), Extra: x, Value: 1e21, Time: at},
		{Metric: b.VUs, Tags: r.Root(), Value: 1e-7, Time: at},
		{Metric: b.VUs, Tags: r.Root(), Value: math.NaN(), Time: at},
		{Metric: b.VUs, Tags: r.Root(), Value: math.Inf(-1), Time: at},
	}
}

func TestLines(t *testing.T) {
	r := metric.NewRegistry()
	var out strings.Builder
	o := New(Config{Stdout: &out, Registry: r, Tags: metric.DefaultSystemTags | metric.TagVU | metric.TagIter})
	if err := o.Start(); err != nil {
		t.Fatal(err)
	}
	o.Add(samples(t, r))
	if err := o.Stop(nil); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "lines.ndjson")
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

func TestMetadataOnlyWhenAskedFor(t *testing.T) {
	r := metric.NewRegistry()
	s := samples(t, r)[0]
	if got := string(appendPoint(nil, &s, metric.DefaultSystemTags)); strings.Contains(got, "metadata") {
		t.Errorf("metadata in %s", got)
	}
}

func TestStopWithoutStart(t *testing.T) {
	if err := New(Config{}).Stop(nil); err != nil {
		t.Error(err)
	}
}

func TestStartNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "out.json")
	err := New(Config{Path: path}).Start()
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error is %v, want one with %s", err, path)
	}
}

func TestDescription(t *testing.T) {
	for path, want := range map[string]string{"": "json(stdout)", "-": "json(stdout)", "a.json": "json (a.json)"} {
		if got := New(Config{Path: path}).Description(); got != want {
			t.Errorf("%q is described as %q, want %q", path, got, want)
		}
	}
}

func FuzzString(f *testing.F) {
	f.Add("a\"\\\n\x00\u2028\xff")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if utf8.ValidString(s) && got != s {
			t.Errorf("%q reads back as %q", s, got)
		}
	})
}
