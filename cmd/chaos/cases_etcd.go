package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// councils are hives whose first three nodes hold etcd and carry no load: what is done to etcd then does not touch load.
var councils = []int{0, 0, 0, 100, 100}

// shortEtcdCases are of trouble with etcd, and quick.
func shortEtcdCases() []kase {
	ms := time.Millisecond
	return []kase{
		{name: "quorum-lost", ttl: 5 * time.Second, load: arrivals(12, 200, 60, 10*ms), nodes: councils, exact: true, tells: []string{"etcd-trouble"},
			faults: []fault{freezeMembers(3*time.Second, 2, 2*time.Second)}},
	}
}

// longEtcdCases are of trouble with etcd: its quorum is lost and found again, its leader stands still, its disk is slow.
func longEtcdCases() []kase {
	const s, ms = time.Second, time.Millisecond
	all := []int{100, 100, 100}
	cases := []kase{
		{name: "quorum-frozen-1s", ttl: 5 * s, load: arrivals(12, 200, 60, 10*ms), nodes: councils, exact: true, tells: []string{"etcd-trouble"},
			faults: []fault{freezeMembers(3*s, 2, s)}},
		{name: "quorum-frozen-3s", ttl: 5 * s, load: arrivals(14, 200, 60, 10*ms), nodes: councils, exact: true, tells: []string{"etcd-trouble"},
			faults: []fault{freezeMembers(3*s, 2, 3*s)}},
		{name: "quorum-killed", ttl: 5 * s, load: arrivals(16, 200, 60, 10*ms), nodes: councils, exact: true, tells: []string{"etcd-trouble"},
			faults: []fault{killMembers(3*s, 2), restartDead(4 * s)}},
		{name: "quorum-killed-without-leader", ttl: 5 * s, load: arrivals(16, 200, 60, 10*ms), nodes: councils, exact: true, tells: []string{"etcd-trouble", "leader"},
			faults: []fault{killMembers(3*s, 3), restartDead(3500 * ms)}},
		{name: "quorum-out", ttl: 3 * s, load: arrivals(30, 200, 60, 10*ms), nodes: councils, anyLosses: true, tells: []string{"etcd-trouble"},
			faults: []fault{freezeMembers(4*s, 2, 9*s)}},
		{name: "all-frozen", ttl: 3 * s, load: arrivals(30, 200, 60, 10*ms), nodes: all, anyLosses: true,
			faults: []fault{freezeAll(4*s, 7*s)}},
		{name: "member-replaced", ttl: 3 * s, load: arrivals(40, 200, 60, 10*ms), nodes: []int{100, 100, 100, 100}, anyLosses: true,
			faults: []fault{kill(4*s, 1), killMembers(26*s, 1)}},
		{name: "five-leaders", ttl: 3 * s, load: arrivals(20, 200, 60, 10*ms), nodes: []int{0, 0, 0, 0, 0, 100, 100}, exact: true, anyLosses: true,
			faults: []fault{killLeader(3 * s), restartDead(4 * s), killLeader(5 * s), restartDead(6 * s), killLeader(7 * s), restartDead(8 * s),
				killLeader(9 * s), restartDead(10 * s), killLeader(11 * s), restartDead(12 * s)}},
		{name: "leader-frozen", ttl: 3 * s, load: arrivals(24, 200, 60, 10*ms), nodes: councils, exact: true, tells: []string{"leader"},
			faults: []fault{freezeRole(3*s, hiveLeader, 8*s)}},
		{name: "compacted", ttl: 5 * s, load: arrivals(20, 200, 60, 10*ms), nodes: []int{100, 100, 100, 100, 100}, anyLosses: true,
			faults: []fault{freeze(4*s, 3, 2500*ms), kill(4100*ms, 4), compact(5500 * ms), compact(6300 * ms)}},
	}
	for _, ttl := range []time.Duration{3 * s, 5 * s} {
		for _, long := range []time.Duration{3 * s, 8 * s} {
			for _, who := range []role{etcdLeader, etcdFollower, hiveLeader} {
				cases = append(cases, kase{name: fmt.Sprintf("%s-frozen-%s-ttl-%s", strings.ReplaceAll(string(who), " ", "-"), long, ttl), ttl: ttl, load: arrivals(24, 200, 60, 10*ms),
					nodes: all, anyLosses: true, faults: []fault{freezeRole(4*s, who, long)}})
			}
		}
	}
	for _, delay := range []time.Duration{300 * ms, 800 * ms, 2 * s} {
		for _, who := range []role{etcdFollower, etcdLeader, everybody} {
			cases = append(cases, kase{name: fmt.Sprintf("slow-disk-%s-%s", delay, strings.ReplaceAll(string(who), " ", "-")), ttl: 5 * s, load: arrivals(24, 200, 60, 10*ms),
				nodes: councils, traced: true, exact: who != everybody, anyLosses: who == everybody, faults: []fault{slowDisk(3*s, who, delay, 12*s)}})
		}
	}
	for _, long := range []time.Duration{6 * s, 12 * s} {
		cases = append(cases, kase{name: fmt.Sprintf("outage-after-%s-without-a-disk", long), ttl: 2 * s, load: arrivals(45, 100, 30, 10*ms), nodes: all,
			traced: true, anyLosses: true, tells: []string{"outage"}, faults: []fault{killAllStalled(4*s, long), restartDead(4*s + long + 3*s)}})
	}
	return cases
}

