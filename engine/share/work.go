package share

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Piece is a stretch of a shared-iterations scenario's iterations: the positions From to To-1 in the part that
// owner number Owner had in the first deal of the scenario. Pieces move between nodes, the first deal never
// changes, so a piece names the same iterations on every node and in every epoch.
type Piece struct {
	Owner int   `json:"owner"`
	From  int64 `json:"from"`
	To    int64 `json:"to"`
}

// Work is what a node has to do of one scenario beside its slots, for the executors whose iterations are counted
// and not timed. The zero Work changes nothing.
type Work struct {
	// Weights are the VUs of each owner in the first deal (shared-iterations).
	Weights []int `json:"weights,omitempty"`
	// Pieces replace everything that the node may still begin (shared-iterations); Whole says that they do, so
	// that none at all can be told from no change.
	Pieces []Piece `json:"pieces,omitempty"`
	Whole  bool    `json:"whole,omitempty"`
	// Next is, for slots (counted from the scenario's base) that the node gains from one that is gone, the first
	// iteration number of that VU that was certainly not begun (looping executors and per-vu-iterations).
	Next map[int]int64 `json:"next,omitempty"`
}

// Validate reports what contradicts itself or the range of the scenario it is for.
func (w Work) Validate(r Range) error {
	vus := 0
	for owner, n := range w.Weights {
		if n < 0 || n > r.Max-vus {
			return fmt.Errorf("share: work: the VUs of the first deal %v are not a deal of %d (owner %d)", w.Weights, r.Max, owner)
		}
		vus += n
	}
	if len(w.Pieces) > 0 && !w.Whole {
		return errors.New("share: work: pieces are given, but not as the whole of what is to be done")
	}
	for _, p := range w.Pieces {
		if p.Owner < 0 || p.Owner >= len(w.Weights) || w.Weights[p.Owner] == 0 || p.From < 0 || p.To < p.From {
			return fmt.Errorf("share: work: piece %d to %d of owner %d: want 0 <= from <= to, and one of the owners of the first deal %v",
				p.From, p.To, p.Owner, w.Weights)
		}
	}
	for slot, next := range w.Next {
		if slot < 0 || slot >= r.Max || next < 0 {
			return fmt.Errorf("share: work: slot %d goes on with iteration %d: want a slot of the scenario's %d and a number from 0 on", slot, next, r.Max)
		}
	}
	return w.overlap()
}

// overlap reports positions that are in two pieces.
func (w Work) overlap() error {
	row := slices.SortedFunc(slices.Values(w.Pieces), func(a, b Piece) int {
		return cmp.Or(a.Owner-b.Owner, cmp.Compare(a.From, b.From))
	})
	last := Piece{Owner: -1}
	for _, p := range row {
		if p.Owner == last.Owner && p.From < min(p.To, last.To) {
			return fmt.Errorf("share: work: position %d of owner %d is in two pieces", p.From, p.Owner)
		}
		if p.Owner != last.Owner || p.To > last.To {
			last = p
		}
	}
	return nil
}
