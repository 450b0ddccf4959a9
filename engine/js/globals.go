package js

import (
	"github.com/dop251/goja"
)

// globals answers for the global variables that a script has beyond those of
// the language. It stands behind the global object as its prototype and makes
// a variable only when a script touches it; most VUs touch two or three.
type globals struct {
	vu  *VU
	env *environ
}

// hostGlobals makes each global variable but the changing ones.
var hostGlobals = map[string]func(vu *VU) goja.Value{
	"console":       func(vu *VU) goja.Value { return consoleTable.Object(vu.rt, vu) },
	"TextEncoder":   newTextEncoder,
	"TextDecoder":   newTextDecoder,
	"setTimeout":    func(vu *VU) goja.Value { return Func(vu.rt, "setTimeout", vu.setTimeout) },
	"setInterval":   func(vu *VU) goja.Value { return Func(vu.rt, "setInterval", vu.setInterval) },
	"clearTimeout":  func(vu *VU) goja.Value { return Func(vu.rt, "clearTimeout", vu.clearTimer) },
	"clearInterval": func(vu *VU) goja.Value { return Func(vu.rt, "clearInterval", vu.clearTimer) },
	"open":          func(vu *VU) goja.Value { return Func(vu.rt, "open", vu.open) },
	"require":       func(vu *VU) goja.Value { return Func(vu.rt, "require", vu.require) },
	"global":        func(vu *VU) goja.Value { return vu.rt.GlobalObject() },
}

// install puts the globals behind the runtime's global object.
func (g *globals) install(vu *VU) {
	g.vu = vu
	// Fails only for objects that are not extensible or in a prototype cycle.
	_ = vu.rt.GlobalObject().SetPrototype(vu.rt.NewDynamicObject(g))
}

// Builtin returns a function of the language's surroundings as scripts know it,
// whatever the script has put in its place: setTimeout and its like.
func (vu *VU) Builtin(name string) goja.Value {
	if open, ok := hostGlobals[name]; ok {
		return open(vu)
	}
	return nil
}

// Get implements goja.DynamicObject.
func (g *globals) Get(name string) goja.Value {
	switch name {
	case "__ENV":
		return g.environ()
	case "__VU":
		return g.vu.rt.ToValue(g.vu.id.InTest)
	case "__ITER":
		if g.vu.stage == StageVU {
			return g.vu.rt.ToValue(g.vu.iter)
		}
		return nil
	}
	v := g.open(name)
	if v != nil {
		_ = g.vu.rt.GlobalObject().DefineDataProperty(name, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
	}
	return v
}

func (g *globals) open(name string) goja.Value {
	if open, ok := hostGlobals[name]; ok {
		return open(g.vu)
	}
	if i, ok := g.vu.cfg.shared.globals[name]; ok {
		return g.vu.cfg.Globals[i].Open(g.vu)
	}
	return nil
}

// Has implements goja.DynamicObject.
func (g *globals) Has(name string) bool {
	switch name {
	case "__ENV", "__VU":
		return true
	case "__ITER":
		return g.vu.stage == StageVU
	}
	if _, ok := hostGlobals[name]; ok {
		return true
	}
	_, ok := g.vu.cfg.shared.globals[name]
	return ok
}

// Set implements goja.DynamicObject; assignments go to the global object.
func (g *globals) Set(string, goja.Value) bool { return false }

// Delete implements goja.DynamicObject; the script cannot reach it.
func (g *globals) Delete(string) bool { return false }

// Keys implements goja.DynamicObject: the globals are not enumerable.
func (g *globals) Keys() []string { return nil }
