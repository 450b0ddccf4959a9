//go:build !linux

package httpclient

import "syscall"

// latePort does nothing where the kernel has no such option.
func latePort(_, _ string, _ syscall.RawConn) error { return nil }
