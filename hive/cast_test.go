package hive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/registry"
)

// cast are nodes in processes of their own that ask at each fault point whether they may go on. At each point that is
// due, one of them is killed, once, and another process comes in its place.
type cast struct {
	t     *testing.T
	spare func() helper // what comes in the place of a node that died; nil means the same node again
	bury  func(pid int) // makes the hive forget a node that died; nil leaves that to the hive
	wg    sync.WaitGroup

	mu     sync.Mutex // guards what follows
	due    []string   // points at which nobody has died yet
	over   bool
	procs  []*process
	felled map[*process]bool // killed at no point
}

// newCast makes one whose nodes are yet to enter.
func newCast(t *testing.T, spare func() helper, due ...string) *cast {
	c := &cast{t: t, spare: spare, due: due, felled: map[*process]bool{}}
	t.TempDir() // all of them go when the processes have ended
	t.Cleanup(c.end)
	return c
}

// leaders are nodes that lead and carry no load, the second behind the first; h has what their names begin with. Their
// leases are long, so that a busy machine takes none away, and end when they die: the next one need not have been there
// for long enough to prove that the one before is gone.
func leaders(t *testing.T, etcd *clientv3.Client, h helper, due ...string) *cast {
	t.Helper()
	name := h.Name
	var made atomic.Int64
	dir := t.TempDir()
	next := func() helper {
		h := h
		h.Name, h.Address, h.Leads = fmt.Sprintf("%s%d", name, made.Add(1)), "127.0.0.1:0", true
		h.DataDir = dir + "/" + h.Name
		return h
	}
	c := newCast(t, next, due...)
	c.bury = func(pid int) { revoke(etcd, pid) }
	c.enter(next())
	c.enter(next())
	return c
}

// enter starts a node.
func (c *cast) enter(h helper) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	h.Asks = true
	p, err := start(c.t, h)
	if err != nil {
		c.t.Errorf("start %s: %v", h.Name, err)
		return
	}
	c.procs = append(c.procs, p)
	c.wg.Go(func() { c.attend(p) })
}

// revoke ends the lease of the node that was a process, if it had one.
func revoke(etcd *clientv3.Client, pid int) {
	ctx, cancel := context.WithTimeout(context.Background(), longWait)
	defer cancel()
	k := NewKeys("hive")
	_ = persist(ctx, func(ctx context.Context) error { // what is left of it runs out
		all, err := registry.New(etcd, k.Nodes(), k.Names()).List(ctx)
		for _, r := range all {
			if r.PID == pid {
				_, err = etcd.Revoke(ctx, clientv3.LeaseID(r.Lease))
			}
		}
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return nil
		}
		return err
	})
}

// attend answers a node until it ends, and sees to it that another one comes.
func (c *cast) attend(p *process) {
	killed := c.answer(p)
	p.kill()
	if killed && c.bury != nil {
		c.bury(p.cmd.Process.Pid)
	}
	if killed {
		c.replace(p)
	}
}

// answer answers a node until it ends or is to end, and says whether it was killed.
func (c *cast) answer(p *process) bool {
	for p.out.Scan() {
		word := p.out.Text()
		point, asks := strings.CutPrefix(word, "at ")
		switch {
		case !asks:
			c.note(p, word)
		case c.dies(point):
			return true
		default:
			if _, err := io.WriteString(p.stdin, "\n"); err != nil {
				return c.fell(p)
			}
		}
	}
	return c.fell(p)
}

// note keeps what a node says of itself.
func (c *cast) note(p *process, word string) {
	fmt.Fprintln(p.log, word)
	if id, ok := strings.CutPrefix(word, "ready "); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		p.id = id
	}
}

// fell says whether a node was killed at no point.
func (c *cast) fell(p *process) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.felled[p]
}

// kill kills the node with an id, wherever it stands, and another comes in its place.
func (c *cast) kill(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.procs {
		if p.id == id && !c.over && !c.felled[p] {
			c.felled[p] = true
			_ = p.cmd.Process.Kill() // it may have ended
		}
	}
}

// dies says whether a node ends at a point.
func (c *cast) dies(point string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.due, point)
	if i < 0 || c.over {
		return false
	}
	c.due = slices.Delete(slices.Clone(c.due), i, i+1)
	return true
}

// replace starts what comes in the place of a node.
func (c *cast) replace(p *process) {
	if c.spare != nil {
		c.enter(c.spare())
		return
	}
	again := p.helper
	again.Peer = "" // it knows where its hive is
	c.enter(again)
}

// done says whether nodes have died at points: at all that were due, when none are named.
func (c *cast) done(points ...string) bool { return len(c.left(points...)) == 0 }

// left are the points, of those that are named or of all, at which nobody has died yet.
func (c *cast) left(points ...string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.due), func(p string) bool { return len(points) > 0 && !slices.Contains(points, p) })
}

// await waits until nodes have died at points: at all that are due, when none are named.
func (c *cast) await(points ...string) {
	c.t.Helper()
	c.drive(func() {}, points...)
}

// drive does what makes nodes come to points, again and again, until they have died there. However slow the machine is, it
// waits for as long as nodes go on dying: each of them may take a long wait.
func (c *cast) drive(again func(), points ...string) {
	c.t.Helper()
	due, since := len(c.left()), time.Now()
	for !c.done(points...) {
		if n := len(c.left()); n < due {
			due, since = n, time.Now()
		}
		if time.Since(since) > longWait {
			c.t.Fatalf("nobody has died at %q, and for %s at no point at all", c.left(points...), longWait)
		}
		again()
		time.Sleep(10 * time.Millisecond)
	}
}

// end ends all of them.
func (c *cast) end() {
	c.mu.Lock()
	c.over = true
	for _, p := range c.procs {
		_ = p.cmd.Process.Kill() // it may have ended
	}
	due := c.due
	c.mu.Unlock()
	c.wg.Wait()
	if !c.t.Failed() {
		return
	}
	c.t.Logf("nobody died at %q", due)
	for _, p := range c.procs {
		c.t.Logf("log of %s:\n%s", p.Name, p.log)
	}
}

// vanish ends all of them, and the hive knows of none any more.
func (c *cast) vanish() {
	c.end()
	for _, p := range c.procs {
		c.bury(p.cmd.Process.Pid)
	}
}

// longWait is for what takes several changes of the leader, on a machine that is busy.
const longWait = 3 * time.Minute
