package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hive/hive"
)

// performance is one case being played.
type performance struct {
	kase
	swarm  *swarm
	target *target
	dir    string

	run        string          // its id
	before     map[string]bool // ids of runs that the hive had before
	client     *exec.Cmd
	clientGone atomic.Bool
	spared     atomic.Bool // an engine that was to be killed was not there

	mu     sync.Mutex
	faults []injected
	notes  []string
}

// review is what came of a case.
type review struct {
	notes    []string
	problems []string
}

func (p *performance) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// play runs the case. What it leaves in its folder is deleted when all went well.
func (k kase) play(ctx context.Context, c config) (*review, error) {
	if k.net && !canNetwork() {
		return &review{notes: []string{"left out: network namespaces cannot be made here"}}, nil
	}
	if k.traced && !canTrace() {
		return &review{notes: []string{"left out: strace is not installed, or may not trace here"}}, nil
	}
	if k.clock && !c.clock {
		return &review{notes: []string{"left out: it sets this machine's wall clock, which needs the flag -clock"}}, nil
	}
	dir := filepath.Join(c.keep, k.name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return nil, err
	}
	bin, err := filepath.Abs(c.bin)
	if err != nil {
		return nil, err
	}
	p := &performance{kase: k, dir: dir, swarm: &swarm{bin: bin, dir: dir, ttl: k.ttl, join: k.join}}
	defer p.swarm.close()
	host := "127.0.0.1"
	if k.net {
		if p.swarm.net, err = newNetwork(k.weather); err != nil {
			return nil, err
		}
		defer p.swarm.net.close()
		defer p.swarm.close() // before its network goes
		host = p.swarm.net.host()
	}
	if p.target, err = newTarget(host); err != nil {
		return nil, err
	}
	defer p.target.close()
	r, err := p.perform(ctx)
	if r != nil {
		r.notes = append(p.notes, r.notes...)
		if err == nil && len(r.problems) == 0 && !c.all {
			err = os.RemoveAll(dir)
		}
	}
	return r, err
}

func (p *performance) perform(ctx context.Context) (*review, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.load.seconds)*time.Second+3*time.Minute+time.Duration(len(p.trials))*time.Minute)
	defer cancel()
	for _, capacity := range p.nodes {
		if _, err := p.swarm.add(ctx, capacity); err != nil {
			return nil, err
		}
	}
	if err := p.settle(ctx); err != nil {
		return nil, err
	}
	if len(p.trials) > 0 {
		return p.ordeal(ctx)
	}
	ended, err := p.launch(ctx)
	if err != nil {
		return nil, err
	}
	start, err := p.firstHit(ctx, ended)
	if err != nil {
		return nil, err
	}
	faults, over := context.WithCancel(ctx)
	defer over()
	go func() {
		select {
		case <-ended:
			if !p.clientGone.Load() {
				over() // what was to come is left out
			}
		case <-faults.Done():
		}
	}()
	var doing sync.WaitGroup
	errs := make([]error, len(p.kase.faults))
	for i, f := range p.kase.faults {
		doing.Go(func() { errs[i] = p.inject(ctx, faults, start, f) })
	}
	doing.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	res, err := p.result(ctx)
	if err != nil {
		return nil, err
	}
	code := -1
	if !p.clientGone.Load() {
		select {
		case <-ended:
			code = p.client.ProcessState.ExitCode()
		case <-ctx.Done():
			return nil, errors.New("the run has ended, and its client has not")
		}
	}
	return p.check(res, start, code), nil
}

// settle waits until all nodes see each other and etcd has grown to three members where it can.
func (p *performance) settle(ctx context.Context) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		infos, err := p.swarm.infos(ctx)
		voters := 0
		leads := false
		for _, i := range infos {
			if i.Member == "voter" {
				voters++
			}
			leads = leads || i.Leader
		}
		want := 1
		if len(p.nodes) >= 3 {
			want = 3
		}
		if err == nil && len(infos) == len(p.nodes) && voters == want && leads {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the hive did not settle: %d nodes of %d, %d etcd members of %d: %w", len(infos), len(p.nodes), voters, want, errors.Join(err, ctx.Err()))
		}
		if err := wait(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// launch submits the run and follows it with a client of its own.
func (p *performance) launch(ctx context.Context) (ended chan struct{}, err error) {
	script := filepath.Join(p.dir, "script.js")
	if err := os.WriteFile(script, []byte(p.load.script()), 0o600); err != nil {
		return nil, err
	}
	args := append([]string{"run", "--quiet", "-e", "TARGET=" + p.target.url, "--summary-export", filepath.Join(p.dir, "export.json")}, p.args...)
	p.client = p.swarm.command(ctx, append(args, script)...)
	log, err := os.Create(filepath.Join(p.dir, "client.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.client.Stdout, p.client.Stderr = log, log
	if err := p.client.Start(); err != nil {
		return nil, err
	}
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.client.Wait() // the exit code is looked at later
	}()
	return ended, p.findRun(ctx)
}

func (p *performance) findRun(ctx context.Context) error {
	for {
		c, err := p.swarm.client()
		if err != nil {
			return err
		}
		runs, err := c.Runs(ctx)
		c.Close()
		for _, r := range runs {
			if err == nil && !p.before[r.ID] {
				p.run = r.ID
				return nil
			}
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return errors.New("the run was not accepted: see client.log")
		}
	}
}

func (p *performance) firstHit(ctx context.Context, ended <-chan struct{}) (time.Time, error) {
	for {
		if hits, _ := p.target.record(); len(hits) > 0 {
			return hits[0].at, nil
		}
		select {
		case <-ended:
			return time.Time{}, errors.New("the run ended before its first request: see client.log")
		default:
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return time.Time{}, err
		}
	}
}

// inject carries a fault out when its time comes, unless the run is over by then.
func (p *performance) inject(ctx, faults context.Context, start time.Time, f fault) error {
	if wait(faults, time.Until(start.Add(f.at))) != nil {
		return ctx.Err()
	}
	i := injected{fault: f, began: time.Now()}
	var err error
	i.until, err = f.do(ctx, p)
	p.mu.Lock()
	p.faults = append(p.faults, i)
	slices.SortFunc(p.faults, func(a, b injected) int { return a.began.Compare(b.began) })
	p.mu.Unlock()
	if err != nil && faults.Err() == nil {
		return fmt.Errorf("%s: %w", f.what, err)
	}
	return nil
}

// tell gives hive a command, and tries again for a while: the hive may be between two leaders.
func (p *performance) tell(ctx context.Context, command string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	c := p.swarm.command(ctx, append([]string{command}, args...)...)
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// result waits for the run to be finished.
func (p *performance) result(ctx context.Context) (*hive.Result, error) {
	for {
		var res *hive.Result
		c, err := p.swarm.client()
		if err == nil {
			res, err = c.Result(ctx, p.run)
			c.Close()
		}
		if err == nil && res != nil {
			return res, nil
		}
		if wait(ctx, 200*time.Millisecond) != nil {
			return nil, fmt.Errorf("the run did not end: %w", err)
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
