package engine_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hive/archive"
	"hive/engine"
	"hive/engine/metric"
)

var update = flag.Bool("update", false, "write what the scripts in testdata do as what is expected of them")

// TestScripts runs whole scripts, each with what is expected of it in a file beside it: how the test ended, what was
// logged, and every series of every metric whose value does not depend on time.
func TestScripts(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("testdata/*.js")
	if err != nil {
		t.Fatal(err)
	}
	typed, err := filepath.Glob("testdata/*/main.ts")
	if err != nil {
		t.Fatal(err)
	}
	scripts = append(scripts, typed...)
	if len(scripts) < 6 {
		t.Fatalf("only %d scripts were found", len(scripts))
	}
	for _, script := range scripts {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			got := account(t, script)
			golden := strings.TrimSuffix(script, filepath.Ext(script)) + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// account runs a script and writes down what became of it.
func account(t *testing.T, script string) string {
	t.Helper()
	server := serve(t)
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	b, err := archive.Build(t.Context(), archive.Input{Entry: script, Builtins: engine.Modules()})
	if err != nil {
		t.Fatal(err)
	}
	with := target(server.URL)
	with.files = archive.NewRecorder(b.Pwd, archive.Disk{})
	var lines []string
	s, err := tryPrepare(t, b, with)
	if err == nil {
		err = s.life(t.Context())
	}
	if err != nil {
		lines = append(lines, fmt.Sprintf("%s: %v", engine.KindOf(err), err))
	} else {
		lines = append(lines, "passed")
	}
	if s != nil {
		if why, failed := s.Failed(); failed {
			lines = append(lines, "marked as failed: "+why)
		}
		lines = append(lines, slices.Sorted(strings.Lines(s.log.String()))...)
		lines = append(lines, series(s.Snapshot())...)
	}
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\n")
	}
	places := strings.NewReplacer(server.URL, "http://target", filepath.ToSlash(dir), "/testdata")
	return places.Replace(strings.Join(lines, "\n")) + "\n"
}

// series writes a line for each series. Of times only the number is the same in each run, and of the bytes on the wire
// and the VUs of a second not even that.
func series(s *metric.Snapshot) []string {
	skipped := []string{"vus", "vus_max", "data_sent", "data_received"}
	lines := map[string]bool{}
	for i := range s.Series {
		x := &s.Series[i]
		if slices.Contains(skipped, x.Metric) {
			continue
		}
		var tags []string
		for _, tag := range x.Tags {
			if tag.Key == "error" { // says what the operating system says
				tag.Value = "…"
			}
			tags = append(tags, tag.Key+"="+tag.Value)
		}
		lines[fmt.Sprintf("%s %s{%s} %s", x.Kind, x.Metric, strings.Join(tags, ","), value(x.Aggregate()))] = true
	}
	return slices.SortedFunc(maps.Keys(lines), cmp.Compare[string])
}

func value(a *metric.Aggregate) string {
	switch a.Kind {
	case metric.Counter:
		return fmt.Sprint(a.Sum)
	case metric.Gauge:
		return fmt.Sprintf("min %v max %v", a.Min, a.Max)
	case metric.Rate:
		return fmt.Sprintf("%d of %d", a.Trues, a.Total)
	}
	if a.Contains == metric.Time {
		return fmt.Sprintf("%d times", a.Sketch.Count())
	}
	return fmt.Sprintf("%d values, %v to %v, sum %v", a.Sketch.Count(), a.Sketch.Min(), a.Sketch.Max(), a.Sketch.Sum())
}
