package registry

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// change takes a new lease, under which all keys are put from now on, and moves
// those that there are. The old lease is kept until nothing is under it any
// more, even what was on its way meanwhile.
func (s *Session) change(ctx context.Context) {
	resp, err := s.client.Grant(ctx, int64(s.ttl/time.Second))
	if err != nil {
		return
	}
	s.old, s.from, s.bare, s.term = s.Lease(), sinceBoot(), false, resp.RaftTerm
	s.id.Store(int64(resp.ID))
	_, _ = s.move(ctx) // what is left is moved after the next renewal
}

// move puts the keys that are under the old lease under the new one, all at
// once and as they are, and returns how many those were. It fails when one of
// them changed meanwhile.
func (s *Session) move(ctx context.Context) (moved int, err error) {
	held, err := s.client.TimeToLive(ctx, s.old, clientv3.WithAttachedKeys())
	if err != nil {
		return 0, fmt.Errorf("registry: move to a new lease: %w", err)
	}
	if len(held.Keys) == 0 {
		return 0, nil
	}
	reads := make([]clientv3.Op, len(held.Keys))
	for i, key := range held.Keys {
		reads[i] = clientv3.OpGet(string(key))
	}
	got, err := s.client.Txn(ctx).Then(reads...).Commit()
	if err != nil {
		return 0, fmt.Errorf("registry: move to a new lease: %w", err)
	}
	var same []clientv3.Cmp
	var puts []clientv3.Op
	for _, r := range got.Responses {
		for _, kv := range r.GetResponseRange().Kvs {
			if kv.Lease == int64(s.old) {
				same = append(same, clientv3.Compare(clientv3.ModRevision(string(kv.Key)), "=", kv.ModRevision))
				puts = append(puts, clientv3.OpPut(string(kv.Key), string(kv.Value), clientv3.WithLease(s.Lease())))
			}
		}
	}
	done, err := s.client.Txn(ctx).If(same...).Then(puts...).Commit()
	if err != nil {
		return 0, fmt.Errorf("registry: move to a new lease: %w", err)
	}
	if !done.Succeeded {
		return 0, fmt.Errorf("registry: move to a new lease: one of %d keys changed meanwhile", len(puts))
	}
	return len(held.Keys), nil
}
