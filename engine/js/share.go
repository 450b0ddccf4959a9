package js

import (
	"log/slog"

	"github.com/dop251/goja"

	"hive/engine/metric"
)

// share derives once what all VUs of the Config use.
func (c *Config) share() {
	c.once.Do(func() {
		s := &shared{
			modules: make(map[string]int, len(c.Modules)),
			globals: make(map[string]int, len(c.Globals)),
			env:     make(map[string]goja.Value, len(c.Env)),
			log:     c.Log,
		}
		for i, m := range c.Modules {
			s.modules[m.Path] = i
		}
		for i, g := range c.Globals {
			s.globals[g.Name] = i
		}
		for name, value := range c.Env {
			s.env[name] = text(value)
		}
		if s.log == nil {
			s.log = slog.New(slog.DiscardHandler)
		}
		s.options, s.optionsErr = parseOptions(c.Options)
		c.shared = s
	})
}

// tags are those of everything that the run measures.
func (c *Config) tags() *metric.TagSet {
	if c.Tags == nil && c.Registry != nil {
		return c.Registry.Root()
	}
	return c.Tags
}
