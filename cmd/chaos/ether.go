package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// ether is an Ethernet switch in this process. It takes the place of the kernel's bridge in cases that need a network with
// delays, losses and cables that are cut in one direction, or for one service only.
type ether struct {
	done sync.WaitGroup // of the ports' goroutines

	mu      sync.Mutex // guards what follows
	ports   map[int]*port
	where   map[mac]*port // who was seen sending from an address
	rules   []*rule
	weather weather
}

type mac [6]byte

// weather is what happens to every frame between two nodes; what goes to or comes from the target is spared.
type weather struct {
	delay, jitter time.Duration // one way: delay ± jitter
	loss          float64       // share of the frames that vanish
}

// outside is the number of the port to which the target and the clients are connected.
const outside = -1

// rule takes frames out.
type rule struct {
	from, to func(port int) bool
	either   bool // in the other direction, too
	service  service
}

// covers says whether a rule is about frames from one port to another.
func (r *rule) covers(from, to int) bool {
	return r.from(from) && r.to(to) || r.either && r.from(to) && r.to(from)
}

// service says which connections a rule is about.
type service int

const (
	everything service = iota
	api                // of the nodes
	theRest            // what is not the API: among nodes that is etcd
)

// port is one socket of the switch.
type port struct {
	number int
	link   io.ReadWriteCloser
	later  chan parcel
}

// parcel is a frame on its way.
type parcel struct {
	frame []byte
	to    []*port
	due   time.Time
}

const (
	header    = 10             // bytes before each frame: struct virtio_net_hdr
	maxFrame  = header + 1<<16 // segments are put together up to 64 KiB
	maxQueue  = 4096           // frames on their way from one port
	apiPort   = 7070           // of all nodes in namespaces
	ethernet  = 14             // bytes of an Ethernet header
	ipv4, tcp = 0x0800, 6      // numbers of the protocols
)

func newEther(w weather) *ether {
	return &ether{ports: map[int]*port{}, where: map[mac]*port{}, weather: w}
}

// plug connects a link that gives and takes one frame a call, with its virtio header; the switch closes it.
func (e *ether) plug(number int, link io.ReadWriteCloser) {
	p := &port{number: number, link: link, later: make(chan parcel, maxQueue)}
	e.mu.Lock()
	e.ports[number] = p
	e.mu.Unlock()
	e.done.Go(func() { e.receive(p) })
	e.done.Go(p.deliver)
}

// close takes all links out.
func (e *ether) close() error {
	e.mu.Lock()
	var errs []error
	for _, p := range e.ports {
		errs = append(errs, p.link.Close())
	}
	e.mu.Unlock()
	e.done.Wait()
	return errors.Join(errs...)
}

// block takes frames out until the returned function is called.
func (e *ether) block(r rule) (end func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rules = append(e.rules, &r)
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.rules = slices.DeleteFunc(e.rules, func(o *rule) bool { return o == &r })
	}
}

// receive takes what comes in at a port, until its link is closed.
func (e *ether) receive(p *port) {
	defer close(p.later)
	var last time.Time
	buf := make([]byte, maxFrame+ethernet)
	for {
		n, err := p.link.Read(buf)
		if err != nil {
			return
		}
		if n < header+ethernet {
			continue
		}
		frame := slices.Clone(buf[:n])
		near, far, wait := e.route(p, frame[header:])
		p.send(frame, near)
		if len(far) == 0 {
			continue
		}
		last = latest(last, time.Now().Add(wait)) // in the order in which they came
		select {
		case p.later <- parcel{frame, far, last}:
		default: // as a full queue anywhere else
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// route says where a frame goes at once, and where after a while.
func (e *ether) route(from *port, frame []byte) (near, far []*port, wait time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.where[mac(frame[6:12])] = from
	var to []*port
	if p, known := e.where[mac(frame[:6])]; known {
		to = append(to, p)
	} else {
		for _, p := range e.ports {
			to = append(to, p)
		}
	}
	for _, p := range to {
		switch {
		case p == from || e.blocked(from.number, p.number, frame):
		case from.number == outside || p.number == outside:
			near = append(near, p)
		case rand.Float64() >= e.weather.loss:
			far = append(far, p)
		}
	}
	wait = e.weather.delay
	if j := e.weather.jitter; j > 0 {
		wait += rand.N(2*j+1) - j
	}
	return near, far, wait
}

// blocked says whether a rule takes a frame out; e.mu is held.
func (e *ether) blocked(from, to int, frame []byte) bool {
	return slices.ContainsFunc(e.rules, func(r *rule) bool {
		return r.covers(from, to) && r.service.has(frame)
	})
}

// has says whether a frame belongs to a service. What is no TCP, such as the question for an address, belongs to both.
func (s service) has(frame []byte) bool {
	if s == everything {
		return true
	}
	from, to, ok := tcpPorts(frame)
	if !ok {
		return false
	}
	return (from == apiPort || to == apiPort) == (s == api)
}

// tcpPorts are those of a frame that is a TCP segment over IPv4.
func tcpPorts(frame []byte) (from, to int, ok bool) {
	if len(frame) < ethernet+20 || int(frame[12])<<8|int(frame[13]) != ipv4 || frame[ethernet+9] != tcp {
		return 0, 0, false
	}
	at := ethernet + 4*int(frame[ethernet]&0xf)
	if len(frame) < at+4 {
		return 0, 0, false
	}
	return int(frame[at])<<8 | int(frame[at+1]), int(frame[at+2])<<8 | int(frame[at+3]), true
}

// send writes a frame to ports. One that is not taken is lost, as on any wire.
func (p *port) send(frame []byte, to []*port) {
	for _, o := range to {
		_, _ = o.link.Write(frame)
	}
}

// deliver sends what is on its way from a port when it is due.
func (p *port) deliver() {
	for next := range p.later {
		time.Sleep(time.Until(next.due))
		p.send(next.frame, next.to)
	}
}

// anyPort, only and but choose ports for a rule.
func anyPort(int) bool { return true }

func only(ports ...int) func(int) bool {
	return func(n int) bool { return slices.Contains(ports, n) }
}

func but(ports ...int) func(int) bool {
	return func(n int) bool { return !slices.Contains(ports, n) }
}

func (w weather) String() string {
	if w.loss > 0 {
		return fmt.Sprintf("%s ± %s between nodes, %g%% lost", w.delay, w.jitter, 100*w.loss)
	}
	return fmt.Sprintf("%s ± %s between nodes", w.delay, w.jitter)
}
