package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"hive/hive"
)

// trial is one run of a script that harms its engine, or whose engine is harmed.
type trial struct {
	name   string
	script string
	load   load // what is planned, for the checks
	args   []string
	phase  hive.Phase // the faults' times count from when the run has come to it; empty means its first request
	faults []fault
	codes  []int    // exit codes of hive run that are right
	words  []string // that failure, warnings or timeline have to contain
	limit  time.Duration
}

// ordeal does all trials on one hive and a run without any harm after each group of them: the agents have to live on.
func (p *performance) ordeal(ctx context.Context) (*review, error) {
	r := &review{}
	agents := p.swarm.pids()
	before := map[string]bool{}
	for i, t := range append(slices.Clip(p.trials), goodTrial()) {
		began := time.Now()
		q := &performance{kase: p.kase, swarm: p.swarm, dir: filepath.Join(p.dir, fmt.Sprintf("%02d-%s", i, t.name)), before: before}
		q.kase.load, q.kase.args, q.kase.faults, q.kase.trials, q.anyLosses, q.kase.exits = t.load, t.args, t.faults, nil, true, t.codes
		q.load.text = t.script
		one, err := q.try(ctx, t)
		if err != nil {
			r.wrong("%s: %v", t.name, err)
			one = &review{}
		}
		r.notes = append(r.notes, fmt.Sprintf("%s (%.0fs):", t.name, time.Since(began).Seconds()))
		for _, line := range append(q.notes, one.notes...) {
			r.notes = append(r.notes, "  "+line)
		}
		for _, line := range one.problems {
			r.wrong("%s: %s", t.name, line)
		}
		before[q.run] = true
		if agents = p.compareAgents(ctx, r, t, agents); agents == nil {
			return r, errors.New("agents died")
		}
	}
	return r, nil
}

// pids are those of the agents, by name.
func (s *swarm) pids() map[string]int {
	pids := map[string]int{}
	for _, n := range s.node {
		if n.alive() {
			pids[n.name] = n.proc.Process.Pid
		}
	}
	return pids
}

// compareAgents says whether the agents that lived before a trial live still, but for those that it killed itself. It
// returns nil when they do not.
func (p *performance) compareAgents(ctx context.Context, r *review, t trial, before map[string]int) map[string]int {
	now := p.swarm.pids()
	for name, pid := range before {
		if now[name] != pid && !slices.ContainsFunc(t.faults, func(f fault) bool { return strings.HasPrefix(f.what, "kill "+name) }) {
			r.wrong("%s: the agent of %s is gone", t.name, name)
			return nil
		}
	}
	if err := p.settle(ctx); err != nil {
		r.wrong("%s: after it: %v", t.name, err)
	}
	return now
}

// try does one trial.
func (p *performance) try(ctx context.Context, t trial) (*review, error) {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if p.target, err = newTarget("127.0.0.1"); err != nil {
		return nil, err
	}
	defer p.target.close()
	limit := t.limit
	if limit == 0 {
		limit = 50 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ended, err := p.launch(ctx)
	if err != nil {
		return nil, err
	}
	start, err := p.arrive(ctx, t, ended)
	if err != nil {
		return nil, err
	}
	for _, f := range t.faults {
		if err := p.inject(ctx, ctx, start, f); err != nil {
			return nil, err
		}
	}
	select {
	case <-ended:
	case <-ctx.Done():
		return nil, fmt.Errorf("the run had not ended after %s", limit)
	}
	res, err := p.result(ctx)
	if err != nil {
		return nil, err
	}
	return p.judgeTrial(t, res, start), nil
}

// arrive waits for the moment that the faults' times count from. A run that ends before it has none.
func (p *performance) arrive(ctx context.Context, t trial, ended <-chan struct{}) (time.Time, error) {
	for len(t.faults) > 0 {
		select {
		case <-ended:
			return time.Time{}, errors.New("the run ended before anything was done to it: see client.log")
		default:
		}
		hits, _ := p.target.record()
		if t.phase == "" && len(hits) > 0 {
			return hits[0].at, nil
		}
		if c, err := p.swarm.client(); err == nil && t.phase != "" {
			info, err := c.Show(ctx, p.run)
			c.Close()
			if err == nil && info.Phase == t.phase {
				return time.Now(), nil
			}
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return time.Time{}, err
		}
	}
	return time.Now(), nil
}

// judgeTrial holds what the run says against the target's record.
func (p *performance) judgeTrial(t trial, res *hive.Result, start time.Time) *review {
	r := &review{}
	hits, teardowns := p.target.record()
	code := p.client.ProcessState.ExitCode()
	r.notes = append(r.notes, fmt.Sprintf("verdict %s (%v), exit code %d, %d requests seen", res.Verdict, res.Failure, code, len(hits)))
	if !slices.Contains(t.codes, code) {
		r.wrong("exit code %d, want one of %v (verdict %s, %v)", code, t.codes, res.Verdict, res.Failure)
	}
	if teardowns > 1 {
		r.wrong("teardown ran %d times", teardowns)
	}
	if len(res.Ledger) > 0 {
		p.checkLedger(r, res, hits)
	}
	p.checkIDs(r, hits)
	p.checkPlan(r, hits, start)
	said := fmt.Sprint(res.Failure, res.Warnings)
	for _, e := range res.Timeline {
		r.notes = append(r.notes, fmt.Sprintf("timeline %7.2fs %-13s %s %s", e.At.Seconds(), e.Kind, e.Node, e.Message))
		said += "\n" + e.Message
	}
	for _, w := range t.words {
		if !strings.Contains(said, w) {
			r.wrong("nothing says %q: %v, %q", w, res.Failure, res.Warnings)
		}
	}
	return r
}

// signalEngine sends a signal to the engine of node i alone.
func signalEngine(at time.Duration, i int, s syscall.Signal) fault {
	return simple(at, fmt.Sprintf("%v to engine of n%d", s, i), func(_ context.Context, p *performance) error {
		pids := p.swarm.node[i].engines()
		if len(pids) == 0 {
			return errors.New("there is no engine")
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// orphaned is how long an engine may live without its agent.
const orphaned = 250 * time.Millisecond

// orphan kills an agent and sees to it that its engine ends at once, and starts the agent again.
func orphan(at time.Duration, i int) fault {
	return simple(at, fmt.Sprintf("kill n%d alone", i), func(ctx context.Context, p *performance) error {
		n := p.swarm.node[i]
		pids := n.engines()
		if len(pids) == 0 {
			return errors.New("there is no engine")
		}
		if err := n.kill(); err != nil {
			return err
		}
		began := time.Now()
		for slices.ContainsFunc(pids, lives) {
			if time.Since(began) > 20*orphaned {
				return fmt.Errorf("the engine goes on %s after its agent", time.Since(began))
			}
			if err := wait(ctx, time.Millisecond); err != nil {
				return err
			}
		}
		took := time.Since(began)
		p.note("the engine ended %s after its agent", took)
		if took > orphaned && !p.target.stood(began, time.Now(), orphaned/5) {
			return fmt.Errorf("the engine ended %s after its agent, want %s", took, orphaned)
		}
		return p.swarm.start(ctx, n)
	})
}

// lives says whether a process is there that is not a zombie.
func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}
