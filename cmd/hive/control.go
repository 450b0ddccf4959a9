package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

func (a *app) pauseCommand() *cli.Command {
	return &cli.Command{
		Name:        "pause",
		Usage:       "make the clock of a run of a hive stand still, on all nodes at once",
		ArgsUsage:   "[RUN]",
		Description: "Iterations under way end, and nothing new starts until `hive resume`. RUN may be left out when one run is under way.",
		Flags:       hiveFlags(true),
		Action: func(c *cli.Context) error {
			return a.control(c, "Run %s is being paused.\n", func(ctx context.Context, client *hive.Client, run string) error {
				return client.Pause(ctx, run, hive.PauseRequest{By: submitter()})
			})
		},
	}
}

func (a *app) resumeCommand() *cli.Command {
	return &cli.Command{
		Name:        "resume",
		Usage:       "let a paused run of a hive go on",
		ArgsUsage:   "[RUN]",
		Description: "RUN may be left out when one run is under way.",
		Flags:       hiveFlags(true),
		Action: func(c *cli.Context) error {
			return a.control(c, "Run %s is being resumed.\n", func(ctx context.Context, client *hive.Client, run string) error {
				return client.Resume(ctx, run, hive.PauseRequest{By: submitter()})
			})
		},
	}
}

func (a *app) scaleCommand() *cli.Command {
	return &cli.Command{
		Name:        "scale",
		Usage:       "set the VUs of an externally-controlled scenario of a run of a hive",
		ArgsUsage:   "[RUN]",
		Description: "RUN may be left out when one run is under way, and --scenario when the run has one such scenario.",
		Flags: join(hiveFlags(true), []cli.Flag{
			&cli.IntFlag{Name: "vus", Usage: "`number` of VUs in the whole hive, from 0 to the scenario's maxVUs"},
			&cli.StringFlag{Name: "scenario", Usage: "`name` of the scenario"},
		}),
		Action: a.scale,
	}
}

func (a *app) scale(c *cli.Context) error {
	if !c.IsSet("vus") {
		return usageError("scale needs --vus, the number of VUs that the scenario is to have")
	}
	vus := c.Int("vus")
	return a.control(c, fmt.Sprintf("Run %%s is being scaled to %d VUs.\n", vus), func(ctx context.Context, client *hive.Client, run string) error {
		return client.Scale(ctx, run, hive.ScaleRequest{VUs: &vus, Scenario: c.String("scenario"), By: submitter()})
	})
}

// control asks something of a run under way, and says so in the words of done.
func (a *app) control(c *cli.Context, done string, request func(ctx context.Context, client *hive.Client, run string) error) error {
	return a.ask(c, func(ctx context.Context, client *hive.Client) error {
		run, err := runArgument(ctx, c, client)
		if err != nil {
			return err
		}
		if err := request(ctx, client, run); err != nil {
			return unknownRun(err)
		}
		_, err = fmt.Fprintf(a.screen.out, done, run)
		return err
	})
}

// runArgument is the run that a command is about: the one that is named, or else the only one under way.
func runArgument(ctx context.Context, c *cli.Context, client *hive.Client) (string, error) {
	switch c.NArg() {
	case 1:
		return c.Args().First(), nil
	case 0:
		return onlyRun(ctx, client, c.Command.Name)
	}
	return "", usageError("%s takes at most one argument, a run; found %d", c.Command.Name, c.NArg())
}

// onlyRun is the run under way, if there is exactly one.
func onlyRun(ctx context.Context, client *hive.Client, command string) (string, error) {
	runs, err := client.Runs(ctx)
	if err != nil {
		return "", err
	}
	var ids []string
	for _, r := range runs {
		if r.Phase != hive.Finished {
			ids = append(ids, r.ID)
		}
	}
	switch len(ids) {
	case 0:
		return "", usageError("no run is under way: name one, `hive %s RUN`; `hive runs` lists them", command)
	case 1:
		return ids[0], nil
	}
	return "", usageError("%d runs are under way or wait: name one of them, `hive %s RUN`; `hive runs` lists them", len(ids), command)
}

// unknownRun adds to the refusal of a run that the hive does not have how to find those it has.
func unknownRun(err error) error {
	if api, ok := errors.AsType[*hive.APIError](err); ok && api.Status == http.StatusNotFound && api.Code == "not_found" {
		return fmt.Errorf("%w; `hive runs` lists those that it remembers", err)
	}
	return err
}
