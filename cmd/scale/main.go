// Command scale measures hives of many nodes on one machine: real nodes on a
// real etcd, with counters in the place of engines (see package simulation).
//
//	go run ./cmd/scale -nodes 10,100,1000
//
// The etcd and the two nodes that lead, which carry no load, are processes of
// their own, so that what they cost can be told from the rest. All others share
// this process. For each size it prints how long each change took, what it
// cost etcd and the leader, and what the engines' record says of the promises
// that were to be kept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type config struct {
	sizes    []int
	members  int           // of the etcd
	ttl      time.Duration // of leases
	slots    int           // of each node
	rate     int           // arrivals a second
	quiet    time.Duration // how long a hive is watched at which nothing happens
	wave     int           // nodes that start at once
	report   time.Duration // between two checkpoints of a node
	verbose  bool
	patience time.Duration // for one step
}

func main() {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		exit(roles[os.Args[1]](os.Args[2:]))
	}
	var c config
	sizes := flag.String("nodes", "10,100", "how many nodes, one simulation for each number")
	flag.IntVar(&c.members, "members", 1, "members of the etcd")
	flag.DurationVar(&c.ttl, "ttl", 5*time.Second, "of the nodes' leases")
	flag.IntVar(&c.slots, "slots", 2, "VUs of the test for each node")
	flag.IntVar(&c.rate, "rate", 100, "arrivals a second in the whole hive")
	flag.IntVar(&c.wave, "wave", 50, "how many nodes start at once")
	flag.DurationVar(&c.report, "checkpoint", time.Second, "time between two checkpoints of a node")
	flag.DurationVar(&c.quiet, "quiet", 10*time.Second, "how long the hive is watched while nothing happens")
	flag.DurationVar(&c.patience, "patience", 3*time.Minute, "how long one step may take")
	flag.BoolVar(&c.verbose, "verbose", false, "print what the nodes that lead have to say")
	profile := flag.String("profile", "", "file for a CPU profile of this process, that is of all nodes but those that lead")
	flag.Parse()
	for _, s := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 2 {
			exit(fmt.Errorf("-nodes %s: want numbers of 2 or more, as 10,100", *sizes))
		}
		c.sizes = append(c.sizes, n)
	}
	if c.wave < 1 {
		exit(fmt.Errorf("-wave %d: want 1 or more", c.wave))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	stopProfile, err := startProfile(*profile)
	if err != nil {
		exit(err)
	}
	err = run(ctx, c)
	exit(errors.Join(err, stopProfile()))
}

// run simulates a hive of each size.
func run(ctx context.Context, c config) error {
	var errs []error
	for _, n := range c.sizes {
		if err := one(ctx, c, n); err != nil {
			errs = append(errs, fmt.Errorf("%d nodes: %w", n, err))
		}
	}
	return errors.Join(errs...)
}

// startProfile begins a CPU profile, unless file is empty.
func startProfile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
