package engine

import (
	"time"

	"hive/engine/machine"
	"hive/engine/metric"
)

// Intervals at which the engine looks at itself.
const (
	gaugeInterval = time.Second           // vus and vus_max, as in k6
	flushInterval = 50 * time.Millisecond // raw samples, for outputs that want them
)

// stoodStill is for how long the engine must not have come to look at itself to count as stalled. A machine that has more to
// do than it can makes it wait for a part of that.
const stoodStill = time.Second

// pulse looks at the engine once a second, as long as it lives: it records vus and vus_max, closes VUs that are not
// needed any more and, on a node, keeps its health. It passes raw samples on.
type pulse struct {
	quit, done chan struct{}
	sampler    *machine.Sampler // nil where nobody asks for the health
	late       time.Duration    // the worst of its own ticks this second
	seen       time.Duration    // when it looked last while there was load, on the run's clock; -1 before
	stall      Stall
}

func (e *Engine) startPulse() *pulse {
	p := &pulse{quit: make(chan struct{}), done: make(chan struct{}), seen: -1}
	if e.resident() {
		p.sampler = machine.NewSampler()
	}
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
		case <-gauges.C:
			e.recordVUs(rec)
			e.pool.shed()
			p.sample(e)
		case due := <-flush.C:
			e.store.FlushRaw()
			p.late = max(p.late, time.Since(due))
			p.look(e)
		}
	}
}

// recordVUs records vus and vus_max in the present second of the run's clock.
func (e *Engine) recordVUs(rec *metric.Recorder) {
	if e.ended.Load() != nil {
		return
	}
	now := time.Now()
	if e.started.Load() != nil {
		e.store.SetStart(now.Add(-e.ensemble.Load().clock.Now()))
	}
	rec.Record(e.tags, metric.Extra{}, now,
		metric.Value{Metric: e.builtin.VUs, V: float64(e.activeVUs())},
		metric.Value{Metric: e.builtin.VUsMax, V: float64(e.pool.ready.Load())})
}

// look notes when it could not for a while.
func (p *pulse) look(e *Engine) {
	if p.sampler == nil || e.started.Load() == nil || e.ended.Load() != nil {
		return
	}
	now := max(0, e.ensemble.Load().clock.Now())
	if p.seen >= 0 && now-p.seen > stoodStill {
		p.stall = Stall{N: p.stall.N + 1, From: p.seen, Until: now}
		h := e.Health()
		h.Stall = p.stall
		e.health.Store(&h)
	}
	p.seen = now
}

// sample notes how the process has fared since the sample before.
func (p *pulse) sample(e *Engine) {
	if p.sampler == nil {
		return
	}
	h := Health{Late: e.lateness(p.late), Stall: p.stall}
	h.CPU, h.Memory, h.GC, h.Sockets, h.SocketsMax = p.sampler.Sample()
	p.late = 0
	e.health.Store(&h)
}

func (p *pulse) stop() {
	select {
	case <-p.quit:
	default:
		close(p.quit)
	}
	<-p.done
}
