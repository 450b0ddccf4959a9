package hive

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"hive/engine/metric"
)

const (
	// inboxLines is how many log lines a node keeps of a run for the stream of a leader to come.
	inboxLines = 2000
	// inboxLineBytes bounds them too.
	inboxLineBytes = 8 << 20
)

// inbox holds the newest checkpoint of every incarnation of the active run that was sent to this node. The leader
// works from it; a deputy has it in case the leader goes.
type inbox struct {
	n *Node

	mu     sync.Mutex // guards what follows
	run    string     // "" before the first
	got    map[int64]*checkpoint
	folded *folding
	lines  []LogLine // newest last
	size   int       // of lines, in bytes
	hub    *hub      // where log lines go; nil unless the run is driven here
	wake   func()    // told of every change; nil unless the run is driven here
}

// checkpoint is the latest that an incarnation has sent.
type checkpoint struct {
	Report
	snapshot *metric.Snapshot
	at       time.Time
	logs     seqSet
}

// idle says whether the incarnation had nothing left to do of a scenario.
func (c *checkpoint) idle(scenario string) bool {
	return slices.ContainsFunc(c.Progress.Scenarios, func(p ScenarioProgress) bool { return p.Name == scenario && p.Idle })
}

// folding is the sum of incarnations that are over: nothing more is to come of them.
type folding struct {
	Lives    lifeSet
	snapshot *metric.Snapshot
	Progress Progress
	Seq      int64
	marked   *Failure
}

func newInbox(n *Node) *inbox { return &inbox{n: n, got: map[int64]*checkpoint{}} }

// put takes a checkpoint of a run; only the newest of an incarnation counts, and one that comes twice does no harm.
// Any node takes those of the active run.
func (b *inbox) put(run string, r Report, s *metric.Snapshot) (Ack, error) {
	if err := b.open(run); err != nil {
		return Ack{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.run != run {
		return Ack{}, refuse(http.StatusNotFound, codeNotFound, "run %s is not under way here", run)
	}
	b.take(r, s)
	ack := Ack{}
	if l := b.n.leading.Load(); l != nil {
		ack.Term = l.fence.Term()
	}
	if b.wake != nil {
		b.wake()
	}
	return ack, nil
}

// open makes run the one whose checkpoints are held, if it is the active one.
func (b *inbox) open(run string) error {
	b.mu.Lock()
	held := b.run == run
	b.mu.Unlock()
	if held {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), etcdTry)
	defer cancel()
	resp, err := b.n.etcd.Get(ctx, b.n.keys.Active())
	if err != nil {
		return refuse(http.StatusServiceUnavailable, codeUnavailable, "is run %s under way: %v", run, err)
	}
	if len(resp.Kvs) == 0 || string(resp.Kvs[0].Value) != run {
		return refuse(http.StatusNotFound, codeNotFound, "run %s is not under way", run)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begin(run)
	return nil
}

// begin forgets all other runs; b.mu is held.
func (b *inbox) begin(run string) {
	if b.run == run {
		return
	}
	b.run, b.got, b.folded, b.lines, b.size, b.hub, b.wake = run, map[int64]*checkpoint{}, nil, nil, 0, nil, nil
}

// drive says that the run is driven here: from now on log lines go to h, first those that are kept, and wake is called
// at every checkpoint.
func (b *inbox) drive(run string, h *hub, wake func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begin(run)
	for _, line := range b.lines {
		h.publish(EventLog, line)
	}
	b.hub, b.wake = h, wake
}

// leave ends drive.
func (b *inbox) leave(run string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.run == run {
		b.hub, b.wake = nil, nil
	}
}

// take keeps r if it is the newest of its incarnation; b.mu is held.
func (b *inbox) take(r Report, s *metric.Snapshot) {
	if len(r.Folded) > 0 {
		b.unfold(r, s)
		return
	}
	if b.folded != nil && b.folded.Lives.has(r.Incarnation) {
		return
	}
	last := b.got[r.Incarnation]
	if last == nil {
		last = &checkpoint{Report: Report{Seq: -1}}
		b.got[r.Incarnation] = last
	}
	for _, line := range r.Logs {
		if last.logs.add(line.Seq) {
			line.Incarnation = r.Incarnation
			b.keepLine(line)
		}
	}
	if r.Seq > last.Seq {
		r.Logs = nil
		last.Report, last.snapshot, last.at = r, s, time.Now()
	}
}

// keepLine keeps a log line, and publishes it where the run is driven; b.mu is held.
func (b *inbox) keepLine(line LogLine) {
	if b.hub != nil {
		b.hub.publish(EventLog, line)
	}
	b.lines = append(b.lines, line)
	b.size += sizeOf(line)
	n := 0
	for len(b.lines)-n > inboxLines || b.size > inboxLineBytes {
		b.size -= sizeOf(b.lines[n])
		n++
	}
	b.lines = slices.Delete(b.lines, 0, n)
}

// unfold takes the sum of incarnations that are over from a leader; b.mu is held.
func (b *inbox) unfold(r Report, s *metric.Snapshot) {
	if b.folded != nil && b.folded.Seq >= r.Seq && b.folded.Lives.len() >= r.Folded.len() {
		return
	}
	b.folded = &folding{Lives: r.Folded, snapshot: s, Progress: r.Progress, Seq: r.Seq, marked: r.Marked}
	maps.DeleteFunc(b.got, func(life int64, _ *checkpoint) bool { return r.Folded.has(life) })
}

// fold sums up what incarnations sent that are over.
func (b *inbox) fold(over lifeSet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.folded
	if f == nil {
		f = &folding{snapshot: metric.Merge()}
	}
	next := &folding{Lives: f.Lives, snapshot: f.snapshot, Progress: f.Progress, Seq: f.Seq + 1, marked: f.marked}
	for _, life := range slices.Sorted(maps.Keys(b.got)) {
		if !over.has(life) {
			continue
		}
		c := b.got[life]
		next.Lives = next.Lives.with(life)
		next.snapshot = metric.Merge(next.snapshot, c.snapshot)
		next.Progress = MergeProgress(next.Progress, bare(c.Progress))
		if next.marked == nil {
			next.marked = c.Marked
		}
		delete(b.got, life)
	}
	b.folded = next
}

// all are the newest checkpoints of the incarnations that are not folded, oldest incarnation first.
func (b *inbox) all() []checkpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]checkpoint, 0, len(b.got))
	for _, life := range slices.Sorted(maps.Keys(b.got)) {
		all = append(all, *b.got[life])
	}
	return all
}

