package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

// policyFlags say what a run on a hive does when the hive changes under it.
func policyFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "on-node-loss", EnvVars: []string{"HIVE_ON_NODE_LOSS"}, DefaultText: string(hive.LossRebalance),
			Usage: "with --remote: what becomes of the `share` of a node that is lost: rebalance, continue (it is left out and counted) or abort"},
		&cli.StringFlag{Name: "on-outage", EnvVars: []string{"HIVE_ON_OUTAGE"}, DefaultText: string(hive.OutageSkip),
			Usage: "with --remote: how the run goes `on` after the whole hive was down: skip (the missing stretch is lost), freeze or abort"},
		&cli.StringFlag{Name: "max-loss", EnvVars: []string{"HIVE_MAX_LOSS"}, DefaultText: "1%",
			Usage: "with --remote: the `part` of the plan, as 1% or 0.01, that may be lost before the run is inconclusive"},
		&cli.IntFlag{Name: "reserve", EnvVars: []string{"HIVE_RESERVE"},
			Usage: "with --remote: refuse the run unless the hive could lose its `n` largest nodes and still carry it"},
		&cli.BoolFlag{Name: "derate", EnvVars: []string{"HIVE_DERATE"}, DefaultText: "on in runs of more than 5 minutes",
			Usage: "with --remote: give nodes that start iterations late a smaller share; --derate=false never does"},
	}
}

// localPolicy refuses policyFlags on the command line of a local run; variables may have been set for the whole machine
// and are passed over.
func localPolicy(c *cli.Context, lookup lookupFunc) error {
	for _, f := range policyFlags() {
		fromEnv := false
		if d, ok := f.(cli.DocGenerationFlag); ok {
			fromEnv = slices.ContainsFunc(d.GetEnvVars(), func(name string) bool { _, ok := lookup(name); return ok })
		}
		if name := f.Names()[0]; c.IsSet(name) && !fromEnv {
			return usageError("--%s needs --remote: a local run has one node, which ends with it", name)
		}
	}
	return nil
}

// parsePolicy reads policyFlags.
func parsePolicy(c *cli.Context, lookup lookupFunc) (hive.Policy, error) {
	if c.String("remote") == "" {
		return hive.Policy{}, localPolicy(c, lookup)
	}
	p := hive.Policy{
		OnNodeLoss: hive.LossPolicy(c.String("on-node-loss")),
		OnOutage:   hive.OutagePolicy(c.String("on-outage")),
		Reserve:    c.Int("reserve"),
	}
	if c.IsSet("max-loss") {
		part, err := parsePart(c.String("max-loss"))
		if err != nil {
			return p, usageError("--max-loss %s: %w", c.String("max-loss"), err)
		}
		p.MaxLoss = &part
	}
	if c.IsSet("derate") {
		p.Derate = "off"
		if c.Bool("derate") {
			p.Derate = "on"
		}
	}
	if err := p.Validate(); err != nil {
		return p, usageError("--%w", err)
	}
	return p, nil
}

// parsePart reads a part of something: 1%, or 0.01.
func parsePart(s string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, fmt.Errorf("want a part from 0%% to 100%%, or from 0 to 1")
	}
	return v, nil
}
