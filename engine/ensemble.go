package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"hive/engine/executor"
	"hive/engine/share"
)

// ensemble are the executors of a run, on one clock.
type ensemble struct {
	clock     *executor.Clock
	executors []executor.Executor // by scenario; nil where a share that never changes has no VUs
}

// newEnsemble makes an executor for each scenario.
func (e *Engine) newEnsemble(clock *executor.Clock, first executor.Epoch) (*ensemble, error) {
	if err := e.fits(first.Share); err != nil {
		return nil, err
	}
	c := &ensemble{clock: clock, executors: make([]executor.Executor, len(e.opts.Scenarios))}
	cfg := executor.Config{
		Pool: e.pool, Events: (*events)(e), Clock: clock, Fence: e.fence, Marked: e.marked, NeedMarks: e.needMarks,
		Begun: e.begun.ByScenario(e.opts.Scenarios),
	}
	for i, s := range e.opts.Scenarios {
		if !e.resident() && first.Share.VUs(i) == 0 {
			continue
		}
		x, err := executor.New(s, i, first, cfg)
		if err != nil {
			return nil, err
		}
		c.executors[i] = x
	}
	return c, nil
}

// fits refuses the share of another test.
func (e *Engine) fits(s share.Share) error {
	got, want := s.Plan(), e.share.Plan()
	if got.Slots == want.Slots && slices.Equal(got.Scenarios, want.Scenarios) {
		return nil
	}
	return fmt.Errorf("the share is one of %d slots and %d scenarios laid out as %v, but this engine's test has %d slots and %d scenarios laid out as %v",
		got.Slots, len(got.Scenarios), got.Scenarios, want.Slots, len(want.Scenarios), want.Scenarios)
}

// each calls f for every executor and joins what fails.
func (c *ensemble) each(f func(executor.Executor) error) error {
	var errs []error
	for _, x := range c.executors {
		if x != nil {
			errs = append(errs, f(x))
		}
	}
	return errors.Join(errs...)
}

// assemble makes the ensemble of Run and gives it the orders that came before.
func (e *Engine) assemble(start time.Time, first executor.Epoch) (*ensemble, error) {
	c, err := e.newEnsemble(executor.NewClock(start), first)
	if err != nil {
		return nil, err
	}
	e.ordering.Lock()
	defer e.ordering.Unlock()
	e.paced(func() {
		e.tenure.begin(first)
		if e.quota != nil {
			e.quota.clock = c.clock
		}
	})
	if e.quota != nil {
		e.pace.Hold(e.quota.head(first.Share))
	}
	e.pool.sift()
	e.store.SetStart(start)
	e.started.Store(&start)
	e.ensemble.Store(c)
	e.running = true
	var errs []error
	for _, order := range e.orders {
		errs = append(errs, order(c))
	}
	e.orders = nil
	return c, errors.Join(errs...)
}

// dismiss notes that the load has ended.
func (e *Engine) dismiss(c *ensemble) {
	at := max(0, c.clock.Now())
	e.ended.Store(&at)
	e.paced(func() {
		if e.quota != nil {
			e.quota.clock = nil
		}
	})
}

// order has f done to the ensemble of Run, at once or as soon as there is one. Orders are carried out one after the other.
func (e *Engine) order(f func(*ensemble) error) error {
	e.ordering.Lock()
	defer e.ordering.Unlock()
	if !e.running {
		e.orders = append(e.orders, f)
		return nil
	}
	return f(e.ensemble.Load())
}

// paced changes what the limit of requests per second is made of.
func (e *Engine) paced(f func()) {
	if e.pace == nil {
		f()
		return
	}
	e.pace.Change(f)
}
