package hive

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The types of events that a run's stream carries, with what Data is.
const (
	EventState    = "state"    // StateEvent
	EventPlan     = "plan"     // Plan
	EventProgress = "progress" // ProgressEvent
	EventLog      = "log"      // LogLine
	EventWarning  = "warning"  // Warning
	// EventTimeline = "timeline": TimelineEvent
	EventResult = "result" // StateEvent; the stream ends, and the result can be fetched
)

// Event is one entry of a run's stream.
type Event struct {
	// ID is "<term of the leader>.<number>"; a client that comes back with
	// the last one it saw gets what follows.
	ID   string          `json:"id"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// StateEvent is a run's phase, and once finished its verdict.
type StateEvent struct {
	Run      string   `json:"run"`
	Phase    Phase    `json:"phase"`
	Position int      `json:"position,omitempty"` // in the queue; 0 when its turn has come
	Duty     string   `json:"duty,omitempty"`     // name of the node that runs setup or teardown
	Verdict  Verdict  `json:"verdict,omitempty"`
	Failure  *Failure `json:"failure,omitempty"`
}

// ProgressEvent is how far the whole hive has come.
type ProgressEvent struct {
	Phase   Phase `json:"phase"`
	Paused  bool  `json:"paused,omitempty"` // the run's clock stands still, or is about to
	Nodes   int   `json:"nodes"`            // that take part
	Epoch   int   `json:"epoch,omitempty"`
	Unowned int   `json:"unowned,omitempty"` // slots that no node has room for
	// Ledger is what has become of the plan so far.
	Ledger []ScenarioLedger `json:"ledger,omitempty"`
	// Load is what arrival-rate scenarios were to start and did start of late.
	Load     []Load   `json:"load,omitempty"`
	Progress Progress `json:"progress"`
}

// Load is how the iterations that a scenario started compare with its plan, in iterations per second.
type Load struct {
	Scenario string  `json:"scenario"`
	Planned  float64 `json:"planned"`
	Actual   float64 `json:"actual"`
}

// Warning is something the user should know that does not end the run.
type Warning struct {
	Message string `json:"message"`
}

const (
	// maxEvents bounds a run's stream in memory; the oldest log lines go first.
	maxEvents = 20000
	// maxEventBytes does so too.
	maxEventBytes = 64 << 20
)

// hub is the event stream of one run at the leader.
type hub struct {
	term int64

	mu      sync.Mutex // guards what follows
	next    int64
	events  []hubEvent
	size    int   // of the events' data, in bytes
	dropped int64 // number of the last log line that was given up
	changed chan struct{}
	closed  bool
}

type hubEvent struct {
	n int64
	Event
}

func newHub(term int64) *hub { return &hub{term: term, changed: make(chan struct{})} }

// publish appends an event. A progress event takes the place of the last one,
// so a slow reader sees the newest.
func (h *hub) publish(kind string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		return // our own types marshal; there is nobody to tell
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.next++
	if kind == EventProgress {
		h.remove(func(e hubEvent) bool { return e.Type == EventProgress })
	}
	if len(h.events) >= maxEvents || h.size+len(data) > maxEventBytes {
		h.dropLogs()
	}
	h.events = append(h.events, hubEvent{h.next, Event{ID: fmt.Sprintf("%d.%d", h.term, h.next), Type: kind, Data: data}})
	h.size += len(data)
	h.wake()
}

// remove takes away the events that gone picks; h.mu is held.
func (h *hub) remove(gone func(hubEvent) bool) {
	h.events = slices.DeleteFunc(h.events, func(e hubEvent) bool {
		if !gone(e) {
			return false
		}
		h.size -= len(e.Data)
		return true
	})
}

// dropLogs gives up the oldest log lines until a tenth of what is allowed is free; h.mu is held.
func (h *hub) dropLogs() {
	left := len(h.events)
	h.remove(func(e hubEvent) bool {
		if e.Type != EventLog || left <= maxEvents*9/10 && h.size <= maxEventBytes*9/10 {
			return false
		}
		left--
		h.dropped = e.n
		return true
	})
}

// progress is the newest progress event, the zero one when there is none.
func (h *hub) progress() (p ProgressEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range slices.Backward(h.events) {
		if e.Type == EventProgress {
			_ = json.Unmarshal(e.Data, &p) // it was marshalled here
			break
		}
	}
	return p
}

// close ends the stream; what is in it can still be read.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		h.wake()
	}
}

func (h *hub) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// after returns the events that follow number n, whether the stream has ended
// with them, and a channel that is closed when there is more. A warning stands
// in the place of log lines that are not kept any more.
func (h *hub) after(n int64) (events []hubEvent, ended bool, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, _ := slices.BinarySearchFunc(h.events, n+1, func(e hubEvent, n int64) int { return int(e.n - n) })
	if n < h.dropped {
		events = append(events, hubEvent{n, Event{Type: EventWarning, Data: json.RawMessage(droppedNote)}})
	}
	return append(events, h.events[i:]...), h.closed, h.changed
}

// droppedNote is the Warning for a client that comes too late, or reads too
// slowly, for all log lines.
const droppedNote = `{"message":"the oldest log lines of this run were dropped: there were too many to keep"}`

// resume turns a Last-Event-ID into the number to go on after: 0, the whole
// stream, when the id is of another leader.
func (h *hub) resume(id string) int64 {
	term, n, ok := strings.Cut(id, ".")
	if !ok || term != strconv.FormatInt(h.term, 10) {
		return 0
	}
	last, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		return 0
	}
	return last
}
