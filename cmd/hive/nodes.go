package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

func (a *app) nodesCommand() *cli.Command {
	return &cli.Command{
		Name:   "nodes",
		Usage:  "list the nodes of a hive",
		Flags:  join(hiveFlags(true), []cli.Flag{jsonFlag()}),
		Action: a.nodes,
	}
}

func (a *app) nodes(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	var nodes []hive.NodeInfo
	err := a.ask(c, func(ctx context.Context, client *hive.Client) (err error) {
		nodes, err = client.NodesWithHealth(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return writeJSON(a.screen.out, nodes)
	}
	return table(a.screen.out, "NAME\tID\tPID\tADDRESS\tCAPACITY\tROLE\tETCD\tENGINE\tVERSION\tLABELS", len(nodes), func(i int) []any {
		n := nodes[i]
		return []any{n.Name, n.ID, n.PID, n.Address, n.Capacity, role(n), cmp.Or(n.Member, "-"), healthText(n.Health), n.Version, labelText(n.Labels)}
	})
}

func role(n hive.NodeInfo) string {
	role := "peer"
	if n.Leader {
		role = "leader"
	}
	if n.Draining {
		role += ", draining"
	}
	return role
}

// healthText is how a node's engine fares: cores in use, memory, how late iterations start, the collector's part of the
// CPU time, and open files, most of them connections.
func healthText(h *hive.Health) string {
	if h == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f CPU, %d MiB, %s late, %.0f%% GC, %d files", h.CPU, h.Memory>>20, h.Late.Round(100*time.Microsecond), 100*h.GC, h.Sockets)
}

// labelText is labels as they are given on the command line, sorted.
func labelText(labels map[string]string) string {
	var words []string
	for k, v := range labels {
		words = append(words, k+"="+v)
	}
	slices.Sort(words)
	return strings.Join(words, ",")
}

// table prints n rows under a heading whose columns are separated by tabs.
func table(w io.Writer, heading string, n int, row func(i int) []any) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, heading)
	for i := range n {
		var cells []string
		for _, cell := range row(i) {
			cells = append(cells, fmt.Sprint(cell))
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}
