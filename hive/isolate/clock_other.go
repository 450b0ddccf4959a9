//go:build !linux

package isolate

import "time"

// Other systems keep their monotonic clocks to themselves; the wall clock is what the processes share.
func monotonic() int64 { return time.Now().UnixNano() }
func sinceBoot() int64 { return time.Now().UnixNano() }
