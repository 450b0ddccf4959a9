package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"hive/hive"
	"hive/hive/simulation"
)

// roles are what this program is as a child of itself.
var roles = map[string]func(args []string) error{"store": beStore, "chief": beChief}

// greeting is the first line that a child prints.
type greeting struct {
	Endpoints []string `json:"endpoints,omitempty"` // of the etcd
	Metrics   []string `json:"metrics,omitempty"`
	ID        string   `json:"id,omitempty"` // of the node
	URL       string   `json:"url,omitempty"`
}

// child is a process that this one has started, and ends with.
type child struct {
	greeting
	cmd  *exec.Cmd
	life io.WriteCloser // the child's standard input: it ends when that does
}

// start starts a child in a role and waits for its greeting.
func start(role string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, append([]string{role}, args...)...)}
	c.cmd.Stderr = os.Stderr
	if c.life, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &c.greeting)
	}
	if err != nil {
		c.kill()
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	return c, nil
}

// kill ends the child as kill -9 does.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	_ = c.cmd.Wait()         // its end by a signal is no news
}

// stop asks the child to end, and kills it if it does not.
func (c *child) stop() {
	c.life.Close()
	late := time.AfterFunc(10*time.Second, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	_ = c.cmd.Wait()
}

// pid is that of the process.
func (c *child) pid() int { return c.cmd.Process.Pid }

// greet prints a child's greeting.
func greet(g greeting) error { return json.NewEncoder(os.Stdout).Encode(g) }

// parentGone ends when the parent does, or asks for it.
func parentGone() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx
}

// beStore is the etcd.
func beStore(args []string) error {
	f := flag.NewFlagSet("store", flag.ContinueOnError)
	dir := f.String("dir", "", "data directory")
	members := f.Int("members", 1, "members")
	if err := f.Parse(args); err != nil {
		return err
	}
	s, err := simulation.StartStore(*dir, *members)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := greet(greeting{Endpoints: s.Endpoints(), Metrics: s.Metrics()}); err != nil {
		return err
	}
	<-parentGone().Done()
	return nil
}

// beChief is a node without capacity, which leads and nothing else.
func beChief(args []string) error {
	f := flag.NewFlagSet("chief", flag.ContinueOnError)
	name := f.String("name", "", "of the node")
	etcd := f.String("etcd", "", "endpoints, with commas")
	ttl := f.Duration("ttl", 5*time.Second, "of the lease")
	verbose := f.Bool("verbose", false, "print the node's messages")
	if err := f.Parse(args); err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", *name)
	}
	n, err := hive.New(hive.Config{Log: log, Name: *name, Etcd: strings.Split(*etcd, ","), Address: "127.0.0.1:0", LeaseTTL: *ttl, Factory: simulation.Counters(),
		Ready: func(i hive.Info) { _ = greet(greeting{ID: i.ID, URL: i.URL}) }}) // without it the parent ends
	if err != nil {
		return err
	}
	if err := n.Run(parentGone()); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
