package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"hive/hive"
)

const (
	token        = "chaos"
	startTimeout = 40 * time.Second
)

// swarm is the hive under test: nodes as processes of their own.
type swarm struct {
	bin  string
	dir  string
	ttl  time.Duration
	net  *network // nil on loopback
	join []string // further arguments of hive join
	node []*node
}

// node is one node, whether its process lives or not.
type node struct {
	index    int
	name     string
	capacity int
	space    string // its network namespace
	dir      string
	url      string

	proc   *exec.Cmd // nil when there is none
	exited chan struct{}
	gone   bool // it left for good
}

// add starts a further node.
func (s *swarm) add(ctx context.Context, capacity int) (*node, error) {
	i := len(s.node)
	n := &node{index: i, name: fmt.Sprintf("n%d", i), capacity: capacity, dir: filepath.Join(s.dir, fmt.Sprintf("n%d", i))}
	if s.net != nil {
		space, err := s.net.add(i)
		if err != nil {
			return nil, err
		}
		n.space = space
	}
	s.node = append(s.node, n)
	return n, s.start(ctx, n)
}

// start starts a node's process, with the data that its last one left.
func (s *swarm) start(ctx context.Context, n *node) error {
	args := []string{"join", "--name", n.name, "--data-dir", n.dir, "--capacity", strconv.Itoa(n.capacity), "--token", token, "--lease-ttl", s.ttl.String()}
	switch {
	case n.url != "": // again: at the same place
		args = append(args, "--address", strings.TrimPrefix(n.url, "http://"))
	case s.net != nil:
		args = append(args, "--address", s.net.address(n.index)+":7070")
	default:
		args = append(args, "--address", "127.0.0.1:0")
	}
	if n.url == "" {
		if peer := s.living(); peer != nil {
			args = append(args, strings.TrimPrefix(peer.url, "http://"))
		}
	}
	args = append(args[:1:1], append(slices.Clone(s.join), args[1:]...)...)
	c := exec.Command(s.bin, args...)
	if n.space != "" {
		c = exec.Command("ip", append([]string{"netns", "exec", n.space, s.bin}, args...)...)
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.OpenFile(filepath.Join(s.dir, n.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "--- %s %s\n", time.Now().Format(time.RFC3339Nano), strings.Join(args, " "))
	c.Stderr = log
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	found := make(chan string, 1)
	exited := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "API"); ok {
				found <- strings.TrimSpace(rest)
			}
		}
		_, _ = io.Copy(io.Discard, out) // a line too long for the scanner
		_ = c.Wait()                    // however it ends
		close(exited)
	}()
	n.proc, n.exited = c, exited
	select {
	case n.url = <-found:
		return nil
	case <-exited:
		n.proc = nil
		return fmt.Errorf("node %s ended while it started: see %s.log", n.name, n.name)
	case <-time.After(startTimeout):
		return fmt.Errorf("node %s did not start within %s", n.name, startTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// living is a node that can be asked.
func (s *swarm) living() *node {
	for _, n := range s.node {
		if n.alive() && n.url != "" {
			return n
		}
	}
	return nil
}

// host is where the node listens.
func (n *node) host() string {
	host, _, _ := strings.Cut(strings.TrimPrefix(n.url, "http://"), ":")
	return host
}

func (n *node) alive() bool {
	if n.proc == nil {
		return false
	}
	select {
	case <-n.exited:
		return false
	default:
		return true
	}
}

// signal sends a signal to the agent.
func (n *node) signal(s syscall.Signal) error {
	if !n.alive() {
		return fmt.Errorf("node %s has no process", n.name)
	}
	return n.proc.Process.Signal(s)
}

// kill ends the agent as if by a power cut, and waits until it is gone.
func (n *node) kill() error {
	if err := n.signal(syscall.SIGKILL); err != nil {
		return err
	}
	_ = n.signal(syscall.SIGCONT)
	<-n.exited
	return nil
}

// engines are the processes of the node's engines.
func (n *node) engines() []int {
	if !n.alive() {
		return nil
	}
	var pids []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", n.proc.Process.Pid))
	for _, file := range tasks {
		data, _ := os.ReadFile(file)
		for _, word := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// signalAll sends a signal to the agent and its engines.
func (n *node) signalAll(s syscall.Signal) error {
	var errs []error
	for _, pid := range n.engines() {
		errs = append(errs, syscall.Kill(pid, s))
	}
	return errors.Join(append(errs, n.signal(s))...)
}

// close ends all processes.
func (s *swarm) close() {
	for _, n := range s.node {
		if n.alive() {
			_ = n.signalAll(syscall.SIGCONT)
			_ = n.kill()
		}
	}
}

// client asks any living node.
func (s *swarm) client() (*hive.Client, error) {
	n := s.living()
	if n == nil {
		return nil, errors.New("no node lives")
	}
	return hive.NewClient(n.url, token)
}

// leader is the node that leads.
func (s *swarm) leader(ctx context.Context) (*node, error) {
	infos, err := s.infos(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range infos {
		if i.Leader {
			return s.byName(i.Name), nil
		}
	}
	return nil, errors.New("nobody leads")
}

func (s *swarm) infos(ctx context.Context) ([]hive.NodeInfo, error) {
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Nodes(ctx)
}

func (s *swarm) byName(name string) *node {
	for _, n := range s.node {
		if n.name == name {
			return n
		}
	}
	return nil
}

// command runs hive with args against the hive.
func (s *swarm) command(ctx context.Context, args ...string) *exec.Cmd {
	n := s.living()
	if n == nil {
		n = s.node[0]
	}
	c := exec.CommandContext(ctx, s.bin, append(args[:1:1], append([]string{"--remote", n.url, "--token", token}, args[1:]...)...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return c
}
