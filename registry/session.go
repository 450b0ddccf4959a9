package registry

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrLeaseLost is the cause of a session's context when its lease ran out, was
// revoked, or must have run out because etcd did not answer for so long.
var ErrLeaseLost = errors.New("registry: lease lost: etcd has not confirmed this node in time")

// Session is a lease that is kept alive. Its deadline is reckoned from the
// moment the last confirmed renewal was sent, so a node that cannot reach etcd
// ends its session no later than etcd ends the lease.
type Session struct {
	client   *clientv3.Client
	id       clientv3.LeaseID
	ttl      time.Duration
	ctx      context.Context
	cancel   context.CancelCauseFunc
	done     chan struct{}
	deadline atomic.Int64 // nanoseconds after born
	born     time.Time
}

// NewSession takes a lease of ttl and keeps it until ctx ends or [Session.Close].
// etcd grants no less than about 2 s; [Session.TTL] says what it granted.
func NewSession(ctx context.Context, c *clientv3.Client, ttl time.Duration) (*Session, error) {
	born := time.Now()
	resp, err := c.Grant(ctx, int64((ttl+time.Second-1)/time.Second))
	if err != nil {
		return nil, fmt.Errorf("registry: take a lease: %w", err)
	}
	s := &Session{client: c, id: resp.ID, ttl: time.Duration(resp.TTL) * time.Second, born: born, done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.deadline.Store(int64(s.ttl))
	go s.keep()
	return s, nil
}

// Lease is the id that keys are put under.
func (s *Session) Lease() clientv3.LeaseID { return s.id }

// TTL is what etcd granted.
func (s *Session) TTL() time.Duration { return s.ttl }

// Ctx ends with the session; its cause is [ErrLeaseLost] when the lease went.
func (s *Session) Ctx() context.Context { return s.ctx }

// Deadline is when the lease must be taken as gone unless it is renewed.
func (s *Session) Deadline() time.Time { return s.born.Add(time.Duration(s.deadline.Load())) }

// Valid says, by the clock alone, whether the lease can still be held. It is
// cheap enough to be asked before every piece of work.
func (s *Session) Valid() bool {
	return s.ctx.Err() == nil && time.Since(s.born) < time.Duration(s.deadline.Load())
}

// Orphan stops renewing and leaves the lease to run out, as a crash would.
func (s *Session) Orphan() {
	s.cancel(context.Canceled)
	<-s.done
}

// Close stops renewing and revokes the lease, so that what it holds goes at
// once. ctx bounds the revocation.
func (s *Session) Close(ctx context.Context) error {
	s.Orphan()
	_, err := s.client.Revoke(ctx, s.id)
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil
	}
	return err
}

func (s *Session) keep() {
	defer close(s.done)
	for s.ctx.Err() == nil {
		if !s.Valid() || errors.Is(s.renew(), rpctypes.ErrLeaseNotFound) {
			s.cancel(ErrLeaseLost)
			return
		}
		sleep(s.ctx, min(s.ttl/4, max(0, time.Until(s.Deadline()))))
	}
}

// renew asks etcd once; the deadline moves only when it says yes.
func (s *Session) renew() error {
	ctx, cancel := context.WithDeadline(s.ctx, s.Deadline())
	defer cancel()
	ctx, cancelTry := context.WithTimeout(ctx, max(s.ttl/4, 500*time.Millisecond))
	defer cancelTry()
	sent := time.Since(s.born)
	resp, err := s.client.KeepAliveOnce(ctx, s.id)
	if err != nil {
		return err
	}
	s.deadline.Store(int64(sent) + resp.TTL*int64(time.Second))
	return nil
}
