package main

import (
	"cmp"
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

func (a *app) runsCommand() *cli.Command {
	return &cli.Command{
		Name:   "runs",
		Usage:  "list the runs of a hive",
		Flags:  join(hiveFlags(true), []cli.Flag{jsonFlag()}),
		Action: a.runs,
	}
}

func (a *app) runs(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	var runs []hive.RunInfo
	err := a.ask(c, func(ctx context.Context, client *hive.Client) (err error) {
		runs, err = client.Runs(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return writeJSON(a.screen.out, runs)
	}
	return table(a.screen.out, "RUN\tSCRIPT\tPHASE\tVERDICT\tSUBMITTED\tBY", len(runs), func(i int) []any {
		r := runs[i]
		phase := r.Phase
		if r.Paused != nil && phase == hive.Running {
			phase = "paused"
		}
		return []any{r.ID, r.Name, phase, cmp.Or(r.Verdict, "-"), r.Submitted.Local().Format(time.DateTime), cmp.Or(r.Submitter, "-")}
	})
}
