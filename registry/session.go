package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrLeaseLost is the cause of a session's context when its lease ran out, was
// revoked, or must have run out because etcd did not answer for so long.
var ErrLeaseLost = errors.New("registry: lease lost: etcd has not confirmed this node in time")

const (
	// grantTry bounds the first wait for a new lease, for the grant may hang while etcd has no leader, and longestGrant those
	// that follow.
	grantTry, longestGrant = 2 * time.Second, 8 * time.Second
	// renewals is how often a lease is renewed in its time, so that a few that fail do not lose it.
	renewals = 6
	// renewTries is how many attempts that hang a lease has time for.
	renewTries = 4
	// renewAgain is how long after a failed attempt the next one comes.
	renewAgain = 50 * time.Millisecond
	// oldKept is for how long a lease is kept beside the one that took its place:
	// longer than anything put under it can have been on its way.
	oldKept = 3 * enterTry
)

// Session is a lease that is kept alive. Its deadline is reckoned from the
// moment the last confirmed renewal was sent, on a clock that counts the time
// in which the machine was suspended; so a node that cannot reach etcd, or
// that stood still, ends its session no later than etcd ends the lease.
//
// When etcd has another leader, the session goes over to a new lease, and what
// the old one holds goes with it: a leader of etcd that stood still, and does
// not know yet that there is another, revokes every lease that was not renewed
// in its eyes, when it goes on. It does not know the new ones.
type Session struct {
	client   *clientv3.Client
	ttl      time.Duration
	id       atomic.Int64 // the lease that new keys are put under
	ctx      context.Context
	cancel   context.CancelCauseFunc
	done     chan struct{}
	deadline atomic.Int64 // nanoseconds of sinceBoot
	trip     trips

	// Of keep alone, while it runs.
	term uint64           // of etcd's leader, when the lease was granted
	old  clientv3.LeaseID // that keys are moved away from; 0 for none
	from time.Duration    // when it became the old one, as sinceBoot
	bare bool             // nothing was under it any more, when that was last looked at

	mu    sync.Mutex // guards what follows, and is held while a hook is called
	hooks map[*func(deadline time.Time)]struct{}
}

// NewSession takes a lease of ttl and keeps it until ctx ends or [Session.Close].
// etcd grants no less than about 2 s; [Session.TTL] says what it granted.
func NewSession(ctx context.Context, c *clientv3.Client, ttl time.Duration) (*Session, error) {
	resp, sent, err := grant(ctx, c, ttl)
	if err != nil {
		return nil, fmt.Errorf("registry: take a lease: %w", err)
	}
	s := &Session{client: c, ttl: time.Duration(resp.TTL) * time.Second, term: resp.RaftTerm, done: make(chan struct{}),
		hooks: map[*func(time.Time)]struct{}{}}
	s.id.Store(int64(resp.ID))
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.deadline.Store(int64(sent + s.ttl))
	go s.keep()
	return s, nil
}

// grant asks for a lease, and says when it asked. Each time that there was no answer it waits for the next one twice as long:
// where all answers are late, asking anew before they are there would never get one, and leave leases behind that nobody
// knows. One that takes as long as the lease is worth nothing.
func grant(ctx context.Context, c *clientv3.Client, ttl time.Duration) (resp *clientv3.LeaseGrantResponse, sent time.Duration, err error) {
	longest := max(grantTry, min(longestGrant, ttl))
	for limit := grantTry; ; limit = min(2*limit, longest) {
		one, cancel := context.WithTimeout(ctx, limit)
		sent = sinceBoot()
		resp, err = c.Grant(one, int64((ttl+time.Second-1)/time.Second))
		late := one.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !late || limit == longest {
			return resp, sent, err
		}
	}
}

// Lease is the id that keys are put under. It may change.
func (s *Session) Lease() clientv3.LeaseID { return clientv3.LeaseID(s.id.Load()) }

// TTL is what etcd granted.
func (s *Session) TTL() time.Duration { return s.ttl }

// Trip is how long etcd's leader takes to answer this node, without what held
// up single answers: the shortest of the last renewals. It is 0 before the
// first.
func (s *Session) Trip() time.Duration { return s.trip.shortest() }

// Ctx ends with the session; its cause is [ErrLeaseLost] when the lease went.
func (s *Session) Ctx() context.Context { return s.ctx }

// left is how long the lease can still be held unless it is renewed.
func (s *Session) left() time.Duration { return time.Duration(s.deadline.Load()) - sinceBoot() }

// Deadline is when the lease must be taken as gone unless it is renewed.
func (s *Session) Deadline() time.Time { return time.Now().Add(s.left()) }

// Valid says, by the clock alone, whether the lease can still be held. It is
// cheap enough to be asked before every piece of work.
func (s *Session) Valid() bool { return s.ctx.Err() == nil && s.left() > 0 }

// OnRenew has f called with the deadline, at once and after each renewal, until
// stop is called. When stop returns, f is not running and is not called again.
func (s *Session) OnRenew(f func(deadline time.Time)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks[&f] = struct{}{}
	if s.Valid() {
		f(s.Deadline())
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.hooks, &f)
	}
}

// tell passes the deadline on.
func (s *Session) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.hooks {
		(*f)(s.Deadline())
	}
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
	var errs []error
	for _, id := range s.leases() {
		if _, err := s.client.Revoke(ctx, id); !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// leases are those that hold the session's keys.
func (s *Session) leases() []clientv3.LeaseID {
	if s.old == 0 {
		return []clientv3.LeaseID{s.Lease()}
	}
	return []clientv3.LeaseID{s.Lease(), s.old}
}

func (s *Session) keep() {
	defer close(s.done)
	for s.ctx.Err() == nil {
		if !s.Valid() {
			s.cancel(ErrLeaseLost)
			return
		}
		err := s.renew()
		wait := s.ttl / renewals
		switch {
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			s.cancel(ErrLeaseLost)
			return
		case err != nil:
			wait = renewAgain
		}
		sleep(s.ctx, max(0, min(wait, s.left())))
	}
}

// renew asks etcd once for each lease; the deadline moves only when it says yes
// to all.
func (s *Session) renew() error {
	sent := sinceBoot()
	ttl, term := s.ttl, s.term
	for _, id := range s.leases() {
		asked := sinceBoot()
		one, cancel := context.WithTimeout(s.ctx, max(0, min(s.ttl/renewTries+2*s.Trip(), s.left())))
		resp, err := s.client.KeepAliveOnce(one, id)
		cancel()
		if errors.Is(err, rpctypes.ErrLeaseNotFound) && id == s.old && s.bare {
			s.old = 0 // revoked by an etcd leader that went on too late, and nothing with it
			break
		}
		if err != nil {
			return err
		}
		s.trip.add(sinceBoot() - asked)
		ttl, term = min(ttl, time.Duration(resp.TTL)*time.Second), resp.RaftTerm
	}
	s.deadline.Store(int64(sent + ttl))
	s.tell()
	ctx, cancel := context.WithTimeout(s.ctx, min(s.ttl/renewTries, max(0, s.left()/2)))
	defer cancel()
	// What fails here is taken up after the next renewal: until it is done, both
	// leases are kept.
	switch {
	case s.old != 0:
		moved, err := s.move(ctx)
		s.bare = err == nil && moved == 0
		if s.bare && sinceBoot()-s.from > oldKept+3*enterTrips*s.Trip() {
			s.old = 0 // it runs out
		}
	case term != s.term:
		s.change(ctx)
	}
	return nil
}
