//go:build unix

package isolate

import "syscall"

// adopt fits a file that the parent left open for waiting on, and keeps it from this process's own children.
func adopt(fd int) error {
	syscall.CloseOnExec(fd)
	return syscall.SetNonblock(fd, true)
}
