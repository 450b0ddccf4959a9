package hive

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"hive/engine/executor"
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
	Policy     Policy `json:"policy"`
}

// Policy says what a run does when the hive changes under it. Zero fields take the defaults named here.
type Policy struct {
	OnNodeLoss LossPolicy   `json:"onNodeLoss,omitempty"` // rebalance
	OnOutage   OutagePolicy `json:"onOutage,omitempty"`   // skip
	// MaxLoss is the part of the plan (0 to 1) that may be lost, handed over or unknown before the verdict is
	// inconclusive: 0.01. It is a pointer since 0 means that nothing may.
	MaxLoss *float64 `json:"maxLoss,omitempty"`
	// Reserve is how many of the largest nodes the hive must be able to lose and still carry the test: 0.
	Reserve int `json:"reserve,omitempty"`
	// Derate is "on", "off", or "" for on in runs of more than 5 minutes.
	Derate string `json:"derate,omitempty"`
}

// LossPolicy is what happens to the share of a node that is lost.
type LossPolicy string

const (
	LossRebalance LossPolicy = "rebalance" // the others take it over
	LossContinue  LossPolicy = "continue"  // it stays a hole, which is counted
	LossAbort     LossPolicy = "abort"     // the run ends
)

// OutagePolicy is what happens to a run when the whole hive was down.
type OutagePolicy string

const (
	OutageSkip   OutagePolicy = "skip"   // it goes on where its clock would stand by wall time; the missing stretch is lost
	OutageFreeze OutagePolicy = "freeze" // it goes on where it stood
	OutageAbort  OutagePolicy = "abort"  // it is closed, with teardown
)

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
	ID   string `json:"id"`
	Name string `json:"name"`
	// Boot names the process that the node is; a node that starts again has another.
	Boot string `json:"boot"`
	// Incarnation is the life of one engine in this run, counted over the hive from 1. A node that is dealt in again
	// after it was lost gets another.
	Incarnation int64 `json:"incarnation"`
	Capacity    int   `json:"capacity"`
	// Weight is the capacity by which it is dealt to: less than Capacity when it is derated.
	Weight int `json:"weight"`
	VUs    int `json:"vus"` // slots it owns
}

// Anchor ties the run's clock to a node's: at the instant At on node Node's clock the run's clock reads Run, and goes
// on from there. An anchor of another generation is a jump (the start, the end of a pause, the end of an outage); within
// a generation a new leader only ties the same clock to its own.
type Anchor struct {
	Node string `json:"node"`
	// Boot is the process whose clock it is: a node that starts again has another clock.
	Boot string        `json:"boot,omitempty"`
	At   Instant       `json:"at"`
	Run  time.Duration `json:"run"`
	Gen  int64         `json:"gen"` // from 1; 0 means that the load has no start yet
}

// Proposal is an epoch that is being agreed upon. Its allocations are written before it appears in the state.
type Proposal struct {
	Epoch int `json:"epoch"`
	// From is when it is to begin on the run's clock; negative while the nodes that gain slots initialise their VUs.
	From    time.Duration `json:"from"`
	Members []Member      `json:"-"` // see [Roster]
	// Leaving are living members of the present epoch that own nothing in this one; they have allocations all the same.
	Leaving []Member `json:"-"`
	Why     string   `json:"why"`
	// Hold is for how long after From those who promised wait for its end before one of them ends it (see [Veto]).
	Hold time.Duration `json:"hold"`
}

// Veto ends a proposal of which no end is known though it should have begun: it is never committed, and the present
// epoch goes on. Any member that promised writes it, on the condition that the proposal is open.
type Veto struct {
	Epoch int    `json:"epoch"` // of the proposal
	Node  string `json:"node"`  // name of the member
	// At is when that was on the run's clock.
	At time.Duration `json:"at"`
}

// Gone is an incarnation that had a share of a run and has none any more.
type Gone struct {
	Member
	// Lost says that it did not hand its share over.
	Lost bool `json:"lost,omitempty"`
	// Proven is when on the run's clock it was certain that it sends no load any more.
	Proven time.Duration `json:"proven,omitempty"`
	Reason string        `json:"reason,omitempty"`
}

