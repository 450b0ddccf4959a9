package executor

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"

	"hive/engine/share"
)

// sharedIterations runs a fixed number of iterations, which VUs take from one row as fast as they can.
type sharedIterations struct {
	*crew
	row   atomic.Pointer[row]
	taken *atomic.Int64 // begun from the row
	limit atomic.Int64  // how many may be
	half  atomic.Int64  // the count at which to ask for more
	ahead *forecast
}

func newSharedIterations(b *base, e Epoch) (*sharedIterations, error) {
	x := &sharedIterations{crew: newCrew(b, level(b.max)), ahead: newForecast(), taken: new(atomic.Int64)}
	if kept := b.begunHere(); len(kept) > 0 {
		x.taken = &kept[0]
	}
	first, err := newRow(b.scenario, b.index, e)
	if err != nil {
		return nil, err
	}
	x.row.Store(first)
	if !b.Marked {
		x.limit.Store(math.MaxInt64)
		x.half.Store(math.MaxInt64)
	}
	b.settle = func() bool { return !x.owes() }
	x.enlist(x, e)
	return x, nil
}

// Run runs the iterations and reports those that maxDuration cut off.
func (e *sharedIterations) Run(ctx context.Context) error {
	err := e.crew.Run(ctx)
	if rest := e.row.Load().total - e.taken.Load(); e.expired && rest > 0 && err == nil {
		e.drop(rest, MaxDuration, NoSlot)
	}
	return err
}

func (e *sharedIterations) work(ctx context.Context, l *looper) {
	fenced := e.Fence != nil
	for l.may() && e.clear() && !(fenced && ctx.Err() != nil) {
		e.ahead.begin(l)
		n, number, ok := e.take()
		if !ok {
			e.ahead.cancel(l)
			return
		}
		if n >= e.half.Load() && e.half.Swap(math.MaxInt64) < math.MaxInt64 {
			e.ask()
		}
		inVU := l.n.Add(1) - 1
		it := Iteration{Scenario: e.index, InTest: number, InInstance: n, InVU: inVU}
		complete := e.iterate(ctx, l.vu, it)
		e.ahead.end(l)
		if !complete && ctx.Err() != nil {
			return
		}
	}
}

// take reserves the next own iteration. The row is replaced beyond the limit only, so that with a limit read first any
// row gives the same number.
func (e *sharedIterations) take() (n, number int64, ok bool) {
	for {
		n = e.taken.Load()
		limit := e.limit.Load()
		r := e.row.Load()
		if n >= limit || n >= r.total {
			return 0, 0, false
		}
		if e.taken.CompareAndSwap(n, n+1) {
			e.counts.started.Add(1)
			return n, r.number(n), true
		}
	}
}

func (e *sharedIterations) ended(*looper) bool   { return e.taken.Load() >= e.row.Load().total }
func (e *sharedIterations) allowed(*looper) bool { return e.taken.Load() < e.limit.Load() }
func (e *sharedIterations) joins(*looper)        {}
func (e *sharedIterations) owes() bool {
	return e.taken.Load() < min(e.row.Load().total, e.limit.Load())
}

// beyond has no more precise word of VUs of lost nodes than that each could have had all iterations between two epochs.
func (e *sharedIterations) beyond(epoch int) int64 { return int64(epoch-1) * e.scenario.Iterations }

// takeUp replaces the row beyond what is marked.
func (e *sharedIterations) takeUp(epoch Epoch) {
	if len(epoch.Work) == 0 || !epoch.Work[e.index].Whole {
		return
	}
	e.row.Store(e.row.Load().replace(e.limit.Load(), epoch.Work[e.index]))
	e.resume = true
}

// Marks is how many iterations this node wants to begin in all.
func (e *sharedIterations) Marks() Marks {
	if !e.Marked {
		return Marks{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	limit := e.limit.Load()
	if e.frozen() {
		return Marks{Limit: limit}
	}
	want, ahead := e.taken.Load(), e.ahead.look(e.crew)
	for _, slot := range e.slots {
		if l := e.of[slot]; !l.awaited { // what nobody here can do, others may
			want += ahead.due(l.began.Load())
		}
	}
	return Marks{Limit: max(limit, min(e.row.Load().total, want))}
}

// Allow raises the number.
func (e *sharedIterations) Allow(m Marks) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.Marked || m.Limit <= e.limit.Load() {
		return
	}
	taken := e.taken.Load()
	if m.Limit < e.row.Load().total {
		e.half.Store(taken + (m.Limit-taken)/2)
	}
	e.limit.Store(m.Limit)
	e.raise()
}

// Ledger counts iterations.
func (e *sharedIterations) Ledger() Ledger { return e.ledger() }

// Progress counts iterations.
func (e *sharedIterations) Progress() Progress {
	ended, total := e.counts.ended(), e.row.Load().total
	elapsed, own := e.elapsed(), e.own()
	p := e.progress(own, float64(ended)/float64(max(1, total)), fmt.Sprintf("%d VUs", own),
		clock(elapsed, e.regular)+"/"+e.regular.String(), elapsed, counted(ended, total)+" shared iters")
	p.Idle = p.Done || p.Started && ended >= total
	return p
}

// row is the iterations of a shared-iterations scenario that are this node's, in the order in which they begin. It is
// never changed.
type row struct {
	parts []part
	total int64
}

// part is a piece of the row.
type part struct {
	piece   share.Piece
	at      int64 // where it begins in the row
	numbers *share.Sequence
}

// newRow is the row of the first epoch: the own part of the first deal, or the pieces that its work names.
func newRow(s Scenario, index int, e Epoch) (*row, error) {
	r := &row{}
	if len(e.Work) > 0 && e.Work[index].Whole {
		return r.replace(0, e.Work[index]), nil
	}
	if e.From > 0 {
		return r, nil // the deal was made without this node
	}
	numbers := e.Share.Iterations(index)
	r.add(share.Piece{Owner: e.Share.Index(), To: numbers.Before(s.Iterations)}, numbers)
	return r, nil
}

func (r *row) add(p share.Piece, numbers *share.Sequence) {
	if n := p.To - p.From; n > 0 {
		r.parts = append(r.parts, part{piece: p, at: r.total, numbers: numbers})
		r.total += n
	}
}

// replace keeps the first keep iterations and puts the work's pieces behind them.
func (r *row) replace(keep int64, w share.Work) *row {
	fresh := &row{}
	for _, p := range r.parts {
		p.piece.To = min(p.piece.To, p.piece.From+max(0, keep-p.at))
		fresh.add(p.piece, p.numbers)
	}
	deals := map[int]*share.Sequence{}
	for _, p := range w.Pieces {
		if deals[p.Owner] == nil {
			deals[p.Owner] = share.NewSequence(w.Weights, p.Owner)
		}
		if !deals[p.Owner].Empty() {
			fresh.add(p, deals[p.Owner])
		}
	}
	return fresh
}

// number is the number in the test of the row's n-th iteration.
func (r *row) number(n int64) int64 {
	k := len(r.parts) - 1
	for k > 0 && n < r.parts[k].at {
		k--
	}
	p := &r.parts[k]
	return p.numbers.At(p.piece.From + n - p.at)
}
