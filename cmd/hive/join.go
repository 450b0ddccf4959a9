package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

// estimateCapacity stands for a capacity that the node works out itself.
const estimateCapacity = -1

func (a *app) joinCommand() *cli.Command {
	return &cli.Command{
		Name:      "join",
		Usage:     "run a node: the first one founds a hive, the others name any node of it",
		ArgsUsage: "[PEER]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", EnvVars: []string{"HIVE_NAME"}, Usage: "`name` of the node, the host's by default; unique in the hive"},
			&cli.StringFlag{Name: "data-dir", EnvVars: []string{"HIVE_DATA_DIR"}, Usage: "`folder` for the node's state"},
			&cli.StringFlag{Name: "address", Aliases: []string{"a"}, EnvVars: []string{"HIVE_ADDRESS"}, DefaultText: "127.0.0.1:7070 or the next free port",
				Usage: "`host:port` of the API; beyond loopback a token is required"},
			&cli.StringFlag{Name: "advertise", EnvVars: []string{"HIVE_ADVERTISE"}, Usage: "`host:port` that other nodes reach the API at", DefaultText: "the address it listens on"},
			&cli.StringSliceFlag{Name: "etcd", EnvVars: []string{"HIVE_ETCD"}, Usage: "`endpoints` of an etcd to use instead of the embedded one, separated by commas"},
			&cli.StringFlag{Name: "cluster", EnvVars: []string{"HIVE_CLUSTER"}, Usage: "`name` of the hive: its keys in etcd lie below it", DefaultText: "the peer's, or hive"},
			&cli.IntFlag{Name: "capacity", EnvVars: []string{"HIVE_CAPACITY"}, Value: estimateCapacity, DefaultText: "estimated from cores and memory",
				Usage: "`VUs` that this node can carry"},
			&cli.StringSliceFlag{Name: "label", KeepSpace: true, Usage: "`key=value` to know the node by; repeatable"},
			tokenFlag(),
		},
		Action: a.join,
	}
}

func (a *app) join(c *cli.Context) error {
	cfg, err := joinConfig(c)
	if err != nil {
		return err
	}
	cfg.Log = a.logs.Logger
	cfg.Ready = a.printJoined
	cfg.Factory = hive.NewEngine
	ctx, stop := interruptible(c.Context, a.leave)
	defer stop()
	node, err := hive.New(cfg)
	if err != nil {
		return err
	}
	err = node.Run(ctx)
	switch {
	case interrupted(ctx) && isCancelled(err):
		return nil // leaving when asked to is how a node ends
	case errors.Is(err, syscall.EADDRINUSE):
		return withCode(exitAPI, err)
	}
	return err
}

// joinConfig reads the flags of join.
func joinConfig(c *cli.Context) (hive.Config, error) {
	if c.NArg() > 1 {
		return hive.Config{}, usageError("join takes at most one argument, the address of a node of the hive; found %d", c.NArg())
	}
	if n := c.Int("capacity"); c.IsSet("capacity") && n < 0 {
		return hive.Config{}, usageError("--capacity %d: want the number of VUs, 0 or more", n)
	}
	labels, err := parseLabels(c.StringSlice("label"))
	if err != nil {
		return hive.Config{}, err
	}
	return hive.Config{
		Peer:      c.Args().First(),
		Name:      c.String("name"),
		DataDir:   c.String("data-dir"),
		Address:   c.String("address"),
		Advertise: c.String("advertise"),
		Etcd:      splitCommas(c.StringSlice("etcd")),
		Cluster:   c.String("cluster"),
		Capacity:  c.Int("capacity"),
		Labels:    labels,
		Token:     c.String("token"),
	}, nil
}

// printJoined tells how the node can be reached, and how the next one joins.
func (a *app) printJoined(info hive.Info) {
	lines := []string{
		fmt.Sprintf("node %s of hive %s, pid %d", info.Name, info.Cluster, os.Getpid()),
		fmt.Sprintf("  API       %s", info.URL),
		fmt.Sprintf("  capacity  %d VUs (%d cores, %d MiB)", info.Capacity, info.Cores, info.Memory>>20),
		fmt.Sprintf("  etcd      %s", etcdText(info)),
		fmt.Sprintf("  data      %s", cmp.Or(info.DataDir, "temporary")),
		fmt.Sprintf("  next node: hive join %s", strings.TrimPrefix(info.URL, "http://")),
		fmt.Sprintf("  run:       hive run --remote %s script.js", info.URL),
	}
	fmt.Fprintln(a.screen.out, strings.Join(lines, "\n"))
}

func etcdText(info hive.Info) string {
	text := strings.Join(info.Etcd, ",")
	if info.Embedded {
		return text + " (embedded)"
	}
	return text
}

func parseLabels(words []string) (map[string]string, error) {
	labels := map[string]string{}
	for _, word := range words {
		k, v, ok := strings.Cut(word, "=")
		if !ok || k == "" {
			return nil, usageError("--label %s: want key=value", word)
		}
		labels[k] = v
	}
	return labels, nil
}
