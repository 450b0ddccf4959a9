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
	var rev int64 // of the key, as known
	for ctx.Err() == nil {
		l.mu.Lock()
		want, changed := l.status, l.changed
		l.mu.Unlock()
		p, moved := l.t.n.placed()
		if p != nil && l.speaks() && (p != under || !reflect.DeepEqual(want, written)) {
			done, err := l.writeStatus(ctx, p, want, &rev)
			if err != nil {
				pause(ctx, etcdAgain)
			}
			if !done {
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

// writeStatus writes a status in the place of the one at a revision, and brings
// that up to date; done is false when there was another one. What was written
// before and given up for lost may still be on its way to an etcd that is slow:
// it must not take the place of what is written after it.
func (l *life) writeStatus(ctx context.Context, p *place, s Status, rev *int64) (done bool, err error) {
	value, err := json.Marshal(s)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.t.n.patience(sayTry))
	defer cancel()
	key := l.t.n.keys.Status(l.t.run, l.t.n.info.ID)
	resp, err := l.t.n.etcd.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", *rev)).
		Then(clientv3.OpPut(key, string(value), clientv3.WithLease(p.session.Lease()))).
		Else(clientv3.OpGet(key, clientv3.WithKeysOnly())).Commit()
	if err != nil {
		return false, err
	}
	*rev = resp.Header.Revision
	if !resp.Succeeded {
		*rev = 0
		for _, kv := range elseKVs(resp) {
			*rev = kv.ModRevision
		}
	}
	return resp.Succeeded, nil
}
