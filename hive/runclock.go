package hive

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"hive/engine/executor"
	"hive/registry"
)

const (
	// clockEvery is how often a node compares its copy of a run's clock.
	clockEvery = 10 * time.Second
	// clockAgain is how long after an attempt that failed the next one comes.
	clockAgain = 50 * time.Millisecond
	// clockSlew is in how many nanoseconds a correction moves a clock by one (see [executor.Clock.Adjust]).
	clockSlew = 2000
	// copiesAsked is how many nodes a leader that does not know the clock asks in one attempt.
	copiesAsked = 5
	// clockShy is how long before a pause a clock is set that is to stand still there: one that reads more already
	// would stand where it is. engineShy is the same for an engine, which has to be made and told first; it is over
	// before any pause that is ended meanwhile.
	clockShy, engineShy = time.Millisecond, controlLead / 2
	// clockLate is how much further a clock goes that has passed the place where it should stand still, so that the
	// engine stands where the copy does.
	clockLate = 50 * time.Millisecond
)

// runClock is this node's copy of the clock of the active run. It is tied to
// the run's anchor: exactly on the anchor's own node, and by measured offsets
// on all others. Within a generation of the anchor it is corrected gently, and
// never jumps.
type runClock struct {
	n   *Node
	run string

	mu      sync.Mutex        // guards what follows
	anchor  Anchor            // of the state as last seen
	halt    *Halt             // the same
	tied    Anchor            // what the copy goes by; Gen is 0 before it has been tied
	clock   *executor.Clock   // nil before it has been tied
	still   *Halt             // set while the copy stands, or is going to
	stood   time.Duration     // where: later than the pause when that was heard of too late
	began   time.Time         // when it read tied.Run, as measured when that generation began
	goesOn  time.Time         // when it went on after the last pause, or is going to
	wrong   time.Duration     // the last correction
	since   time.Time         // when that began
	worst   time.Duration     // the largest correction, as far as it was certain
	quality Offset            // of the last measurement
	ahead   time.Duration     // of this node's wall clock against the leader's, as measured last
	offsets map[string]Offset // of other nodes' clocks, by boot
	changed chan struct{}     // closed when the anchor changes
	adjust  map[*life]func(time.Duration)
}

func newRunClock(n *Node, run string) *runClock {
	return &runClock{n: n, run: run, offsets: map[string]Offset{}, changed: make(chan struct{}), adjust: map[*life]func(time.Duration){}}
}

// runClock is this node's copy of a run's clock; nil when the run is not the
// active one here, or its clock is not known yet.
func (n *Node) runClock(run string) *runClock {
	a := n.agent.Load()
	if a == nil {
		return nil
	}
	t := a.task(run)
	if t == nil || t.clock.generation() == 0 {
		return nil
	}
	return t.clock
}

// Now is the present reading; before the load begins it is negative, and before
// the clock is known it is 0.
func (c *runClock) Now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clock == nil {
		return 0
	}
	return c.clock.Now()
}

// generation is that of the anchor which the copy goes by; 0 before the first.
func (c *runClock) generation() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tied.Gen
}

// start is when the clock would have read 0 if it had never stood still, as of
// now: a time of this machine.
func (c *runClock) start() (time.Time, Offset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.zero(), c.quality
}

// zero is start; c.mu is held.
func (c *runClock) zero() time.Time {
	now, run := time.Now(), c.clock.Now()
	switch {
	case now.Before(c.goesOn): // it stands until then
		return c.goesOn.Add(-run)
	case c.still != nil && run >= c.stood:
		run -= engineShy
	}
	return now.Add(-run)
}

// standing is where the copy stands or is going to, and the generation of the
// anchor that it goes by.
func (c *runClock) standing() (at time.Duration, gen int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stood, c.tied.Gen
}

// resumed says when a clock that stood still at a moment, in a generation, is to
// have gone on, so that it reads what this one does; ok is false while that
// generation lasts.
func (c *runClock) resumed(at time.Duration, gen int64) (instant time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tied.Gen <= gen || c.anchor.Gen != c.tied.Gen {
		return time.Time{}, false
	}
	return c.began.Add(at - c.tied.Run), true
}

// see takes the run's state over.
func (c *runClock) see(st State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.halt = st.Halt
	if st.Anchor != c.anchor {
		c.anchor = st.Anchor
		close(c.changed)
		c.changed = make(chan struct{})
	}
	if c.anchor.Gen == c.tied.Gen {
		c.stand()
	}
}

