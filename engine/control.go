package engine

import (
	"fmt"

	"hive/engine/executor"
)

// control finds an externally-controlled scenario that this share takes part in; with no name the first one. The
// controller is nil when the scenario has no VUs here.
func (e *Engine) control(name string) (executor.Controller, error) {
	for i, s := range e.opts.Scenarios {
		if s.Executor != executor.ExternallyControlled || (name != "" && s.Name != name) {
			continue
		}
		c, _ := e.executors[i].(executor.Controller)
		return c, nil
	}
	if name == "" {
		return nil, fmt.Errorf("the test has no scenario with the executor %q", executor.ExternallyControlled)
	}
	return nil, fmt.Errorf("the test has no scenario %q with the executor %q", name, executor.ExternallyControlled)
}

// Pause lets the running iterations of an externally-controlled scenario end and starts no new ones; its clock stands
// still until Resume. With no name it is the first such scenario.
func (e *Engine) Pause(scenario string) error {
	c, err := e.control(scenario)
	if c != nil {
		c.Pause()
	}
	return err
}

// Resume goes on after Pause.
func (e *Engine) Resume(scenario string) error {
	c, err := e.control(scenario)
	if c != nil {
		c.Resume()
	}
	return err
}

// Scale sets how many VUs an externally-controlled scenario runs and may run in the whole test; this node runs its
// share of them.
func (e *Engine) Scale(scenario string, vus, maxVUs int) error {
	c, err := e.control(scenario)
	if err != nil || c == nil {
		return err
	}
	return c.Scale(vus, maxVUs)
}
