package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine runs the processes and knows what the system offers.
type machine struct {
	*config
	dir  string
	perf bool // instructions can be counted
	pin  bool // processes can be tied to processors
}

// sample is what one run of a generator showed.
type sample struct {
	cpu, wall            time.Duration
	rss                  float64 // KB at the peak; of a memory row, per VU
	instructions         float64 // of user code; 0 when not counted
	requests, iterations float64
	rate                 float64 // requests/s
	late                 float64 // ms
}

func hasTaskset() bool {
	_, err := exec.LookPath("taskset")
	return err == nil && runtime.NumCPU() > 1
}

// hasPerf says whether this machine counts instructions; many virtual ones do not.
func hasPerf(ctx context.Context) bool {
	out, err := exec.CommandContext(ctx, "perf", "stat", "-x,", "-e", "instructions:u", "true").CombinedOutput()
	return err == nil && !strings.Contains(string(out), "not ")
}

func (m *machine) describe() string {
	yes := map[bool]string{true: "yes", false: "no"}
	return fmt.Sprintf("%d processors, %s/%s, %s; pinned: %s, instructions counted: %s",
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), yes[m.pin], yes[m.perf])
}

// compare measures a row with both programs in turn and prints it.
func (m *machine) compare(ctx context.Context, w io.Writer, r row) error {
	if r.figure.unit == instructions.unit && !m.perf {
		return nil
	}
	k6 := m.k6
	if r.alone {
		k6 = ""
	}
	var ours, theirs []float64
	for range m.runs {
		s, err := m.measure(ctx, m.hive, r)
		if err != nil {
			return fmt.Errorf("hive: %w", err)
		}
		ours = append(ours, r.figure.of(s))
		if k6 == "" {
			continue
		}
		if s, err = m.measure(ctx, k6, r); err != nil {
			return fmt.Errorf("k6: %w", err)
		}
		theirs = append(theirs, r.figure.of(s))
	}
	a := median(ours)
	if k6 == "" {
		_, err := fmt.Fprintf(w, "%s\t%s\t%s\t\t\n", r.name, r.figure.unit, format(a))
		return err
	}
	b := median(theirs)
	better := b / a
	if !r.figure.less {
		better = a / b
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1fx\n", r.name, r.figure.unit, format(a), format(b), better)
	return err
}

func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// measure runs one program once, and once more for the baseline of a memory row.
func (m *machine) measure(ctx context.Context, program string, r row) (sample, error) {
	base, stop, err := m.startTarget(ctx, r.serve)
	if err != nil {
		return sample{}, err
	}
	defer stop()
	s, err := m.generate(ctx, program, r, r.args, base)
	if err != nil {
		return s, err
	}
	if r.baseline != nil {
		one, err := m.generate(ctx, program, r, r.baseline, base)
		if err != nil {
			return s, err
		}
		s.rss = (s.rss - one.rss) / float64(r.vus)
	}
	if r.figure.unit == late.unit {
		s.late, err = lateness(ctx, base)
	}
	return s, err
}

// startTarget starts the target and returns its URL.
func (m *machine) startTarget(ctx context.Context, flags []string) (url string, stop func(), err error) {
	cmd := m.pinned(ctx, "0", false, m.target, append([]string{"-addr", "127.0.0.1:0"}, flags...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("target: %w", err)
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("target: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}

// pinned makes a command that is tied to a processor, unless it is to have them all.
func (m *machine) pinned(ctx context.Context, cpu string, all bool, program string, args ...string) *exec.Cmd {
	if m.pin && !all {
		args = append([]string{"-c", cpu, program}, args...)
		program = "taskset"
	}
	return exec.CommandContext(ctx, program, args...)
}

// generate is one run of a generator.
func (m *machine) generate(ctx context.Context, program string, r row, args []string, target string) (sample, error) {
	export := filepath.Join(m.dir, "summary.json")
	line := append([]string{"run", "-q", "-e", "TARGET=" + target, "--summary-export", export}, args...)
	cmd := m.pinned(ctx, "1", r.both, program, append(line, r.script)...)
	counts := filepath.Join(m.dir, "instructions")
	if r.figure.unit == instructions.unit {
		args := append([]string{"stat", "-x,", "-e", "instructions:u", "-o", counts, "--"}, cmd.Args...)
		cmd = exec.CommandContext(ctx, "perf", args...)
	}
	cmd.Dir = m.dir
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("%w: %s", err, tail(out))
	}
	s := sample{wall: time.Since(began), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.rss = float64(usage.Maxrss)
	}
	if r.figure.unit == instructions.unit {
		if s.instructions, err = readCount(counts); err != nil {
			return s, err
		}
	}
	return s, s.read(export)
}

func tail(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// readCount reads the one counter that perf stat wrote as comma-separated values.
func readCount(path string) (float64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, "instructions") {
			value, _, _ := strings.Cut(line, ",")
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.New("perf counted no instructions")
}

// read takes the counts from an exported summary.
func (s *sample) read(export string) error {
	data, err := os.ReadFile(export)
	if err != nil {
		return err
	}
	var summary struct {
		Metrics map[string]struct{ Count, Rate float64 }
	}
	if err := json.Unmarshal(data, &summary); err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	requests := summary.Metrics["http_reqs"]
	s.requests, s.rate, s.iterations = requests.Count, requests.Rate, summary.Metrics["iterations"].Count
	return nil
}

// lateness is the 99th percentile, in ms, of how long after its time each of the numbered requests arrived. The n-th of
// 1,000 a second is due n ms after a common beginning, which is the one that makes the median zero.
func lateness(ctx context.Context, target string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target+"/stats?hits=1", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var report struct {
		Hits []struct {
			ID int64
			At time.Time
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&report); err != nil {
		return 0, err
	}
	if len(report.Hits) == 0 {
		return 0, errors.New("the target saw no request")
	}
	late := make([]float64, len(report.Hits))
	for i, h := range report.Hits {
		late[i] = float64(h.At.Sub(report.Hits[0].At))/float64(time.Millisecond) - float64(h.ID)
	}
	slices.Sort(late)
	return late[len(late)*99/100] - median(late), nil
}
