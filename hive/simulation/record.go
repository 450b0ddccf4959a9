package simulation

import (
	"slices"
	"sync"
	"time"
)

// Record is what all engines of a simulation did, as they wrote it down.
type Record struct {
	mu    sync.Mutex // guards what follows
	lives []*life
}

func (r *Record) add(l *life) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lives = append(r.lives, l)
}

func (r *Record) all() []*life {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lives)
}

// Taken is how many engines have taken an epoch over, and when the last of
// them did.
func (r *Record) Taken(epoch int) (engines int, last time.Time) {
	for _, l := range r.all() {
		l.mu.Lock()
		for _, t := range l.taken {
			if t.Number != epoch {
				continue
			}
			engines++
			if t.At.After(last) {
				last = t.At
			}
		}
		l.mu.Unlock()
	}
	return engines, last
}
