package hive

import (
	"fmt"
	"time"
)

// lateLimit is how late one iteration in a hundred may start before the figures of a run are doubtful: those of requests
// count from when they were sent, so a generator that cannot keep up flatters what it measures.
const lateLimit = 50 * time.Millisecond

// lateNotes says which scenarios started their iterations late, and on which node ("" for a run on one machine).
func lateNotes(node string, p Progress) (notes []string) {
	place := "this machine"
	if node != "" {
		place = "node " + node
	}
	for _, s := range p.Scenarios {
		if s.Late > lateLimit {
			notes = append(notes, fmt.Sprintf("scenario %s: 1%% of the iterations on %s started more than %s after their time: it could not keep the schedule, and the figures are too good",
				s.Name, place, s.Late.Round(time.Millisecond)))
		}
	}
	return notes
}

// lateOnNodes is lateNotes of all nodes. One that was in the run more than once is told of once, at its worst.
func lateOnNodes(nodes []NodeResult) (notes []string) {
	var names []string
	all := map[string]Progress{}
	for _, n := range nodes {
		before, known := all[n.Name]
		if !known {
			names = append(names, n.Name)
		}
		all[n.Name] = MergeProgress(before, n.Progress)
	}
	for _, name := range names {
		notes = append(notes, lateNotes(name, all[name])...)
	}
	return notes
}
