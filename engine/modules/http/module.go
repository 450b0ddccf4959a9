// Package http is the k6/http module: what a script sees of HTTP, and the metrics of every exchange it makes.
//
// It leaves connections, protocols and phase timings to engine/httpclient and adds what belongs to a script: URLs and
// bodies made of JS values, redirects, cookies, authentication, response objects, tags, batches. Nothing of JS is
// touched off the VU's goroutine: arguments are read into a call, the call is performed (perhaps elsewhere, perhaps with
// others), and its outcome becomes a response object and samples on the VU's goroutine again.
//
//	module := http.New(http.Config{Transport: transport, MaxRedirects: 10, Batch: 20, BatchPerHost: 6})
package http

import (
	"github.com/dop251/goja"

	"hive/engine/httpclient"
	"hive/engine/js"
)

// Path is what scripts import.
const Path = "k6/http"

// DefaultMaxRedirects is how many hops are followed when nobody says otherwise. Only then is stopping worth a warning.
const DefaultMaxRedirects = 10

// Config holds what is the same for all VUs of a run.
type Config struct {
	Transport    *httpclient.Transport // nil is enough for running init code only
	UserAgent    string                // sent unless a request names its own; "" sends none
	MaxRedirects int                   // hops followed before the last 3xx response is returned as it is
	Batch        int                   // requests of one http.batch in flight at a time; 0 is no limit
	BatchPerHost int                   // the same for one host and port; 0 is no limit
	HTTPDebug    string                // DebugOff, DebugHeaders or DebugFull
	Pace         *Pace                 // lets the calls of all VUs through; nil is no limit

	DiscardResponseBodies bool // the default responseType is "none"
	NoCookiesReset        bool // the cookie jar outlives the iteration
	NoVUConnectionReuse   bool // idle connections are closed after each iteration

	// Gate is asked right before each request of an iteration is sent; when it says no, the request is not sent and the
	// iteration is interrupted. Nil lets all pass. Requests of setup() and teardown() are not asked for: these run once
	// in a whole run, and what they have begun nobody else can end.
	Gate func() bool

	// OnVU is called on the VU's goroutine when a VU's init code loads the module.
	// A VU that never loads it has no State and needs none.
	OnVU func(*js.VU, *State)
}

// Values of Config.HTTPDebug.
const (
	DebugOff     = ""
	DebugHeaders = "headers" // dump what exchanges send and receive to the log, without bodies
	DebugFull    = "full"    // with bodies
)

// New returns the module.
func New(cfg Config) js.Module {
	r := newRun(cfg)
	return js.Module{Path: Path, Names: exports.Names(), Open: r.open}
}

// run is what the VUs of a run share.
type run struct {
	cfg   Config
	plain []httpclient.Field // the header of a request that asks for nothing
}

func newRun(cfg Config) *run {
	r := &run{cfg: cfg}
	if cfg.UserAgent != "" {
		r.plain = []httpclient.Field{{Name: "User-Agent", Value: cfg.UserAgent}}
	}
	return r
}

// open makes the default export of one VU.
func (r *run) open(vu *js.VU) *goja.Object {
	s := newState(r, vu)
	vu.OnIterationEnd(s.endIteration)
	vu.OnClose(s.close)
	if r.cfg.OnVU != nil {
		r.cfg.OnVU(vu, s)
	}
	return exports.Object(s.rt, s)
}
