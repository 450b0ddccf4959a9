package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// keptWait is how long the reports that nodes have kept are waited for when all are back: they send them at once.
const keptWait = 300 * time.Millisecond

// momentTry bounds the question to a node what its machine's clock shows.
const momentTry = time.Second

// outage is what a leader knows of a hive that was down as a whole when it took the run up.
type outage struct {
	down  bool
	since time.Duration // on the leader's monotonic clock
	// What a clock that nobody can set says: the run's clock would have stood at run at the moment at.
	sure    bool
	run, at time.Duration
}

// tick is what is written down of the run's clock.
func (d *driver) tick(run time.Duration) Tick {
	return Tick{Run: run, Wall: time.Now().UTC(), Node: d.n.info.ID, Term: d.term, Moment: momentNow()}
}

// takeOver makes what a leader needs in memory from what etcd holds of a run that another has begun.
func (d *driver) takeOver(ctx context.Context) error {
	if d.rev == 0 || d.st.Phase == Finished {
		return nil
	}
	if kv, ok := d.keys.Get(d.n.keys.Tick(d.id)); ok {
		if err := json.Unmarshal(kv.Value, &d.last); err != nil {
			return fmt.Errorf("read the run's clock: %w", err)
		}
	}
	d.troubled = d.troubledSince()
	d.fulls = d.troubled
	d.shuts.before = d.last.Run - shutGather - tickEvery
	if err := d.readLives(ctx); err != nil {
		return err
	}
	down, err := d.allGone(ctx)
	if err != nil {
		return err
	}
	d.outage = outage{down: down, since: d.at()}
	d.timeOutage(ctx)
	if !down {
		d.findFilling()
	}
	if d.l.first(d.id) {
		d.noteLeader()
	}
	return nil
}

// allGone says whether load is to be sent and none of the processes is there that are to send it.
func (d *driver) allGone(ctx context.Context) (bool, error) {
	if d.st.Phase != Running || len(d.st.Members) == 0 {
		return false, nil
	}
	if d.reappeared() {
		return false, nil
	}
	gone, err := d.goneOf(ctx, d.st.Members)
	if err != nil {
		return false, err
	}
	for _, m := range d.st.Members {
		if !gone[m.Incarnation] {
			return false, nil
		}
	}
	return true, nil
}

// noteLeader puts into the timeline that another node leads.
func (d *driver) noteLeader() {
	msg := fmt.Sprintf("node %s leads now", d.n.info.Name)
	if !d.last.Wall.IsZero() {
		msg += fmt.Sprintf("; the leader before wrote down the run's clock last at %s%s", seconds(d.last.Run), wallText(d.last.Wall))
	}
	d.note(TimelineLeader, d.n.info.Name, msg, nil)
	d.tellUnwritten()
}

// unwritten is how long nothing was written until a new leader says that etcd, which has another leader since, may be why.
const unwritten = 2 * time.Second

// tellUnwritten tells of trouble with etcd that this node has not seen itself, since it was not there or did not watch.
func (d *driver) tellUnwritten() {
	silent := d.silentFor()
	if d.st.Phase != Running || d.last.Term == 0 || d.last.Term == d.term || silent < unwritten || len(d.n.troubles.after(d.troubled)) > 0 {
		return
	}
	now := d.now()
	d.note(TimelineEtcd, "", fmt.Sprintf("nothing was written for %s, from %s until %s, and etcd has another leader since",
		silent.Round(10*time.Millisecond), seconds(max(0, now-silent)), seconds(now)), map[string]float64{"seconds": silent.Seconds()})
}

// reappeared says whether a member of the run is there after all.
func (d *driver) reappeared() bool {
	return slices.ContainsFunc(d.st.Members, func(m Member) bool {
		r, ok := d.n.find(m.ID)
		return ok && r.Boot == m.Boot
	})
}

// ride takes a run up whose whole hive was down, once its nodes are there again: at once when all of them are, and
// otherwise when those that are missing have had the time of a lease to come.
func (d *driver) ride(ctx context.Context) error {
	if d.reappeared() {
		d.outage.down = false
		return nil
	}
	room, missing := d.room(), d.absentees()
	waited := d.at() - d.outage.since
	d.timeOutage(ctx)
	back := missing == 0 && waited >= keptWait || waited >= d.n.leaseTTL()
	if !back || room == 0 && !d.passed() {
		return nil
	}
	d.outage.down = false
	if d.policy().OnOutage == OutageAbort {
		return d.closeAfterOutage(ctx)
	}
	return d.goOn(ctx)
}

