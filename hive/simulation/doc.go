// Package simulation runs hives of many nodes on one machine: real nodes on a
// real etcd, in whose place of engines there are counters. The counters keep a
// record of what they executed, which slots they owned and which iterations
// they began, and [Record.Check] holds the hive's promises against that record
// alone: every iteration once, every slot with one owner at a time, no node
// beyond its capacity.
//
//	store, err := simulation.StartStore(dir, 1)
//	swarm := simulation.NewSwarm(simulation.Config{Endpoints: store.Endpoints(), Capacity: 4})
//	err = swarm.Start(ctx, 100)
//	err = swarm.Crash(swarm.Nodes()[:10]...)
//	report := swarm.Record().Check(scenarios, until)
package simulation
