package hivetest

import (
	"time"

	"hive/engine/executor"
	"hive/engine/share"
)

// row is one scenario on this engine.
type row struct {
	s       executor.Scenario
	due     func(i int64) (time.Duration, bool)
	next    map[int]int64 // by slot: the VU's next iteration
	pieces  []share.Piece // shared-iterations: all that was and is to be begun
	weights []int
	taken   int64 // of pieces
	allowed executor.Marks
	scale   int
	ledger  executor.Ledger
	waited  map[int]time.Duration // by slot: of VUs that are to loop and have yet to come, or to be made
}

func arrives(s executor.Scenario) bool {
	return s.Executor == executor.ConstantArrivalRate || s.Executor == executor.RampingArrivalRate
}

// cut keeps the first n of pieces.
func cut(pieces []share.Piece, n int64) (kept []share.Piece) {
	for _, p := range pieces {
		l := min(n, p.To-p.From)
		if l > 0 {
			kept = append(kept, share.Piece{Owner: p.Owner, From: p.From, To: p.From + l})
		}
		n -= l
	}
	return kept
}

// firstDue is the first index that is due at or after a moment of the run.
func firstDue(r *row, from time.Duration) int64 {
	var lo, hi int64 = 0, 1
	before := func(i int64) bool {
		d, ok := r.due(i)
		return ok && r.s.StartTime+d < from
	}
	for before(hi) {
		lo, hi = hi, 2*hi
	}
	for lo < hi {
		if mid := (lo + hi) / 2; before(mid) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// at is the global index of the n-th iteration of a row of pieces.
func (r *row) at(n int64) (int64, bool) {
	for _, p := range r.pieces {
		l := p.To - p.From
		if n < l {
			return share.NewSequence(r.weights, p.Owner).At(p.From + n), true
		}
		n -= l
	}
	return 0, false
}

// ahead is how many iterations of each VU are asked for at once: a second of them.
const ahead = int64(time.Second / Step)

// wants is what a row asks for; whole seconds of work keep it from asking all
// the time.
func (r *row) wants(i int, sh share.Share) (m executor.Marks) {
	up := func(n int64) int64 { return (n/ahead + 2) * ahead }
	switch {
	case arrives(r.s):
	case r.s.Executor == executor.SharedIterations:
		m.Limit = min(share.Length(r.pieces), (r.taken/(ahead*int64(max(1, sh.VUs(i))))+2)*ahead*int64(max(1, sh.VUs(i))))
		if r.pieces == nil {
			m.Limit = ahead
		}
	case r.s.Executor == executor.PerVUIterations:
		m.Slots = map[int]int64{}
		for _, local := range sh.Slots(i) {
			m.Slots[local] = min(r.s.Iterations, up(r.next[sh.Base(i)+local]))
		}
	default:
		for _, local := range sh.Slots(i) {
			m.Limit = max(m.Limit, up(r.next[sh.Base(i)+local]))
		}
	}
	return m
}
