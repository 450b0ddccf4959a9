package options

import (
	"encoding/json"
	"time"

	"hive/engine/executor"
	"hive/engine/threshold"
)

// Layer is one source of options. A nil field is not set; an empty list or map that is not nil is set to
// empty.
type Layer struct {
	// Origin names the source in errors and warnings, e.g. "script.js: options" or "the command line".
	Origin string

	Paused *bool
	VUs    *int

	// These four are one group: a layer that sets any of them drops them all from the layers below.
	Duration   *time.Duration
	Iterations *int64
	Stages     []executor.Stage
	Scenarios  []executor.Scenario

	ExecutionSegment         *string
	ExecutionSegmentSequence *string
	NoSetup                  *bool
	NoTeardown               *bool
	SetupTimeout             *time.Duration
	TeardownTimeout          *time.Duration
	HandleSummaryTimeout     *time.Duration
	RPS                      *int
	DNS                      *DNSLayer
	MaxRedirects             *int
	UserAgent                *string
	Batch                    *int
	BatchPerHost             *int
	HTTPDebug                *string
	InsecureSkipTLSVerify    *bool
	TLSCipherSuites          []string
	TLSVersion               *TLSVersions
	TLSAuth                  []TLSAuth
	Throw                    *bool
	Thresholds               map[string][]threshold.Rule
	BlacklistIPs             []string
	BlockHostnames           []string
	Hosts                    map[string]string
	NoConnectionReuse        *bool
	NoVUConnectionReuse      *bool
	MinIterationDuration     *time.Duration
	Cloud                    json.RawMessage
	Ext                      json.RawMessage
	SummaryTrendStats        []string
	SummaryTimeUnit          *string
	SystemTags               []string
	Tags                     map[string]string
	MetricSamplesBufferSize  *int
	NoCookiesReset           *bool
	DiscardResponseBodies    *bool
	ConsoleOutput            *string // from the environment and the command line only
	LocalIPs                 *string // from the environment and the command line only
}

// DNSLayer is the option dns, of which each part is merged by itself.
type DNSLayer struct {
	TTL    *string // "5m", "inf", "0", or a number of ms
	Select *string
	Policy *string
}
