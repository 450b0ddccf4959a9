package hive

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// txnRequest is what a client sends for a transaction.
func txnRequest(conds []clientv3.Cmp, ops ...clientv3.Op) *pb.TxnRequest {
	r := &pb.TxnRequest{}
	for _, c := range conds {
		r.Compare = append(r.Compare, c.GetCompare())
	}
	for _, op := range ops {
		req := &pb.RequestOp{}
		switch {
		case op.IsGet():
			req.Request = &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: op.KeyBytes()}}
		case op.IsPut():
			req.Request = &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: op.KeyBytes()}}
		case op.IsDelete():
			req.Request = &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: op.KeyBytes(), RangeEnd: op.RangeBytes()}}
		}
		r.Success = append(r.Success, req)
	}
	return r
}

func TestRepeatable(t *testing.T) {
	leads := clientv3.Compare(clientv3.CreateRevision("/leader/1"), "=", 7)
	unchanged := clientv3.Compare(clientv3.ModRevision("/state"), "=", 7)
	tests := []struct {
		name string
		req  any
		want bool
	}{
		{"read", &pb.RangeRequest{}, true},
		{"put", &pb.PutRequest{}, true},
		{"new member", &pb.MemberAddRequest{}, false},
		{"list of alarms", &pb.AlarmRequest{Action: pb.AlarmRequest_GET}, true},
		{"end of an alarm", &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE}, false},
		{"reads under a condition", txnRequest([]clientv3.Cmp{unchanged}, clientv3.OpGet("/state")), true},
		{"a leader's put", txnRequest([]clientv3.Cmp{leads}, clientv3.OpPut("/state", "")), true},
		{"a leader's delete of a range", txnRequest([]clientv3.Cmp{leads}, clientv3.OpDelete("/runs/", clientv3.WithPrefix())), true},
		{"a put of what is compared", txnRequest([]clientv3.Cmp{leads, unchanged}, clientv3.OpPut("/state", "")), false},
		{"a delete around what is compared", txnRequest([]clientv3.Cmp{leads}, clientv3.OpDelete("/leader/", clientv3.WithPrefix())), false},
		{"a delete of all", txnRequest([]clientv3.Cmp{leads}, clientv3.OpDelete("/", clientv3.WithFromKey())), false},
		{"a delete beyond what is compared", txnRequest([]clientv3.Cmp{leads}, clientv3.OpDelete("/leader/2", clientv3.WithFromKey())), true},
	}
	for _, tt := range tests {
		if got := repeatable(tt.req); got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestCallAgain(t *testing.T) {
	hangs := errors.New("hangs until its context ends")
	dropped := status.Error(codes.Unknown, "raft proposal dropped")
	ambiguous := txnRequest([]clientv3.Cmp{clientv3.Compare(clientv3.Version("/a"), "=", 0)}, clientv3.OpPut("/a", ""))
	tests := []struct {
		name    string
		req     any
		answers []error // one for each attempt; the last one stands for all that follow
		limit   time.Duration
		tries   int // 0: more than one
		want    error
	}{
		{"a put while the lead is moved", &pb.PutRequest{}, []error{dropped, dropped, nil}, 0, 3, nil},
		{"a transaction while the lead is moved", ambiguous, []error{dropped, nil}, 0, 2, nil},
		{"a transaction without a leader", ambiguous, []error{rpctypes.ErrGRPCNoLeader, nil}, 0, 2, nil},
		{"a transaction that may have been done", ambiguous, []error{rpctypes.ErrGRPCTimeout}, 0, 1, rpctypes.ErrGRPCTimeout},
		{"a put that is lost on its way", &pb.PutRequest{}, []error{hangs, hangs, nil}, 0, 3, nil},
		{"a read that is refused", &pb.RangeRequest{}, []error{rpctypes.ErrGRPCCompacted}, 0, 1, rpctypes.ErrGRPCCompacted},
		{"a put without an etcd", &pb.PutRequest{}, []error{hangs}, 0, 0, rpctypes.ErrGRPCTimeout},
		{"a put of a caller in a hurry", &pb.PutRequest{}, []error{hangs}, time.Second, 2, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				invoke := func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
					err := tt.answers[min(tries, len(tt.answers)-1)]
					tries++
					if err == hangs {
						<-ctx.Done()
						err = status.FromContextError(ctx.Err()).Err()
					}
					return err
				}
				ctx, cancel := context.WithCancel(t.Context())
				if tt.limit > 0 {
					ctx, cancel = context.WithTimeout(t.Context(), tt.limit)
				}
				defer cancel()
				err := callAgain(ctx, "", tt.req, nil, nil, invoke)
				want := tt.want
				if want == context.DeadlineExceeded {
					want = status.FromContextError(want).Err()
				}
				if !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("got %v, want %v", err, want)
				}
				if tries != tt.tries && (tt.tries != 0 || tries < 2) {
					t.Errorf("%d attempts, want %d", tries, tt.tries)
				}
			})
		})
	}
}
