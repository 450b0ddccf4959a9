package executor

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// controlled keeps as many VUs looping as it was last told, and can be paused by itself.
type controlled struct {
	*endless
	control *control
}

// control is what an externally-controlled scenario was told to do; it is the plan of its VUs.
type control struct {
	begins, length time.Duration // of the scenario; no length means no end

	mu     sync.Mutex // guards what follows
	scales []scale    // by time; the first one is in force
	paused bool
	ran    time.Duration // on the scenario's clock, up to turned
	turned time.Duration // when the scenario's clock last stopped or went on, on the run's
}

// scale is how many VUs of the whole test loop from a moment on the run's clock on.
type scale struct {
	at  time.Duration
	vus int
}

func newControlled(b *base, e Epoch) *controlled {
	s := b.scenario
	b.regular = math.MaxInt64 // its clock can stand still, so the end moves
	c := &control{begins: s.StartTime, length: s.Duration, turned: s.StartTime, scales: []scale{{at: s.StartTime, vus: s.VUs}}}
	b.end.Store(int64(c.end()))
	crew := newCrew(b, c)
	crew.part = defaultGracefulStop // it has no gracefulStop of its own
	return &controlled{endless: newEndless(crew, e), control: c}
}

// Run loops and obeys until the duration has passed on the scenario's own clock, if it has one.
func (e *controlled) Run(ctx context.Context) error {
	defer func() { e.control.pause(e.Clock.Now(), false) }()
	return e.endless.Run(ctx)
}

// end is when the duration will have passed, on the run's clock; the caller holds mu, or is alone.
func (c *control) end() time.Duration {
	if c.length == 0 || c.paused {
		return Never
	}
	return addTimes(c.turned, c.length-c.ran)
}

// elapsed is the time on the scenario's clock; the caller holds mu.
func (c *control) elapsed(now time.Duration) time.Duration {
	if c.paused {
		return c.ran
	}
	return c.ran + max(0, now-c.turned)
}

// pause stops the scenario's clock; shown says that VUs are to stop with it.
func (c *control) pause(now time.Duration, shown bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused {
		return
	}
	c.ran = c.elapsed(now)
	if c.length > 0 {
		c.ran = min(c.ran, c.length)
	}
	if c.paused = shown; shown {
		c.turned = max(now, c.begins)
	} else {
		c.turned = Never
	}
}

func (c *control) resume(now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused {
		c.paused, c.turned = false, max(now, c.begins)
	}
}

// set adds a scale.
func (c *control) set(s scale, now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scales = slices.DeleteFunc(c.scales, func(o scale) bool { return o.at >= s.at && o.at > c.begins })
	c.scales = append(c.scales, s)
	for len(c.scales) > 1 && c.scales[1].at <= now {
		c.scales = c.scales[1:]
	}
}

// count implements plan.
func (c *control) count(t time.Duration) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t < 0 || c.paused {
		return 0
	}
	vus := c.scales[0].vus
	for _, s := range c.scales {
		if s.at <= c.begins+t {
			vus = s.vus
		}
	}
	return vus
}

// since implements plan: whatever changes VUs changes them at once.
func (c *control) since(_ int, t time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.turned
	for _, s := range c.scales {
		if s.at <= c.begins+t {
			at = max(at, s.at)
		}
	}
	return max(0, min(t, at-c.begins))
}

// next implements plan.
func (c *control) next(t time.Duration, slots []int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t < 0 && len(slots) > 0 {
		return 0
	}
	for _, s := range c.scales {
		if s.at > c.begins+t {
			return s.at - c.begins
		}
	}
	return Never
}

// Pause lets running iterations end and starts no new ones.
func (e *controlled) Pause() {
	e.control.pause(e.Clock.Now(), true)
	e.turn()
}

// Resume goes on after Pause.
func (e *controlled) Resume() {
	e.control.resume(e.Clock.Now())
	e.turn()
}

// turn lets everybody look at the control again.
func (e *controlled) turn() {
	e.control.mu.Lock()
	end := e.control.end()
	e.control.mu.Unlock()
	e.endAt(end)
	e.tell()
}

// Scale sets how many VUs run in the whole test. MaxVUs is 0 or what it was: VUs and their slots were planned
// for it.
func (e *controlled) Scale(vus, maxVUs int) error {
	if maxVUs != 0 && maxVUs != e.scenario.VULimit {
		return fmt.Errorf("scenario %s: maxVUs is %d for this run and cannot become %d", e.scenario.Name, e.scenario.VULimit, maxVUs)
	}
	return e.ScaleAt(vus, e.Clock.Now())
}

// ScaleAt sets how many VUs run in the whole test from a moment on the run's clock on. It takes the place of what was
// to come after that moment.
func (e *controlled) ScaleAt(vus int, run time.Duration) error {
	if vus < 0 || vus > e.scenario.VULimit {
		return fmt.Errorf("scenario %s: cannot scale to %d VUs, want 0 to %d (maxVUs)", e.scenario.Name, vus, e.scenario.VULimit)
	}
	e.control.set(scale{at: max(run, e.begins()), vus: vus}, e.Clock.Now())
	e.tell()
	return nil
}

// Progress counts time on the scenario's clock.
func (e *controlled) Progress() Progress {
	c := e.control
	c.mu.Lock()
	elapsed, paused := c.elapsed(e.Clock.Now()), c.paused
	c.mu.Unlock()
	own := e.own()
	vus := counted(e.active.Load(), int64(own)) + " VUs"
	what := ""
	if paused {
		what = "paused"
	}
	d := e.scenario.Duration
	if d == 0 {
		return e.progress(own, 0, vus, clock(elapsed, time.Hour), elapsed, what)
	}
	elapsed = min(elapsed, d)
	return e.progress(own, float64(elapsed)/float64(d), vus, clock(elapsed, d)+"/"+d.String(), elapsed, what)
}
