package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

func (a *app) attachCommand() *cli.Command {
	return &cli.Command{
		Name:      "attach",
		Usage:     "follow a run of a hive to its end",
		ArgsUsage: "[RUN]",
		Description: "Ctrl-C leaves; the run goes on. `hive stop RUN` ends it. Of a finished run the summary is shown again.\n" +
			"RUN may be left out when one run is under way.",
		Flags:  join(hiveFlags(true), []cli.Flag{summaryExportFlag()}),
		Action: a.attach,
	}
}

func (a *app) attach(c *cli.Context) error {
	return a.ask(c, func(ctx context.Context, client *hive.Client) error { return a.attachTo(ctx, c, client) })
}

func (a *app) attachTo(ctx context.Context, c *cli.Context, client *hive.Client) error {
	run, err := runArgument(ctx, c, client)
	if err != nil {
		return err
	}
	info, err := client.Show(ctx, run)
	if err != nil {
		return unknownRun(err)
	}
	d := a.display(c)
	if info.Phase == hive.Finished {
		d.Note(finishedText(info))
	}
	r, err := a.follow(ctx, client, run, d)
	if err != nil {
		return err
	}
	return a.conclude(c, r)
}

// finishedText says when a run ended, and how.
func finishedText(r hive.RunInfo) string {
	text := fmt.Sprintf("run %s has finished", r.ID)
	if at, ok := r.Times[hive.Finished]; ok {
		text += " on " + at.Local().Format(time.DateTime)
	}
	text += ": " + string(r.Verdict)
	if r.Failure != nil {
		text += ", " + r.Failure.Error()
	}
	return text
}
