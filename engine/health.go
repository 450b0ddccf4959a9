package engine

import "time"

// Health is how an engine's process fared over the last second.
type Health struct {
	CPU        float64       `json:"cpu"`                 // cores in use
	Memory     int64         `json:"memory"`              // resident, bytes
	MemoryMax  int64         `json:"memoryMax,omitempty"` // above which it is stopped, bytes; 0 where there is no such limit
	GC         float64       `json:"gc"`                  // part of the process's CPU time that the collector took
	Late       time.Duration `json:"late"`                // 99th percentile of how late iterations started, or its own timers fired when there were none
	Sockets    int           `json:"sockets"`             // open file descriptors
	SocketsMax int           `json:"socketsMax"`          // as many as the process may open
	Stall      Stall         `json:"stall,omitzero"`      // the last one since the load began
}

// Stall is a stretch of the run's clock in which the process was given no time, as when it is stopped, or its machine is.
type Stall struct {
	N     int           `json:"n"` // how many there were, this one included
	From  time.Duration `json:"from"`
	Until time.Duration `json:"until"`
}

// Worst has the higher of each figure, and no stall.
func (h Health) Worst(o Health) Health {
	return Health{
		CPU: max(h.CPU, o.CPU), Memory: max(h.Memory, o.Memory), MemoryMax: max(h.MemoryMax, o.MemoryMax), GC: max(h.GC, o.GC),
		Late: max(h.Late, o.Late), Sockets: max(h.Sockets, o.Sockets), SocketsMax: max(h.SocketsMax, o.SocketsMax),
	}
}

// Health is how the engine's process fared over the last second; of a node's engine, from the first second after Init on.
func (e *Engine) Health() Health {
	if h := e.health.Load(); h != nil {
		return *h
	}
	return Health{}
}

// lateness is the worst of the scenarios' since it was asked for last, or else that of the engine's own ticks.
func (e *Engine) lateness(own time.Duration) time.Duration {
	worst, started := time.Duration(0), false
	for i := range e.tallies {
		if late, ok := e.tallies[i].late.lately(); ok {
			worst, started = max(worst, late), true
		}
	}
	if !started {
		return own
	}
	return worst
}
