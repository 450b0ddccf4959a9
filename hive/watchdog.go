package hive

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/registry"
)

const (
	// watchers is how many nodes watch all others: the leader and those that
	// lead next.
	watchers = 3
	// watchEvery bounds how often the list of the watched is gone through when
	// many nodes come at once.
	watchEvery = 20 * time.Millisecond
	// idleWatch is added to it on nodes that watch nobody.
	idleWatch = 200 * time.Millisecond
	// refusals is how many connections in a row must be refused, one each
	// refusalEvery, for a proof that a process is gone.
	refusals     = 3
	refusalEvery = 40 * time.Millisecond
	// pulseDial bounds one connection, and pulseAnswer the first word on it.
	pulseDial   = 300 * time.Millisecond
	pulseAnswer = 2 * time.Second
	// revokeTry bounds one attempt to revoke a lease: it hangs while etcd has
	// no leader.
	revokeTry = 200 * time.Millisecond
	// lastLook is for how much longer a process is watched whose record is gone:
	// another node may have revoked its lease a moment before this one had its own
	// proof that the process is gone, by which a leader tells a death from silence.
	lastLook = 300 * time.Millisecond
	// proofKept is for how long a proof is remembered.
	proofKept = time.Hour
)

// Pulse is the first line of the stream that a node keeps open for those that
// watch it; the stream ends with the process.
type Pulse struct {
	Node string `json:"node"`
	Boot string `json:"boot"`
}

// getPulse says which process this is and then nothing more, until either
// side ends.
func (n *Node) getPulse(w http.ResponseWriter, r *http.Request) error {
	writeJSON(w, http.StatusOK, Pulse{Node: n.info.ID, Boot: n.boot})
	if err := http.NewResponseController(w).Flush(); err != nil {
		return nil // a client that is gone needs no answer
	}
	<-r.Context().Done()
	return nil
}

// proofs are the processes that are known to be gone, and since when.
type proofs struct {
	mu sync.Mutex
	at map[Pulse]Instant
}

func (p *proofs) note(who Pulse, at Instant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == nil {
		p.at = map[Pulse]Instant{}
	}
	for k, t := range p.at {
		if at-t > Instant(proofKept) {
			delete(p.at, k)
		}
	}
	if _, known := p.at[who]; !known {
		p.at[who] = at
	}
}

// proof is when, on this node's clock, it was certain that the process boot of
// node id was gone. ok is false when that was never proven here; the process
// may be gone nevertheless.
func (n *Node) proof(id, boot string) (at Instant, ok bool) {
	n.proofs.mu.Lock()
	defer n.proofs.mu.Unlock()
	at, ok = n.proofs.at[Pulse{Node: id, Boot: boot}]
	return at, ok
}

// watchPeers watches all other nodes while this one is the leader or one of
// those that lead next. When a process is proven to be gone, its lease is
// revoked, so that nobody waits for it to run out.
func (n *Node) watchPeers(ctx context.Context) error {
	calls := newPulseCaller(n.cfg.Token)
	defer calls.close()
	watched := map[Pulse]context.CancelFunc{}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		nodes, queue := n.nodes.Changed(), n.candidates.Changed()
		wanted := n.toWatch()
		for who, stop := range watched {
			if _, still := wanted[who]; !still {
				time.AfterFunc(lastLook, stop)
				delete(watched, who)
			}
		}
		for who, address := range wanted {
			if watched[who] != nil {
				continue
			}
			wctx, stop := context.WithCancel(ctx)
			watched[who] = stop
			w := &watch{n: n, calls: calls, who: who, address: address}
			wg.Go(func() { w.run(wctx) })
		}
		select {
		case <-nodes:
		case <-queue:
		case <-ctx.Done():
			return ctx.Err()
		}
		if wanted == nil {
			pause(ctx, idleWatch)
		}
		pause(ctx, watchEvery)
	}
}

