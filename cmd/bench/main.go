// Command bench measures whole hive processes, and k6 beside them when there is a k6 to be had, against a target that
// ships with the project, and prints one table with the ratios. docs/performance.md explains the method.
//
//	make bench                          # Go's benchmarks, then this
//	bin/bench -only 'get|check' -runs 5 # some rows, more runs of each
//
// The target runs on the first processor and the generator on the second, where taskset can arrange it. Runs of hive
// and k6 take turns, so that a machine whose speed drifts does not favour either; the median of each is shown.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

//go:embed scripts
var scripts embed.FS

// config is what the command line says.
type config struct {
	hive, k6, target string // programs; k6 may be ""
	runs             int
	duration         time.Duration
	only             *regexp.Regexp
}

func main() {
	var c config
	flag.StringVar(&c.hive, "hive", beside("hive"), "the hive to measure")
	flag.StringVar(&c.target, "target", beside("target"), "the target server")
	flag.StringVar(&c.k6, "k6", "", `the k6 to compare with (default: the one on PATH; "none" for none)`)
	flag.IntVar(&c.runs, "runs", 3, "runs of each row")
	flag.DurationVar(&c.duration, "duration", 5*time.Second, "length of a run at full speed")
	only := flag.String("only", "", "regular expression of the rows wanted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := c.finish(*only)
	if err == nil {
		err = c.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// beside is the path of a program in the folder of this one.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}

func (c *config) finish(only string) (err error) {
	if c.only, err = regexp.Compile(only); err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if c.runs < 1 || c.duration < time.Second {
		return errors.New("want at least one run of at least a second")
	}
	switch c.k6 {
	case "none":
		c.k6 = ""
	case "":
		c.k6, err = exec.LookPath("k6")
		if errors.Is(err, exec.ErrNotFound) {
			err = nil
		}
	}
	return err
}

// run measures every row that is wanted and prints it when it is done.
func (c *config) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "hive-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := unpack(dir); err != nil {
		return err
	}
	m := &machine{config: c, dir: dir, perf: hasPerf(ctx), pin: hasTaskset()}
	fmt.Println(m.describe())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tunit\thive\tk6\tratio")
	for _, r := range rows(c.duration) {
		if !c.only.MatchString(r.name) {
			continue
		}
		if err := m.compare(ctx, w, r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return w.Flush()
}

// unpack writes the scripts, and the file that one of them uploads, to a folder.
func unpack(dir string) error {
	names, err := fs.Glob(scripts, "scripts/*.js")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := scripts.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, strings.TrimPrefix(name, "scripts/")), text, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "upload.bin"), make([]byte, 26_000_000), 0o644)
}