// role is what a node is at the moment.
type role string

const (
	hiveLeader   role = "leader"
	etcdLeader   role = "etcd leader"
	etcdFollower role = "etcd follower"
	everybody    role = "all members"
)

// having finds the nodes that have a role.
func (p *performance) having(ctx context.Context, r role) ([]*node, error) {
	if r == hiveLeader {
		n, err := p.swarm.leader(ctx)
		return []*node{n}, err
	}
	var followers []*node
	for _, n := range p.swarm.node {
		url := clientURL(n)
		if url == "" || !n.alive() {
			continue
		}
		leads, err := leadsEtcd(ctx, url)
		switch {
		case err != nil:
			continue // its member may have been given to another node
		case r == everybody || !leads:
			followers = append(followers, n)
		case r == etcdLeader:
			return []*node{n}, nil
		}
	}
	if len(followers) == 0 {
		return nil, fmt.Errorf("no node is %s", r)
	}
	if r == etcdFollower {
		followers = followers[len(followers)-1:] // not the one that the client asks
	}
	return followers, nil
}

func leadsEtcd(ctx context.Context, url string) (bool, error) {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{url}, Logger: zap.NewNop()})
	if err != nil {
		return false, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	st, err := c.Status(ctx, url)
	if err != nil {
		return false, err
	}
	return st.Leader == st.Header.MemberId, nil
}

// members are the nodes that hold etcd, the leader of the hive last.
func (p *performance) members(ctx context.Context) ([]*node, error) {
	leader, err := p.swarm.leader(ctx)
	if err != nil {
		return nil, err
	}
	var list []*node
	for _, n := range p.swarm.node {
		if n.alive() && n != leader && clientURL(n) != "" {
			list = append(list, n)
		}
	}
	if clientURL(leader) != "" {
		list = append(list, leader)
	}
	return list, nil
}

// freezeMembers stops some of the nodes that hold etcd. Nobody can take over meanwhile.
func freezeMembers(at time.Duration, many int, d time.Duration) fault {
	f := freezeSome(at, fmt.Sprintf("freeze %d members for %s", many, d), d, func(ctx context.Context, p *performance) ([]*node, error) {
		list, err := p.members(ctx)
		return list[:min(many, len(list))], err
	})
	f.back = d + restored
	return f
}

// freezeRole stops the node that has a role.
func freezeRole(at time.Duration, who role, d time.Duration) fault {
	return freezeSome(at, fmt.Sprintf("freeze %s for %s", who, d), d, func(ctx context.Context, p *performance) ([]*node, error) { return p.having(ctx, who) })
}

func freezeAll(at, d time.Duration) fault {
	f := freezeSome(at, fmt.Sprintf("freeze everything for %s", d), d, func(_ context.Context, p *performance) ([]*node, error) { return p.swarm.node, nil })
	f.back = d + 2*restored
	return f
}

// freezeSome stops the agents and engines of nodes that are chosen when the time has come.
func freezeSome(at time.Duration, what string, d time.Duration, choose func(context.Context, *performance) ([]*node, error)) fault {
	return fault{at: at, what: what, harms: true, do: func(ctx context.Context, p *performance) (time.Time, error) {
		nodes, err := choose(ctx, p)
		if err != nil {
			return time.Now(), err
		}
		for _, n := range nodes {
			p.note("%s: %s", what, n.name)
			if err := n.signalAll(syscall.SIGSTOP); err != nil {
				return time.Now(), err
			}
		}
		_ = wait(ctx, d)
		until := time.Now()
		var errs []error
		for _, n := range nodes {
			errs = append(errs, n.signalAll(syscall.SIGCONT))
		}
		return until, errors.Join(errs...)
	}}
}

