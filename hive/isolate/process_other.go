//go:build !linux

package isolate

import (
	"os"
	"syscall"
)

// childAttributes are none: a child finds out from its pipe that its parent is gone.
func childAttributes() *syscall.SysProcAttr { return nil }

func ownProgram() (string, error) { return os.Executable() }

func standOut() {}
