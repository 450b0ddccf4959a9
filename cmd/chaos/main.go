// Command chaos breaks hives and checks what they make of it. It starts real nodes on this machine (on loopback, or in
// network namespaces of their own when it may make some), runs tests on them against a target that notes every request,
// kills, stops and cuts off nodes and engines along a schedule drawn from a seed, and holds the target's record against
// the run's own ledger, timeline and verdict.
//
//	make chaos CHAOSFLAGS='-for 1h'    # any length; prints its seed
//	bin/chaos -suite short             # the fixed cases that every change has to pass
//	bin/chaos -seed 42 -for 10m        # the same cases again
//	bin/chaos -suite soak -for 1h      # one long run, then many short ones: nothing may grow for ever
//
// Slow disks are made with strace, and left out where it is missing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == jumpWord {
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		exit(performJump(os.Args[2:], os.Stdin))
	}
	var c config
	flag.StringVar(&c.bin, "bin", "bin/hive", "the program hive")
	flag.StringVar(&c.suite, "suite", "random", "short or long: fixed cases; random: cases drawn from the seed until the time is over; soak: a hive is used and measured for the whole time")
	flag.Uint64Var(&c.seed, "seed", 0, "of the random cases; 0 draws one")
	flag.DurationVar(&c.length, "for", 10*time.Minute, "how long random cases are drawn, or a hive is soaked")
	flag.StringVar(&c.only, "only", "", "run only the cases whose name matches this regular expression")
	flag.BoolVar(&c.clock, "clock", false, "also the cases that set the wall clock of this whole machine, by an hour and for some seconds each, as root; all else that runs here sees that")
	flag.BoolVar(&c.list, "list", false, "print the names of the fixed cases and do nothing")
	flag.StringVar(&c.keep, "keep", "", "folder for the logs of cases that fail; a temporary one by default")
	flag.BoolVar(&c.all, "all-logs", false, "keep the logs of cases that pass, too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, c)
	stop()
	exit(err)
}

func exit(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "chaos:", err)
	os.Exit(1)
}

type config struct {
	bin, suite, only, keep string
	seed                   uint64
	length                 time.Duration
	list, all, clock       bool
}

func run(ctx context.Context, c config) error {
	only, err := regexp.Compile(c.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if c.list {
		for _, k := range slices.Concat(shortCases(), longCases(), networkCases(), clockCases()) {
			fmt.Println(k.name)
		}
		return nil
	}
	if c.keep == "" {
		if c.keep, err = os.MkdirTemp("", "hive-chaos-"); err != nil {
			return err
		}
	}
	if c.suite == "soak" {
		return runSoak(ctx, c, only)
	}
	next, err := source(c)
	if err != nil {
		return err
	}
	passed, failed := 0, 0
	for ctx.Err() == nil {
		k, ok := next()
		if !ok {
			break
		}
		if !only.MatchString(k.name) {
			continue
		}
		if play(ctx, c, k) {
			passed++
		} else if ctx.Err() == nil {
			failed++
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed; their logs are in %s", failed, passed+failed, c.keep)
	}
	return ctx.Err()
}

// source gives one case after the other.
func source(c config) (func() (kase, bool), error) {
	switch c.suite {
	case "short", "long":
		rest := shortCases()
		if c.suite == "long" {
			rest = slices.Concat(longCases(), networkCases(), clockCases())
		}
		return func() (k kase, ok bool) {
			if len(rest) == 0 {
				return kase{}, false
			}
			k, rest = rest[0], rest[1:]
			return k, true
		}, nil
	case "random":
		if c.seed == 0 {
			c.seed = rand.Uint64N(1_000_000) + 1
		}
		fmt.Printf("seed %d\n", c.seed)
		end := time.Now().Add(c.length)
		n := uint64(0)
		return func() (kase, bool) {
			n++
			return randomCase(rand.New(rand.NewPCG(c.seed, n)), int(n), c.clock), time.Now().Before(end)
		}, nil
	}
	return nil, fmt.Errorf("-suite %q: want short, long, random or soak", c.suite)
}

// runSoak soaks a hive for as long as was asked for.
func runSoak(ctx context.Context, c config, only *regexp.Regexp) error {
	if c.seed == 0 {
		c.seed = rand.Uint64N(1_000_000) + 1
	}
	failed := 0
	for _, st := range soakStretches(c.length) {
		if only.MatchString(st.name) && !playSoak(ctx, c, st, c.seed) {
			failed++
		}
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("ended before the time was over")
	case failed > 0:
		return fmt.Errorf("%d stretches failed; what they left is in %s", failed, c.keep)
	}
	return nil
}

// play runs one case and prints what came of it.
func play(ctx context.Context, c config, k kase) bool {
	began := time.Now()
	fmt.Printf("=== %s: %s\n", k.name, k.describe())
	r, err := k.play(ctx, c)
	var problems []string
	if err != nil {
		problems = append(problems, err.Error())
	}
	if r != nil {
		for _, line := range r.notes {
			fmt.Printf("    %s\n", line)
		}
		problems = append(problems, r.problems...)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return false
	}
	for _, p := range problems {
		fmt.Printf("    WRONG: %s\n", p)
	}
	word := "ok"
	if len(problems) > 0 {
		word = "FAILED"
	}
	fmt.Printf("--- %s %s (%.0fs)\n", word, k.name, time.Since(began).Seconds())
	return len(problems) == 0
}
