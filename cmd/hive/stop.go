package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

func (a *app) stopCommand() *cli.Command {
	return &cli.Command{
		Name:      "stop",
		Usage:     "end a run of a hive gracefully",
		ArgsUsage: "RUN",
		Flags:     hiveFlags(true),
		Action:    a.stop,
	}
}

func (a *app) stop(c *cli.Context) error {
	run, err := oneArgument(c, "the run to stop")
	if err != nil {
		return err
	}
	err = a.ask(c, func(ctx context.Context, client *hive.Client) error {
		return unknownRun(client.Stop(ctx, run, hive.StopRequest{Mode: hive.StopGraceful, By: submitter(), Kind: hive.KindStopped}))
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.screen.out, "Run %s is being stopped.\n", run)
	return err
}
