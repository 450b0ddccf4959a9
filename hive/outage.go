package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// outage is what a leader knows of a hive that was down as a whole when it took the run up.
type outage struct {
	down  bool
	since time.Duration // on the leader's monotonic clock
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
	if err := d.readLives(ctx); err != nil {
		return err
	}
	if d.l.first(d.id) {
		d.noteLeader()
	}
	if d.st.Phase != Running || len(d.st.Members) == 0 {
		return nil
	}
	for _, m := range d.st.Members {
		alive, err := d.alive(ctx, m)
		if err != nil {
			return err
		}
		if alive {
			return nil
		}
	}
	d.outage = outage{down: true, since: d.at()}
	return nil
}

// noteLeader puts into the timeline that another node leads.
func (d *driver) noteLeader() {
	msg := fmt.Sprintf("node %s leads now", d.n.info.Name)
	if !d.last.Wall.IsZero() {
		msg += fmt.Sprintf("; the leader before was last heard of at %s (%s ago)", seconds(d.last.Run), time.Since(d.last.Wall).Round(10*time.Millisecond))
	}
	d.note(TimelineLeader, d.n.info.Name, msg, nil)
}

// reappeared says whether a member of the run is there after all.
func (d *driver) reappeared() bool {
	return slices.ContainsFunc(d.st.Members, func(m Member) bool {
		r, ok := d.n.find(m.ID)
		return ok && r.Boot == m.Boot
	})
}

// ride takes a run up whose whole hive was down, once nodes are there again.
func (d *driver) ride(ctx context.Context) error {
	if d.reappeared() {
		d.outage.down = false
		return nil
	}
	room := 0
	for _, m := range d.candidates() {
		room += m.Capacity
	}
	waited := d.at() - d.outage.since
	enough := room >= d.layout.Slots && waited >= min(d.n.cfg.LeaseTTL, d.n.cfg.Timing.Grace)
	if !enough && (room == 0 || waited < d.n.cfg.Timing.Grace) && !d.passed() {
		return nil
	}
	d.outage.down = false
	if d.policy().OnOutage == OutageAbort {
		return d.closeAfterOutage(ctx)
	}
	return d.goOn(ctx)
}

// passed says whether the plan has come to its end while nobody was there.
func (d *driver) passed() bool {
	return d.policy().OnOutage == OutageSkip && d.st.Halt == nil && d.wallRun() > d.planEnd()
}

// sentUntil is the moment on the run's clock after which no member can have sent anything: the clock is written down
// every second, and a node that cannot reach etcd stops by itself.
func (d *driver) sentUntil() time.Duration {
	until := max(d.last.Run, d.st.From, 0) + tickEvery + d.n.cfg.LeaseTTL
	if d.st.Halt != nil {
		until = min(until, d.st.Halt.At)
	}
	return until
}

// wallRun is where the run's clock would stand by wall time.
func (d *driver) wallRun() time.Duration {
	if d.last.Wall.IsZero() {
		return d.sentUntil()
	}
	return d.last.Run + max(0, time.Since(d.last.Wall))
}

// goOn counts all members out and sets the clock; nodes that are there are then dealt in as if they had joined.
func (d *driver) goOn(ctx context.Context) error {
	down := d.sentUntil()
	run := down
	if d.policy().OnOutage == OutageSkip && d.st.Halt == nil {
		run = max(down, d.wallRun())
	}
	fallen := map[int64]string{}
	for _, m := range d.st.Members {
		fallen[m.Incarnation] = "the whole hive was down"
		d.watch.absent[m.Incarnation] = &absence{member: m, since: d.at(), stayed: true, reason: "the whole hive was down"}
	}
	records, err := d.recordLives(ctx, d.st.Members, run, true)
	if err != nil {
		return err
	}
	for _, m := range d.st.Members {
		d.lives[m.Incarnation].Proven = down
	}
	rows, err := d.moveWork(ctx, &Proposal{Epoch: d.st.Tried + 1}, nil)
	if err != nil {
		return err
	}
	d.note(TimelineOutage, "", fmt.Sprintf("the whole hive was down (%s): nothing was sent after %s at the latest; the run's clock goes on from %s (%s)",
		nameList(d.st.Members), seconds(down), seconds(run), d.policy().OnOutage), map[string]float64{"seconds": (run - down).Seconds()})
	members := d.st.Members
	err = d.advanceIf(ctx, "outage", d.stillGone(members, fallen), func(s *State) {
		s.Gone = slices.Clone(s.Gone)
		for _, m := range members {
			s.Gone = append(s.Gone, Gone{Member: m, Lost: true, Proven: down, Reason: fallen[m.Incarnation]})
		}
		s.Tried++
		s.Epoch, s.From, s.Members, s.Proposal, s.Unowned, s.Refill = s.Tried, down, nil, nil, d.layout.Slots, true
		s.Anchor = Anchor{Node: d.n.info.ID, At: d.n.clock.Now(), Run: run, Gen: s.Anchor.Gen + 1}
		d.markGaps(s, down, map[int64]Alloc{})
	}, append(records, rows...)...)
	if err != nil {
		return err
	}
	if d.nextRows != nil {
		d.rows, d.nextRows = d.nextRows, nil
	}
	d.stints = map[int64][]Stint{}
	d.allocs[d.st.Epoch] = map[int64]Alloc{}
	return nil
}

// closeAfterOutage ends a run whose whole hive was down, with teardown.
func (d *driver) closeAfterOutage(ctx context.Context) error {
	for _, m := range d.st.Members {
		d.watch.absent[m.Incarnation] = &absence{member: m, since: d.at(), stayed: true, reason: "the whole hive was down"}
	}
	down := d.sentUntil()
	d.note(TimelineOutage, "", fmt.Sprintf("the whole hive was down: nothing was sent after %s at the latest; the run is closed, as its policy wants", seconds(down)), nil)
	return d.advance(ctx, "outage", func(s *State) {
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
