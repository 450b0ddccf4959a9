package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/registry"
)

const (
	// drainLook is how often a node that is being drained looks whether it is free.
	drainLook = 50 * time.Millisecond
	// drainCalm is for how long it must have been: a leader that dealt a run just before it knew names it in that time.
	drainCalm = time.Second
)

var (
	// errDrained ends a node that has handed over what it had.
	errDrained = errors.New("drained")
	// errYield ends the leadership of a node that is being drained, or that carries load while one without capacity can lead.
	errYield = errors.New("this node leaves the lead to another")
)

// drain is how far a node has come with leaving on request.
type drain struct {
	ask  sync.Once
	want chan struct{} // closed when it was asked for
	end  sync.Once
	over chan struct{} // closed when nothing is left here
}

func newDrain() *drain { return &drain{want: make(chan struct{}), over: make(chan struct{})} }

func (d *drain) asked() bool {
	select {
	case <-d.want:
		return true
	default:
		return false
	}
}

// wait returns errDrained when nothing is left on this node.
func (d *drain) wait(ctx context.Context) error {
	select {
	case <-d.over:
		return errDrained
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Drain hands over what this node has of the run under way, without loss, and
// ends the node: it is marked as leaving, another one leads, and when the
// leader has dealt the node's share to the others, its last iterations have
// ended and its last metrics are delivered, [Node.Run] returns nil. An error
// means that ctx ended first; the node goes on leaving.
func (n *Node) Drain(ctx context.Context) error {
	n.draining.ask.Do(func() { close(n.draining.want) })
	if err := n.markDraining(ctx); err != nil {
		return err
	}
	for calm := time.Duration(0); calm < drainCalm; calm += drainLook {
		if a := n.agent.Load(); a != nil && !a.free() {
			calm = 0
		}
		pause(ctx, drainLook)
		if ctx.Err() != nil {
			return fmt.Errorf("drain node %s: it still has a share of the run: %w", n.info.Name, context.Cause(ctx))
		}
	}
	n.giveUpMember(ctx)
	n.draining.end.Do(func() { close(n.draining.over) })
	return nil
}

// markDraining tells the others, now or when the node registers next.
func (n *Node) markDraining(ctx context.Context) error {
	for {
		one, cancel := context.WithTimeout(ctx, etcdTry)
		err := n.amend(one, func(r *registry.Node) { r.Draining = true })
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// errNotIn says that the node has no record to be changed.
var errNotIn = errors.New("this node is not in the hive at the moment")

// amend changes the node's own record, which stays the same life of the node
// under the same lease.
func (n *Node) amend(ctx context.Context, change func(*registry.Node)) error {
	n.amending.Lock()
	defer n.amending.Unlock()
	self, p := n.self.Load(), n.place.Load()
	if self == nil || p == nil {
		return errNotIn
	}
	next := *self
	change(&next)
	stored := next
	stored.Incarnation = 0 // it is the create revision, and is not stored
	value, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("change the node's record: %w", err)
	}
	key := n.keys.Nodes() + n.info.ID
	resp, err := n.etcd.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", p.rev)).
		Then(clientv3.OpPut(key, string(value), clientv3.WithIgnoreLease())).Commit()
	if err != nil {
		return fmt.Errorf("change the node's record: %w", err)
	}
	if !resp.Succeeded {
		return errNotIn
	}
	n.self.CompareAndSwap(self, &next)
	return nil
}

// yields says whether this node leaves the lead to others: it is being drained,
// and there is another candidate that is not. Nodes that leave together do not
// pass the lead to each other.
func (n *Node) yields() bool {
	if !n.draining.asked() {
		return false
	}
	return slices.ContainsFunc(n.standing(), func(id string) bool {
		r, ok := n.find(id)
		return ok && id != n.info.ID && !r.Draining
	})
}

// awaitYield returns true when the place of this node in the line is to be
// given up, and false when ctx ends.
func (n *Node) awaitYield(ctx context.Context) bool {
	asked := n.draining.want
	for {
		line, nodes, queue := n.line.Changed(), n.nodes.Changed(), n.candidates.Changed()
		if n.yields() || n.defers() {
			return true
		}
		select {
		case <-line:
		case <-nodes:
		case <-queue:
		case <-asked:
			asked = nil
		case <-ctx.Done():
			return false
		}
	}
}

// defers says that this node is the first in the line although it carries
// load, and that one which carries none stands behind it: that one is to lead,
// so that the death of a leader costs no load. This node then goes to the end
// of the line.
func (n *Node) defers() bool {
	line := n.standing()
	if n.info.Capacity == 0 || len(line) < 2 || line[0] != n.info.ID {
		return false
	}
	return slices.ContainsFunc(line[1:], func(id string) bool {
		r, ok := n.find(id)
		return ok && r.Capacity == 0 && !r.Draining
	})
}
