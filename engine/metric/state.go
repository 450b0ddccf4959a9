package metric

import (
	"math"
	"time"
)

// state is the cumulative state of a series: what its kind needs, the rest is zero.
type state struct {
	total   sum     // counter
	gauge   *gauge  // gauge
	trues   uint64  // rate
	count   uint64  // rate
	sketch  *Sketch // trend
	ignored uint64  // NaNs, of all kinds but trends
}

func newState(m *Metric) state {
	switch m.Kind {
	case Gauge:
		return state{gauge: newGauge(additive(m.Name))}
	case Trend:
		return state{sketch: NewSketch()}
	default:
		return state{}
	}
}

// record adds a value of a metric of kind k. origin is when second 0 of the run began,
// in Unix nanoseconds.
func (s *state) record(k Kind, v float64, at time.Time, origin int64) {
	if k == Trend {
		s.sketch.Record(v)
		return
	}
	switch {
	case math.IsNaN(v):
		s.ignored++
		return
	case math.IsInf(v, 0):
		v = math.Copysign(math.MaxFloat64, v)
	}
	switch k {
	case Counter:
		s.total.add(v)
	case Gauge:
		s.gauge.record(v, at.UnixNano(), origin)
	case Rate:
		s.count++
		if v != 0 {
			s.trues++
		}
	}
}

// merge adds o, which is left as it was. Additive gauges of several machines need addGauges instead.
func (s *state) merge(o *state) {
	s.total.merge(o.total)
	s.trues += o.trues
	s.count += o.count
	s.ignored += o.ignored
	if o.sketch != nil {
		if s.sketch == nil {
			s.sketch = NewSketch()
		}
		s.sketch.Merge(o.sketch)
	}
	if o.gauge != nil {
		if s.gauge == nil {
			s.gauge = newGauge(o.gauge.history != nil)
		}
		s.gauge.merge(o.gauge)
	}
}

func (s *state) clone() state {
	c := *s
	if s.sketch != nil {
		c.sketch = s.sketch.Clone()
	}
	if s.gauge != nil {
		c.gauge = s.gauge.clone()
	}
	return c
}
