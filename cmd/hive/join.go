package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"hive/engine/machine"
	"hive/hive"
	"hive/hive/isolate"
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
			&cli.DurationFlag{Name: "lease-ttl", EnvVars: []string{"HIVE_LEASE_TTL"}, Value: defaultLeaseTTL,
				Usage: "after this `time` without a word from it the node counts as lost, 1s to 10m, the same on all nodes"},
			&cli.StringFlag{Name: "engine-memory", EnvVars: []string{"HIVE_ENGINE_MEMORY"}, DefaultText: "set by the node",
				Usage: "stop an engine that uses more than this `size`: 2GiB, 500MB, or 80% of the machine's memory"},
			tokenFlag(),
		},
		Description: "The first Ctrl-C or SIGTERM drains the node: it hands its share over, ends its iterations and leaves.\n" +
			"The second leaves at once.",
		Action: a.join,
	}
}

func (a *app) join(c *cli.Context) error {
	cfg, err := joinConfig(c)
	if err != nil {
		return err
	}
	cfg.Log = a.logs.Logger
	joined := make(chan struct{})
	cfg.Ready = func(info hive.Info) {
		close(joined)
		a.printJoined(info)
	}
	cfg.Factory = a.engineFactory(cfg.EngineMemory)
	ctx, stop := interruptible(c.Context, a.leaveHive)
	defer stop()
	node, err := hive.New(cfg)
	if err != nil {
		return err
	}
	err = a.live(ctx, node, joined)
	switch {
	case interrupted(ctx) && isCancelled(err):
		return nil // leaving when asked to is how a node ends
	case errors.Is(err, syscall.EADDRINUSE):
		return withCode(exitAPI, err)
	}
	return err
}

const (
	// defaultLeaseTTL rides out a stall of etcd or of the machine of some seconds.
	defaultLeaseTTL = 5 * time.Second
	// drainTimeout bounds how long a node that was asked to end waits for its iterations to end; service managers wait
	// 90 s or so before they kill.
	drainTimeout = 75 * time.Second
	// leaveTimeout is how long etcd has to say whether anybody could take the share over.
	leaveTimeout = 5 * time.Second
)

// live runs the node until it leaves the hive. When ctx ends, it is drained first, if it has joined by then.
func (a *app) live(ctx context.Context, node *hive.Node, joined <-chan struct{}) error {
	alive, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	left := make(chan struct{})
	unasked := context.AfterFunc(ctx, func() {
		defer close(left)
		select {
		case <-joined:
			a.drainNode(alive, node)
		default:
		}
		end(context.Cause(ctx))
	})
	err := node.Run(alive)
	end(nil) // the draining, if it goes on, has nothing left to wait for
	if !unasked() {
		<-left
	} else if err == nil {
		a.logs.Info("this node was drained and has left the hive")
	}
	return err
}

// drainNode hands the node's share over, for as long as that may take.
func (a *app) drainNode(ctx context.Context, node *hive.Node) {
	if err := drainable(ctx, node); err != nil && ctx.Err() == nil {
		a.logs.Warn(fmt.Sprintf("leaving the hive without handing anything over: %v", err))
		return
	}
	a.logs.Info("leaving the hive: the share of this node is handed over and its iterations end; a second signal leaves at once")
	bounded, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	switch err := node.Drain(bounded); {
	case ctx.Err() != nil: // it has ended meanwhile
	case bounded.Err() != nil:
		a.logs.Warn(fmt.Sprintf("the share could not be handed over within %s; the node leaves with it", drainTimeout))
	case err != nil:
		a.logs.Warn(fmt.Sprintf("the share could not be handed over; the node leaves with it: %v", err))
	}
}

// drainable asks whether somebody could take over what the node has.
func drainable(ctx context.Context, node *hive.Node) error {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	return node.Drainable(ctx)
}

// leaveHive ends the process at the second signal.
func (a *app) leaveHive() {
	a.logs.Warn("left at the second signal; the others notice and take the share over")
	a.leave()
}

// joinConfig reads the flags of join.
func joinConfig(c *cli.Context) (hive.Config, error) {
	if c.NArg() > 1 {
		return hive.Config{}, usageError("join takes at most one argument, the address of a node of the hive; found %d", c.NArg())
	}
	if c.NArg() == 1 && c.Args().First() == "" {
		return hive.Config{}, usageError("the address of the node to join is empty: leave it out to found a hive")
	}
	if n := c.Int("capacity"); c.IsSet("capacity") && n < 0 {
		return hive.Config{}, usageError("--capacity %d: want the number of VUs, 0 or more", n)
	}
	labels, err := parseLabels(c.StringSlice("label"))
	if err != nil {
		return hive.Config{}, err
	}
	if ttl := c.Duration("lease-ttl"); ttl < hive.MinLeaseTTL || ttl > hive.MaxLeaseTTL {
		return hive.Config{}, usageError("--lease-ttl %s: want %s to %s; for as long as this a node that is cut off is not missed", ttl, hive.MinLeaseTTL, hive.MaxLeaseTTL)
	}
	etcd := splitCommas(c.StringSlice("etcd"))
	// An empty variable is as good as none; an empty flag is a mistake that would found another hive.
	if empty, set := os.LookupEnv("HIVE_ETCD"); c.IsSet("etcd") && len(etcd) == 0 && !(set && empty == "") {
		return hive.Config{}, usageError("--etcd names no endpoint: want host:port, or several separated by commas")
	}
	var engineMemory int64
	if size := c.String("engine-memory"); size != "" {
		if engineMemory, err = isolate.ParseMemory(size, int64(machine.Memory())); err != nil {
			return hive.Config{}, usageError("--engine-memory: %w", err)
		}
	}
	return hive.Config{
		Peer:      c.Args().First(),
		Name:      c.String("name"),
		DataDir:   c.String("data-dir"),
		Address:   c.String("address"),
		Advertise: c.String("advertise"),
		Etcd:      etcd,
		Cluster:   c.String("cluster"),
		Capacity:  c.Int("capacity"),
		Labels:    labels,
		Token:     c.String("token"),

		LeaseTTL:     c.Duration("lease-ttl"),
		EngineMemory: engineMemory,
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
