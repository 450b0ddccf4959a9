package executor

import (
	"sync/atomic"
	"time"
)

const (
	// countedAhead is how much work marks of counted iterations reach ahead. What lies below the marks of a node that
	// dies is nobody's any more.
	countedAhead = 1500 * time.Millisecond
	// forgetEvery is how often what was measured loses half of its weight, as long as enough of it is left.
	forgetEvery = time.Second
	// enough is how many iterations of each VU a measurement should have.
	enough = 4
)

// forecast says how many counted iterations VUs are going to begin within countedAhead, from how long those before took
// on this node.
type forecast struct {
	base  time.Time
	first atomic.Int64 // when the first one to end had begun, as by now
	ended atomic.Int64 // iterations
	spent atomic.Int64 // nanoseconds in them

	// What follows is guarded by crew.mu.
	seen struct{ ended, spent int64 } // are in the sums
	n    float64                      // iterations, of which old ones count less
	sum  float64                      // nanoseconds in them
	last int64                        // when they were halved
}

func newForecast() *forecast { return &forecast{base: time.Now()} }

// now is never 0.
func (f *forecast) now() int64 { return int64(time.Since(f.base)) + 1 }

// begin notes that a VU begins an iteration. It comes before the iteration is counted as begun, and marks look in the
// other order, so that they never reach further than they should.
func (f *forecast) begin(l *looper) {
	if l.crew.Marked {
		l.began.Store(f.now())
	}
}

// end notes that it has ended the iteration.
func (f *forecast) end(l *looper) {
	began := l.began.Swap(0)
	if began == 0 {
		return
	}
	if f.first.Load() == 0 {
		f.first.CompareAndSwap(0, began)
	}
	f.spent.Add(f.now() - began)
	f.ended.Add(1) // last, so that a mean is rather too long than too short
}

// cancel notes that there was none to begin.
func (f *forecast) cancel(l *looper) { l.began.Store(0) }

// look measures the pace at this moment; crew.mu is held.
func (f *forecast) look(c *crew) outlook {
	now, ended := f.now(), f.ended.Load()
	spent := f.spent.Load()
	f.n += float64(ended - f.seen.ended)
	f.sum += float64(spent - f.seen.spent)
	f.seen.ended, f.seen.spent = ended, spent
	if now-f.last >= int64(forgetEvery) {
		f.last = now
		if f.n > float64(enough*len(c.slots)) {
			f.n, f.sum = f.n/2, f.sum/2
		}
	}
	o := outlook{now: now}
	if first := f.first.Load(); first != 0 {
		o.span = min(countedAhead, time.Duration(now-first))
	}
	if f.n > 0 {
		o.mean = max(1, time.Duration((f.sum+f.overtime(c, now))/f.n))
	}
	return o
}

// overtime is for how long iterations have been running beyond the mean of those that have ended. Without it the first
// ones to end, which are the quickest, would speak for all.
func (f *forecast) overtime(c *crew, now int64) (over float64) {
	mean := f.sum / f.n
	for _, l := range c.of {
		if began := l.began.Load(); began != 0 {
			over += max(0, float64(now-began)-mean)
		}
	}
	return over
}

// outlook is what a forecast knows at a moment.
type outlook struct {
	now  int64
	mean time.Duration // of an iteration; 0 when none has ended yet
	span time.Duration // to look ahead, and no longer than was looked back
}

// due is how many iterations a VU is likely to begin within the span, where the one that it is in began at a moment; 0
// when it is in none. One that is in none begins one in any case; one whose iterations are slow, or whose first is not
// over, has time to ask at the end of it.
func (o outlook) due(began int64) int64 {
	switch {
	case began == 0 && o.mean == 0:
		return 1
	case began == 0:
		return 1 + int64(o.span/o.mean)
	case o.mean == 0:
		return 0
	}
	rest := max(0, o.mean-time.Duration(o.now-began))
	if rest >= o.span {
		return 0
	}
	return 1 + int64((o.span-rest)/o.mean)
}
