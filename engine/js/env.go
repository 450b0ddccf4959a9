package js

import (
	"maps"
	"slices"

	"github.com/dop251/goja"
)

// environ is a VU's __ENV. Variables that the script has not changed are those
// of the Config, held once for all VUs. It implements goja.DynamicObject.
type environ struct {
	object   *goja.Object
	shared   map[string]goja.Value
	scenario map[string]string
	own      map[string]goja.Value // nil values are deleted variables
}

// environ returns the __ENV object of the current activation.
func (g *globals) environ() goja.Value {
	if g.env == nil {
		g.resetEnv(nil)
	}
	if g.env.object == nil {
		g.env.object = g.vu.rt.NewDynamicObject(g.env)
	}
	return g.env.object
}

// resetEnv makes __ENV anew with a scenario's variables over the common ones.
func (g *globals) resetEnv(scenario map[string]string) {
	g.env = &environ{shared: g.vu.cfg.shared.env, scenario: scenario}
}

func (e *environ) Get(key string) goja.Value {
	if v, ok := e.own[key]; ok {
		return v
	}
	if s, ok := e.scenario[key]; ok {
		v := text(s)
		e.put(key, v)
		return v
	}
	return e.shared[key]
}

func (e *environ) put(key string, v goja.Value) {
	if e.own == nil {
		e.own = make(map[string]goja.Value)
	}
	e.own[key] = v
}

func (e *environ) Set(key string, v goja.Value) bool {
	e.put(key, v)
	return true
}

func (e *environ) Has(key string) bool {
	if v, ok := e.own[key]; ok {
		return v != nil
	}
	if _, ok := e.scenario[key]; ok {
		return true
	}
	_, ok := e.shared[key]
	return ok
}

func (e *environ) Delete(key string) bool {
	e.put(key, nil)
	return true
}

func (e *environ) Keys() []string {
	keys := slices.Collect(maps.Keys(e.shared))
	keys = slices.AppendSeq(keys, maps.Keys(e.scenario))
	keys = slices.AppendSeq(keys, maps.Keys(e.own))
	slices.Sort(keys)
	return slices.DeleteFunc(slices.Compact(keys), func(key string) bool { return !e.Has(key) })
}

// text makes an immutable string that runtimes on different goroutines may
// share, which what goja.Runtime.ToValue makes may not.
func text(s string) goja.Value {
	var b goja.StringBuilder
	b.WriteUTF8String(s)
	return b.String()
}