// toWatch are the processes that this node watches, with their addresses.
func (n *Node) toWatch() map[Pulse]string {
	line := n.standing()
	if !slices.Contains(line[:min(len(line), watchers)], n.info.ID) {
		return nil
	}
	wanted := map[Pulse]string{}
	for _, r := range registry.Nodes(n.nodes) {
		if r.ID != n.info.ID && r.Boot != "" {
			wanted[Pulse{Node: r.ID, Boot: r.Boot}] = r.Address
		}
	}
	return wanted
}

// newPulseCaller makes direct connections only: a proxy that refuses proves
// nothing of the node behind it.
func newPulseCaller(token string) *caller {
	dial := &net.Dialer{Timeout: pulseDial}
	return &caller{token: token, http: &http.Client{Transport: &http.Transport{
		DialContext: dial.DialContext, DisableKeepAlives: true, ResponseHeaderTimeout: pulseAnswer,
	}}}
}

// watch is the watch over one process.
type watch struct {
	n       *Node
	calls   *caller
	who     Pulse
	address string // URL of its API
	met     bool   // it has answered here
}

// run watches until ctx ends, which it does when the record goes.
func (w *watch) run(ctx context.Context) {
	for wait := refusalEvery; ctx.Err() == nil; wait = min(2*wait, time.Second) {
		met := w.met
		why := w.listen(ctx)
		if w.met != met {
			wait = refusalEvery
		}
		if why == "" && w.met && w.refused(ctx) {
			why = "it refuses connections"
		}
		if why != "" && ctx.Err() == nil {
			w.n.proofs.note(w.who, w.n.clock.Now())
			w.n.log.Warn("a node's process is gone: its lease is revoked", "node", w.who.Node, "url", w.address, "reason", why)
			w.bury(ctx)
			return
		}
		pause(ctx, wait)
	}
}

// listen holds a stream until it breaks. It returns why the process must be
// gone when another one answers in its place.
func (w *watch) listen(ctx context.Context) (why string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := w.calls.open(ctx, http.MethodGet, w.address+"/api/v1/pulse", nil, nil)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	late := time.AfterFunc(pulseAnswer, cancel)
	defer late.Stop()
	body := bufio.NewReader(resp.Body)
	line, err := body.ReadBytes('\n')
	late.Stop()
	var got Pulse
	if err != nil || json.Unmarshal(line, &got) != nil || got.Node == "" || got.Boot == "" {
		return ""
	}
	if got != w.who {
		// A data directory has one process at a time. Another node at this
		// address says as much only if this one was there before.
		if got.Node == w.who.Node || w.met {
			return fmt.Sprintf("another process answers there (node %s)", got.Node)
		}
		return ""
	}
	w.met = true
	_, _ = body.ReadByte() // nothing comes: it returns when the stream breaks
	return ""
}

// refused says whether the address refuses connections, each time it is tried.
// A connection that is accepted, or hangs, proves nothing.
func (w *watch) refused(ctx context.Context) bool {
	u, err := url.Parse(w.address)
	if err != nil {
		return false
	}
	dial := &net.Dialer{Timeout: pulseDial}
	for i := range refusals {
		if i > 0 {
			pause(ctx, refusalEvery)
		}
		c, err := dial.DialContext(ctx, "tcp", u.Host)
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return false
		}
	}
	return true
}

// bury revokes the lease of the process until its record is gone.
func (w *watch) bury(ctx context.Context) {
	for ctx.Err() == nil {
		r, ok := w.n.find(w.who.Node)
		if !ok || r.Boot != w.who.Boot {
			return
		}
		one, cancel := context.WithTimeout(ctx, revokeTry)
		err := w.n.around("revoke", func() error {
			_, err := w.n.etcd.Revoke(one, clientv3.LeaseID(r.Lease))
			return err
		})
		cancel()
		if err != nil && ctx.Err() == nil {
			w.n.log.Debug("the lease of a node that is gone is not revoked yet", "node", r.Name, "reason", err)
		}
		pause(ctx, refusalEvery)
	}
}
