package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

func (a *app) eventsCommand() *cli.Command {
	return &cli.Command{
		Name:      "events",
		Usage:     "print what has happened to a run of a hive, and follow it to its end",
		ArgsUsage: "[RUN]",
		Description: "Each line has the time on the run's clock, the time of day, what happened, and what it cost.\n" +
			"RUN may be left out when one run is under way.",
		Flags: join(hiveFlags(true), []cli.Flag{
			jsonFlag(),
			&cli.BoolFlag{Name: "follow", Value: true, Usage: "go on to the end of the run; --follow=false prints what there is"},
		}),
		Action: a.events,
	}
}

func (a *app) events(c *cli.Context) error {
	return a.ask(c, func(ctx context.Context, client *hive.Client) error { return a.tellEvents(ctx, c, client) })
}

func (a *app) tellEvents(ctx context.Context, c *cli.Context, client *hive.Client) error {
	run, err := runArgument(ctx, c, client)
	if err != nil {
		return err
	}
	p := &timelinePrinter{app: a, json: c.Bool("json"), seen: map[int64]string{}}
	entries, err := client.Timeline(ctx, run)
	if err != nil {
		return unknownRun(err)
	}
	for _, e := range entries {
		if err := p.print(e); err != nil {
			return err
		}
	}
	if !c.Bool("follow") {
		return nil
	}
	return client.Follow(ctx, run, p.see)
}

// timelinePrinter prints entries of a timeline, each once.
type timelinePrinter struct {
	app  *app
	json bool
	seen map[int64]string // message by number
}

func (p *timelinePrinter) see(e hive.Event) error {
	switch e.Type {
	case hive.EventTimeline:
		var t hive.TimelineEvent
		if err := json.Unmarshal(e.Data, &t); err != nil {
			return fmt.Errorf("event %s of the hive: %w", e.Type, err)
		}
		return p.print(t)
	case hive.EventWarning:
		if e.ID == "" { // why nothing comes; what the run is warned of is for those who attach to it
			return decoded(e, func(w hive.Warning) { p.app.logs.Warn(w.Message) })
		}
	}
	return nil
}

func (p *timelinePrinter) print(e hive.TimelineEvent) error {
	if message, ok := p.seen[e.N]; ok && message == e.Message {
		return nil
	}
	p.seen[e.N] = e.Message
	if p.json {
		return json.NewEncoder(p.app.screen.out).Encode(e)
	}
	_, err := fmt.Fprintf(p.app.screen.out, "%9s  %s  %-13s  %s\n", clock(e.At), e.Wall.Local().Format(time.TimeOnly), e.Kind, e)
	return err
}
