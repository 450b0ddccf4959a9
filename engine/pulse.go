package engine

import (
	"time"

	"hive/engine/metric"
)

// Intervals at which the engine looks at itself.
const (
	gaugeInterval = time.Second           // vus and vus_max, as in k6
	flushInterval = 50 * time.Millisecond // raw samples, for outputs that want them
)

// pulse records vus and vus_max once a second and passes raw samples on.
type pulse struct {
	quit, done chan struct{}
}

func (e *Engine) startPulse() *pulse {
	p := &pulse{quit: make(chan struct{}), done: make(chan struct{})}
	go p.run(e)
	return p
}

func (p *pulse) run(e *Engine) {
	defer close(p.done)
	gauges := time.NewTicker(gaugeInterval)
	defer gauges.Stop()
	flush := time.NewTicker(flushInterval)
	defer flush.Stop()
	rec := e.store.Recorder(0)
	for {
		select {
		case <-p.quit:
			return
		case now := <-gauges.C:
			if e.ended.Load() == nil {
				rec.Record(e.tags, metric.Extra{}, now,
					metric.Value{Metric: e.builtin.VUs, V: float64(e.activeVUs())},
					metric.Value{Metric: e.builtin.VUsMax, V: float64(e.pool.ready.Load())})
			}
		case <-flush.C:
			e.store.FlushRaw()
		}
	}
}

func (p *pulse) stop() {
	select {
	case <-p.quit:
	default:
		close(p.quit)
	}
	<-p.done
}