// Death is how often the engines of one node ended by themselves in a run.
type Death struct {
	Count int           `json:"count"`
	At    time.Duration `json:"at"` // of the last one, on the run's clock
	// Banned says that the node gets no share of this run any more.
	Banned bool   `json:"banned,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Dark is when a hive that was down as a whole had certainly stopped to send load.
type Dark struct {
	From time.Duration `json:"from"` // on the run's clock
	Wall time.Time     `json:"wall"` // the same by wall time
}

// Halt is a pause of the run: its clock stands still at At.
type Halt struct {
	At time.Duration `json:"at"`
	By string        `json:"by,omitempty"`
}

// State is a run as the leader drives it; only the leader writes it. What it says of each member lies beside it, as the
// [Roster], which nodes do not read: each has its own [Alloc].
type State struct {
	Phase Phase `json:"phase"`
	Epoch int   `json:"epoch"`
	// From is when Epoch began on the run's clock.
	From     time.Duration `json:"from,omitempty"`
	Proposal *Proposal     `json:"proposal,omitempty"`
	Lives    int64         `json:"lives,omitempty"` // incarnations numbered so far
	Gone     []Gone        `json:"-"`               // see [Roster]
	// Struck are the incarnations that were members of Epoch and are lost, while nobody takes their share.
	Struck  []int64 `json:"struck,omitempty"`
	Unowned int     `json:"unowned,omitempty"` // slots that no node has room for
	Halt    *Halt   `json:"halt,omitempty"`    // set while the run is paused, or is about to be
	Scales  []Scale `json:"scales,omitempty"`  // of externally-controlled scenarios; the last one of each
	Events  int64   `json:"events,omitempty"`  // entries of the timeline written so far
	// Tried is the highest number that an epoch was proposed under; numbers are not used twice.
	Tried int `json:"tried,omitempty"`
	// GoneBefore are how many entries of Gone were dropped, the oldest first.
	GoneBefore int `json:"goneBefore,omitempty"`
	// Deaths are the engines that ended by themselves, by node id.
	Deaths map[string]Death `json:"deaths,omitempty"`
	// Gaps are when nobody had any part of a scenario; Until is negative for one that goes on.
	Gaps []Gap `json:"gaps,omitempty"`
	// Missed are by scenario how many iterations were due in gaps that are not listed any more.
	Missed []int64 `json:"missed,omitempty"`
	// Scaled are the changes of externally-controlled scenarios, but for the oldest, which ScaledBefore sums up by
	// the scenarios' names.
	Scaled       []Scale             `json:"scaled,omitempty"`
	ScaledBefore map[string]ScaleSum `json:"scaledBefore,omitempty"`
	// Refill says that slots without an owner are dealt whatever the policy is: the whole hive was down.
	Refill bool `json:"refill,omitempty"`
	// Dark is set from the end of an outage of the whole hive until load is sent again.
	Dark *Dark `json:"dark,omitempty"`
	// StoppedAt is when the load was ended before its plan, if Stopped.
	Stopped   bool          `json:"stopped,omitempty"`
	StoppedAt time.Duration `json:"stoppedAt,omitempty"`
	Verdict   Verdict       `json:"verdict,omitempty"` // once finished
	// Failure is the first thing that went wrong; later ones do not replace it.
	Failure *Failure `json:"failure,omitempty"`
	Members []Member `json:"-"`              // see [Roster]
	Duty    string   `json:"duty,omitempty"` // id of the node named for setup or teardown
	Traits  Traits   `json:"traits"`
	// Metrics are the definitions that the script adds, as the nodes report them.
	Metrics []MetricDef `json:"metrics,omitempty"`
	// Anchor says how the run's clock goes; it reads 0 when the load begins.
	Anchor Anchor `json:"anchor"`
	// Teardown says that setup() has run, or was not needed, or its node died
	// in it: teardown() is due at the end.
	Teardown bool `json:"teardown,omitempty"`
	// Stop says how nodes end their load; empty while they go on.
	Stop     StopMode            `json:"stop,omitempty"`
	Served   int64               `json:"served,omitempty"` // revision of the last control request served
	Warnings []string            `json:"warnings,omitempty"`
	Times    map[Phase]time.Time `json:"times"` // when each phase began, by the leader's wall clock
}

// paused is the pause that the load is in; nil without one, and when the load is over.
func (s *State) paused() *Halt {
	if s.Phase != Running {
		return nil
	}
	return s.Halt
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

// Alloc is what one node is to execute in an epoch. It takes effect when State
// names that epoch; its Work is complete only then (see [Keys.Work]).
type Alloc struct {
	Epoch       int    `json:"epoch"`
	Incarnation int64  `json:"incarnation"`
	Boot        string `json:"boot"` // of the process that it is for
	// Member says that the node is a member of the epoch; one that is not leaves with it.
	Member bool        `json:"member,omitempty"`
	Share  share.Share `json:"share"`
	// Gains are the slots that living nodes have to let go before this one starts them.
	Gains []Gain `json:"gains,omitempty"`
}

// Gain are slots that come from another living node.
type Gain struct {
	Node        string      `json:"node"` // id
	Incarnation int64       `json:"incarnation"`
	Slots       share.Slots `json:"slots"` // in the row of the whole test
}

// Scale is how many VUs an externally-controlled scenario runs from a moment on the run's clock on.
type Scale struct {
	Scenario string        `json:"scenario"`
	VUs      int           `json:"vus"`
	At       time.Duration `json:"at"`
}

// NodePhase is where one node stands in a run.
type NodePhase string

const (
	NodePreparing NodePhase = "preparing"
	NodeReady     NodePhase = "ready"   // all VUs of the epoch's share are initialised
	NodeHolding   NodePhase = "holding" // it starts nothing of its old share from the proposal's From on until it knows how the proposal ended
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
	// Released are the slots that this node gave up in the present epoch and whose VUs have ended.
	Released []executor.Handover `json:"released,omitempty"`
	// Ready is set beside NodeHolding when the VUs that the proposal brings are initialised too.
	Ready bool `json:"ready,omitempty"`
	// Whole is the newest epoch of which all VUs run here, since WholeAt on the run's clock.
	Whole   int           `json:"whole,omitempty"`
	WholeAt time.Duration `json:"wholeAt,omitempty"`
	// Late is the last proposal whose beginning had passed when this node heard of it, so that it promised nothing.
	Late int `json:"late,omitempty"`
	// Died is why the engine ended by itself, while the node lives on.
	Died *Failure `json:"died,omitempty"`
}

// NodeMarks is how far a node may go with counted iterations (see [executor.Marks]). It outlives the node.
type NodeMarks struct {
	Incarnation int64            `json:"incarnation"`
	Epoch       int              `json:"epoch"`
	Scenarios   []executor.Marks `json:"scenarios"`
}

// Tick is how far the run's clock has come, written about once a second so that a hive that was down as a whole
// knows where the run stood.
type Tick struct {
	Run  time.Duration `json:"run"`
	Wall time.Time     `json:"wall"`           // by the leader's wall clock
	Node string        `json:"node,omitempty"` // of the leader
	Term uint64        `json:"term,omitempty"` // of etcd's own leader at the write before
	Moment
}

// Duty is the record of a call that happens at most once in the hive, setup()
// or teardown(). It is written before the call (the start marker) and again
// when it has ended.
type Duty struct {
	Node        string   `json:"node"`
	Incarnation int64    `json:"incarnation"`
	Boot        string   `json:"boot,omitempty"` // of the process
	Done        bool     `json:"done"`
	Failure     *Failure `json:"failure,omitempty"`
	// Took is how long the call lasted, in nanoseconds.
	Took time.Duration `json:"took,omitempty"`
	Data *Chunks       `json:"data,omitempty"` // what setup() returned
}

// Control is a request to a run under way.
type Control struct {
	Action string   `json:"action"` // stop, pause, resume, scale
	Mode   StopMode `json:"mode,omitempty"`
	// Scenario and VUs belong to scale; no name means the only externally-controlled scenario.
	Scenario string `json:"scenario,omitempty"`
	VUs      int    `json:"vus,omitempty"`
	By       string `json:"by"`
	Kind     Kind   `json:"kind"` // interrupted or stopped
}

// Instant is a moment on a node's clock, in nanoseconds.
type Instant int64

// NewRunID makes an id that sorts by time and is never made twice.
func NewRunID() string {
	return fmt.Sprintf("%s-%s", time.Now().UTC().Format("20060102-150405"), strings.ToLower(rand.Text()[:6]))
}
