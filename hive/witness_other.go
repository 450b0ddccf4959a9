//go:build !linux

package hive

import "errors"

// memoryDir says that no place is known where files lie in memory.
const memoryDir = ""

func ownDir(string) error { return errors.ErrUnsupported }