// timeOutage finds how far the run's clock would have come meanwhile, by the clock of the machine on which it was written
// down last: that of the leader before, which this node may share, or which has been started there again.
func (d *driver) timeOutage(ctx context.Context) {
	if d.outage.sure {
		return
	}
	now, at := momentNow(), d.at()
	gone, ok := now.after(d.last.Moment)
	if !ok && d.outage.down {
		if now, at, ok = d.momentAt(ctx, d.last.Node); ok {
			gone, ok = now.after(d.last.Moment)
		}
	}
	if ok {
		d.outage.sure, d.outage.run, d.outage.at = true, d.last.Run+gone, at
	}
}

// momentAt asks another node for its moment; at is when that was, within the time that it took.
func (d *driver) momentAt(ctx context.Context, node string) (m Moment, at time.Duration, ok bool) {
	r, ok := d.n.find(node)
	if !ok || node == d.n.info.ID {
		return m, 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, momentTry)
	defer cancel()
	var info ClockInfo
	err := d.n.calls.call(ctx, "GET", r.Address+"/api/v1/clock", nil, &info)
	return info.Moment, d.at(), err == nil
}

// room is how many VUs the nodes carry that are there.
func (d *driver) room() (room int) {
	for _, m := range d.candidates() {
		room += m.Capacity
	}
	return room
}

// absentees is how many nodes of the run are not there again, as another process of their own.
func (d *driver) absentees() (n int) {
	for _, m := range d.st.Members {
		if _, ok := d.n.find(m.ID); !ok {
			n++
		}
	}
	return n
}

// passed says whether the plan has come to its end while nobody was there.
func (d *driver) passed() bool {
	return d.policy().OnOutage == OutageSkip && d.st.Halt == nil && d.presentRun() > d.planEnd()
}

// heard is the latest moment on the run's clock that anybody in the hive is known to have lived at, and when that was
// by wall time: the clock is written down every second in etcd, and nodes keep what they report and until when they sent.
func (d *driver) heard() (run time.Duration, wall time.Time) {
	run, wall = max(d.last.Run, 0), d.last.Wall
	later := func(at time.Duration) {
		if at <= run {
			return
		}
		if !wall.IsZero() {
			wall = wall.Add(at - run)
		}
		run = at
	}
	for _, m := range d.st.Members {
		if c := d.n.inbox.of(m.Incarnation); c != nil {
			later(c.At)
		}
		if r, ok := d.n.find(m.ID); ok {
			later(r.Sent[d.id])
		}
	}
	if d.st.Halt != nil && run > d.st.Halt.At {
		run = max(d.st.Halt.At, 0)
	}
	return run, wall
}

// sentUntil is the moment on the run's clock after which no member can have sent anything: signs of life are written
// down every second, and by each node for itself even while etcd takes no writes; a node that cannot reach etcd stops by
// itself when its lease has run out, and the past is over.
// Wall time is no witness to that, for it may have been set, or be another machine's.
func (d *driver) sentUntil() time.Duration {
	run, _ := d.heard()
	until := max(run, d.st.From) + tickEvery + d.n.leaseTTL()
	if d.outage.sure {
		until = min(until, max(run, d.presentRun()))
	}
	if d.st.Halt != nil {
		until = min(until, d.st.Halt.At)
	}
	return until
}

// presentRun is where the run's clock would stand if it had gone on: by a clock that nobody can set, or else by the wall
// clocks of the leader before and of this node.
func (d *driver) presentRun() time.Duration {
	run := max(d.last.Run, d.st.From, 0)
	switch {
	case d.outage.sure:
		run = max(run, d.outage.run+d.at()-d.outage.at)
	case !d.last.Wall.IsZero():
		run = max(run, d.last.Run+time.Since(d.last.Wall))
	}
	if d.st.Halt != nil {
		run = min(run, d.st.Halt.At)
	}
	return run
}

// timedBy says by what the present place of the run's clock is known.
func (d *driver) timedBy() string {
	switch {
	case d.policy().OnOutage != OutageSkip || d.st.Halt != nil:
		return ""
	case d.outage.sure:
		return ", by a clock that nobody can set"
	case d.last.Wall.IsZero():
		return ", for nothing says how long it was"
	case time.Now().Before(d.last.Wall):
		return fmt.Sprintf(", for this node's wall clock shows %s, which is before that", time.Now().UTC().Format("15:04:05.0 UTC"))
	}
	return ", by the wall clocks of two nodes"
}

