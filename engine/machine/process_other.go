//go:build !linux

package machine

import "time"

func cpuTime() time.Duration { return 0 }

// Resident is how many bytes of memory a process holds: not known on this system.
func Resident(int) int64 { return 0 }

func openFiles() int { return 0 }
