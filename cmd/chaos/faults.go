package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// fault is something that is done to a run, at a time after its first request.
type fault struct {
	at    time.Duration
	what  string
	do    func(ctx context.Context, p *performance) (until time.Time, err error)
	harms bool          // load may be missing for a while
	free  bool          // it may be missing until the next fault
	back  time.Duration // after which it must be there again, counted from the fault; 0: no promise
}

// injected is a fault that was carried out.
type injected struct {
	fault
	began, until time.Time
}

func simple(at time.Duration, what string, do func(ctx context.Context, p *performance) error) fault {
	return fault{at: at, what: what, do: func(ctx context.Context, p *performance) (time.Time, error) {
		err := do(ctx, p)
		return time.Now(), err
	}}
}

// restored is within how long the load has to be back when the process died but its host answers.
const restored = 1500 * time.Millisecond

func kill(at time.Duration, i int) fault {
	f := simple(at, fmt.Sprintf("kill n%d", i), func(_ context.Context, p *performance) error { return p.swarm.node[i].kill() })
	f.harms, f.back = true, restored
	return f
}

func killLeader(at time.Duration) fault {
	f := simple(at, "kill leader", func(ctx context.Context, p *performance) error {
		n, err := p.swarm.leader(ctx)
		if err != nil {
			return err
		}
		p.note("the leader is %s", n.name)
		return n.kill()
	})
	f.harms, f.back = true, restored
	return f
}

func killEngine(at time.Duration, i int) fault { return endEngine(at, i, syscall.SIGKILL) }

// endEngine sends a signal that an engine does not survive.
func endEngine(at time.Duration, i int, s syscall.Signal) fault {
	f := simple(at, fmt.Sprintf("kill engine of n%d", i), func(_ context.Context, p *performance) error {
		pids := p.swarm.node[i].engines()
		if len(pids) == 0 {
			p.note("n%d has no engine", i)
			p.spared.Store(true)
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, s); err != nil {
				return err
			}
		}
		return nil
	})
	f.harms, f.back = true, restored
	return f
}

func killAll(at time.Duration) fault {
	f := simple(at, "kill all", func(_ context.Context, p *performance) error {
		for _, n := range p.swarm.node {
			if n.alive() {
				if err := n.signal(syscall.SIGKILL); err != nil {
					return err
				}
			}
		}
		for _, n := range p.swarm.node {
			if n.proc != nil {
				<-n.exited
			}
		}
		return nil
	})
	f.harms = true
	return f
}

func killClient(at time.Duration) fault {
	return simple(at, "kill client", func(_ context.Context, p *performance) error {
		p.clientGone.Store(true)
		return p.client.Process.Kill()
	})
}

func restart(at time.Duration, i int) fault {
	return simple(at, fmt.Sprintf("start n%d", i), func(ctx context.Context, p *performance) error {
		if p.swarm.node[i].alive() {
			return nil
		}
		return p.swarm.start(ctx, p.swarm.node[i])
	})
}

// restartDead starts all nodes that are dead, at once: those that hold etcd may need each other.
func restartDead(at time.Duration) fault {
	f := simple(at, "start dead nodes", func(ctx context.Context, p *performance) error {
		errs := make(chan error)
		count := 0
		for _, n := range p.swarm.node {
			if !n.alive() && !n.gone {
				count++
				go func() { errs <- p.swarm.start(ctx, n) }()
			}
		}
		var all []error
		for range count {
			all = append(all, <-errs)
		}
		return errors.Join(all...)
	})
	f.harms = true // when all were dead, the load is missing until they are a hive again
	return f
}

func join(at time.Duration, capacity int) fault {
	return simple(at, "join a node", func(ctx context.Context, p *performance) error {
		_, err := p.swarm.add(ctx, capacity)
		return err
	})
}

func drain(at time.Duration, i int) fault {
	return simple(at, fmt.Sprintf("drain n%d", i), func(ctx context.Context, p *performance) error {
		n := p.swarm.node[i]
		n.gone = true
		return p.tell(ctx, "drain", n.name)
	})
}

// freeze stops agent and engine for a while.
func freeze(at time.Duration, i int, d time.Duration) fault {
	return hold(at, fmt.Sprintf("freeze n%d for %s", i, d), d,
		func(p *performance) error { return p.swarm.node[i].signalAll(syscall.SIGSTOP) },
		func(p *performance) error { return p.swarm.node[i].signalAll(syscall.SIGCONT) })
}

func freezeEngine(at time.Duration, i int, d time.Duration) fault {
	send := func(s syscall.Signal) func(*performance) error {
		return func(p *performance) error {
			for _, pid := range p.swarm.node[i].engines() {
				if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
					return err
				}
			}
			return nil
		}
	}
	return hold(at, fmt.Sprintf("freeze engine of n%d for %s", i, d), d, send(syscall.SIGSTOP), send(syscall.SIGCONT))
}

func cut(at time.Duration, i int, d time.Duration) fault {
	return hold(at, fmt.Sprintf("cut n%d off for %s", i, d), d,
		func(p *performance) error { return p.swarm.net.cut(i) },
		func(p *performance) error { return p.swarm.net.mend(i) })
}

// mute drops what a node sends to the other nodes.
func mute(at time.Duration, i int, d time.Duration) fault {
	others := func(p *performance) (to []int) {
		for _, n := range p.swarm.node {
			if n.index != i {
				to = append(to, n.index)
			}
		}
		return to
	}
	var to []int
	return hold(at, fmt.Sprintf("mute n%d for %s", i, d), d,
		func(p *performance) error { to = others(p); return p.swarm.net.mute(i, to) },
		func(p *performance) error { return p.swarm.net.unmute(i, to) })
}

// hold does something, waits, and undoes it.
func hold(at time.Duration, what string, d time.Duration, do, undo func(*performance) error) fault {
	return fault{at: at, what: what, harms: true, do: func(ctx context.Context, p *performance) (time.Time, error) {
		if err := do(p); err != nil {
			return time.Now(), err
		}
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		return time.Now(), undo(p)
	}}
}

// tell gives a command that names the run.
func tell(at time.Duration, command string, args ...string) fault {
	f := simple(at, strings.Join(append([]string{command}, args...), " "), func(ctx context.Context, p *performance) error {
		return p.tell(ctx, command, append(args[:len(args):len(args)], p.run)...)
	})
	f.harms = true
	return f
}
