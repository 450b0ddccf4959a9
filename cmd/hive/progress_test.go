package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hive/hive"
)

func sampleProgress() progress {
	return progress{Phase: hive.Running, Progress: hive.Progress{
		Elapsed: 61200 * time.Millisecond, VUs: 3, VUsMax: 7, Iterations: 40, Interrupted: 1,
		Scenarios: []hive.ScenarioProgress{
			{Name: "steady", Fraction: 0.509, Text: "2 VUs  1.0s/2s", VUs: 2},
			{Name: "a longer name", Fraction: 1, Text: "0 VUs"},
			{Name: "late", Text: "waiting  3.0s"},
		},
	}}
}

func TestProgressLines(t *testing.T) {
	want := `running (1m01.2s), 3/7 VUs, 40 complete and 1 interrupted iterations
steady          [  50% ] 2 VUs  1.0s/2s
a longer name ✓ [ 100% ] 0 VUs
late          • [   0% ] waiting  3.0s
`
	if got := sampleProgress().lines(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestProgressBlockFits(t *testing.T) {
	for _, width := range []int{10, 40, 60, 80, 200} {
		for line := range strings.Lines(sampleProgress().block(width, false)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n >= width {
				t.Errorf("width %d: line of %d columns: %q", width, n, line)
			}
		}
	}
	if got := sampleProgress().block(80, false); !strings.Contains(got, "[==================>-------------------]") {
		t.Errorf("got\n%s, want a bar half done", got)
	}
}

func TestStatusCounts(t *testing.T) {
	p := progress{Nodes: 1, Phase: hive.Draining, Progress: hive.Progress{Dropped: 2, Elapsed: -time.Second}}
	if got, want := p.status(), "draining (00.0s), 0/0 VUs, 0 complete and 0 interrupted iterations, 2 dropped, 1 node"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProgressOfAHive(t *testing.T) {
	p := sampleProgress()
	p.Nodes, p.Unowned, p.Paused = 3, 2, true
	p.Load = []hive.Load{{Scenario: "steady", Planned: 200, Actual: 199.84}, {Scenario: "late"}}
	got := p.lines()
	for _, want := range []string{"paused (1m01.2s)", ", 3 nodes, 2 VUs without a node\n", "2 VUs  1.0s/2s  199.8 of 200.0 iters/s\n", "] waiting  3.0s\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                "00.0s",
		1234 * time.Millisecond:          "01.2s",
		59999 * time.Millisecond:         "59.9s",
		2*time.Minute + 3*time.Second:    "2m03.0s",
		time.Hour + 400*time.Millisecond: "1h00m00.4s",
	} {
		if got := clock(d); got != want {
			t.Errorf("clock(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestDisplayOncePerSecond(t *testing.T) {
	var out bytes.Buffer
	d := &display{screen: newScreen(&out, &out)}
	for ms := range 31 {
		d.Progress(progress{Phase: hive.Running, Progress: hive.Progress{Elapsed: time.Duration(ms) * 100 * time.Millisecond}})
	}
	if got := strings.Count(out.String(), "running ("); got != 4 {
		t.Errorf("3 s gave %d lines, want 4:\n%s", got, &out)
	}
	quiet := &display{screen: newScreen(&out, &out), quiet: true}
	out.Reset()
	quiet.Header("local", "a.js", "-")
	quiet.Note("note")
	quiet.Progress(sampleProgress())
	quiet.Finish()
	if out.Len() > 0 {
		t.Errorf("quiet: got %q, want nothing", &out)
	}
}

func TestFollowShowsTheEnd(t *testing.T) {
	var out bytes.Buffer
	d := &display{screen: newScreen(&out, &out)}
	d.Phase(hive.Running)
	stop := d.Follow(func() hive.Progress { return hive.Progress{Iterations: 9} })
	stop()
	if !strings.Contains(out.String(), "9 complete") {
		t.Errorf("got %q, want the last progress", &out)
	}
}

func TestScreenKeepsBlockBelow(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out, &out)
	s.out.tty, s.err.tty = true, true
	s.Show("bar\n")
	if _, err := s.err.Write([]byte("log\n")); err != nil {
		t.Fatal(err)
	}
	s.Show("")
	if _, err := s.out.Write([]byte("end\n")); err != nil {
		t.Fatal(err)
	}
	const erase = "\x1b[A\r\x1b[J"
	if got, want := out.String(), "bar\n"+erase+"log\nbar\n"+erase+"end\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
