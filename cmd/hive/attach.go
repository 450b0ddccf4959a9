package main

import (
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
	client, err := a.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	run, err := runArgument(c, client)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(c.Context, a.leave)
	defer stop()
	info, err := client.Show(ctx, run)
	if err != nil {
		return interruptedError(ctx, unknownRun(err))
	}
	d := a.display(c)
	if info.Phase == hive.Finished {
		d.Note(finishedText(info))
	}
	r, err := a.follow(ctx, client, run, d)
	if err != nil {
		return interruptedError(ctx, err)
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
