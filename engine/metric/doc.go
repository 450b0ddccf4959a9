// Package metric records what a load test measures and folds it for reading.
//
// A [Registry] holds the metrics of one run and interns its tag sets. A [Store] keeps one
// cumulative series per metric and tag set, spread over shards so that recorders rarely meet.
// A [Snapshot] is a copy of all series at one moment; snapshots of several machines merge into
// one, and a [View] folds a snapshot into totals, declared submetrics and groups.
//
//	reg := metric.NewRegistry()
//	store := metric.NewStore(reg, metric.StoreOptions{})
//	rec := store.Recorder(0)
//	tags := reg.Root().With("method", "GET")
//	rec.Record(tags, metric.Extra{}, time.Now(), metric.Value{Metric: reg.Builtin().HTTPReqs, V: 1})
//	view := metric.NewView(store.Snapshot())
//
// Memory is bounded by the number of series, never by the number of values: trends are HDR
// histograms (see [Sketch]), everything else is a few numbers.
//
// What the metrics mean, where raw samples go and when thresholds are judged is left to others.
package metric
