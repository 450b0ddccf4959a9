package hive

import (
	"time"

	"hive/output/summary"
)

// hiveSection is what a hive's summary says beside k6's: the ledger and the timeline. A run on one machine, which has no
// id, has none.
func hiveSection(res *Result) *summary.Hive {
	if res.Run == "" {
		return nil
	}
	h := &summary.Hive{Run: res.Run, Verdict: string(res.Verdict), Ledger: []summary.Ledger{}, Timeline: []summary.Event{}}
	if res.Failure != nil {
		h.Reason = res.Failure.Error()
	}
	for _, l := range res.Ledger {
		h.Ledger = append(h.Ledger, summary.Ledger(l))
	}
	for _, n := range res.Nodes {
		if n.Worst != (Health{}) {
			h.Nodes = append(h.Nodes, summary.Node{Name: n.Name, Lost: n.Lost, CPU: n.Worst.CPU, Memory: n.Worst.Memory, GC: n.Worst.GC, Sockets: n.Worst.Sockets,
				Late: float64(n.Worst.Late) / float64(time.Millisecond)})
		}
	}
	for _, e := range res.Timeline {
		h.Timeline = append(h.Timeline, summary.Event(e))
	}
	return h
}

// String is the ledger in words.
func (l ScenarioLedger) String() string { return summary.Ledger(l).String() }

// String is the entry in words: whom it is about, what happened, and what it cost.
func (e TimelineEvent) String() string { return summary.Event(e).String() }
