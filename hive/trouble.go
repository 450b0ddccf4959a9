package hive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// troubleLook is how often the nodes that lead, or lead next, ask whether etcd
	// answers with a quorum behind it, and troubleTry bounds one question.
	troubleLook = 200 * time.Millisecond
	troubleTry  = 400 * time.Millisecond
	// troubleLeast is how long it must not have answered to be worth an entry.
	troubleLeast = 600 * time.Millisecond
	// stoodStill is by how much a question may outlast its bound; past that it was
	// this process that stood still, and etcd is not to blame.
	stoodStill = 500 * time.Millisecond
	// keptTroubles is how many of the last ones are remembered.
	keptTroubles = 20
	// slowWrite is when a write counts as slow, and quickWrite below what etcd
	// counts as quick again, after quickWrites in a row.
	slowWrite, quickWrite = time.Second, 500 * time.Millisecond
	quickWrites           = 3
	// shutGather is for how long reports of nodes without a lease are gathered for
	// one entry: nodes report once a second.
	shutGather = 1200 * time.Millisecond
	// shutLeast is what is too short to be told.
	shutLeast = 50 * time.Millisecond
)

// trouble is a time in which etcd did not answer this node, on its clock.
type trouble struct{ from, until Instant }

// troubles are the last of them, the newest at the end.
type troubles struct {
	mu    sync.Mutex
	past  []trouble
	since Instant // of one that goes on; 0 for none
}

// begin notes that etcd does not answer since a moment.
func (t *troubles) begin(from Instant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since == 0 {
		t.since = from
	}
}

// drop forgets one that was none.
func (t *troubles) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since = 0
}

// going is since when one goes on; ok is false when none does.
func (t *troubles) going() (since Instant, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.since, t.since != 0
}

// over ends the one that goes on, if there is one.
func (t *troubles) over(until Instant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since != 0 {
		t.add(t.since, until)
	}
}

// end notes that it answers.
func (t *troubles) end(from, until Instant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(from, until)
}

// add takes one to the past; t.mu is held.
func (t *troubles) add(from, until Instant) {
	t.since = 0
	t.past = append(t.past, trouble{from, until})
	t.past = slices.Delete(t.past, 0, max(0, len(t.past)-keptTroubles))
}

// after are those that ended after a moment.
func (t *troubles) after(at Instant) []trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.past, func(p trouble) bool { return p.until > at })
	if i < 0 {
		return nil
	}
	return slices.Clone(t.past[i:])
}

// anyAfter says whether etcd did not answer at some time after a moment.
func (t *troubles) anyAfter(at Instant) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.since != 0 || len(t.past) > 0 && t.past[len(t.past)-1].until > at
}

// watchEtcd notes, until ctx ends, when etcd does not answer this node while it
// leads or is one of those that lead next: whoever leads afterwards can tell.
func (n *Node) watchEtcd(ctx context.Context) error {
	for ctx.Err() == nil {
		if line := n.standing(); slices.Contains(line[:min(len(line), watchers)], n.info.ID) {
			n.askEtcd(ctx)
		}
		pause(ctx, troubleLook)
	}
	return ctx.Err()
}

// askEtcd asks until there is an answer, and notes how long that took.
func (n *Node) askEtcd(ctx context.Context) {
	from := n.clock.Now()
	for asked := from; ctx.Err() == nil; {
		one, cancel := context.WithTimeout(ctx, troubleTry)
		_, err := n.etcd.Get(one, n.keys.ID(), clientv3.WithCountOnly())
		cancel()
		now := n.clock.Now()
		if time.Duration(now-asked) > againPause+troubleTry+stoodStill {
			from = now
		}
		asked = now
		switch {
		case err == nil && time.Duration(now-from) < troubleLeast:
			n.troubles.drop()
			return
		case err == nil:
			n.troubles.end(from, now)
			return
		}
		n.troubles.begin(from)
		pause(ctx, againPause)
	}
}

// writeLag is how long etcd takes for the writes of a run's clock.
type writeLag struct {
	slow  bool
	since time.Duration // when it became slow, on the run's clock
	worst time.Duration // the slowest write since then
	quick int           // quick ones in a row
	fresh bool          // it has just become slow, or ceased to be
}

// wrote takes in a write that began at a moment on the run's clock.
func (w *writeLag) wrote(at, took time.Duration) {
	switch {
	case took > slowWrite && !w.slow:
		*w = writeLag{slow: true, since: at, worst: took, fresh: true}
	case took > quickWrite:
		w.worst, w.quick = max(w.worst, took), 0
	case w.slow:
		if w.quick++; w.quick >= quickWrites {
			w.slow, w.fresh = false, true
		}
	}
}

