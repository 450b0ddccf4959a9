// Package timers is the k6/timers module: the timer functions that scripts
// also have as globals.
package timers

import (
	"github.com/dop251/goja"

	"hive/engine/js"
)

// Path is what scripts import.
const Path = "k6/timers"

var exports = js.NewTable(timer("setTimeout"), timer("clearTimeout"), timer("setInterval"), timer("clearInterval"))

func timer(name string) js.Entry[*js.VU] {
	return js.Property(name, func(vu *js.VU) goja.Value { return vu.Builtin(name) })
}

// New returns the module.
func New() js.Module {
	return js.Module{Path: Path, Names: exports.Names(), Open: func(vu *js.VU) *goja.Object {
		return exports.Object(vu.Runtime(), vu)
	}}
}
