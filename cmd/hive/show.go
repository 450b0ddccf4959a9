package main

import (
	"context"
	"fmt"
	"strconv"
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
	var run hive.RunInfo
	err = a.ask(c, func(ctx context.Context, client *hive.Client) (err error) {
		run, err = client.Show(ctx, id)
		return unknownRun(err)
	})
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
		{"phase", phaseText(r)},
	}
	if r.Verdict != "" {
		rows = append(rows, [2]string{"verdict", string(r.Verdict)})
	}
	if r.Failure != nil {
		rows = append(rows, [2]string{"reason", r.Failure.Error()})
	}
	if r.Epoch > 0 {
		rows = append(rows, [2]string{"epoch", strconv.Itoa(r.Epoch)})
	}
	for _, m := range r.Members {
		rows = append(rows, [2]string{"node", memberText(m)})
	}
	for _, g := range r.Gone {
		rows = append(rows, [2]string{"gone", goneText(g)})
	}
	if r.Unowned > 0 {
		rows = append(rows, [2]string{"no node for", fmt.Sprintf("%d %s", r.Unowned, plural(r.Unowned, "VU"))})
	}
	for _, l := range r.Ledger {
		rows = append(rows, [2]string{"ledger", l.Scenario + ": " + l.String()})
	}
	for _, w := range r.Warnings {
		rows = append(rows, [2]string{"warning", w})
	}
	for _, e := range r.Timeline {
		rows = append(rows, [2]string{"event", fmt.Sprintf("%s %s", clock(e.At), e)})
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

func phaseText(r hive.RunInfo) string {
	if r.Paused != nil && r.Phase == hive.Running {
		return fmt.Sprintf("%s, paused at %s%s", r.Phase, clock(r.Paused.At), by(r.Paused.By))
	}
	return string(r.Phase)
}

func memberText(m hive.Member) string {
	text := fmt.Sprintf("%s: %d of %d VUs", m.Name, m.VUs, m.Capacity)
	if m.Weight != m.Capacity {
		text += fmt.Sprintf(", weight %d", m.Weight)
	}
	return text
}

func goneText(g hive.Gone) string {
	how := "left"
	if g.Lost {
		how = "lost at " + clock(g.Proven)
	}
	if g.Reason != "" {
		how += ": " + g.Reason
	}
	return fmt.Sprintf("%s: had %d %s, %s", g.Name, g.VUs, plural(g.VUs, "VU"), how)
}

func by(submitter string) string {
	if submitter == "" {
		return ""
	}
	return " by " + submitter
}
