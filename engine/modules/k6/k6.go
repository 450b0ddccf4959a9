// Package k6 is the k6 module: check, fail, group, randomSeed and sleep.
package k6

import (
	"errors"
	"math/rand"
	"strings"
	"time"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// Path is what scripts import.
const Path = "k6"

var exports = js.NewTable(
	js.Method("check", check),
	js.Method("fail", fail),
	js.Method("group", group),
	js.Method("randomSeed", randomSeed),
	js.Method("sleep", sleep),
)

// New returns the module.
func New() js.Module {
	return js.Module{Path: Path, Names: exports.Names(), Open: func(vu *js.VU) *goja.Object {
		return exports.Object(vu.Runtime(), vu)
	}}
}

// separator divides the names of nested groups, and may not be part of one.
const separator = "::"

var errSeparator = errors.New("the names of groups and checks must not contain '" + separator + "'")

func checkName(vu *js.VU, name string) {
	if strings.Contains(name, separator) {
		js.Throw(vu.Runtime(), errSeparator)
	}
}

// fail is fail(message): an exception.
func fail(vu *js.VU, call goja.FunctionCall) goja.Value {
	message := ""
	if v := call.Argument(0); !goja.IsUndefined(v) {
		message = v.String()
	}
	js.Throw(vu.Runtime(), errors.New(message))
	return nil
}

// randomSeed is randomSeed(n): from now on Math.random gives the VU the
// sequence of that number.
func randomSeed(vu *js.VU, call goja.FunctionCall) goja.Value {
	source := rand.New(rand.NewSource(call.Argument(0).ToInteger()))
	vu.Runtime().SetRandSource(source.Float64)
	return goja.Undefined()
}

// sleep is sleep(seconds): the VU waits, its event loop too.
func sleep(vu *js.VU, call goja.FunctionCall) goja.Value {
	if d := js.Milliseconds(call.Argument(0).ToFloat() * float64(time.Second/time.Millisecond)); d > 0 {
		vu.Wait(d)
	}
	return goja.Undefined()
}
