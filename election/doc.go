// Package election decides which node of a hive leads. Candidates hold keys
// under one prefix, each on its own lease; the oldest key leads. Leadership
// is a scope: [Lead] runs a function with a context that ends when the lease,
// the key or the session does, and a [Fence] that makes every write of a
// leader that was deposed in the meantime fail.
//
// The package knows etcd and nothing of load tests. One use:
//
//	err := election.Lead(ctx, client, session, "/hive/demo/leader/", nodeID,
//		func(ctx context.Context, f election.Fence) error {
//			_, err := f.Txn(ctx, clientv3.OpPut("/hive/demo/state", "mine"))
//			return err
//		})
package election
