package main

import (
	"errors"

	"github.com/urfave/cli/v2"

	"hive/hive"
	"hive/hive/isolate"
)

// engineCommand is the process that a node starts to run its share of a test. Nobody types it.
func (a *app) engineCommand() *cli.Command {
	return &cli.Command{
		Name:   "engine",
		Usage:  "run an engine for the node that started this process",
		Hidden: true,
		Action: a.engine,
	}
}

func (a *app) engine(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	err := isolate.Child(c.Context, hive.NewEngine)
	if errors.Is(err, isolate.ErrNotStartedByNode) {
		return usageError("hive engine: %w", err)
	}
	return err
}

// engineFactory makes a node's engines, each in a process of its own that may use so many bytes of memory.
func (a *app) engineFactory(memory int64) hive.Factory {
	return isolate.Factory(isolate.Config{Memory: memory, Log: a.logs.Logger})
}
