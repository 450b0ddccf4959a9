package simulation

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
)

// gate is a way to one address that can be shut: what a node sees of etcd.
type gate struct {
	to string // host:port
	l  net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex // guards what follows
	shut  bool
	conns map[net.Conn]struct{}
}

// openGate opens a way to the endpoint, a URL.
func openGate(endpoint string) (*gate, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("simulation: endpoint %q: %w", endpoint, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("simulation: %w", err)
	}
	g := &gate{to: u.Host, l: l, conns: map[net.Conn]struct{}{}}
	g.wg.Go(g.accept)
	return g, nil
}

// endpoint is what to dial in the place of the endpoint behind the gate.
func (g *gate) endpoint() string { return "http://" + g.l.Addr().String() }

func (g *gate) accept() {
	for {
		near, err := g.l.Accept()
		if err != nil {
			return // closed
		}
		g.wg.Go(func() { g.pass(near) })
	}
}

// pass carries one connection until either side, or the gate, ends it.
func (g *gate) pass(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", g.to)
	if err != nil {
		return
	}
	defer far.Close()
	if !g.hold(near, far) {
		return
	}
	defer g.drop(near, far)
	var wg sync.WaitGroup
	carry := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // its end is the end of the connection, whatever the reason
		to.Close()
		from.Close()
	}
	wg.Go(func() { carry(far, near) })
	carry(near, far)
	wg.Wait()
}

// hold notes connections that pass; false when the gate is shut.
func (g *gate) hold(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	for _, c := range conns {
		g.conns[c] = struct{}{}
	}
	return true
}

func (g *gate) drop(conns ...net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		delete(g.conns, c)
	}
}

// cut breaks all connections and lets no more pass.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	for c := range g.conns {
		c.Close()
	}
}

// mend lets connections pass again.
func (g *gate) mend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
}

// close ends the gate.
func (g *gate) close() {
	g.l.Close()
	g.cut()
	g.wg.Wait()
}