// of is the newest checkpoint of one incarnation, nil when there is none.
func (b *inbox) of(life int64) *checkpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.got[life]; c != nil {
		copied := *c
		return &copied
	}
	return nil
}

// sum is what has been folded, nil when nothing has.
func (b *inbox) sum() *folding {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.folded
}

// pending are the checkpoints, encoded, that a new deputy needs of incarnations that will not send it any themselves.
func (b *inbox) pending(gone func(life int64) bool) (bodies [][]byte, err error) {
	if f := b.sum(); f != nil {
		body, err := encodeCheckpoint(Report{Folded: f.Lives, Progress: f.Progress, Seq: f.Seq, Marked: f.marked}, f.snapshot)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	for _, c := range b.all() {
		if gone(c.Incarnation) {
			body, err := encodeCheckpoint(c.Report, c.snapshot)
			if err != nil {
				return nil, err
			}
			bodies = append(bodies, body)
		}
	}
	return bodies, nil
}

// seqSet is a set of positive numbers that come nearly in order: ranges [first, last], ascending.
type seqSet struct{ ranges [][2]int64 }

// maxRanges bounds a seqSet: past it, the lowest gap counts as seen.
const maxRanges = 64

// add says whether n is new.
func (s *seqSet) add(n int64) bool {
	i := len(s.ranges)
	for i > 0 && s.ranges[i-1][0] > n {
		i--
	}
	// s.ranges[i-1] is the last range that begins at or before n.
	if i > 0 && n <= s.ranges[i-1][1] {
		return false
	}
	ranges := slices.Insert(slices.Clone(s.ranges), i, [2]int64{n, n})
	if i+1 < len(ranges) && ranges[i+1][0] == n+1 {
		ranges[i][1] = ranges[i+1][1]
		ranges = slices.Delete(ranges, i+1, i+2)
	}
	if i > 0 && ranges[i-1][1] == n-1 {
		ranges[i-1][1] = ranges[i][1]
		ranges = slices.Delete(ranges, i, i+1)
	}
	if len(ranges) > maxRanges {
		ranges[1][0] = ranges[0][0]
		ranges = slices.Delete(ranges, 0, 1)
	}
	s.ranges = ranges
	return true
}
