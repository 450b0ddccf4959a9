package engine

import (
	"hive/engine/js"
	"hive/engine/modules/execution"
)

// observer is the Engine as k6/execution sees it.
type observer Engine

// Instance implements execution.Run.
func (o *observer) Instance() execution.Instance {
	e := (*Engine)(o)
	p := e.Progress()
	return execution.Instance{
		IterationsCompleted: p.Iterations, IterationsInterrupted: p.Interrupted,
		VUsActive: int64(p.VUs), VUsInitialized: int64(p.VUsMax), Elapsed: p.Elapsed,
	}
}

// Scenario implements execution.Run.
func (o *observer) Scenario(inner *js.VU) execution.Scenario {
	v := o.vu(inner)
	if v == nil || v.scenario < 0 {
		return execution.Scenario{}
	}
	s := o.opts.Scenarios[v.scenario]
	out := execution.Scenario{Name: s.Name, Executor: string(s.Executor)}
	if start := o.started.Load(); start != nil {
		out.Start = start.Add(s.StartTime)
	}
	if x := o.ensemble.Load().executors[v.scenario]; x != nil {
		out.Progress = x.Progress().Fraction
	}
	return out
}

// Iteration implements execution.Run.
func (o *observer) Iteration(inner *js.VU) execution.Iteration {
	v := o.vu(inner)
	if v == nil {
		return execution.Iteration{}
	}
	return execution.Iteration{InTest: v.iteration.InTest, InInstance: v.iteration.InInstance, InVU: v.iteration.InVU}
}

// Options implements execution.Run.
func (o *observer) Options() []byte { return o.js.Options }

// Abort implements execution.Run.
func (o *observer) Abort(inner *js.VU, message string) {
	if v := o.vu(inner); v != nil {
		v.aborting = true
	}
	(*Engine)(o).abort(&execution.Aborted{Message: message})
}

// Fail implements execution.Run.
func (o *observer) Fail(_ *js.VU, message string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.failed {
		o.failed, o.failText = true, message
	}
}

// vu finds the VU that a runtime belongs to; nil for those of setup(), teardown() and handleSummary() while they are made.
func (o *observer) vu(inner *js.VU) *vu {
	v, ok := o.vus.Load(inner)
	if !ok {
		return nil
	}
	return v.(*vu)
}

var _ execution.Run = (*observer)(nil)
