package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

func (a *app) showCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "tell of one run of a hive",
		ArgsUsage: "RUN",
		Flags:     join(hiveFlags(true), []cli.Flag{jsonFlag()}),
		Action:    a.show,
	}
}

func (a *app) show(c *cli.Context) error {
	id, err := oneArgument(c, "the run to show")
	if err != nil {
		return err
	}
	client, err := a.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	run, err := client.Show(c.Context, id)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return writeJSON(a.screen.out, run)
	}
	return a.printRun(run)
}

// printRun tells of a run in words.
func (a *app) printRun(r hive.RunInfo) error {
	rows := [][2]string{
		{"run", r.ID},
		{"script", r.Name},
		{"submitted", r.Submitted.Local().Format(time.DateTime) + by(r.Submitter)},
		{"phase", string(r.Phase)},
	}
	if r.Verdict != "" {
		rows = append(rows, [2]string{"verdict", string(r.Verdict)})
	}
	if r.Failure != nil {
		rows = append(rows, [2]string{"reason", r.Failure.Error()})
	}
	for _, w := range r.Warnings {
		rows = append(rows, [2]string{"warning", w})
	}
	t := tabwriter.NewWriter(a.screen.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(t, "%s:\t%s\n", row[0], row[1])
	}
	if err := t.Flush(); err != nil || r.Plan == nil {
		return err
	}
	return r.Plan.Write(a.screen.out)
}

func by(submitter string) string {
	if submitter == "" {
		return ""
	}
	return " by " + submitter
}
