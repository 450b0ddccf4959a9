package js

import (
	"fmt"

	"github.com/dop251/goja"
)

// require gives the default export of a built-in module.
func (vu *VU) require(call goja.FunctionCall) goja.Value {
	vu.OnlyInInit("require()")
	path := call.Argument(0).String()
	i, ok := vu.cfg.shared.modules[path]
	if !ok {
		Throw(vu.rt, fmt.Errorf("require: there is no module %q", path))
	}
	return vu.module(i)
}

// module opens the i-th module of the Config once.
func (vu *VU) module(i int) *goja.Object {
	if vu.modules == nil {
		vu.modules = make([]*goja.Object, len(vu.cfg.Modules))
	}
	if vu.modules[i] == nil {
		vu.modules[i] = vu.cfg.Modules[i].Open(vu)
	}
	return vu.modules[i]
}
