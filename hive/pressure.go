package hive

import (
	"fmt"
	"time"
)

// pressure is something that an engine is about to run out of.
type pressure int

const (
	pressCollector pressure = iota // CPU time, to the garbage collector
	pressMemory                    // memory that it may use
	pressSockets                   // files that it may open
	pressures                      // how many there are
)

const (
	// collectorLimit is the part of its CPU time that an engine's collector may take.
	collectorLimit = 0.3
	// memoryLimit and socketLimit are the parts of what an engine may have that it may come to.
	memoryLimit, socketLimit = 0.85, 0.9
	// pressedFor is for how long in a row it must have been so. Files run out at once.
	pressedFor = 3 * time.Second
)

// under says whether a report shows a pressure.
func (p pressure) under(h Health) bool {
	switch p {
	case pressCollector:
		// Of an engine that does little, the collector's part says little.
		return h.GC > collectorLimit && (h.CPU > collectorLimit || float64(h.Memory) > memoryLimit*float64(h.MemoryMax) && h.MemoryMax > 0)
	case pressMemory:
		return h.MemoryMax > 0 && float64(h.Memory) > memoryLimit*float64(h.MemoryMax)
	case pressSockets:
		return h.SocketsMax > 0 && float64(h.Sockets) > socketLimit*float64(h.SocketsMax)
	}
	return false
}

// text says what it is about, of a node.
func (p pressure) text(node string, h Health) string {
	switch p {
	case pressCollector:
		return fmt.Sprintf("node %s spends %.0f%% of its engine's CPU time on collecting garbage, with %s: the script keeps or makes too many objects", node, 100*h.GC, memoryText(h))
	case pressMemory:
		return fmt.Sprintf("the engine of node %s uses %s and will be stopped above that: the script keeps too much, or the node has too many VUs", node, memoryText(h))
	case pressSockets:
		return fmt.Sprintf("the engine of node %s has %d of at most %d files open, most of them connections: raise the limit (ulimit -n) or give the node fewer VUs", node, h.Sockets, h.SocketsMax)
	}
	return ""
}

// memoryText is how much memory an engine uses, and of how much.
func memoryText(h Health) string {
	if h.MemoryMax > 0 {
		return fmt.Sprintf("%d MiB of at most %d MiB", h.Memory>>20, h.MemoryMax>>20)
	}
	return fmt.Sprintf("%d MiB", h.Memory>>20)
}

// pressures finds what is new of a life's pressures; each is told once in a life.
func (s *strain) pressures(at time.Time, f fare) (found []finding) {
	for p := range pressures {
		if !p.under(f.health) {
			s.pressed[p] = time.Time{}
			continue
		}
		if s.pressed[p].IsZero() {
			s.pressed[p] = at
		}
		if !s.warned[p] && (p == pressSockets || at.Sub(s.pressed[p]) >= pressedFor) {
			s.warned[p] = true
			found = append(found, finding{fare: f, kind: pressed, press: p})
		}
	}
	return found
}
