// Package hive is a node of the load tester: it joins a hive of equal peers,
// leads it or follows, deals runs out in shares, judges them and keeps their
// results, and it serves the API that clients and peers speak.
//
// Every node has an agent, which executes this node's share of the run that
// the hive is at. One node at a time, the elected leader, also drives runs
// through their phases. All that a run is lives in etcd (see keys.go), so that
// the next leader reads and goes on.
//
// The engine that executes scripts is behind [Engine] and [Factory]. What a
// local run shares with a hive's (planning, judging, the verdict, the summary)
// needs no etcd: [Deal], [Judge], [Conclude], [Summarize] and, all together,
// [Local].
//
//	node, err := hive.New(hive.Config{DataDir: "/var/lib/hive", Factory: factory})
//	if err == nil {
//		err = node.Run(ctx)
//	}
package hive
