// Package hivetest has an engine that counts in the place of running scripts.
// It obeys epochs, fences, pauses and marks as the engine that runs scripts
// does, acknowledges everything at once, and tells what it executes, so that a
// test of a hive can check cover and order from what the engines did and not
// from what the leader believes.
package hivetest
