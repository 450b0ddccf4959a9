// Package threshold parses the pass and fail criteria of a test and judges them against a
// [metric.View], wherever that view comes from: one machine's store or the merged state of many.
//
//	set, err := threshold.New(map[string][]threshold.Rule{
//		"http_req_duration{status:200}": {{Threshold: "p(95)<500"}},
//	}, registry)
//	judgement := set.Judge(metric.NewView(store.Snapshot()), elapsed, true)
//
// When to judge and what a failure means for the run is left to the caller.
package threshold
