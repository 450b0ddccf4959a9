package hive

import (
	"fmt"
	"time"

	"hive/registry"
)

const (
	// strainLimit is how late iterations may start (99th percentile) until a node counts as overloaded.
	strainLimit = 50 * time.Millisecond
	// busyLimit is the part of its cores that a node may use until then, if it is late as well.
	busyLimit = 0.95
	// overloadedFor is for how long in a row it must have been so.
	overloadedFor = 5 * time.Second
	// derateStep is what is left of its weight then, derateFloor the least part of its capacity that is.
	derateStep, derateFloor = 0.8, 0.4
	// derateEvery is how often that may happen to a node.
	derateEvery = 30 * time.Second
	// derateFrom is how long a test is planned that is derated without being asked to.
	derateFrom = 5 * time.Minute
)

// overload is what the leader knows of nodes that cannot keep up.
type overload struct {
	seen    map[int64]strain
	weights map[string]int           // by node id, of nodes that lost weight
	last    map[string]time.Duration // when that was, on the leader's monotonic clock
}

// strain is how one incarnation fares.
type strain struct {
	seq   int64         // of the report it was seen in
	since time.Duration // since when it is overloaded; 0 when it is not
	late  time.Duration
}

// derates says whether overloaded nodes lose weight.
func (d *driver) derates() bool {
	switch d.spec.Flags.Policy.Derate {
	case "on":
		return true
	case "off":
		return false
	}
	return d.planEnd() > derateFrom
}

// weight is by what a node is dealt to.
func (d *driver) weight(r registry.Node) int {
	if w, ok := d.load.weights[r.ID]; ok {
		return min(w, r.Capacity)
	}
	if m, ok := d.st.member(r.ID); ok && m.Boot == r.Boot && m.Weight > 0 && m.Weight < r.Capacity {
		return m.Weight // an earlier leader took it away
	}
	return r.Capacity
}

// strained says whether a report shows a node that cannot keep up.
func strained(h Health, before time.Duration, cores int) bool {
	busy := cores > 0 && h.CPU >= busyLimit*float64(cores)
	return h.Late > strainLimit || busy && h.Late > before && h.Late > strainLimit/2
}

// findOverload looks for members that have not kept up for a while, says so, and takes weight from them.
func (d *driver) findOverload() {
	if d.load.seen == nil {
		d.load = overload{seen: map[int64]strain{}, weights: map[string]int{}, last: map[string]time.Duration{}}
	}
	seen := map[int64]strain{}
	for _, m := range d.living() {
		c := d.n.inbox.of(m.Incarnation)
		if c == nil || c.Stage != StageRunning {
			continue
		}
		was := d.load.seen[m.Incarnation]
		if c.Seq == was.seq {
			seen[m.Incarnation] = was
			continue
		}
		r, _ := d.n.find(m.ID)
		now := strain{seq: c.Seq, late: c.Health.Late}
		if strained(c.Health, was.late, r.Cores) {
			now.since = was.since
			if now.since == 0 {
				now.since = d.at()
			}
		}
		if now.since != 0 && d.at()-now.since >= overloadedFor {
			d.relieve(m, c.Health)
			now.since = 0
		}
		seen[m.Incarnation] = now
	}
	d.load.seen = seen
}

// relieve tells of an overloaded member, and takes a part of its weight where others have room for it.
func (d *driver) relieve(m Member, h Health) {
	if last, ok := d.load.last[m.ID]; ok && d.at()-last < derateEvery {
		return
	}
	d.load.last[m.ID] = d.at()
	why := fmt.Sprintf("node %s could not keep up at %s: 99%% of its iterations started within %s of their time, %.1f cores in use",
		m.Name, seconds(d.now()), h.Late.Round(time.Millisecond), h.CPU)
	d.note(TimelineOverload, m.Name, why, map[string]float64{"late_ms": float64(h.Late) / float64(time.Millisecond)})
	d.warn("node %s was overloaded: iterations started up to %s late", m.Name, h.Late.Round(time.Millisecond))
	if !d.derates() {
		return
	}
	weight := max(int(float64(m.Weight)*derateStep), int(float64(m.Capacity)*derateFloor), 1)
	if weight >= m.Weight || d.roomBeside(m) < m.VUs-m.VUs*weight/max(1, m.Weight) {
		return
	}
	d.load.weights[m.ID] = weight
	d.note(TimelineDerate, m.Name, fmt.Sprintf("node %s is dealt to by a weight of %d instead of %d from the next epoch on", m.Name, weight, m.Weight), nil)
	d.warn("node %s was given less of the load, since it could not keep up", m.Name)
}

// roomBeside is how many more VUs the other living members carry.
func (d *driver) roomBeside(m Member) (room int) {
	for _, o := range d.living() {
		if o.ID != m.ID {
			room += max(0, o.Capacity-o.VUs)
		}
	}
	return room
}
