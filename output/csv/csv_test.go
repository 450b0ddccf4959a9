package csv

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hive/engine/metric"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

func TestRows(t *testing.T) {
	r := metric.NewRegistry()
	b := r.Builtin()
	tags := r.Root().WithAll([]metric.Tag{
		{Key: "status", Value: "200"}, {Key: "run", Value: "r1"}, {Key: "group", Value: "::g"}, {Key: "sp ace", Value: `a&b=c,d"e`},
	})
	x := metric.Extra{URL: "http://a/?x=1", VU: 3, Iter: 7}
	at := time.Date(2026, 3, 4, 5, 6, 7, 89_000_001, time.UTC)

	for _, format := range TimeFormats {
		t.Run(format, func(t *testing.T) {
			var out strings.Builder
			cfg, err := Parse("fileName=-,timeFormat="+format, os.LookupEnv)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Stdout, cfg.Tags = &out, cfg.Tags|metric.TagVU|metric.TagIter
			o := New(cfg)
			if err := o.Start(); err != nil {
				t.Fatal(err)
			}
			o.Add([]metric.Sample{
				{Metric: b.HTTPReqs, Tags: tags, Extra: x, Value: 1, Time: at},
				{Metric: b.HTTPReqDuration, Tags: tags, Extra: x, Value: 2.54709049, Time: at},
				{Metric: b.VUs, Tags: r.Root(), Value: 1e21, Time: at},
			})
			if err := o.Stop(nil); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", format+".csv")
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
		})
	}
}

func TestParse(t *testing.T) {
	env := map[string]string{"K6_CSV_FILENAME": "env.csv", "K6_CSV_SAVE_INTERVAL": "3s"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	none := func(string) (string, bool) { return "", false }
	tests := map[string]struct {
		arg    string
		lookup func(string) (string, bool)
		name   string
		every  time.Duration
		format string
	}{
		"nothing":                 {"", none, "file.csv", time.Second, "unix"},
		"a file name":             {"a,b.csv", none, "a,b.csv", time.Second, "unix"},
		"the environment":         {"", lookup, "env.csv", 3 * time.Second, "unix"},
		"the argument goes first": {"fileName=x.csv.gz,timeFormat=rfc3339", lookup, "x.csv.gz", 3 * time.Second, "rfc3339"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := Parse(tt.arg, tt.lookup)
			if err != nil || c.FileName != tt.name || c.SaveInterval != tt.every || c.TimeFormat != tt.format {
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
	for _, bad := range []string{"foo=bar", "timeFormat=bogus", "saveInterval=often", "saveInterval=-1s", "fileName=a,b"} {
		if _, err := Parse(bad, none); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
