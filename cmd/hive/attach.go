package main

import "github.com/urfave/cli/v2"

func (a *app) attachCommand() *cli.Command {
	return &cli.Command{
		Name:        "attach",
		Usage:       "follow a run of a hive to its end",
		ArgsUsage:   "RUN",
		Description: "Ctrl-C leaves; the run goes on. `hive stop RUN` ends it.",
		Flags:       join(hiveFlags(true), []cli.Flag{summaryExportFlag()}),
		Action:      a.attach,
	}
}

func (a *app) attach(c *cli.Context) error {
	run, err := oneArgument(c, "the run to follow")
	if err != nil {
		return err
	}
	client, err := a.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, stop := interruptible(c.Context, a.leave)
	defer stop()
	r, err := a.follow(ctx, client, run, a.display(c))
	if err != nil {
		return interruptedError(ctx, err)
	}
	return a.conclude(c, r)
}
