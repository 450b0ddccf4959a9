//go:build !linux

package main

import (
	"errors"
	"os"
)

func openWire(string, string) (*os.File, error) {
	return nil, errors.New("a network of its own needs Linux")
}