// killMembers kills some of the nodes that hold etcd, at once.
func killMembers(at time.Duration, many int) fault {
	f := simple(at, fmt.Sprintf("kill %d members", many), func(ctx context.Context, p *performance) error {
		list, err := p.members(ctx)
		if err != nil {
			return err
		}
		for _, n := range list[:min(many, len(list))] {
			p.note("killed: %s", n.name)
			if err := n.signal(syscall.SIGKILL); err != nil {
				return err
			}
		}
		for _, n := range list[:min(many, len(list))] {
			<-n.exited
		}
		return nil
	})
	f.harms = true
	return f
}

// compact drops etcd's history up to now, from outside.
func compact(at time.Duration) fault {
	f := simple(at, "compact etcd", func(ctx context.Context, p *performance) error {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{clientURL(p.swarm.node[0])}, Logger: zap.NewNop()})
		if err != nil {
			return err
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		got, err := c.Get(ctx, "/hive/", clientv3.WithCountOnly())
		if err != nil {
			return err
		}
		_, err = c.Compact(ctx, got.Header.Revision)
		if errors.Is(err, rpctypes.ErrCompacted) {
			return nil // the hive has done it
		}
		return err
	})
	f.harms = true // what went before it does
	return f
}

// canTrace says whether a process of one's own can be traced here: a slow disk is made that way.
func canTrace() bool {
	return exec.Command("strace", "-e", "trace=none", "-o", os.DevNull, "true").Run() == nil
}

// slowDisk lets each of a node's writes to the disk take longer before it is done.
func slowDisk(at time.Duration, who role, delay, d time.Duration) fault {
	what := fmt.Sprintf("slow disk of %s by %s for %s", who, delay, d)
	f := fault{at: at, what: what, harms: true}
	if who == everybody { // then there is no etcd that could keep leases
		f.back = d + 2*restored
	}
	f.do = func(ctx context.Context, p *performance) (time.Time, error) {
		nodes, err := p.having(ctx, who)
		if err != nil {
			return time.Now(), err
		}
		tracers, err := p.slow(nodes, what, "fsync,fdatasync", delay)
		_ = wait(ctx, d)
		for _, c := range tracers {
			_ = c.Process.Signal(syscall.SIGINT) // it lets go of the process and ends
			_ = c.Wait()
		}
		return time.Now(), err
	}
	return f
}

// slow makes calls of nodes that a disk has to answer take longer, for as long as the processes live that it starts.
func (p *performance) slow(nodes []*node, what, calls string, delay time.Duration) (tracers []*exec.Cmd, err error) {
	for _, n := range nodes {
		p.note("%s: %s", what, n.name)
		inject := fmt.Sprintf("inject=%s:delay_enter=%d", calls, delay.Microseconds())
		c := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-p", strconv.Itoa(n.proc.Process.Pid), "-e", "trace="+calls, "-e", inject)
		if err = c.Start(); err != nil {
			break
		}
		tracers = append(tracers, c)
	}
	return tracers, err
}

// killAllStalled kills all nodes after the disks of all members have not taken anything for some time: what the hive
// wrote down in etcd is as old as that, and so are the checkpoints that nodes keep; the load went on.
func killAllStalled(at, d time.Duration) fault {
	what := fmt.Sprintf("kill all after disks that stood still for %s", d)
	return fault{at: at, what: what, harms: true, free: true, do: func(ctx context.Context, p *performance) (time.Time, error) {
		members, err := p.having(ctx, everybody)
		if err != nil {
			return time.Now(), err
		}
		tracers, err := p.slow(members, what, "fsync,fdatasync,rename,renameat,renameat2", 2*d)
		_ = wait(ctx, d)
		errs := []error{err}
		for _, n := range p.swarm.node {
			errs = append(errs, n.signal(syscall.SIGKILL))
		}
		for _, c := range tracers { // those that it holds die when it does
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		for _, n := range p.swarm.node {
			<-n.exited
		}
		return time.Now(), errors.Join(errs...)
	}}
}