// stand lets the copy stand still where the state says; c.mu is held.
func (c *runClock) stand() {
	if c.clock != nil && c.halt != nil && (c.still == nil || c.still.At != c.halt.At) {
		c.still, c.stood = c.halt, c.halt.At
		if now := c.clock.Now(); now > c.stood {
			c.stood = now + clockLate
		}
		c.clock.PauseAt(c.stood)
	}
}

// follow has adjust called with every correction until l stops following.
func (c *runClock) follow(l *life, adjust func(time.Duration)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.adjust[l] = adjust
	if left := c.left(); left != 0 {
		adjust(left)
	}
}

func (c *runClock) unfollow(l *life) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.adjust, l)
}

// keep keeps the copy right until ctx ends, and calls tied at each new
// generation.
func (c *runClock) keep(ctx context.Context, tied func()) {
	for ctx.Err() == nil {
		c.mu.Lock()
		changed, anchor, was := c.changed, c.anchor, c.tied
		c.mu.Unlock()
		wait := clockEvery
		err := c.sync(ctx, anchor, was)
		switch {
		case err != nil:
			wait = clockAgain
		case anchor.Gen != was.Gen:
			tied()
			wait = c.untilItGoes() + clockAgain // it may go by an offset taken before
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// untilItGoes is how long the copy still stands after a pause that is over; 0 when it goes.
func (c *runClock) untilItGoes() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(0, time.Until(c.goesOn))
}

// sync ties the copy to a new generation of the anchor, or corrects it within one.
func (c *runClock) sync(ctx context.Context, anchor, was Anchor) error {
	if anchor.Gen == 0 {
		return c.prepare(ctx)
	}
	fresh := anchor.Gen != was.Gen
	at, o, err := c.measure(ctx, anchor, fresh)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.anchor != anchor {
		return nil // there is another one to look at
	}
	c.quality, c.tied = o, anchor
	if anchor.Node == c.n.info.ID {
		c.ahead = 0
	}
	if fresh {
		c.jump(at)
	} else {
		c.correct(at, o)
	}
	return nil
}

// jump begins a generation: the clock read the anchor's Run at the time given;
// c.mu is held.
func (c *runClock) jump(at time.Time) {
	c.began, c.wrong = at, 0
	if c.clock != nil && c.still != nil {
		c.goesOn = at.Add(c.stood - c.tied.Run)
		c.clock.ResumeAt(c.goesOn)
		c.still = nil
	} else {
		c.clock = executor.NewClock(at.Add(-c.tied.Run))
		if c.halt != nil && c.clock.Now() >= c.halt.At {
			c.clock = executor.NewClock(time.Now().Add(clockShy - c.halt.At))
		}
	}
	c.stand()
}

// correct begins to move the copy to where a measurement says it belongs, as
// far as the measurement is certain; c.mu is held.
func (c *runClock) correct(at time.Time, o Offset) {
	if c.still != nil && c.clock.Now() >= c.stood || time.Now().Before(c.goesOn) {
		return // it stands where it belongs
	}
	wrong := c.tied.Run + time.Since(at) - c.clock.Now()
	if wrong.Abs() <= o.RTT/2 {
		return
	}
	c.wrong, c.since, c.worst = wrong, time.Now(), max(c.worst, wrong.Abs()-o.RTT/2)
	c.clock.Adjust(wrong)
	for _, adjust := range c.adjust {
		adjust(wrong)
	}
}

// skew is how far the copy is from the run's clock.
func (c *runClock) skew() ClockSkew {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ClockSkew{Off: c.left(), Worst: c.worst, Set: c.n.clock.Set(), Ahead: c.ahead}
}

// left is what a correction has yet to make up for; c.mu is held.
func (c *runClock) left() time.Duration {
	switch made := time.Since(c.since) / clockSlew; {
	case c.wrong > made:
		return c.wrong - made
	case c.wrong < -made:
		return c.wrong + made
	}
	return 0
}

// prepare takes the offset of the leader's clock before the load has a start,
// so that nothing has to be asked when it is named.
func (c *runClock) prepare(ctx context.Context) error {
	l, _ := c.n.currentLeader()
	if l.node == "" || l.node == c.n.info.ID {
		return nil
	}
	_, err := c.offset(ctx, l.node)
	return err
}

// measure finds when, on this machine, the run's clock read the anchor's Run
// (or would have, had it gone on as it does now): from the anchor's own node if
// that process lives, else from another node's copy. An offset taken before will
// do for a new generation, which is to be known fast.
func (c *runClock) measure(ctx context.Context, a Anchor, fast bool) (at time.Time, o Offset, err error) {
	if a.Node == c.n.info.ID && (a.Boot == "" || a.Boot == c.n.boot) {
		return c.n.clock.Time(a.At), Offset{}, nil
	}
	r, ok, err := c.n.lookUp(ctx, a.Node)
	if err != nil {
		return at, o, err
	}
	if ok && (a.Boot == "" || a.Boot == r.Boot) {
		o, known := c.known(r.Boot)
		if !known || !fast {
			o, err = c.offset(ctx, a.Node)
		}
		if err == nil {
			return c.n.clock.Time(a.At - Instant(o.Delta)), o, nil
		}
	}
	if o, err = c.copyOf(ctx, a); err != nil {
		return at, o, err
	}
	return c.n.clock.Time(Instant(a.Run - o.Delta)), o, nil
}

func (c *runClock) known(boot string) (Offset, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, ok := c.offsets[boot]
	return o, ok
}

// offset measures how far another node's clock is ahead of this one's.
func (c *runClock) offset(ctx context.Context, node string) (Offset, error) {
	r, ok, err := c.n.lookUp(ctx, node)
	if err != nil {
		return Offset{}, err
	}
	if !ok {
		return Offset{}, fmt.Errorf("the clock of node %s: it is not in the hive", node)
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	var set time.Duration
	o, err := c.n.clock.Measure(ctx, func(ctx context.Context) (Instant, error) {
		var info ClockInfo
		err := c.n.calls.call(ctx, "GET", r.Address+"/api/v1/clock", nil, &info)
		if err == nil && info.Boot != "" && info.Boot != r.Boot { // versions before this one do not say it
			return 0, errors.New("another process answers at its address")
		}
		set = info.Set
		return info.Now, err
	})
	if err != nil {
		return Offset{}, fmt.Errorf("the clock of node %s: %w", r.Name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offsets[r.Boot], c.ahead = o, c.n.clock.Set()-set-o.Delta
	return o, nil
}

// copyOf measures how far another node's copy is ahead of this node's own clock: the leader's, or, if this node leads,
// that of any other. Those who led before may be gone before they could tell it.
func (c *runClock) copyOf(ctx context.Context, a Anchor) (o Offset, err error) {
	err = errors.New("no other node knows the run's clock")
	l, _ := c.n.currentLeader()
	if l.node != c.n.info.ID {
		if r, ok := c.n.find(l.node); ok {
			return c.copyAt(ctx, r, a)
		}
		return o, err
	}
	others := slices.DeleteFunc(c.n.known(), func(r registry.Node) bool { return r.ID == c.n.info.ID })
	rand.Shuffle(len(others), func(i, k int) { others[i], others[k] = others[k], others[i] })
	for _, r := range others[:min(len(others), copiesAsked)] {
		if o, err = c.copyAt(ctx, r, a); err == nil {
			break
		}
	}
	return o, err
}

// copyAt is copyOf for one node.
func (c *runClock) copyAt(ctx context.Context, r registry.Node, a Anchor) (Offset, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	return c.n.clock.Measure(ctx, func(ctx context.Context) (Instant, error) {
		var info RunClockInfo
		if err := c.n.calls.call(ctx, "GET", r.Address+"/api/v1/runs/"+c.run+"/clock", nil, &info); err != nil {
			return 0, err
		}
		if info.Gen != a.Gen {
			return 0, fmt.Errorf("node %s has the clock's generation %d, not %d", r.Name, info.Gen, a.Gen)
		}
		return Instant(info.Now), nil
	})
}

// RunClockInfo is the reading of a node's copy of a run's clock.
type RunClockInfo struct {
	Run string        `json:"run"`
	Gen int64         `json:"gen"` // of the anchor it goes by
	Now time.Duration `json:"now"`
}

// getRunClock answers with this node's copy of a run's clock.
func (n *Node) getRunClock(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	c := n.runClock(id)
	if c == nil {
		return refuse(http.StatusConflict, codeConflict, "the clock of run %s is not known to this node", id)
	}
	writeJSON(w, http.StatusOK, RunClockInfo{Run: id, Gen: c.generation(), Now: c.Now()})
	return nil
}
