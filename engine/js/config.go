package js

import (
	"log/slog"
	"sync"

	"github.com/dop251/goja"

	"hive/engine/metric"
)

// Module is what one import path gives a script.
type Module struct {
	// Path is the import path, for instance "k6/http".
	Path string
	// Names are the named exports, known without running anything.
	Names []string
	// Open makes the default export, of which the named exports are
	// properties. It runs once in each VU that imports the module.
	Open func(vu *VU) *goja.Object
}

// Global is a global variable of scripts besides the ones of this package.
type Global struct {
	Name string
	// Open makes the value, once in each VU that touches the name.
	Open func(vu *VU) goja.Value
}

// Opener gives the content of files that init code opens. The path is as the
// script wrote it. Callers do not modify the result.
type Opener interface {
	Open(path string) ([]byte, error)
}

// Config is what all VUs of a run have in common. It is not modified, and not
// copied, once a VU was made from it.
type Config struct {
	Program *Program
	Modules []Module
	Globals []Global
	// Files answers open(); nil means that there are no files.
	Files Opener
	// Env is what __ENV holds at first.
	Env map[string]string
	// Options is the JSON object of consolidated options that replaces the
	// content of the script's exported `options`; nil leaves it alone.
	Options []byte

	Registry *metric.Registry
	// Tags are the run's own tags; nil means the registry's root.
	Tags       *metric.TagSet
	SystemTags metric.SystemTags
	// Throw is the option of that name: failures of requests and of metric
	// values become exceptions.
	Throw bool
	// Log takes what scripts say; nil discards it.
	Log *slog.Logger

	once   sync.Once
	shared *shared
}

// shared holds what is derived from a Config once for all VUs.
type shared struct {
	modules map[string]int        // path → index in Config.Modules
	globals map[string]int        // name → index in Config.Globals
	env     map[string]goja.Value // Config.Env as immutable strings
	log     *slog.Logger

	options    []option
	optionsErr error
}

// VUID numbers a VU, from 1; 0 is for the runtimes that are no VUs (first
// look at the script, setup, teardown, summary).
type VUID struct {
	InTest     int64 // unique over all machines of the test
	InInstance int64 // unique on this one
}

// Activation is what a VU needs to know of the scenario that it is to run.
type Activation struct {
	// Exec names the exported function; "" means "default".
	Exec string
	// Env is laid over Config.Env.
	Env map[string]string
	// Tags are the run's tags with the scenario's laid over; nil means
	// Config.Tags. The system tags `scenario` and `group` are added here.
	Tags *metric.TagSet
	// Scenario is the scenario's name.
	Scenario string
}
