package registry

import (
	"slices"
	"sync"
	"time"
)

// tripsKept is of how many calls the shortest counts: with four renewals in a
// lease, those of about two leases.
const tripsKept = 8

// trips are the lengths of the last calls, of which the shortest is what the
// network costs.
type trips struct {
	mu   sync.Mutex
	last []time.Duration // the newest at the end
}

func (t *trips) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.last) == tripsKept {
		t.last = t.last[1:]
	}
	t.last = append(t.last, d)
}

// shortest is 0 before the first call.
func (t *trips) shortest() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.last) == 0 {
		return 0
	}
	return slices.Min(t.last)
}
