package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// network is a bridge with a network namespace for each node, so that nodes can be cut off from each other. Where more is
// wanted than that, a switch of our own takes the bridge's place.
type network struct {
	bridge string // or the device that is plugged into the switch
	prefix string // of the addresses: prefix.1 is the bridge's
	spaces []string

	ether *ether // nil with a bridge
	space string // the namespace of its ports
	cuts  map[int]func()
}

// canNetwork says whether this process may make network namespaces.
func canNetwork() bool {
	if os.Geteuid() != 0 {
		return false
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return false
	}
	name := fmt.Sprintf("hvt%d", os.Getpid())
	if ip("netns", "add", name) != nil {
		return false
	}
	return ip("netns", "del", name) == nil
}

// ip calls iproute2.
func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// newNetwork makes a network without nodes; with a weather it has a switch of its own.
func newNetwork(w *weather) (*network, error) {
	// Addresses of a block that is meant for trials of networks. Several processes have one network each.
	id := os.Getpid()
	n := &network{bridge: fmt.Sprintf("hvb%d", id), prefix: fmt.Sprintf("198.%d.%d", 18+id>>8&1, id&0xff), cuts: map[int]func(){}}
	if w != nil {
		return n, n.connect(*w)
	}
	for _, args := range [][]string{
		{"link", "add", n.bridge, "type", "bridge"},
		{"addr", "add", n.prefix + ".1/24", "dev", n.bridge},
		{"link", "set", n.bridge, "up"},
	} {
		if err := ip(args...); err != nil {
			n.close()
			return nil, err
		}
	}
	return n, nil
}

func (n *network) host() string         { return n.prefix + ".1" }
func (n *network) address(i int) string { return fmt.Sprintf("%s.%d", n.prefix, i+10) }
func (n *network) outside(i int) string { return fmt.Sprintf("hv%d-%d", os.Getpid()%100000, i) }

// add makes node i's namespace and returns its name.
func (n *network) add(i int) (string, error) {
	name, out, in := fmt.Sprintf("hvn%d-%d", os.Getpid(), i), n.outside(i), fmt.Sprintf("hw%d-%d", os.Getpid()%100000, i)
	n.spaces = append(n.spaces, name)
	for _, args := range [][]string{
		{"netns", "add", name},
		{"link", "add", out, "type", "veth", "peer", "name", in},
		{"link", "set", in, "netns", name},
		{"-n", name, "addr", "add", n.address(i) + "/24", "dev", in},
		{"-n", name, "link", "set", in, "up"},
		{"-n", name, "link", "set", "lo", "up"},
	} {
		if err := ip(args...); err != nil {
			return "", err
		}
	}
	if n.ether != nil {
		return name, n.plug(i, out)
	}
	return name, ip("link", "set", out, "master", n.bridge, "up")
}

// connect makes the switch, and connects this host to it.
func (n *network) connect(w weather) error {
	n.ether, n.space = newEther(w), fmt.Sprintf("hvs%d", os.Getpid())
	port := fmt.Sprintf("hvp%d", os.Getpid())
	for _, args := range [][]string{
		{"netns", "add", n.space},
		{"link", "add", n.bridge, "type", "veth", "peer", "name", port},
		{"addr", "add", n.prefix + ".1/24", "dev", n.bridge},
		{"link", "set", n.bridge, "up"},
	} {
		if err := ip(args...); err != nil {
			n.close()
			return err
		}
	}
	if err := n.plug(outside, port); err != nil {
		n.close()
		return err
	}
	return nil
}

// plug moves a device to the namespace of the switch, where nothing but the switch answers for it, and connects it.
func (n *network) plug(number int, device string) error {
	for _, args := range [][]string{
		{"link", "set", device, "netns", n.space},
		{"-n", n.space, "link", "set", device, "up"},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	wire, err := openWire(n.space, device)
	if err != nil {
		return err
	}
	n.ether.plug(number, wire)
	return nil
}

// cut takes node i's cable out; mend puts it back.
func (n *network) cut(i int) error {
	if n.ether != nil {
		end := n.ether.block(rule{either: true, from: only(i), to: anyPort})
		n.cuts[i] = end
		return nil
	}
	return ip("link", "set", n.outside(i), "down")
}

func (n *network) mend(i int) error {
	if n.ether != nil {
		if end := n.cuts[i]; end != nil {
			end()
		}
		return nil
	}
	return ip("link", "set", n.outside(i), "up")
}

// mute drops what node i sends to the nodes in to; what they send arrives. unmute ends that.
func (n *network) mute(i int, to []int) error {
	for _, j := range to {
		if err := ip("-n", n.spaces[i], "route", "add", "blackhole", n.address(j)+"/32"); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) unmute(i int, to []int) error {
	for _, j := range to {
		if err := ip("-n", n.spaces[i], "route", "del", "blackhole", n.address(j)+"/32"); err != nil {
			return err
		}
	}
	return nil
}

// close takes everything away again; errors mean that it was not there.
func (n *network) close() {
	for _, s := range n.spaces {
		_ = ip("netns", "del", s)
	}
	_ = ip("link", "del", n.bridge)
	if n.ether != nil {
		_ = n.ether.close()
		_ = ip("netns", "del", n.space)
	}
}
