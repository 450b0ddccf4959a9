package hive

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// DefaultPort is where a node's API listens when the port is free.
	DefaultPort = 7070
	// portsTried is how many ports from DefaultPort on are tried when no
	// address was asked for.
	portsTried = 100
	// MinLeaseTTL is the least that an embedded etcd grants: half as much again as
	// its election timeout, in whole seconds.
	MinLeaseTTL = time.Second
	// MaxLeaseTTL is the most that makes sense: for so long nobody sends the share of a node that was cut off, nobody
	// leads after a leader that was, and a hive that comes back with fewer nodes than before holds still.
	MaxLeaseTTL = 10 * time.Minute
	// leaderChange is what etcd adds to leases when its leader stands still: the
	// election of another, and as much again as an allowance.
	leaderChange = time.Second
	// Version is this node's version, as other nodes and clients see it.
	Version = "0.1.0"
)

// Config is what a node is made from. The zero Config with a Factory is a
// first node with an embedded etcd, on loopback, that keeps nothing.
type Config struct {
	// Name is how people call the node; unique in the hive. Empty means the
	// host's name, with a number when that is taken.
	Name string
	// DataDir keeps the node's identity and the embedded etcd. Empty means a
	// temporary directory that goes with the node.
	DataDir string
	// Address is where the API listens, host:port. Empty means loopback on
	// DefaultPort or the next free one. Beyond loopback a Token is required.
	Address string
	// Advertise is the host[:port] that others reach the API at. Empty means
	// the address it listens on.
	Advertise string
	// Peer is the API of a node of the hive to join, host:port or a URL.
	// Empty means that this is the first node, or that Etcd is given.
	Peer string
	// Etcd are client endpoints of an etcd to use instead of the embedded one.
	Etcd []string
	// Cluster is the name of the hive. Empty means the peer's, or "hive".
	Cluster string
	// Capacity is how many VUs the node carries. 0 means none: the node then
	// leads and serves only. Negative means an estimate from the machine.
	Capacity int
	// Labels are facts about the node, for people.
	Labels map[string]string
	// Token is what every call of the API must bear; empty means none.
	Token string
	// LeaseTTL is the most that it takes until a node without a word counts as
	// lost, in whole seconds, from [MinLeaseTTL] to [MaxLeaseTTL], and the same on
	// all nodes: a hive refuses a node with another. 0 means 5 s. From 3 s on
	// the node's lease is a second shorter than this, for etcd prolongs all leases
	// by about as much when its own leader is what was lost. So a node that is out
	// of reach for longer than the lease stops its load, and may be lost.
	LeaseTTL time.Duration
	// EngineMemory is how many bytes an engine may use before it is stopped; 0 means none is set by the node.
	EngineMemory int64
	// Fault, when set, is called before and after each write of the leader, and what nodes write on its behalf, with the
	// name of the write, as "before commit" or "after finish". Tests kill the process in it.
	Fault func(point string)
	// Log takes the node's own messages. Nil means that they are dropped.
	Log *slog.Logger
	// Factory makes the engines.
	Factory Factory
	// Ready is called once, when the node has joined and serves.
	Ready func(Info)
	// Timing holds the node's intervals and limits; zero fields are defaults.
	Timing Timing

	// For tests; zero fields mean what is said of them.
	quota    int64 // bytes that the embedded etcd's database may take; 0 means etcdQuota
	ops      int   // that a transaction of the leader is given; 0 means maxOps
	unfolded int   // incarnations that are over and kept one by one; 0 means maxUnfolded
	follows  bool  // the node never stands for the leadership
}

// Timing are intervals and limits of a node. Zero fields take the defaults
// named here.
type Timing struct {
	Checkpoint time.Duration // between a node's checkpoints: 1 s
	Judge      time.Duration // between looks at the thresholds: 2 s
	StartDelay time.Duration // from the leader's word to the first iteration: 1 s
	Prepare    time.Duration // all nodes fetch, compile and initialise: 5 min
	Grace      time.Duration // for an answer past the time that the script was given: 15 s
	HoldRuns   int           // finished runs whose records are kept: 100
	HoldBytes  int           // that the results of these may take in etcd; the oldest go first: 64 MiB
	Replace    time.Duration // a member of the embedded etcd whose node is away for so long gives its place to another node: 10 s
}

// Info is what a node that has joined says of itself.
type Info struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Cluster  string   `json:"cluster"`
	URL      string   `json:"url"`
	Capacity int      `json:"capacity"`
	Cores    int      `json:"cores"`
	Memory   int64    `json:"memory"`
	DataDir  string   `json:"dataDir,omitempty"` // empty when temporary
	Etcd     []string `json:"etcd"`
	Embedded bool     `json:"embedded"` // this node runs the etcd
}

func (t Timing) withDefaults() Timing {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&t.Checkpoint, time.Second)
	or(&t.Judge, 2*time.Second)
	or(&t.StartDelay, time.Second)
	or(&t.Prepare, 5*time.Minute)
	or(&t.Grace, 15*time.Second)
	or(&t.Replace, 10*time.Second)
	if t.HoldRuns <= 0 {
		t.HoldRuns = 100
	}
	if t.HoldBytes <= 0 {
		t.HoldBytes = heldBytes
	}
	return t
}

func (c Config) withDefaults() Config {
	if c.LeaseTTL == 0 {
		c.LeaseTTL = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Timing = c.Timing.withDefaults()
	c.ops, c.unfolded = cmp.Or(c.ops, maxOps), cmp.Or(c.unfolded, maxUnfolded)
	return c
}

// lease is what the node asks etcd for. See [Config.LeaseTTL].
func (c Config) lease() time.Duration {
	return max(c.LeaseTTL-leaderChange, min(c.LeaseTTL, 2*leaderChange))
}

func (c Config) validate() error {
	var errs []error
	if c.Factory == nil {
		errs = append(errs, errors.New("no engine factory"))
	}
	if c.Peer != "" && len(c.Etcd) > 0 {
		errs = append(errs, errors.New("a peer and an etcd are both given: name one of them"))
	}
	if strings.Contains(c.Cluster, "/") {
		errs = append(errs, fmt.Errorf("the name of a cluster must not contain a slash: %q", c.Cluster))
	}
	if strings.Contains(c.Name, "/") {
		errs = append(errs, fmt.Errorf("the name of a node must not contain a slash: %q", c.Name))
	}
	if strings.Contains(c.Advertise, "/") {
		errs = append(errs, fmt.Errorf("advertised address %q: want a host, or host:port, that others reach this node at", c.Advertise))
	}
	if c.Address != "" {
		host, port, err := net.SplitHostPort(c.Address)
		if err != nil {
			errs = append(errs, fmt.Errorf("address %q: want host:port: %w", c.Address, err))
		} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			errs = append(errs, fmt.Errorf("address %q: port %q is not a number from 0 to 65535", c.Address, port))
		} else if !isLoopback(host) && c.Token == "" {
			errs = append(errs, fmt.Errorf("address %q is reachable from other hosts: give a token, or listen on 127.0.0.1", c.Address))
		}
	}
	if c.LeaseTTL < MinLeaseTTL || c.LeaseTTL > MaxLeaseTTL {
		errs = append(errs, fmt.Errorf("lease TTL %s: want %s to %s: etcd grants no less, and for as long as this a node that is cut off is not missed", c.LeaseTTL, MinLeaseTTL, MaxLeaseTTL))
	}
	errs = append(errs, checkEndpoints(c.Etcd))
	return errors.Join(errs...)
}

// isLoopback says whether only this host reaches the address.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// hostName is the default name of a node.
func hostName() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "node"
}
