package executor

import (
	"time"

	"hive/engine/share"
)

// Epoch is who owns what from a moment on the run's clock until the next epoch begins.
type Epoch struct {
	Number int           `json:"number"` // from 1
	From   time.Duration `json:"from"`   // on the run's clock
	Share  share.Share   `json:"share"`
	// Work is by scenario; empty where nothing but the slots changes.
	Work []share.Work `json:"work,omitempty"`
	// Awaits are slots (in the row of the whole test) that another node has yet to let go: they are not started
	// before they are handed over.
	Awaits share.Slots `json:"awaits"`
}

// Handover is a slot whose VU has ended on one node, so that it may start on another.
type Handover struct {
	Slot int   `json:"slot"` // in the row of the whole test
	Next int64 `json:"next"` // the VU's next iteration number in its scenario
	// At is until when on the run's clock the time of a VU that loops is accounted for there; 0 is until its epoch began.
	At time.Duration `json:"at,omitempty"`
	// Lost says that the node ended without a word of how far the VU had come; Next is then no more than what marks say.
	Lost bool `json:"lost,omitempty"`
}

// Marks say how far a node may go with the iterations of one scenario before it has to ask again. What a node that
// died had not reported as ended below its marks may have been begun; what lies beyond was not. Arrival-rate
// executors have none: their iterations are bound to times.
type Marks struct {
	// Limit is, for looping executors, the iteration number that no VU here begins; for shared-iterations, how many
	// iterations this node begins in all since it took part.
	Limit int64 `json:"limit,omitempty"`
	// Slots is the same for each slot (counted from the scenario's base) of per-vu-iterations.
	Slots map[int]int64 `json:"slots,omitempty"`
}

// Ledger is what became of one scenario's iterations on this node since it took part. All of it only grows.
type Ledger struct {
	Started     int64 `json:"started"`
	Completed   int64 `json:"completed"`
	Interrupted int64 `json:"interrupted"`
	// Doubtful were cut by the fence in the middle of a request, of which nobody can say whether it arrived.
	Doubtful int64            `json:"doubtful,omitempty"`
	Dropped  map[string]int64 `json:"dropped,omitempty"` // by reason
	// Lost were due here and never begun, because this node was fenced or held when their time came.
	Lost int64 `json:"lost,omitempty"`
	// Reached is the moment on the run's clock up to which every own iteration that was due has been begun, dropped or
	// lost (arrival-rate executors).
	Reached time.Duration `json:"reached,omitempty"`
	// Active is for how many seconds VUs were looping while they were meant to, all VUs together (looping executors). A VU
	// that leaves is looping here until its last iteration has ended.
	Active float64 `json:"active,omitempty"`
	// Handover is for how many seconds VUs that loop here ran nowhere before: they were passed on, or made ready. What a
	// VU waits is counted when it runs; before, or when that never comes, it is in no class (looping executors).
	Handover float64 `json:"handover,omitempty"`
}

// InFlight is how many iterations had begun and not ended.
func (l Ledger) InFlight() int64 {
	return max(0, l.Started-l.Completed-l.Interrupted-l.Doubtful)
}
