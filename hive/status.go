package hive

import (
	"context"
	"encoding/json"
	"reflect"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// sayTry bounds one attempt to write a status.
const sayTry = time.Second

// say changes what the others are to know of this life.
func (l *life) say(change func(*Status)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.status
	change(&next)
	if reflect.DeepEqual(next, l.status) {
		return
	}
	l.status = next
	close(l.changed)
	l.changed = make(chan struct{})
}

// publish writes the status whenever it has changed, and again under each new
// lease, until ctx ends or a later life of the node speaks.
func (l *life) publish(ctx context.Context) {
	var under *place
	var written Status
	for ctx.Err() == nil {
		l.mu.Lock()
		want, changed := l.status, l.changed
		l.mu.Unlock()
		p, moved := l.t.n.placed()
		if p != nil && l.speaks() && (p != under || !reflect.DeepEqual(want, written)) {
			if err := l.writeStatus(ctx, p, want); err != nil {
				pause(ctx, etcdAgain)
				continue
			}
			under, written = p, want
		}
		select {
		case <-changed:
		case <-moved:
		case <-ctx.Done():
		}
	}
}

// speaks says whether this is the node's newest life that has something to
// say: there is one status for each node.
func (l *life) speaks() bool {
	for _, o := range l.t.all() {
		if o.inc > l.inc && o.last == nil {
			return false
		}
	}
	return true
}

func (l *life) writeStatus(ctx context.Context, p *place, s Status) error {
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, l.t.n.patience(sayTry))
	defer cancel()
	_, err = l.t.n.etcd.Put(ctx, l.t.n.keys.Status(l.t.run, l.t.n.info.ID), string(value), clientv3.WithLease(p.session.Lease()))
	return err
}
