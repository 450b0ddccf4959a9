// Package options reads a test's options: what a script exports as `options`, a configuration file, the
// environment and the command line, each as a Layer, and consolidates them into plain Options in which
// every test is a list of scenarios. Nothing further in asks whether an option was set.
//
//	script, warnings, err := options.FromJSON(exported, "script.js: options")
//	env, err := options.FromEnv(os.LookupEnv)
//	opts, warnings, err := options.Consolidate(config, script, env, flags) // lowest first
package options

import (
	"encoding/json"
	"net/netip"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/threshold"
)

// Options are consolidated options. They are stored for a run and read by every node: MarshalJSON and
// UnmarshalJSON make a round trip.
type Options struct {
	Scenarios []executor.Scenario // by start time, then name; never empty

	Paused               bool
	NoSetup, NoTeardown  bool
	SetupTimeout         time.Duration
	TeardownTimeout      time.Duration
	HandleSummaryTimeout time.Duration

	RPS                   int // HTTP requests per second at most; 0: no limit
	DNS                   DNS
	MaxRedirects          int
	UserAgent             string // "": the program's own
	Batch, BatchPerHost   int    // parallel requests of one batch call, and to one host; 0: no limit
	HTTPDebug             string // "", "headers" or "full"
	InsecureSkipTLSVerify bool
	TLSCipherSuites       []string
	TLSVersion            TLSVersions
	TLSAuth               []TLSAuth
	Throw                 bool
	BlacklistIPs          []netip.Prefix
	BlockHostnames        []string
	Hosts                 map[string]string // pattern: ip[:port]
	NoConnectionReuse     bool
	NoVUConnectionReuse   bool
	DiscardResponseBodies bool
	LocalIPs              string
	NoCookiesReset        bool

	Thresholds              map[string][]threshold.Rule
	MinIterationDuration    time.Duration
	SummaryTrendStats       []string
	SummaryTimeUnit         string // "", "s", "ms" or "us"
	SystemTags              metric.SystemTags
	Tags                    map[string]string
	MetricSamplesBufferSize int
	ConsoleOutput           string // file for console.* lines; "": the log

	ExecutionSegment         string
	ExecutionSegmentSequence string
	Cloud, Ext               json.RawMessage // opaque

	layer Layer // what was set, by which MarshalJSON tells a default from a choice
}

// DNS says how names are resolved.
type DNS struct {
	TTL    time.Duration // how long an answer is kept; negative: for ever
	Select string        // "first", "random" or "roundRobin"
	Policy string        // "preferIPv4", "preferIPv6", "onlyIPv4", "onlyIPv6" or "any"
}

// TLSVersions is the range of TLS versions that may be spoken, "tls1.0" to "tls1.3"; "" is the library's.
type TLSVersions struct{ Min, Max string }

// TLSAuth is a client certificate.
type TLSAuth struct {
	Cert     string   `json:"cert"` // PEM
	Key      string   `json:"key"`  // PEM
	Password string   `json:"password,omitempty"`
	Domains  []string `json:"domains,omitempty"`
}
