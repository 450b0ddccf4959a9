package hive

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"hive/engine/metric"
	"hive/engine/share"
)

// Phase is where a run stands.
type Phase string

// The phases of a run, in their order. Setup and teardown are left out when
// the script has none, draining when nothing has to be stopped.
const (
	Queued    Phase = "queued"    // waits for the runs before it
	Preparing Phase = "preparing" // nodes fetch, compile and initialise their VUs
	Ready     Phase = "ready"     // all are ready
	Setup     Phase = "setup"     // one node runs setup()
	Running   Phase = "running"   // load is sent
	Draining  Phase = "draining"  // load is being stopped
	Teardown  Phase = "teardown"  // one node runs teardown(); results are gathered
	Finished  Phase = "finished"
)

// Flags are settings of a run that are not options of the script.
type Flags struct {
	NoThresholds bool   `json:"noThresholds,omitempty"`
	NoSummary    bool   `json:"noSummary,omitempty"`   // neither text nor handleSummary
	SummaryMode  string `json:"summaryMode,omitempty"` // compact, full, disabled
	// NewSummary gives handleSummary and the export k6's machine-readable shape, which holds Script, the text of the script.
	NewSummary bool   `json:"newSummary,omitempty"`
	Script     string `json:"script,omitempty"`
	NoColor    bool   `json:"noColor,omitempty"`
	StdoutTTY  bool   `json:"stdoutTTY,omitempty"` // of the submitting client
	StderrTTY  bool   `json:"stderrTTY,omitempty"`
	Detached   bool   `json:"detached,omitempty"`
}

// Spec is a run as it was submitted. It never changes.
type Spec struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`    // of the script
	Archive   string          `json:"archive"` // sha256 of the packed archive, hex
	Options   json.RawMessage `json:"options"` // consolidated
	Flags     Flags           `json:"flags"`
	Submitter string          `json:"submitter,omitempty"` // who, for people
	Submitted time.Time       `json:"submitted"`
}

// Member is a node that has a share of a run.
type Member struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Incarnation int64  `json:"incarnation"`
	Capacity    int    `json:"capacity"`
	VUs         int    `json:"vus"` // slots it owns
}

// State is a run as the leader drives it; only the leader writes it.
type State struct {
	Phase   Phase   `json:"phase"`
	Epoch   int     `json:"epoch"`
	Verdict Verdict `json:"verdict,omitempty"` // once finished
	// Failure is the first thing that went wrong; later ones do not replace it.
	Failure *Failure `json:"failure,omitempty"`
	Members []Member `json:"members,omitempty"`
	Duty    string   `json:"duty,omitempty"` // id of the node named for setup or teardown
	Traits  Traits   `json:"traits"`
	// Metrics are the definitions that the script adds, as the nodes report them.
	Metrics []MetricDef `json:"metrics,omitempty"`
	// Start is the instant at which load begins, on the clock of node Clock.
	Start Instant `json:"start,omitempty"`
	Clock string  `json:"clock,omitempty"`
	// Teardown says that setup() has run, or was not needed, or its node died
	// in it: teardown() is due at the end.
	Teardown bool `json:"teardown,omitempty"`
	// Stop says how nodes end their load; empty while they go on.
	Stop     StopMode            `json:"stop,omitempty"`
	Served   int64               `json:"served,omitempty"` // revision of the last control request served
	Warnings []string            `json:"warnings,omitempty"`
	Times    map[Phase]time.Time `json:"times"` // when each phase began, by the leader's wall clock
}

// member finds a member by node id.
func (s *State) member(id string) (Member, bool) {
	for _, m := range s.Members {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}

// fail keeps the first failure.
func (s *State) fail(f *Failure) {
	if s.Failure == nil {
		s.Failure = f
	}
}

// StopMode is how load is ended.
type StopMode string

const (
	StopGraceful  StopMode = "graceful"  // nothing new starts; gracefulStop for what runs
	StopInterrupt StopMode = "interrupt" // everything at once
)

// MetricDef is the definition of a metric, for those that have not run the script.
type MetricDef struct {
	Name     string          `json:"name"`
	Kind     metric.Kind     `json:"kind"`
	Contains metric.Contains `json:"contains"`
}

// Alloc is what one node is to execute. It takes effect when State names its
// epoch.
type Alloc struct {
	Epoch int         `json:"epoch"`
	Share share.Share `json:"share"`
}

// NodePhase is where one node stands in a run.
type NodePhase string

const (
	NodePreparing NodePhase = "preparing"
	NodeReady     NodePhase = "ready"
	NodeRunning   NodePhase = "running"
	NodeEnded     NodePhase = "ended" // its load is over
	NodeFailed    NodePhase = "failed"
)

// Status is what a node says of itself in a run. It lies under the node's
// lease and is written when it changes.
type Status struct {
	Node        string      `json:"node"`
	Incarnation int64       `json:"incarnation"`
	Epoch       int         `json:"epoch"`
	Phase       NodePhase   `json:"phase"`
	Failure     *Failure    `json:"failure,omitempty"`
	Traits      Traits      `json:"traits"`
	Metrics     []MetricDef `json:"metrics,omitempty"`
}

// Duty is the record of a call that happens at most once in the hive, setup()
// or teardown(). It is written before the call (the start marker) and again
// when it has ended.
type Duty struct {
	Node        string   `json:"node"`
	Incarnation int64    `json:"incarnation"`
	Done        bool     `json:"done"`
	Failure     *Failure `json:"failure,omitempty"`
	// Took is how long the call lasted, in nanoseconds.
	Took time.Duration `json:"took,omitempty"`
	Data *Chunks       `json:"data,omitempty"` // what setup() returned
}

// Control is a request to a run under way.
type Control struct {
	Action string   `json:"action"` // stop
	Mode   StopMode `json:"mode"`
	By     string   `json:"by"`
	Kind   Kind     `json:"kind"` // interrupted or stopped
}

// Instant is a moment on a node's clock, in nanoseconds.
type Instant int64

// NewRunID makes an id that sorts by time and is never made twice.
func NewRunID() string {
	return fmt.Sprintf("%s-%s", time.Now().UTC().Format("20060102-150405"), strings.ToLower(rand.Text()[:6]))
}
