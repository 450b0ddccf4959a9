package hive

import (
	"fmt"
	"time"

	"hive/registry"
)

// derateFrom is how long a test is planned that is derated without being asked to.
const derateFrom = 5 * time.Minute

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
	if m, ok := d.memberOf(r.ID); ok && m.Boot == r.Boot && m.Weight > 0 && m.Weight < r.Capacity {
		return m.Weight // an earlier leader took it away
	}
	return r.Capacity
}

// fares are how the living members fare that send load, by their newest reports. Nobody is late in a pause.
func (d *driver) fares() (fares []fare) {
	for _, m := range d.living() {
		c := d.n.inbox.of(m.Incarnation)
		r, ok := d.n.find(m.ID)
		if c == nil || c.Stage != StageRunning || !ok || r.Boot != m.Boot {
			continue
		}
		h := c.Health
		if d.st.paused() != nil {
			h.Late = 0
		}
		fares = append(fares, fare{node: m.ID, name: m.Name, life: m.Incarnation, seq: c.Seq, health: h, cores: r.Cores,
			weight: d.weight(r), capacity: r.Capacity, vus: m.VUs})
	}
	return fares
}

// findOverload looks for members that have not kept up for a while or run out of something, says so, and moves weight
// away from them, and back when they keep up again.
func (d *driver) findOverload() {
	for _, f := range d.load.look(time.Now(), d.fares(), d.derates()) {
		d.tellOverload(f)
	}
}

// tellOverload writes a finding into the timeline and, where it makes the figures doubtful, beside the results.
func (d *driver) tellOverload(f finding) {
	h := f.health
	late := map[string]float64{"late_ms": float64(h.Late) / float64(time.Millisecond)}
	switch f.kind {
	case overloaded:
		d.note(TimelineOverload, f.name, fmt.Sprintf("node %s could not keep up at %s: 99%% of its iterations started within %s of their time; %s",
			f.name, seconds(d.now()), h.Late.Round(time.Millisecond), healthText(h)), late)
		d.warnOnce(f.life, "node %s was overloaded at %s: iterations started up to %s late", f.name, seconds(d.now()), h.Late.Round(time.Millisecond))
	case allOverloaded:
		d.note(TimelineOverload, f.name, fmt.Sprintf("no node could keep up at %s, least of all node %s: 99%% of its iterations started within %s of their time; %s",
			seconds(d.now()), f.name, h.Late.Round(time.Millisecond), healthText(h)), late)
		d.warn("all nodes were overloaded: the hive is too small for this load, and no node was given less of it")
	case derated:
		d.note(TimelineDerate, f.name, fmt.Sprintf("node %s is dealt to by a weight of %d instead of %d from the next epoch on", f.name, f.weight, f.fare.weight), nil)
		d.warn("node %s was given less of the load for a time, since it could not keep up", f.name)
	case restored:
		d.note(TimelineDerate, f.name, fmt.Sprintf("node %s keeps up again: it is dealt to by a weight of %d instead of %d from the next epoch on", f.name, f.weight, f.fare.weight), nil)
	case pressed:
		d.note(TimelineOverload, f.name, f.press.text(f.name, h), nil)
		d.warn("%s", f.press.text(f.name, h))
	}
}

// warnOnce warns of the first overload of a life only: the timeline has them all.
func (d *driver) warnOnce(life int64, format string, args ...any) {
	if d.strained == nil {
		d.strained = map[int64]bool{}
	}
	if !d.strained[life] {
		d.strained[life] = true
		d.warn(format, args...)
	}
}

// healthText is what an engine used, in words.
func healthText(h Health) string {
	text := fmt.Sprintf("%.1f cores in use, %s", h.CPU, memoryText(h))
	if h.GC >= 0.1 {
		text += fmt.Sprintf(", %.0f%% of the CPU time for collecting garbage", 100*h.GC)
	}
	return text
}