// tellTrouble puts into the timeline what etcd could not do of late. It is no
// part of a step: what a step has to say is taken back when it fails.
func (d *driver) tellTrouble() {
	if d.st.Phase != Running && d.st.Phase != Draining && d.st.Phase != Teardown {
		d.troubled, d.fulls = d.n.clock.Now(), d.n.clock.Now()
		return
	}
	for _, t := range d.n.troubles.after(d.troubled) {
		d.troubled = t.until
		from, until := d.runAt(t.from), d.runAt(t.until)
		took := time.Duration(t.until - t.from)
		d.note(TimelineEtcd, "", fmt.Sprintf("etcd did not answer for %s, from %s until %s", took.Round(10*time.Millisecond), seconds(from), seconds(until)),
			map[string]float64{"seconds": took.Seconds()})
	}
	d.tellFull()
	switch w := &d.lag; {
	case !w.fresh:
		return
	case w.slow:
		d.note(TimelineEtcd, "", fmt.Sprintf("etcd is slow: the write of %s took %s or more", seconds(w.since), w.worst.Round(10*time.Millisecond)), nil)
	default:
		d.note(TimelineEtcd, "", fmt.Sprintf("etcd is quick again at %s; since %s writes took up to %s", seconds(d.now()), seconds(w.since), w.worst.Round(10*time.Millisecond)),
			map[string]float64{"seconds": (d.now() - w.since).Seconds()})
	}
	d.lag.fresh = false
}

// shutting is what a leader has told of the times in which members had no lease.
type shutting struct {
	before time.Duration // what ended earlier on the run's clock was told by the leader before
	told   map[int64]int // Shut.N by incarnation
}

// tellShut puts into the timeline when members sent nothing because they had
// no lease, all together.
func (d *driver) tellShut() {
	var names []Member
	var fresh []checkpoint
	from, until := time.Duration(math.MaxInt64), time.Duration(0)
	for _, c := range d.n.inbox.all() {
		s := c.Shut
		if s == nil || d.shuts.told[c.Incarnation] >= s.N || s.Until < d.shuts.before || s.Until-s.From < shutLeast {
			continue
		}
		fresh = append(fresh, c)
		from, until = min(from, s.From), max(until, s.Until)
		names = append(names, Member{Name: d.nameOf(c.Node)})
	}
	if len(fresh) == 0 || d.now()-until < shutGather {
		return
	}
	if d.shuts.told == nil {
		d.shuts.told = map[int64]int{}
	}
	for _, c := range fresh {
		d.shuts.told[c.Incarnation] = c.Shut.N
	}
	d.note(TimelineFenced, "", fmt.Sprintf("%s sent nothing for want of a lease, from %s until %s (%s)",
		nameList(names), seconds(from), seconds(until), plural(len(names), "node", "nodes")), map[string]float64{"seconds": (until - from).Seconds()})
}

// tellStalls puts into the timeline when engines were given no time.
func (d *driver) tellStalls() {
	for _, c := range d.n.inbox.all() {
		s := c.Health.Stall
		if s.N <= d.stalls[c.Incarnation] {
			continue
		}
		d.stalls[c.Incarnation] = s.N
		if s.Until < d.shuts.before {
			continue // the leader before has told of it
		}
		name := d.nameOf(c.Node)
		d.note(TimelineStalled, name, fmt.Sprintf("the engine of node %s stood still for %s, from %s until %s", name,
			(s.Until-s.From).Round(10*time.Millisecond), seconds(s.From), seconds(s.Until)), map[string]float64{"seconds": (s.Until - s.From).Seconds()})
	}
}

// runAt is what the run's clock read at a past instant of this node's clock,
// if it has not stood still since.
func (d *driver) runAt(i Instant) time.Duration {
	return max(0, d.now()-time.Duration(d.n.clock.Now()-i))
}

// silentFor is how long the run's clock has not been written down. A wall clock
// may have been set meanwhile, so it is asked only when there is no other.
func (d *driver) silentFor() time.Duration {
	if d.last.Wall.IsZero() {
		return 0
	}
	if clock := d.n.runClock(d.id); clock != nil && d.st.Halt == nil {
		return max(0, clock.Now()-d.last.Run)
	}
	return max(0, time.Since(d.last.Wall))
}

// troubledSince is from when on a new leader tells of trouble with etcd that
// it saw itself: since the leader before it wrote down the run's clock last.
func (d *driver) troubledSince() Instant {
	return d.n.clock.Now() - Instant(min(d.silentFor()+tickEvery, 2*d.n.leaseTTL()+againFor))
}

// noteFull notes whether a write was refused for want of space.
func (n *Node) noteFull(err error) {
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace):
		n.fulls.begin(n.clock.Now())
		n.wantRoom()
	case err == nil:
		n.fulls.over(n.clock.Now())
	}
}

// tellFull says that etcd's database is full, at once to those who listen, and
// in the timeline when it can be written.
func (d *driver) tellFull() {
	if _, full := d.n.fulls.going(); full {
		d.warn("%s", d.n.fullAdvice())
	}
	for _, t := range d.n.fulls.after(d.fulls) {
		d.fulls = t.until
		took := time.Duration(t.until - t.from)
		d.note(TimelineEtcd, "", fmt.Sprintf("etcd's database was full, and took no writes for %s, from %s until %s",
			took.Round(10*time.Millisecond), seconds(d.runAt(t.from)), seconds(d.runAt(t.until))), map[string]float64{"seconds": took.Seconds()})
	}
}

// fullRemedy is what to do about an etcd of one's own that is full.
const fullRemedy = "compact and defragment it, lift its alarm (etcdctl alarm disarm), and give it a larger --quota-backend-bytes"

// fullAdvice says what becomes of a full database.
func (n *Node) fullAdvice() string {
	if n.embedded {
		return "etcd's database is full and takes no writes: old data is being removed"
	}
	return "the database of the etcd (--etcd) is full and takes no writes, so the hive decides nothing until it does again: " + fullRemedy
}
