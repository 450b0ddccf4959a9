package engine

import (
	"fmt"
	"time"

	"hive/engine/executor"
)

// PauseAt makes the run's clock stand still when it reads run: iterations that are under way end as they would, nothing
// starts, and no time passes for any scenario.
func (e *Engine) PauseAt(run time.Duration) {
	_ = e.order(func(c *ensemble) error { c.clock.PauseAt(run); return nil })
}

// ResumeAt lets the run's clock go on at an instant of this machine.
func (e *Engine) ResumeAt(at time.Time) {
	_ = e.order(func(c *ensemble) error { c.clock.ResumeAt(at); return nil })
}

// Adjust moves the run's clock by d in all, at most 500 ppm fast or slow.
func (e *Engine) Adjust(d time.Duration) {
	_ = e.order(func(c *ensemble) error { c.clock.Adjust(d); return nil })
}

// Extend moves the fence: until deadline iterations may start and requests be sent. When it passes, nothing starts and
// what runs is interrupted; a later Extend lets the engine go on. A deadline that has passed closes the fence at once;
// any other that is earlier than the present one changes nothing. Without a fence it does nothing.
func (e *Engine) Extend(deadline time.Time) { e.fence.Extend(deadline) }

// ScaleAt sets how many VUs an externally-controlled scenario runs in the whole test from a moment on the run's clock
// on. With no name it is the first such scenario.
func (e *Engine) ScaleAt(scenario string, vus int, run time.Duration) error {
	i, err := e.controlled(scenario)
	if err != nil {
		return err
	}
	if most := e.opts.Scenarios[i].VULimit; vus < 0 || vus > most {
		return fmt.Errorf("scenario %s: cannot scale to %d VUs, want 0 to %d (maxVUs)", e.opts.Scenarios[i].Name, vus, most)
	}
	return e.order(func(c *ensemble) error {
		e.paced(func() {
			if e.quota != nil {
				e.quota.scales = append(e.quota.scales, scaled{scenario: i, vus: vus, at: run})
			}
		})
		if x, ok := c.executors[i].(executor.Controller); ok {
			return x.ScaleAt(vus, run)
		}
		return nil
	})
}

// controlled finds an externally-controlled scenario; with no name the first one.
func (e *Engine) controlled(name string) (int, error) {
	for i, s := range e.opts.Scenarios {
		if s.Executor == executor.ExternallyControlled && (name == "" || s.Name == name) {
			return i, nil
		}
	}
	if name == "" {
		return 0, fmt.Errorf("the test has no scenario with the executor %q", executor.ExternallyControlled)
	}
	return 0, fmt.Errorf("the test has no scenario %q with the executor %q", name, executor.ExternallyControlled)
}

// control gives an order to an externally-controlled scenario; a share without its VUs has none to give it to.
func (e *Engine) control(name string, f func(executor.Controller) error) error {
	i, err := e.controlled(name)
	if err != nil {
		return err
	}
	return e.order(func(c *ensemble) error {
		if x, ok := c.executors[i].(executor.Controller); ok {
			return f(x)
		}
		return nil
	})
}

// Pause lets the running iterations of an externally-controlled scenario end and starts no new ones; its clock stands
// still until Resume. With no name it is the first such scenario.
func (e *Engine) Pause(scenario string) error {
	return e.control(scenario, func(x executor.Controller) error { x.Pause(); return nil })
}

// Resume goes on after Pause.
func (e *Engine) Resume(scenario string) error {
	return e.control(scenario, func(x executor.Controller) error { x.Resume(); return nil })
}

// Scale sets how many VUs an externally-controlled scenario runs and may run in the whole test; this node runs its
// share of them.
func (e *Engine) Scale(scenario string, vus, maxVUs int) error {
	return e.control(scenario, func(x executor.Controller) error { return x.Scale(vus, maxVUs) })
}
