// Package engine runs one share of one load test on this machine.
//
// A test is loaded once ([Load] compiles the bundled script and runs its init code a single time to learn its
// options and exported functions) and then run by an [Engine]: Init makes the virtual users, Setup and Teardown run
// the script's functions of these names, Run executes every scenario from a given instant on, and Snapshot reads the
// cumulative metrics at any moment. A test that runs alone on a laptop and a node of a hive make the same calls; alone
// simply means the share that owns every slot.
//
//	test, err := engine.Load(ctx, src, engine.LoadConfig{Log: log})
//	eng, err := engine.New(engine.Config{Test: test, Options: opts, Share: share.Whole(plan)})
//	err = eng.Init(ctx)
//	data, err := eng.Setup(ctx)
//	err = eng.Run(ctx, time.Now(), executor.Epoch{}, data)
//	err = eng.Teardown(ctx, data)
//
// The package knows nothing of etcd, of peers or of where results go.
package engine
