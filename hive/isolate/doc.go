// Package isolate runs engines in processes of their own, so that a script that eats all memory, breaks the runtime or
// spins takes its engine down and not the node. [Factory] makes engines whose calls go to a child process; [Serve] is
// what the child does.
//
//	node.Factory = isolate.Factory(isolate.Config{Memory: limit, Log: log})
//
// The two talk over a pair of pipes in frames (see wire.go). The child says unasked how it fares, at least every 100 ms,
// so that what a node asks often (Progress, Ledger, Health, Marks, Released) is answered from what was heard last,
// without waiting, and is still there when the child is not. Requests that change something are executed in the order
// in which they were made.
//
// A child dies with its parent: when the pipe closes, and on Linux by a signal too. Children that die, use more memory
// than they may or say nothing for ten seconds are reported as a [hive.Failure] of [hive.KindEngine], or of
// [hive.KindEngineMemory] when memory was the reason for certain, with the reason in words.
package isolate
