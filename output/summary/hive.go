package summary

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hive is what a run on a hive adds to its summary: what became of the plan, and what happened on the way.
type Hive struct {
	Run     string `json:"run"`
	Verdict string `json:"verdict,omitempty"`
	Reason  string `json:"reason,omitempty"` // of a verdict other than passed
	// Ledger has one entry for each scenario; Timeline is in order.
	Ledger   []Ledger `json:"ledger"`
	Nodes    []Node   `json:"nodes,omitempty"`
	Timeline []Event  `json:"timeline"`
}

// Ledger says what became of everything that one scenario planned, in iterations or VU-seconds.
type Ledger struct {
	Scenario    string             `json:"scenario"`
	Executor    string             `json:"executor"`
	Unit        string             `json:"unit"` // "iterations" or "vu-seconds"
	Planned     float64            `json:"planned"`
	Completed   float64            `json:"completed,omitempty"`
	Interrupted float64            `json:"interrupted,omitempty"`
	Dropped     map[string]float64 `json:"dropped,omitempty"` // by reason
	Lost        float64            `json:"lost,omitempty"`
	Unknown     float64            `json:"unknown,omitempty"`
	Cancelled   float64            `json:"cancelled,omitempty"`
	Active      float64            `json:"active,omitempty"`
	Handover    float64            `json:"handover,omitempty"`
	Pending     float64            `json:"pending,omitempty"`
}

// Node is how one life of a node's engine fared at worst, each figure by itself.
type Node struct {
	Name    string  `json:"name"`
	Lost    bool    `json:"lost,omitempty"`
	CPU     float64 `json:"cpu"`     // cores in use
	Memory  int64   `json:"memory"`  // bytes
	GC      float64 `json:"gc"`      // part of the CPU time that was spent on collecting garbage
	Sockets int     `json:"sockets"` // open files
	Late    float64 `json:"late"`    // 99th percentile of how late iterations started, in ms
}

// String is the figures in words.
func (n Node) String() string {
	text := fmt.Sprintf("%.1f CPU, %d MiB, %.0f%% GC, %d files, %s late", n.CPU, n.Memory>>20, 100*n.GC, n.Sockets, formatShort(n.Late, 1)+"ms")
	if n.Lost {
		text += ", lost"
	}
	return text
}

// Event is one thing that happened to the run.
type Event struct {
	N       int64              `json:"n"`
	At      time.Duration      `json:"at"` // on the run's clock
	Wall    time.Time          `json:"wall"`
	Kind    string             `json:"kind"`
	Node    string             `json:"node,omitempty"`
	Message string             `json:"message"`
	Cost    map[string]float64 `json:"cost,omitempty"`
}

// vuSeconds is the unit of scenarios whose VUs loop.
const vuSeconds = "vu-seconds"

// String is the ledger in words. Of the classes beside the plan and what was done, only those that are not zero are told.
func (l Ledger) String() string {
	words := []string{"planned " + l.amount(l.Planned)}
	if l.Unit == vuSeconds {
		words[0] += " VU-seconds"
		words = append(words, "active "+l.amount(l.Active))
	} else {
		words = append(words, "completed "+l.amount(l.Completed))
	}
	for _, class := range []struct {
		name string
		n    float64
	}{{"interrupted", l.Interrupted}, {"dropped", l.dropped()}, {"handover", l.Handover}, {"lost", l.Lost}, {"unknown", l.Unknown},
		{"cancelled", l.Cancelled}, {"pending", l.Pending}} {
		amount := l.amount(class.n)
		if amount == l.amount(0) {
			continue
		}
		word := class.name + " " + amount
		if class.name == "dropped" {
			word += l.reasons()
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// amount writes a number of iterations as it is, and VU-seconds to the tenth.
func (l Ledger) amount(v float64) string {
	if l.Unit == vuSeconds {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return formatNumber(v)
}

func (l Ledger) dropped() (sum float64) {
	for _, n := range l.Dropped {
		sum += n
	}
	return sum
}

// reasons are why iterations were dropped.
func (l Ledger) reasons() string {
	var words []string
	for _, reason := range slices.Sorted(maps.Keys(l.Dropped)) {
		if n := l.Dropped[reason]; n > 0 {
			words = append(words, reason+" "+l.amount(n))
		}
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// String is the event in words: whom it is about, what happened, and what it cost.
func (e Event) String() string {
	text := e.Message
	if e.Node != "" && !strings.Contains(text, "node "+e.Node) {
		text = e.Node + ": " + text
	}
	var costs []string
	for _, what := range slices.Sorted(maps.Keys(e.Cost)) {
		if v := formatShort(e.Cost[what], 2); v != "0.00" {
			costs = append(costs, what+" "+strings.TrimSuffix(v, ".00"))
		}
	}
	if len(costs) > 0 {
		text += " (" + strings.Join(costs, ", ") + ")"
	}
	return text
}

// clock is when it happened, as 12.3s or 1m01.0s.
func (e Event) clock() string {
	at := e.At.Truncate(100 * time.Millisecond)
	if at < time.Minute {
		return fmt.Sprintf("%.1fs", at.Seconds())
	}
	return fmt.Sprintf("%dm%04.1fs", int(at.Minutes()), (at % time.Minute).Seconds())
}

// shownNodes is how many lives of engines the text shows.
const shownNodes = 10

// nodes writes how the engines fared.
func (p *printer) nodes(nodes []Node) {
	if len(nodes) == 0 {
		return
	}
	p.line("    ", p.style(bold, "NODES"), " (the worst second of each)")
	width := 0
	for _, n := range nodes {
		width = max(width, len([]rune(n.Name)))
	}
	for _, n := range nodes[:min(shownNodes, len(nodes))] {
		p.line("      ", p.style(cyan, n.Name), strings.Repeat(" ", width-len([]rune(n.Name))), "  ", n.String())
	}
	if more := len(nodes) - shownNodes; more > 0 {
		p.line("      ", fmt.Sprintf("… and %d more, in --summary-export", more))
	}
	p.line("")
}

// shownEvents is how many lines the timeline has in the text.
const shownEvents = 20

// hive writes what became of the plan, and what happened on the way unless that is nothing but start and end.
func (p *printer) hive(h *Hive) {
	p.title("HIVE")
	width := len("verdict")
	for _, l := range h.Ledger {
		width = max(width, len([]rune(l.Scenario))+2)
	}
	dotted := func(name, text string) {
		dots := strings.Repeat(".", width-len([]rune(name))+3) + ":"
		p.line("    ", name, p.style(faint+white, dots), " ", text)
	}
	if h.Verdict != "" {
		dotted("verdict", h.verdict())
	}
	for _, l := range h.Ledger {
		dotted("  "+l.Scenario, p.style(cyan, l.String()))
	}
	p.line("")
	p.nodes(h.Nodes)
	if !slices.ContainsFunc(h.Timeline, func(e Event) bool { return e.Kind != "start" && e.Kind != "end" }) {
		return
	}
	p.line("    ", p.style(bold, "TIMELINE"))
	for _, e := range h.Timeline[:min(shownEvents, len(h.Timeline))] {
		p.line("    ", p.style(cyan, fmt.Sprintf("%10s", e.clock())), "  ", e.String())
	}
	if more := len(h.Timeline) - shownEvents; more > 0 {
		p.line("    ", fmt.Sprintf("… and %d more: hive events %s", more, h.Run))
	}
	p.line("")
}

func (h *Hive) verdict() string {
	if h.Reason == "" {
		return h.Verdict
	}
	return h.Verdict + ": " + h.Reason
}
