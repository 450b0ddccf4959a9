package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

// drainPoll is how often a node that is being drained is looked for.
const drainPoll = 250 * time.Millisecond

func (a *app) drainCommand() *cli.Command {
	return &cli.Command{
		Name:      "drain",
		Usage:     "let a node hand its share over, end its iterations and leave the hive",
		ArgsUsage: "NODE",
		Description: "NODE is a name or an id, as `hive nodes` lists them. Nothing is lost by it. The last node with capacity is not\n" +
			"drained while a run is under way.",
		Flags: join(hiveFlags(true), []cli.Flag{
			&cli.BoolFlag{Name: "no-wait", Usage: "do not wait until the node is out"},
		}),
		Action: a.drain,
	}
}

func (a *app) drain(c *cli.Context) error {
	word, err := oneArgument(c, "the node to drain")
	if err != nil {
		return err
	}
	return a.ask(c, func(ctx context.Context, client *hive.Client) error {
		return a.drainNamed(ctx, client, word, !c.Bool("no-wait"))
	})
}

// drainNamed lets a node leave, and unless told otherwise waits until it has.
func (a *app) drainNamed(ctx context.Context, client *hive.Client, word string, wait bool) error {
	nodes, err := client.Nodes(ctx) // the client has to know the others: the one it was given may be the one that leaves
	if err != nil {
		return err
	}
	node, err := client.Drain(ctx, word)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.screen.out, "Node %s hands its share over and leaves.\n", node.Name)
	if !wait {
		return nil
	}
	if err := awaitLeft(ctx, client, node, len(nodes) == 1); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.screen.out, "Node %s is out of the hive.\n", node.Name)
	return err
}

// awaitLeft waits until a node is out of the hive. When it was the only one, nobody is left to say so.
func awaitLeft(ctx context.Context, client *hive.Client, node hive.NodeInfo, alone bool) error {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		nodes, err := client.Nodes(ctx)
		_, silent := errors.AsType[*hive.UnreachableError](err)
		there := slices.ContainsFunc(nodes, func(n hive.NodeInfo) bool { return n.ID == node.ID && n.Boot == node.Boot })
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && !there, silent && alone:
			return nil
		case err != nil && !hive.Passing(err):
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
