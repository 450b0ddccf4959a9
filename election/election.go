package election

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrSessionLost is the cause of a leader's context when its lease ended.
var ErrSessionLost = errors.New("election: the session's lease is gone")

// resignTimeout bounds the goodbye of a leader whose session lives on. It is
// long, since as long as the session lives nothing else gives its place away.
const resignTimeout = 5 * time.Second

// try bounds one call of etcd. What is proposed or asked while etcd has no
// leader of its own hangs till its deadline, so a short one and another try are
// what a failover takes the least time with.
const try = 400 * time.Millisecond

const (
	// shortTries is how many of them are as short as that. Then each gets twice
	// the time of the one before: hosts may be so far apart that a call takes
	// longer.
	shortTries = 3
	// longestTry bounds that.
	longestTry = 8 * try
)

// tries counts the attempts at one call.
type tries int

// next is for how long the next attempt may last.
func (t *tries) next() time.Duration {
	*t++
	if *t <= shortTries {
		return try
	}
	return min(try<<min(*t-shortTries, 8), longestTry)
}

// Session is what holds a candidate's key: a lease and a context that ends
// with it.
type Session interface {
	Lease() clientv3.LeaseID
	Ctx() context.Context
}

// Lead campaigns for the leadership of prefix in the name of value (a node's
// id), runs lead while it lasts, and resigns. The context given to lead ends
// with ctx, with the session, or when the election key is deleted; its cause
// says which. Lead returns lead's error, or what ended the campaign.
func Lead(ctx context.Context, c *clientv3.Client, s Session, prefix, value string, lead func(context.Context, Fence) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.Ctx(), func() { cancel(ErrSessionLost) })()

	fence, err := enter(ctx, c, s, prefix, value)
	if err != nil {
		return campaignError(ctx, err)
	}
	defer resign(s, fence)
	if err := awaitTurn(ctx, c, prefix, fence); err != nil {
		return campaignError(ctx, err)
	}

	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if awaitDelete(ctx, c, fence.key, fence.rev+1) == nil {
			cancel(ErrDeposed)
		}
	}()
	err = lead(ctx, fence)
	cancel(nil)
	<-watched
	return err
}

func campaignError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("campaign: %w", err)
}

// enter puts the candidate's key, or finds the one that this lease already has.
func enter(ctx context.Context, c *clientv3.Client, s Session, prefix, value string) (Fence, error) {
	key := fmt.Sprintf("%s%016x", prefix, s.Lease())
	resp, err := persist(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return c.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, value, clientv3.WithLease(s.Lease()))).
			Else(clientv3.OpGet(key)).Commit()
	})
	if err != nil {
		return Fence{}, err
	}
	rev := resp.Header.Revision
	if !resp.Succeeded {
		rev = resp.Responses[0].GetResponseRange().Kvs[0].CreateRevision
	}
	return Fence{kv: c, key: key, rev: rev}, nil
}

// awaitTurn returns when no older candidate is left and the own key exists.
func awaitTurn(ctx context.Context, c *clientv3.Client, prefix string, f Fence) error {
	for {
		older, err := get(ctx, c, prefix, clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortDescend),
			clientv3.WithMaxCreateRev(f.rev-1), clientv3.WithLimit(1))
		if err != nil {
			return err
		}
		if len(older.Kvs) == 0 {
			return stillEntered(ctx, c, f)
		}
		if err := awaitDelete(ctx, c, string(older.Kvs[0].Key), older.Header.Revision+1); err != nil {
			return err
		}
	}
}

func stillEntered(ctx context.Context, c *clientv3.Client, f Fence) error {
	resp, err := get(ctx, c, f.key)
	if err != nil {
		return err
	}
	if len(resp.Kvs) == 0 || resp.Kvs[0].CreateRevision != f.rev {
		return ErrDeposed
	}
	return nil
}

// awaitDelete returns nil once key does not exist, watching from revision
// from; a watch that breaks (compaction, a lost stream) starts with a read.
func awaitDelete(ctx context.Context, c *clientv3.Client, key string, from int64) error {
	for {
		gone, err := watchDelete(ctx, c, key, from)
		if gone || ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil || pause(ctx) == nil {
			resp, err := get(ctx, c, key)
			if err == nil && len(resp.Kvs) == 0 {
				return nil
			}
			if err == nil {
				from = resp.Header.Revision + 1
			}
		}
	}
}

func watchDelete(ctx context.Context, c *clientv3.Client, key string, from int64) (gone bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for w := range c.Watch(clientv3.WithRequireLeader(ctx), key, clientv3.WithRev(from)) {
		if err := w.Err(); err != nil {
			return false, err
		}
		for _, ev := range w.Events {
			if ev.Type == clientv3.EventTypeDelete {
				return true, nil
			}
		}
	}
	return false, errors.New("watch ended")
}

// get reads, in tries.
func get(ctx context.Context, c *clientv3.Client, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return persist(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return c.Get(ctx, key, opts...) })
}

// persist calls etcd in tries until it answers or ctx ends. What etcd
// will not answer otherwise the next time ends it too.
func persist[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	for n := tries(0); ; {
		one, cancel := context.WithTimeout(ctx, n.next())
		got, err := call(one)
		cancel()
		if err == nil || ctx.Err() != nil || final(err) {
			return got, err
		}
		if pause(ctx) != nil {
			return got, ctx.Err()
		}
	}
}

// final says whether an error is an answer, and not the lack of one.
func final(err error) bool {
	return errors.Is(err, rpctypes.ErrLeaseNotFound) || errors.Is(err, rpctypes.ErrPermissionDenied) || errors.Is(err, rpctypes.ErrInvalidAuthToken)
}

// pause waits a moment between attempts at an etcd that does not answer.
func pause(ctx context.Context) error {
	t := time.NewTimer(50 * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// resign deletes the candidate's key, so that a node that leaves does not make
// the others wait for its lease. The end of the session says the same.
func resign(s Session, f Fence) {
	ctx, cancel := context.WithTimeout(s.Ctx(), resignTimeout)
	defer cancel()
	for n := tries(0); ; {
		one, cancel := context.WithTimeout(ctx, n.next())
		err := f.Delete(one, f.key)
		cancel()
		if err == nil || errors.Is(err, ErrDeposed) || pause(ctx) != nil {
			return
		}
	}
}
