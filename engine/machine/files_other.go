//go:build !unix

package machine

// RaiseFiles has nothing to raise on this system.
func RaiseFiles() (uint64, error) { return 0, nil }

// Files is how many files the process may open: not known on this system.
func Files() uint64 { return 0 }
