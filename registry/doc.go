// Package registry says who is in a hive and what each can carry. A node has
// one [Session], a lease that it keeps alive and that holds its [Node] record
// and its name; when the lease goes, so does the record, and everybody sees
// it. A [Mirror] is a local copy of the keys under a prefix that is kept
// current: list at a revision, watch from the next, list again when the watch
// breaks.
//
// The package knows etcd and nothing of scripts or runs.
package registry
