package hive

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// cast are nodes in processes of their own that ask at each fault point whether they may go on. At each point that is
// due, one of them is killed, once, and another process comes in its place.
type cast struct {
	t     *testing.T
	spare func() helper // what comes in the place of a node that died; nil means the same node again
	wg    sync.WaitGroup

	mu    sync.Mutex // guards what follows
	due   []string   // points at which nobody has died yet
	over  bool
	procs []*process
}

// newCast makes one whose nodes are yet to enter.
func newCast(t *testing.T, spare func() helper, due ...string) *cast {
	c := &cast{t: t, spare: spare, due: due}
	t.TempDir() // all of them go when the processes have ended
	t.Cleanup(c.end)
	return c
}

// leaders are nodes that lead and carry no load, the second behind the first; h has what their names begin with.
func leaders(t *testing.T, h helper, due ...string) *cast {
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

// attend answers a node until it ends.
func (c *cast) attend(p *process) {
	defer p.kill()
	for p.out.Scan() {
		point, asks := strings.CutPrefix(p.out.Text(), "at ")
		switch {
		case !asks:
			fmt.Fprintln(p.log, p.out.Text())
		case c.dies(point):
			p.kill()
			c.replace(p)
			return
		default:
			if _, err := io.WriteString(p.stdin, "\n"); err != nil {
				return
			}
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
func (c *cast) done(points ...string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(points) == 0 {
		return len(c.due) == 0
	}
	return !slices.ContainsFunc(points, func(p string) bool { return slices.Contains(c.due, p) })
}

// also makes one more node die at a point.
func (c *cast) also(point string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due = append(slices.Clone(c.due), point)
}

// await waits for that.
func (c *cast) await(points ...string) {
	c.t.Helper()
	within(c.t, longWait, "a node dies at each point", func() bool { return c.done(points...) })
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

// longWait is for what takes several changes of the leader, on a machine that is busy.
const longWait = 3 * time.Minute
