package js

import (
	"fmt"
	"math"
	"time"

	"github.com/dop251/goja"
)

// maxDelay is the longest delay of a timer.
const maxDelay = time.Duration(math.MaxInt64)

func (vu *VU) setTimeout(call goja.FunctionCall) goja.Value {
	return vu.startTimer("setTimeout", call, false)
}

func (vu *VU) setInterval(call goja.FunctionCall) goja.Value {
	return vu.startTimer("setInterval", call, true)
}

func (vu *VU) startTimer(what string, call goja.FunctionCall, repeat bool) goja.Value {
	f, ok := goja.AssertFunction(call.Argument(0))
	if !ok {
		Throw(vu.rt, fmt.Errorf("%s: the callback must be a function, not %s", what, call.Argument(0)))
	}
	var args []goja.Value
	if len(call.Arguments) > 2 {
		args = append(args, call.Arguments[2:]...)
	}
	id := vu.loop.timers.add(Milliseconds(call.Argument(1).ToFloat()), repeat, func() error {
		_, err := f(goja.Undefined(), args...)
		return err
	})
	return vu.rt.ToValue(id)
}

func (vu *VU) clearTimer(call goja.FunctionCall) goja.Value {
	vu.loop.timers.remove(call.Argument(0).ToInteger())
	return goja.Undefined()
}

// Milliseconds turns a script's number of milliseconds into a duration: NaN
// and what is negative into 0, what is too long into the longest there is.
func Milliseconds(ms float64) time.Duration {
	if !(ms > 0) {
		return 0
	}
	if ms >= float64(maxDelay/time.Millisecond) {
		return maxDelay
	}
	return time.Duration(ms * float64(time.Millisecond))
}