// goOn counts all members out and sets the clock; nodes that are there are then dealt in as if they had joined.
func (d *driver) goOn(ctx context.Context) error {
	down := d.sentUntil()
	run := down
	if d.policy().OnOutage == OutageSkip && d.st.Halt == nil {
		run = max(down, d.presentRun())
	}
	members := d.st.Members
	fallen := d.downSince(down)
	// What was theirs is nobody's from then on: the gap accounts for it.
	records, err := d.recordLives(ctx, members, down, true)
	if err != nil {
		return err
	}
	rows, err := d.moveWork(ctx, &Proposal{Epoch: d.st.Tried + 1}, nil)
	if err != nil {
		return err
	}
	d.tellOutage(run, down, fmt.Sprintf("the run's clock goes on from %s (%s%s)", seconds(run), d.policy().OnOutage, d.timedBy()))
	err = d.advanceIf(ctx, "outage", d.stillGone(members, fallen), func(s *State) {
		s.Gone = slices.DeleteFunc(slices.Clone(s.Gone), func(g Gone) bool { return hasLife(members, g.Incarnation) })
		for _, m := range members {
			s.Gone = append(s.Gone, Gone{Member: m, Lost: true, Proven: down, Reason: fallen[m.Incarnation]})
		}
		s.Tried++
		s.Epoch, s.From, s.Members, s.Struck, s.Proposal, s.Unowned, s.Refill = s.Tried, down, nil, nil, nil, d.layout.Slots, true
		s.Dark = &Dark{From: down, Wall: d.wallAt(down)}
		s.Anchor = Anchor{Node: d.n.info.ID, Boot: d.n.boot, At: d.n.clock.Now(), Run: run, Gen: s.Anchor.Gen + 1}
		d.markGaps(s, down, map[int64]Alloc{})
	}, append(records, rows...)...)
	if err != nil {
		return err
	}
	if d.nextRows != nil {
		d.rows, d.nextRows = d.nextRows, nil
	}
	d.stints, d.last, d.outage = map[int64][]Stint{}, d.tick(run), outage{}
	d.allocs[d.st.Epoch] = map[int64]Alloc{}
	return nil
}

// downSince takes all members as lost that can have sent nothing after a moment on the run's clock.
func (d *driver) downSince(until time.Duration) map[int64]string {
	fallen := map[int64]string{}
	for _, m := range d.st.Members {
		fallen[m.Incarnation] = "the whole hive was down"
		d.watch.absent[m.Incarnation] = &absence{member: m, since: d.at(), until: &until, stayed: true, reason: fallen[m.Incarnation]}
	}
	return fallen
}

// wallAt is when by wall time the run's clock read a moment that has passed.
func (d *driver) wallAt(run time.Duration) time.Time {
	if d.last.Wall.IsZero() {
		return time.Now().UTC()
	}
	return d.last.Wall.Add(run - d.last.Run)
}

// tellOutage puts into the timeline, at a moment of the run's clock, from when on the whole hive was down.
func (d *driver) tellOutage(at, down time.Duration, then string) {
	run, wall := d.heard()
	msg := fmt.Sprintf("the whole hive was down (%s): it was last heard of at %s%s, and nothing was sent after %s at the latest%s; %s",
		nameList(d.st.Members), seconds(run), wallText(wall), seconds(down), wallText(d.wallAt(down)), then)
	d.note(TimelineOutage, "", msg, nil)
	d.notes[len(d.notes)-1].At = at // where the clock goes on, which is not yet what it reads
}

// tellLight puts into the timeline that a hive that was down as a whole sends load again from an epoch on.
func (d *driver) tellLight(p *Proposal) {
	dark := d.st.Dark
	if dark == nil || len(p.Members) == 0 {
		return
	}
	back := max(p.From, d.now())
	d.note(TimelineOutage, "", fmt.Sprintf("the load is back after the whole hive was down: nothing was sent from %s%s at the latest until %s%s",
		seconds(dark.From), wallText(dark.Wall), seconds(back), wallText(time.Now().Add(back-d.now()))),
		map[string]float64{"seconds": (back - dark.From).Seconds()})
}

// wallText shows a moment of wall time in brackets; none when it is not known.
func wallText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " (" + t.UTC().Format("15:04:05.0 UTC") + ")"
}

// closeAfterOutage ends a run whose whole hive was down, with teardown.
func (d *driver) closeAfterOutage(ctx context.Context) error {
	down := d.sentUntil()
	d.downSince(down)
	d.tellOutage(d.now(), down, "the run is closed, as its policy wants")
	return d.advance(ctx, "outage abort", func(s *State) {
		d.bury(s, d.fallen())
		s.fail(Failf(KindOutage, "the whole hive was down at %s on the run's clock, and the run was not to go on after that (--on-outage abort)", seconds(down)))
		d.endLoad(s, StopInterrupt)
		s.StoppedAt = down
	})
}

// first says whether a leader drives a run for the first time in its term.
func (l *leader) first(run string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.drove == run {
		return false
	}
	l.drove = run
	return true
}
