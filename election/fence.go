package election

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

var (
	// ErrDeposed comes from a write of a leader that no longer is one. The
	// write had no effect.
	ErrDeposed = errors.New("election: deposed: another node leads now")
	// ErrConflict comes from [Fence.TxnIf] when the leader still leads but one
	// of the further conditions did not hold. The write had no effect.
	ErrConflict = errors.New("election: a condition of the write does not hold")
)

// Fence guards the writes of one term of leadership with the create revision
// of its election key: etcd itself refuses them once the key is gone, however
// late the deposed leader wakes up.
type Fence struct {
	kv  clientv3.KV
	key string
	rev int64
}

// Key is the election key that this term holds.
func (f Fence) Key() string { return f.key }

// Term numbers the leadership: it is the create revision of the election key,
// so later terms have greater numbers.
func (f Fence) Term() int64 { return f.rev }

// Delete deletes one key (or a range, by options), or fails with [ErrDeposed].
func (f Fence) Delete(ctx context.Context, key string, opts ...clientv3.OpOption) error {
	_, err := f.Txn(ctx, clientv3.OpDelete(key, opts...))
	return err
}

// Txn does all of ops at once, or none and fails with [ErrDeposed]. etcd takes
// at most 128 operations in one transaction.
func (f Fence) Txn(ctx context.Context, ops ...clientv3.Op) (*clientv3.TxnResponse, error) {
	return f.TxnIf(ctx, nil, ops...)
}

// TxnIf is [Fence.Txn] with further conditions; it fails with [ErrConflict]
// when one of these does not hold.
func (f Fence) TxnIf(ctx context.Context, conds []clientv3.Cmp, ops ...clientv3.Op) (*clientv3.TxnResponse, error) {
	guards := append([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(f.key), "=", f.rev)}, conds...)
	resp, err := f.kv.Txn(ctx).If(guards...).Then(ops...).Else(clientv3.OpGet(f.key)).Commit()
	if err != nil {
		return nil, fmt.Errorf("write as leader: %w", err)
	}
	if resp.Succeeded {
		return resp, nil
	}
	kvs := resp.Responses[0].GetResponseRange().Kvs
	if len(kvs) == 1 && kvs[0].CreateRevision == f.rev {
		return nil, ErrConflict
	}
	return nil, ErrDeposed
}
