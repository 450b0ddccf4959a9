package hive

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errOtherTTL says that this node would be lost sooner or later than the others believe.
var errOtherTTL = errors.New("the nodes of a hive need the same --lease-ttl")

// refuseOtherTTL fails if the node that leads has another [Config.LeaseTTL] than this one, which is about to join. A leader
// that does not answer refuses nobody: it may be gone.
func (n *Node) refuseOtherTTL(ctx context.Context) error {
	if n.hasEntered() {
		return nil
	}
	var line Line
	found, err := getJSON(ctx, n.etcd, n.keys.Line(), &line)
	if err != nil || !found || len(line.Nodes) == 0 || line.Nodes[0].ID == n.info.ID {
		return err
	}
	leader := line.Nodes[0]
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	var c ClusterInfo
	if err := n.calls.call(ctx, "GET", leader.Address+"/api/v1/cluster", nil, &c); err != nil || c.Node != leader.ID {
		return nil
	}
	if c.LeaseTTL != 0 && c.LeaseTTL != n.cfg.LeaseTTL {
		return fmt.Errorf("%w: that of %s is %s, that of this node %s", errOtherTTL, leader.Name, c.LeaseTTL, n.cfg.LeaseTTL)
	}
	return nil
}

// hasEntered says whether this process has been in the hive.
func (n *Node) hasEntered() bool {
	select {
	case <-n.inside:
		return true
	default:
		return false
	}
}

// leaseTTL is for how long a node that etcd does not answer may take itself for one of the hive: what was asked for, or
// more when etcd grants no less.
func (n *Node) leaseTTL() time.Duration {
	if p := n.place.Load(); p != nil {
		return max(n.cfg.LeaseTTL, p.session.TTL())
	}
	return n.cfg.LeaseTTL
}
