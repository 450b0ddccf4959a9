package httpclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// LookupFunc resolves a host name to its addresses, at least one if there is no error.
type LookupFunc func(ctx context.Context, host string) ([]netip.Addr, error)

// maxAnswers bounds the cache of names; all are forgotten when it is full.
const maxAnswers = 10000

// resolver looks names up and remembers the answers. Lookups of the same name at the same time are one.
type resolver struct {
	cfg  DNS
	turn atomic.Uint64 // of SelectRoundRobin

	mu      sync.Mutex // guards answers
	answers map[string]*answer
}

// answer is the result of a lookup. Its fields may be read when ready is closed.
type answer struct {
	ready   chan struct{}
	addrs   []netip.Addr
	err     error
	expires moment // 0 for never
}

func newResolver(cfg DNS) (*resolver, error) {
	switch cfg.Select {
	case "":
		cfg.Select = SelectRandom
	case SelectFirst, SelectRandom, SelectRoundRobin:
	default:
		return nil, fmt.Errorf("select is %q, want %q, %q or %q", cfg.Select, SelectFirst, SelectRandom, SelectRoundRobin)
	}
	switch cfg.Policy {
	case "":
		cfg.Policy = PreferIPv4
	case PreferIPv4, PreferIPv6, OnlyIPv4, OnlyIPv6, AnyIP:
	default:
		return nil, fmt.Errorf("policy is %q, want %q, %q, %q, %q or %q",
			cfg.Policy, PreferIPv4, PreferIPv6, OnlyIPv4, OnlyIPv6, AnyIP)
	}
	if cfg.Lookup == nil {
		cfg.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return &resolver{cfg: cfg, answers: map[string]*answer{}}, nil
}

// resolve returns one address of the host.
func (r *resolver) resolve(ctx context.Context, host string) (netip.Addr, error) {
	addrs, err := r.all(ctx, host)
	if err != nil {
		return netip.Addr{}, err
	}
	switch {
	case len(addrs) == 1 || r.cfg.Select == SelectFirst:
		return addrs[0], nil
	case r.cfg.Select == SelectRoundRobin:
		return addrs[(r.turn.Add(1)-1)%uint64(len(addrs))], nil
	}
	return addrs[rand.IntN(len(addrs))], nil
}

func (r *resolver) all(ctx context.Context, host string) ([]netip.Addr, error) {
	if r.cfg.TTL == 0 {
		return r.lookup(ctx, host)
	}
	for {
		a, mine := r.find(host)
		if mine {
			a.addrs, a.err = r.lookup(ctx, host)
			r.settle(host, a)
			return a.addrs, a.err
		}
		select {
		case <-a.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if a.err == nil {
			return a.addrs, nil
		}
		// The lookup of another failed, perhaps only because that one was interrupted: make our own.
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if answersForAll(a.err) {
			return nil, a.err
		}
	}
}

// answersForAll tells whether a failed lookup would fail for everyone.
func answersForAll(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// find returns the present answer for the host, or a new one that the caller must settle.
func (r *resolver) find(host string) (a *answer, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a = r.answers[host]; a != nil && !a.expired() {
		return a, false
	}
	if len(r.answers) >= maxAnswers {
		clear(r.answers)
	}
	a = &answer{ready: make(chan struct{})}
	r.answers[host] = a
	return a, true
}

// expired tells whether a finished answer is out of date.
func (a *answer) expired() bool {
	select {
	case <-a.ready:
		return a.expires != 0 && now() >= a.expires
	default:
		return false
	}
}

// settle publishes an answer; failures are not remembered.
func (r *resolver) settle(host string, a *answer) {
	if r.cfg.TTL > 0 {
		a.expires = now() + moment(r.cfg.TTL)
	}
	if a.err != nil {
		r.mu.Lock()
		if r.answers[host] == a {
			delete(r.answers, host)
		}
		r.mu.Unlock()
	}
	close(a.ready)
}

func (r *resolver) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs, err := r.cfg.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	if addrs = r.choose(addrs); len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no address of the wanted IP version", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// choose keeps the addresses that the policy wants.
func (r *resolver) choose(addrs []netip.Addr) []netip.Addr {
	var v4, v6 []netip.Addr
	for i, a := range addrs {
		addrs[i] = a.Unmap()
		if addrs[i].Is4() {
			v4 = append(v4, addrs[i])
		} else {
			v6 = append(v6, addrs[i])
		}
	}
	switch {
	case r.cfg.Policy == AnyIP:
		return addrs
	case r.cfg.Policy == OnlyIPv4, r.cfg.Policy == PreferIPv4 && len(v4) > 0:
		return v4
	case r.cfg.Policy == OnlyIPv6, r.cfg.Policy == PreferIPv6 && len(v6) > 0:
		return v6
	}
	return addrs
}
