// Package data is the k6/data module: arrays that all VUs of a process share.
package data

import (
	"github.com/dop251/goja"

	"hive/engine/js"
)

// Path is what scripts import.
const Path = "k6/data"

var exports = js.NewTable(js.Constructor("SharedArray", newSharedArray))

// state is what the module knows in one VU.
type state struct {
	vu     *js.VU
	arrays *arrays
}

// New returns the module. The arrays belong to the module: VUs that are given
// the same one share them.
func New() js.Module {
	shared := &arrays{byName: make(map[string]*array)}
	return js.Module{Path: Path, Names: exports.Names(), Open: func(vu *js.VU) *goja.Object {
		s := &state{vu: vu, arrays: shared}
		return exports.Object(vu.Runtime(), s)
	}}
}
