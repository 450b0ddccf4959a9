package hive

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// keepFence moves the fence of an engine with the lease of the node, until ctx
// ends. A lease that is lost closes it. Under another lease it opens again only
// when the run's state, read after that lease was taken, still names this life,
// and what that state asks of it has been done: the leader may have dealt its
// slots to others meanwhile, or be about to.
func (l *life) keepFence(ctx context.Context, e Engine) {
	for ctx.Err() == nil {
		p, moved := l.t.n.placed()
		if p != nil && l.mayOpen(ctx, p) {
			l.t.n.extend(ctx, p, func(deadline time.Time) { l.extend(e, deadline) })
			continue
		}
		wait := time.Hour
		if p != nil {
			wait = etcdAgain
		}
		timer := time.NewTimer(wait)
		select {
		case <-moved:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// Shut is the last time in which a life sent no load because its node had no
// lease, on the run's clock. It was not dealt anew meanwhile.
type Shut struct {
	N     int           `json:"n"` // how many there were, this one included
	From  time.Duration `json:"from"`
	Until time.Duration `json:"until"`
}

// extend moves the fence of the life's engine, and notes when it had been closed.
func (l *life) extend(e Engine, deadline time.Time) {
	e.Extend(deadline)
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch was := l.fence; {
	case !deadline.After(now) && was.Before(now): // it is closed already, since then
	default:
		if l.running && !was.IsZero() && was.Before(now) {
			run := l.t.clock.Now()
			l.shut = &Shut{N: l.shuts + 1, From: max(0, run-now.Sub(was)), Until: run}
			l.shuts++
		}
		l.fence = deadline
	}
}

// extend has f called with the deadline of the node's lease while the node has
// its place: it keeps a fence open.
func (n *Node) extend(ctx context.Context, p *place, f func(deadline time.Time)) {
	stop := p.session.OnRenew(f)
	defer stop()
	for ctx.Err() == nil {
		now, moved := n.placed()
		if now != p || p.session.Ctx().Err() != nil {
			stop()
			f(time.Now()) // the lease is known to be over
			return
		}
		select {
		case <-moved:
		case <-p.session.Ctx().Done():
		case <-ctx.Done():
		}
	}
}

// keepOpen keeps the fence of an engine open that sends no load, whenever the
// node is in the hive.
func (n *Node) keepOpen(ctx context.Context, e Engine) {
	for ctx.Err() == nil {
		p, moved := n.placed()
		if p != nil {
			n.extend(ctx, p, e.Extend)
		}
		select {
		case <-moved:
		case <-ctx.Done():
		}
	}
}

// mayOpen says whether this life may send load under the node's present lease.
func (l *life) mayOpen(ctx context.Context, p *place) bool {
	l.mu.Lock()
	same, retired := l.place == p, l.retired
	l.mu.Unlock()
	if same || retired {
		return same && !retired && p.session.Ctx().Err() == nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	resp, err := l.t.n.etcd.Get(ctx, l.t.n.keys.State(l.t.run), clientv3.WithKeysOnly())
	if err != nil || len(resp.Kvs) == 0 {
		return false
	}
	st, rev := l.t.now()
	if rev < resp.Kvs[0].ModRevision || !l.t.has(st, l.inc) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.handled < resp.Kvs[0].ModRevision || l.retired {
		return false
	}
	l.place = p
	return true
}
