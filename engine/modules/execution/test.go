package execution

import (
	"errors"

	"github.com/dop251/goja"

	"hive/engine/js"
)

var errNoRun = errors.New("k6/execution: there is no run yet")

// testExports is exec.test.
var testExports = js.NewTable(
	js.Method("fail", (*state).fail),
	js.Property("options", (*state).options),
	js.Method("abort", (*state).abort),
)

// abort is exec.test.abort(message): the test ends, and this VU at once.
func (s *state) abort(call goja.FunctionCall) goja.Value {
	message := message(call)
	if s.run != nil {
		s.run.Abort(s.vu, message)
	}
	s.vu.Interrupt(&Aborted{Message: message})
	return goja.Undefined()
}

// fail is exec.test.fail(message): the test goes on, but will have failed.
func (s *state) fail(call goja.FunctionCall) goja.Value {
	s.needRun("exec.test.fail()", js.StageInit)
	s.run.Fail(s.vu, message(call))
	return goja.Undefined()
}

func message(call goja.FunctionCall) string {
	if v := call.Argument(0); !goja.IsUndefined(v) {
		return v.String()
	}
	return ""
}

// options is exec.test.options: the consolidated options, frozen.
func (s *state) options() goja.Value {
	s.needRun("exec.test.options", js.StageInit)
	rt := s.vu.Runtime()
	v, err := js.ParseJSON(rt, string(s.run.Options()))
	if err != nil {
		js.Throw(rt, err)
	}
	if err := js.Freeze(rt, v); err != nil {
		js.Throw(rt, err)
	}
	return v
}
