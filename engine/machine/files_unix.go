//go:build unix

package machine

import (
	"fmt"
	"syscall"
)

// RaiseFiles raises the limit of open files as far as the process may, and returns it. A process without privileges
// may go up to the hard limit.
func RaiseFiles() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	if limit.Cur < limit.Max {
		raised := syscall.Rlimit{Cur: limit.Max, Max: limit.Max}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
			return uint64(limit.Cur), fmt.Errorf("raise the limit of open files from %d to %d: %w", limit.Cur, limit.Max, err)
		}
		limit = raised
	}
	return uint64(limit.Cur), nil
}

// Files is how many files the process may open; 0 where that cannot be learned.
func Files() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur)
}
