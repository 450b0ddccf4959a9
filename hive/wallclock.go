package hive

import (
	"fmt"
	"time"
)

const (
	// clockNotable is from how much on it is said that a wall clock was set, or is apart from another.
	clockNotable = time.Second
	// clockShown is how exactly that is shown.
	clockShown = 100 * time.Millisecond
)

// findSet says which wall clocks were set while load was sent. The run goes by another clock, but the times of day that
// come from there have changed.
func (d *driver) findSet() {
	if d.set == nil {
		d.set = map[int64]time.Duration{}
	}
	by := map[time.Duration][]Member{}
	for _, m := range d.living() {
		c := d.n.inbox.of(m.Incarnation)
		if c == nil || c.Stage != StageRunning {
			continue
		}
		before, known := d.set[m.Incarnation]
		moved := c.Clock.Set - before
		switch {
		case !known:
			d.set[m.Incarnation] = c.Clock.Set
		case moved.Abs() >= clockNotable:
			d.set[m.Incarnation] = c.Clock.Set
			moved = moved.Round(clockShown)
			by[moved] = append(by[moved], m)
		}
	}
	for moved, members := range by {
		d.note(TimelineClock, members[0].Name, fmt.Sprintf("the wall clock of %s was set %s by %s before %s; the run goes by another clock",
			nodesText(members), way(moved), moved.Abs(), seconds(d.now())), nil)
	}
}

func nodesText(members []Member) string {
	if len(members) == 1 {
		return "node " + nameList(members)
	}
	return "nodes " + nameList(members)
}

func way(d time.Duration) string {
	if d < 0 {
		return "back"
	}
	return "ahead"
}

// clockNotes are what a reader has to know of the clock of a node: how far its copy of the run's clock was off, and its
// wall clock from the leader's.
func clockNotes(node string, c ClockSkew) (notes []string) {
	if worst := max(c.Worst, c.Off.Abs()); worst > skewLimit {
		notes = append(notes, fmt.Sprintf("the clock of node %s was up to %s off the run's, %s at its last report",
			node, worst.Round(time.Millisecond), c.Off.Abs().Round(time.Millisecond)))
	}
	if c.Ahead.Abs() >= clockNotable {
		side := "ahead of"
		if c.Ahead < 0 {
			side = "behind"
		}
		notes = append(notes, fmt.Sprintf("the wall clock of node %s was %s %s the leader's: times of day from there are off by that, and nothing else is",
			node, c.Ahead.Abs().Round(clockShown), side))
	}
	return notes
}
