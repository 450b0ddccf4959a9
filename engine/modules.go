package engine

import (
	"hive/engine/js"
	"hive/engine/modules/crypto"
	"hive/engine/modules/data"
	"hive/engine/modules/encoding"
	"hive/engine/modules/execution"
	"hive/engine/modules/html"
	"hive/engine/modules/http"
	"hive/engine/modules/k6"
	"hive/engine/modules/metrics"
	"hive/engine/modules/timers"
	"hive/engine/modules/webcrypto"
)

// moduleDeps is what the modules ask of a run; the zero value serves the first look at a script, in which no VU code
// runs.
type moduleDeps struct {
	data      js.Module // its arrays are shared by all VUs of the process
	http      http.Config
	execution execution.Run
}

// modules is the table of everything that a script can import.
func modules(d moduleDeps) []js.Module {
	return []js.Module{
		k6.New(),
		http.New(d.http),
		metrics.New(),
		execution.New(d.execution),
		d.data,
		encoding.New(),
		crypto.New(),
		crypto.NewX509(),
		html.New(),
		timers.New(),
	}
}

// globals is the table of global variables that are not the language's or the event loop's own.
func globals() []js.Global { return []js.Global{webcrypto.Global()} }

// Modules lists every import path with its named exports, which the bundler has to know.
func Modules() map[string][]string {
	table := map[string][]string{}
	for _, m := range modules(moduleDeps{data: data.New()}) {
		table[m.Path] = m.Names
	}
	return table
}
