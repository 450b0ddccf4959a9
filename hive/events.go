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
	EventResult   = "result"   // StateEvent; the stream ends, and the result can be fetched
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
	Phase    Phase    `json:"phase"`
	Nodes    int      `json:"nodes"` // that take part
	Progress Progress `json:"progress"`
}

// Warning is something the user should know that does not end the run.
type Warning struct {
	Message string `json:"message"`
}

// maxEvents bounds a run's stream in memory; the oldest log lines go first.
const maxEvents = 20000

// hub is the event stream of one run at the leader.
type hub struct {
	term int64

	mu      sync.Mutex // guards what follows
	next    int64
	events  []numbered
	changed chan struct{}
	closed  bool
}

type numbered struct {
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
		h.events = slices.DeleteFunc(h.events, func(e numbered) bool { return e.Type == EventProgress })
	}
	if len(h.events) >= maxEvents {
		h.dropLogs()
	}
	h.events = append(h.events, numbered{h.next, Event{ID: fmt.Sprintf("%d.%d", h.term, h.next), Type: kind, Data: data}})
	h.wake()
}

// dropLogs makes room by a tenth, from the oldest log lines; h.mu is held.
func (h *hub) dropLogs() {
	drop := maxEvents / 10
	h.events = slices.DeleteFunc(h.events, func(e numbered) bool {
		if e.Type != EventLog || drop == 0 {
			return false
		}
		drop--
		return true
	})
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
// with them, and a channel that is closed when there is more.
func (h *hub) after(n int64) (events []numbered, ended bool, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, _ := slices.BinarySearchFunc(h.events, n+1, func(e numbered, n int64) int { return int(e.n - n) })
	return slices.Clone(h.events[i:]), h.closed, h.changed
}

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
