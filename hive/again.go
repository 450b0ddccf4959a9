package hive

import (
	"bytes"
	"context"
	"errors"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// againFirst bounds the first attempt of a call that may be repeated; each
	// further one gets twice the time. A proposal that was passed on to a leader
	// that stands still is lost, and by then there is another leader.
	againFirst = 2 * etcdElection * time.Millisecond
	// againFor is for how long calls are repeated unless their context ends before.
	againFor = 10 * time.Second
	// againPause is between two attempts.
	againPause = 25 * time.Millisecond
)

// callAgain makes all of a client's calls ride out what passes: a change of
// etcd's leader, a member that goes, a request that was lost on its way. What
// etcd surely did not do is asked again always; what it may have done, only
// where doing it twice is the same as doing it once. All else is the caller's
// to decide.
func callAgain(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	safe := repeatable(req)
	end := time.Now().Add(againFor)
	for limit := againFirst; ; limit *= 2 {
		one, cancel := ctx, context.CancelFunc(func() {})
		if safe {
			one, cancel = context.WithTimeout(ctx, limit)
		}
		err := invoke(one, method, req, reply, cc, opts...)
		cancel()
		if err == nil || ctx.Err() != nil || !undone(err) && !(safe && unanswered(err)) {
			return err
		}
		if time.Now().After(end) {
			if status.Code(err) == codes.DeadlineExceeded {
				return rpctypes.ErrGRPCTimeout // the caller's own deadline has not passed
			}
			return err
		}
		pause(ctx, againPause)
	}
}

// undone says whether an error means that the request had no effect.
func undone(err error) bool {
	// Raft's own error comes without a code: a proposal while the lead is moved,
	// or while there is no leader.
	if rpctypes.ErrorDesc(err) == "raft proposal dropped" {
		return true
	}
	err = rpctypes.Error(err)
	return errors.Is(err, rpctypes.ErrNoLeader) || errors.Is(err, rpctypes.ErrLeaderChanged) || errors.Is(err, rpctypes.ErrTooManyRequests)
}

// unanswered says whether an error leaves open if the request was served.
func unanswered(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return true
	}
	return false
}

// repeatable says whether a request may be served twice: reads, puts and
// deletes may. A lease that is granted and not used runs out.
func repeatable(req any) bool {
	switch r := req.(type) {
	case *pb.RangeRequest, *pb.PutRequest, *pb.DeleteRangeRequest, *pb.MemberListRequest, *pb.StatusRequest,
		*pb.LeaseGrantRequest, *pb.LeaseRevokeRequest, *pb.LeaseTimeToLiveRequest:
		return true
	case *pb.AlarmRequest:
		return r.Action == pb.AlarmRequest_GET
	case *pb.TxnRequest:
		return repeatableTxn(r)
	}
	return false
}

// repeatableTxn says whether a transaction leaves alone what its conditions are
// about: it then finds them the second time as it did the first. So it is with
// what a leader writes under no other condition than that it leads.
func repeatableTxn(t *pb.TxnRequest) bool {
	for _, op := range append(append([]*pb.RequestOp(nil), t.Success...), t.Failure...) {
		var key, end []byte
		switch r := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			continue
		case *pb.RequestOp_RequestPut:
			key = r.RequestPut.Key
		case *pb.RequestOp_RequestDeleteRange:
			key, end = r.RequestDeleteRange.Key, r.RequestDeleteRange.RangeEnd
		default:
			return false
		}
		for _, c := range t.Compare {
			if overlap(key, end, c.Key, c.RangeEnd) {
				return false
			}
		}
	}
	return true
}

// overlap says whether two ranges of keys have a key in common. As in etcd, an
// empty end means the one key, and a zero byte all from it on.
func overlap(a, aEnd, b, bEnd []byte) bool {
	return before(a, b, bEnd) && before(b, a, aEnd)
}

// before says whether key lies before the end of the range that begins at from.
func before(key, from, end []byte) bool {
	switch {
	case len(end) == 0:
		return bytes.Compare(key, from) <= 0
	case len(end) == 1 && end[0] == 0:
		return true
	}
	return bytes.Compare(key, end) < 0
}
