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
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, try)
		now, rev, err := Current(one, c, prefix)
		cancel()
		if err != nil {
			_ = pause(ctx)
			continue
		}
		if first || now != last {
			first, last = false, now
			seen(now)
		}
		awaitEvent(ctx, c, prefix, rev+1)
	}
	return ctx.Err()
}

// Current reads who leads, and the revision at which that was true.
func Current(ctx context.Context, c *clientv3.Client, prefix string) (Leader, int64, error) {
	resp, err := c.Get(ctx, prefix, clientv3.WithFirstCreate()...)
	if err != nil {
		return Leader{}, 0, err
	}
	if len(resp.Kvs) == 0 {
		return Leader{}, resp.Header.Revision, nil
	}
	kv := resp.Kvs[0]
	return Leader{Value: string(kv.Value), Term: kv.CreateRevision}, resp.Header.Revision, nil
}

// awaitEvent returns at the first event under prefix, or when the watch breaks.
func awaitEvent(ctx context.Context, c *clientv3.Client, prefix string, from int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for w := range c.Watch(clientv3.WithRequireLeader(ctx), prefix, clientv3.WithPrefix(), clientv3.WithRev(from)) {
		if w.Err() != nil {
			_ = pause(ctx)
			return
		}
		if len(w.Events) > 0 {
			return
		}
	}
}
