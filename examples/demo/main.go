// Command demo shows a hive at work on one machine: a target server, three nodes as processes of their own, and a test
// that runs on all of them. It runs the programs in bin, and whatever happens it ends what it started.
//
//	make demo
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second // for one process to say that it is there
	stopTimeout  = 15 * time.Second // for it to go after it was asked to
)

func main() {
	bin := flag.String("bin", "bin", "folder with the programs hive and target")
	script := flag.String("script", "examples/demo.js", "test to run")
	nodes := flag.Int("nodes", 3, "how many nodes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := demo(ctx, *bin, *script, *nodes)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	os.Exit(exitCode(err))
}

// exitCode is the run's own where there was one.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	return 1
}

func demo(ctx context.Context, bin, script string, nodes int) (err error) {
	dir, err := os.MkdirTemp("", "hive-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	hive := filepath.Join(bin, "hive")

	// Servers outlive the run: they are stopped last, also when ctx ends.
	var servers group
	defer func() { err = errors.Join(err, servers.stop()) }()

	target, err := servers.start(ctx, "http://", filepath.Join(bin, "target"), "-addr", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the target: %w", err)
	}
	say("target at %s", target)
	var first string
	for i := range nodes {
		args := []string{"join", "--name", fmt.Sprintf("node-%d", i+1), "--data-dir", filepath.Join(dir, fmt.Sprint(i+1)), "--address", "127.0.0.1:0"}
		if first != "" {
			args = append(args, strings.TrimPrefix(first, "http://"))
		}
		address, err := servers.start(ctx, "http://", hive, args...)
		if err != nil {
			return fmt.Errorf("start node %d: %w", i+1, err)
		}
		if first == "" {
			first = address
		}
		say("node-%d at %s", i+1, address)
	}
	if err := show(ctx, hive, "nodes", "--remote", first); err != nil {
		return err
	}
	if err := show(ctx, hive, "run", "--remote", first, "-e", "TARGET="+target, script); err != nil {
		return err
	}
	return count(ctx, target)
}

func say(format string, args ...any) { fmt.Printf("--- "+format+"\n", args...) }

// show runs a command of hive's with the user's streams. When ctx ends the command gets the Ctrl-C.
func show(ctx context.Context, program string, args ...string) error {
	say("%s %s", program, strings.Join(args, " "))
	c := command(ctx, program, args...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", filepath.Base(program), args[0], err)
	}
	return nil
}

// command is a process that is interrupted when ctx ends. It has a process group of its own, so that a Ctrl-C at the
// terminal reaches it through here only, once.
func command(ctx context.Context, program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, program, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = stopTimeout
	return c
}

// group is servers that run in the background.
type group struct{ servers []*server }

type server struct {
	cancel context.CancelFunc
	done   chan error
}

// start runs a server and returns the first word of its output that begins with prefix.
func (g *group) start(ctx context.Context, prefix, program string, args ...string) (string, error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := command(own, program, args...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		cancel()
		return "", err
	}
	s := &server{cancel: cancel, done: make(chan error, 1)}
	g.servers = append(g.servers, s)
	words := make(chan string, 1)
	go func() {
		find(out, prefix, words)
		s.done <- c.Wait()
	}()
	select {
	case word, ok := <-words:
		if !ok {
			return "", errors.New("it ended before it was ready")
		}
		return word, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-time.After(startTimeout):
		return "", fmt.Errorf("not ready after %v", startTimeout)
	}
}

// find sends the first word with a prefix, then reads on so that the writer never waits. It closes words at the end.
func find(r io.Reader, prefix string, words chan<- string) {
	defer close(words)
	lines := bufio.NewScanner(r)
	found := false
	for lines.Scan() {
		for _, word := range strings.Fields(lines.Text()) {
			if !found && strings.HasPrefix(word, prefix) {
				found = true
				words <- word
			}
		}
	}
}

// stop ends the servers and waits for them. Nodes that all leave at once need not take anything over from each other.
func (g *group) stop() error {
	for _, s := range g.servers {
		s.cancel()
	}
	var errs []error
	for _, s := range g.servers {
		if err := <-s.done; err != nil && !stopped(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// stopped says whether a process ended because it was asked to.
func stopped(err error) bool { return errors.Is(err, context.Canceled) }

// count asks the target what it saw: each numbered request has to have come once.
func count(ctx context.Context, target string) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target+"/stats", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var stats struct {
		Count, Distinct     int
		Max                 int64
		Duplicates, Missing []int64
	}
	if err := json.NewDecoder(resp.Body).Decode(&stats); err != nil {
		return fmt.Errorf("read the target's statistics: %w", err)
	}
	say("the target saw %d numbered requests: %d ids up to %d, %d of them twice, %d missing",
		stats.Count, stats.Distinct, stats.Max, len(stats.Duplicates), len(stats.Missing))
	if len(stats.Duplicates) > 0 {
		return errors.New("an iteration was run twice")
	}
	return nil
}
