package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// These faults need a network with a switch of our own. None of them keeps a node from the target, but cut.

// barrier takes frames out for a while; which ones is asked when it begins.
func barrier(at time.Duration, what string, d time.Duration, which func(ctx context.Context, p *performance) (rule, error)) fault {
	return fault{at: at, what: fmt.Sprintf("%s for %s", what, d), harms: true, do: func(ctx context.Context, p *performance) (time.Time, error) {
		r, err := which(ctx, p)
		if err != nil {
			return time.Now(), err
		}
		end := p.swarm.net.ether.block(r)
		defer end()
		_ = wait(ctx, d)
		return time.Now(), nil
	}}
}

func always(r rule) func(context.Context, *performance) (rule, error) {
	return func(context.Context, *performance) (rule, error) { return r, nil }
}

// seclude keeps a node and the other nodes apart; it still reaches the target, and clients reach it.
func seclude(at time.Duration, i int, d time.Duration) fault {
	return barrier(at, fmt.Sprintf("seclude n%d", i), d, always(rule{from: only(i), to: but(outside), either: true}))
}

// silence lets nothing through that a node sends to the others; what they send arrives.
func silence(at time.Duration, i int, d time.Duration) fault {
	return barrier(at, fmt.Sprintf("silence n%d", i), d, always(rule{from: only(i), to: but(outside)}))
}

// deafen lets nothing through to a node that the others send; what it sends arrives.
func deafen(at time.Duration, i int, d time.Duration) fault {
	return barrier(at, fmt.Sprintf("deafen n%d", i), d, always(rule{from: but(outside), to: only(i)}))
}

// part keeps two nodes apart that both reach all others.
func part(at time.Duration, i, j int, d time.Duration) fault {
	return barrier(at, fmt.Sprintf("part n%d from n%d", i, j), d, always(rule{from: only(i), to: only(j), either: true}))
}

// partOne lets nothing through from one node to another.
func partOne(at time.Duration, i, j int, d time.Duration) fault {
	return barrier(at, fmt.Sprintf("part n%d to n%d", i, j), d, always(rule{from: only(i), to: only(j)}))
}

// noEtcd keeps a node from the etcd of the others, and noAPI from their API: its lease lives, and its reports do not arrive.
func noEtcd(at time.Duration, i int, d time.Duration) fault {
	return barrier(at, fmt.Sprintf("keep etcd from n%d", i), d, always(rule{from: only(i), to: but(outside), either: true, service: theRest}))
}

func noAPI(at time.Duration, i int, d time.Duration) fault {
	return barrier(at, fmt.Sprintf("keep the API from n%d", i), d, always(rule{from: only(i), to: but(outside), either: true, service: api}))
}

// secludeLeader is seclude for whoever leads the hive then.
func secludeLeader(at, d time.Duration) fault {
	return barrier(at, "seclude leader", d, func(ctx context.Context, p *performance) (rule, error) {
		n, err := p.swarm.leader(ctx)
		if err != nil {
			return rule{}, err
		}
		p.note("the leader is %s", n.name)
		return rule{from: only(n.index), to: but(outside), either: true}, nil
	})
}

// secludeRaft is seclude for whoever leads the etcd then.
func secludeRaft(at, d time.Duration) fault {
	return barrier(at, "seclude etcd's leader", d, func(ctx context.Context, p *performance) (rule, error) {
		n, err := p.swarm.raftLeader(ctx)
		if err != nil {
			return rule{}, err
		}
		p.note("etcd's leader is %s", n.name)
		return rule{from: only(n.index), to: but(outside), either: true}, nil
	})
}

// flap takes a node's link out and puts it back, every second.
func flap(at time.Duration, i int, d time.Duration) fault {
	return fault{at: at, what: fmt.Sprintf("flap n%d for %s", i, d), harms: true, do: func(ctx context.Context, p *performance) (time.Time, error) {
		for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; {
			up := p.swarm.net.ether.block(rule{from: only(i), to: but(outside), either: true})
			_ = wait(ctx, time.Second)
			up()
			_ = wait(ctx, time.Second)
		}
		return time.Now(), nil
	}}
}

// raftLeader is the node whose member leads the embedded etcd.
func (s *swarm) raftLeader(ctx context.Context) (*node, error) {
	var failed error
	for _, n := range s.node {
		if !n.alive() {
			continue
		}
		leads, err := n.leadsEtcd(ctx)
		if err == nil && leads {
			return n, nil
		}
		failed = err
	}
	return nil, fmt.Errorf("no member leads the etcd: %w", failed)
}

// leadsEtcd asks the node's own member.
func (n *node) leadsEtcd(ctx context.Context) (bool, error) {
	data, err := os.ReadFile(filepath.Join(n.dir, "identity.json"))
	if err != nil {
		return false, err
	}
	var id struct {
		ClientPort int `json:"clientPort"`
	}
	if err := json.Unmarshal(data, &id); err != nil || id.ClientPort == 0 {
		return false, err
	}
	endpoint := "http://" + n.host() + ":" + strconv.Itoa(id.ClientPort)
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: time.Second})
	if err != nil {
		return false, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	st, err := c.Status(ctx, endpoint)
	if err != nil {
		return false, nil // it holds no member, or not any more
	}
	return st.Leader == st.Header.MemberId, nil
}
