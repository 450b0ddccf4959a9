package hive

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// memoryDir is where files lie in memory until the machine is started anew.
const memoryDir = "/dev/shm"

// ownDir makes a directory where others may have made one of the same name. It
// has to be this user's alone.
func ownDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != os.Geteuid() || info.Mode().Perm() != 0o700 {
		return fmt.Errorf("%s is not a directory of this user alone", dir)
	}
	return nil
}
