package main

import (
	"fmt"
	"time"
)

// row is one line of the table.
type row struct {
	name   string
	script string
	serve  []string // flags of the target
	args   []string // flags of the run
	figure figure
	both   bool // of the generator's processors
	alone  bool // too heavy for k6 on a small machine: hive is measured by itself
	// baseline, when there is one, are the flags of a run whose memory is subtracted.
	baseline []string
	vus      int // by which the difference is divided
}

// figure is what is measured, and how it is called.
type figure struct {
	unit string
	of   func(sample) float64
	less bool // less is better
}

var (
	perRequest   = figure{"us of CPU per request", func(s sample) float64 { return 1e6 * s.cpu.Seconds() / s.requests }, true}
	perIteration = figure{"us of CPU per iteration", func(s sample) float64 { return 1e6 * s.cpu.Seconds() / s.iterations }, true}
	instructions = figure{"1000 instructions per request", func(s sample) float64 { return s.instructions / s.requests / 1000 }, true}
	rate         = figure{"requests/s", func(s sample) float64 { return s.rate }, false}
	memory       = figure{"KB per VU", func(s sample) float64 { return s.rss }, true}
	peak         = figure{"MB at the peak", func(s sample) float64 { return s.rss / 1024 }, true}
	wall         = figure{"seconds in all", func(s sample) float64 { return s.wall.Seconds() }, true}
	late         = figure{"ms late, 99th percentile", func(s sample) float64 { return s.late }, true}
)

// rows is the table; length is that of a run at full speed.
func rows(length time.Duration) []row {
	full := []string{"--vus", "50", "--duration", length.String()}
	fast, secure := []string{"-fast"}, []string{"-fast", "-tls"}
	path := func(name, path string, serve []string) row {
		return row{name: name, script: "path.js", serve: serve, args: append([]string{"-e", "PATH=" + path}, full...), figure: perRequest}
	}
	return []row{
		{name: "get", script: "get.js", serve: fast, args: full, figure: perRequest},
		{name: "get, instructions", script: "get.js", serve: fast, args: full, figure: instructions},
		{name: "get, rate on one core", script: "get.js", serve: fast, args: full, figure: rate},
		{name: "check", script: "check.js", serve: fast, args: full, figure: perRequest},
		{name: "site", script: "site.js", serve: fast, args: full, figure: perRequest},
		path("body kept", "/", fast), path("body of 10 KB", "/big", fast), path("gzip", "/gzip", fast),
		path("cookies", "/cookie", fast), path("redirect", "/redirect", fast), path("TLS", "/", secure),
		{name: "empty iteration", script: "empty.js", args: []string{"--vus", "10", "--duration", length.String()}, figure: perIteration, both: true},
		{name: "6,000 VUs, get and sleep", script: "idle.js", serve: fast, args: []string{"--vus", "6000", "--duration", "12s"}, figure: memory, both: true,
			baseline: []string{"--vus", "1", "--duration", "3s"}, vus: 6000},
		{name: "10,000 VUs, empty", script: "empty.js", args: []string{"--vus", "10000", "--iterations", "10000"}, figure: memory, both: true,
			baseline: []string{"--vus", "1", "--iterations", "1"}, vus: 10000},
		{name: "10,000 VUs, start to end", script: "empty.js", args: []string{"--vus", "10000", "--iterations", "10000"}, figure: wall, both: true},
		{name: "1,000 VUs post 26 MB", script: "upload.js", serve: fast, args: []string{"-e", "FILE=./upload.bin", "--vus", "1000", "--duration", "10s"}, figure: peak, both: true, alone: true},
		{name: "1,000/s for 10 s", script: "arrivals.js", figure: late, both: true},
	}
}

// format writes a figure with as many digits as it deserves.
func format(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
