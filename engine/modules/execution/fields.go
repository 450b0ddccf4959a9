package execution

import (
	"time"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// fields describes an object whose properties are computed at each access.
type fields struct {
	names []string
	get   func(s *state, name string) any
}

var instanceFields = &fields{
	[]string{"currentTestRunDuration", "iterationsCompleted", "iterationsInterrupted", "vusActive", "vusInitialized"},
	func(s *state, name string) any {
		s.needRun("exec.instance", js.StageInit, js.StageTeardown, js.StageSummary)
		now := s.run.Instance()
		switch name {
		case "currentTestRunDuration":
			return float64(now.Elapsed) / float64(time.Millisecond)
		case "iterationsCompleted":
			return now.IterationsCompleted
		case "iterationsInterrupted":
			return now.IterationsInterrupted
		case "vusActive":
			return now.VUsActive
		default:
			return now.VUsInitialized
		}
	},
}

var scenarioFields = &fields{
	[]string{"executor", "startTime", "progress", "iterationInInstance", "iterationInTest", "name"},
	func(s *state, name string) any {
		s.needRun("exec.scenario", js.StageInit, js.StageSetup, js.StageTeardown, js.StageSummary)
		switch name {
		case "executor":
			return s.run.Scenario(s.vu).Executor
		case "startTime":
			return s.run.Scenario(s.vu).Start.UnixMilli()
		case "progress":
			return s.run.Scenario(s.vu).Progress
		case "iterationInInstance":
			return s.run.Iteration(s.vu).InInstance
		case "iterationInTest":
			return s.run.Iteration(s.vu).InTest
		default:
			return s.vu.Scenario()
		}
	},
}

var vuFields = &fields{
	[]string{"idInInstance", "idInTest", "iterationInInstance", "iterationInScenario", "tags", "metrics"},
	func(s *state, name string) any {
		s.needRun("exec.vu", js.StageInit)
		switch name {
		case "idInInstance":
			return s.vu.ID().InInstance
		case "idInTest":
			return s.vu.ID().InTest
		case "iterationInInstance":
			return max(s.vu.Iteration(), 0)
		case "iterationInScenario":
			if s.vu.Stage() != js.StageVU {
				return 0
			}
			return s.run.Iteration(s.vu).InVU
		case "tags":
			return s.tagsObject()
		default:
			if s.metrics == nil {
				s.metrics = s.live(metricsFields)
			}
			return s.metrics
		}
	},
}

var metricsFields = &fields{
	[]string{"tags", "metadata"},
	func(s *state, name string) any {
		if name == "tags" {
			return s.tagsObject()
		}
		return s.vu.Runtime().NewDynamicObject(metadata{s})
	},
}

func (s *state) tagsObject() goja.Value {
	if s.tags == nil {
		s.tags = s.vu.Runtime().NewDynamicObject(tags{s})
	}
	return s.tags
}

// needRun throws where what cannot be used.
func (s *state) needRun(what string, forbidden ...js.Stage) {
	s.vu.NotIn(what, forbidden...)
	if s.run == nil {
		js.Throw(s.vu.Runtime(), errNoRun)
	}
}

// live makes the object that fields describe.
func (s *state) live(f *fields) *goja.Object {
	return s.vu.Runtime().NewDynamicObject(&liveObject{s, f})
}

// liveObject implements goja.DynamicObject.
type liveObject struct {
	state  *state
	fields *fields
}

func (o *liveObject) Get(name string) goja.Value {
	if !o.Has(name) {
		return nil
	}
	return o.state.vu.Runtime().ToValue(o.fields.get(o.state, name))
}

func (o *liveObject) Has(name string) bool {
	for _, n := range o.fields.names {
		if n == name {
			return true
		}
	}
	return false
}

func (o *liveObject) Set(name string, _ goja.Value) bool {
	panic(o.state.vu.Runtime().NewTypeError("k6/execution: '" + name + "' cannot be assigned to"))
}

func (o *liveObject) Delete(string) bool { return false }

func (o *liveObject) Keys() []string { return o.fields.names }
