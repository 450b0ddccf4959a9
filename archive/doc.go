// Package archive turns a test script, its imports and its data files into one portable thing.
//
// [Build] bundles a script: it resolves imports by k6's rules (exact names, no package lookup), reads
// local files and https modules, and gives one body of JavaScript with a source map. Modules whose
// names begin with "k6" stay calls of the host's require. A [Recorder] stands in for open() while the
// init code runs once, and remembers what was read. Both together make an [Archive], which [Pack]
// writes as k6's tar format and [Read] reads back, whoever wrote it. [Store] and [Fetch] keep packed
// archives in etcd, in chunks that are shared by content.
//
//	b, err := archive.Build(ctx, archive.Input{Entry: "script.js", Builtins: modules})
//	rec := archive.NewRecorder(b.Pwd, archive.Disk{})
//	// … run the init code of b.Code with rec as its open() …
//	a := b.Archive(rec.Files())
//	err = archive.Pack(w, a)
//
// The package executes nothing: it knows neither the JavaScript engine nor the cluster.
package archive
