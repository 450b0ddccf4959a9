package election

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Leader is who leads now: the value that it campaigned with and its term.
// The zero Leader means that nobody does.
type Leader struct {
	Value string
	Term  int64
}

// Observe calls seen with the present leader and again whenever that changes,
// until ctx ends; it returns nothing else than ctx's error. While etcd does
// not answer, the last leader seen is what stands.
func Observe(ctx context.Context, c *clientv3.Client, prefix string, seen func(Leader)) error {
	var last Leader
	first := true
	var n tries
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, n.next())
		now, key, rev, err := current(one, c, prefix)
		cancel()
		if err != nil {
			_ = pause(ctx)
			continue
		}
		n = 0
		if first || now != last {
			first, last = false, now
			seen(now)
		}
		awaitChange(ctx, c, prefix, key, rev+1)
	}
	return ctx.Err()
}

// Current reads who leads, and the revision at which that was true.
func Current(ctx context.Context, c *clientv3.Client, prefix string) (Leader, int64, error) {
	l, _, rev, err := current(ctx, c, prefix)
	return l, rev, err
}

// current also names the key that the leader has; it is empty when nobody leads.
func current(ctx context.Context, c *clientv3.Client, prefix string) (l Leader, key string, rev int64, err error) {
	resp, err := c.Get(ctx, prefix, clientv3.WithFirstCreate()...)
	if err != nil || len(resp.Kvs) == 0 {
		if resp != nil {
			rev = resp.Header.Revision
		}
		return Leader{}, "", rev, err
	}
	kv := resp.Kvs[0]
	return Leader{Value: string(kv.Value), Term: kv.CreateRevision}, string(kv.Key), resp.Header.Revision, nil
}

// awaitChange returns when the leader's key is deleted, at the first event when nobody leads, or when the watch breaks.
// Candidates that come later do not change who leads.
func awaitChange(ctx context.Context, c *clientv3.Client, prefix, key string, from int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	what, opts := key, []clientv3.OpOption{clientv3.WithRev(from), clientv3.WithFilterPut()}
	if key == "" {
		what, opts = prefix, []clientv3.OpOption{clientv3.WithRev(from), clientv3.WithPrefix()}
	}
	for w := range c.Watch(clientv3.WithRequireLeader(ctx), what, opts...) {
		if w.Err() != nil {
			_ = pause(ctx)
			return
		}
		if len(w.Events) > 0 {
			return
		}
	}
}
