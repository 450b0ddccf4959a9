package simulation

import (
	"maps"
	"slices"
	"sync"
	"time"

	"hive/engine/executor"
	"hive/hive/hivetest"
)

// Taken is an epoch that an engine took over.
type Taken struct {
	executor.Epoch
	At time.Time // when it did
}

// spell is a stretch of the run in which an engine owned a slot.
type spell struct {
	life     *life
	slot     int
	from, to time.Duration // on the run's clock
}

// hole is a stretch of the run in which an engine's fence was closed.
type hole struct{ from, to time.Duration }

// life is what one engine did in the run, in its own words.
type life struct {
	node     string
	capacity int
	clock    func() time.Duration // the run's, as the engine goes by it

	mu       sync.Mutex // guards what follows
	taken    []Taken
	promised *executor.Epoch
	broken   []hivetest.Iteration  // begun although a promise was in force that forbids it
	back     int                   // promises taken back after the epoch should have begun
	held     map[int]time.Duration // slots owned, and since when
	awaited  map[int]bool
	next     map[int]int64             // by slot: the VU's next iteration
	giving   map[int]bool              // slots given up whose last iterations may not be written down yet
	gave     map[int]executor.Handover // and those whose are
	spells   []spell
	holes    []hole
	deadline time.Time // of the fence
	begun    []hivetest.Iteration
	over     bool
	until    time.Duration // the end of the load, once over
	reached  time.Duration // the arrivals due before it have been dealt with, once over
}

// began notes an iteration.
func (l *life) began(it hivetest.Iteration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun = append(l.begun, it)
	if p := l.promised; p != nil && it.Due >= p.From {
		l.broken = append(l.broken, it)
	}
	if it.Slot >= 0 {
		l.next[it.Slot] = max(l.next[it.Slot], it.Index+1)
	}
}

func newLife(node string, capacity int) *life {
	return &life{node: node, capacity: capacity, held: map[int]time.Duration{}, next: map[int]int64{}, giving: map[int]bool{}, gave: map[int]executor.Handover{}}
}

// promise notes that nothing is begun from an epoch's beginning on.
func (l *life) promise(next executor.Epoch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.promised = &next
}

// withdraw notes that the engine goes on with what it had, at a moment of the
// run: nobody is to execute the epoch that it had promised for.
func (l *life) withdraw(now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.promised; p != nil && now >= p.From {
		l.back++
	}
	l.promised = nil
}

// take notes that an epoch is executed, at a moment of the run. Whoever
// promised nothing has gone on with what it had until now. An engine whose load
// has ended executes nothing, though it may be told to while its node dies.
func (l *life) take(next executor.Epoch, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	handover := next.From
	if p := l.promised; len(l.taken) > 0 && (p == nil || p.Number != next.Number) {
		handover = max(handover, now)
	}
	own := next.Share.All()
	for slot := range l.held {
		if !own.Has(slot) {
			l.release(slot, handover)
			l.giving[slot] = true
		}
	}
	for i, w := range next.Work {
		for local, n := range w.Next {
			slot := next.Share.Base(i) + local
			l.next[slot] = max(l.next[slot], n)
		}
	}
	l.awaited = map[int]bool{}
	for slot := range own.Values() {
		delete(l.giving, slot)
		delete(l.gave, slot)
		if _, has := l.held[slot]; has {
			continue
		}
		if next.Awaits.Has(slot) {
			l.awaited[slot] = true
			continue
		}
		l.held[slot] = next.From
	}
	l.taken = append(l.taken, Taken{Epoch: next, At: time.Now()})
	l.promised = nil
}

// release ends a spell; l.mu is held.
func (l *life) release(slot int, at time.Duration) {
	if from := l.held[slot]; at > from {
		l.spells = append(l.spells, spell{life: l, slot: slot, from: from, to: at})
	}
	delete(l.held, slot)
}

// receive notes slots that their owners before let go; what they have to do
// begins where the engine has come to.
func (l *life) receive(slots []executor.Handover, reached time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range slots {
		if l.awaited[h.Slot] && !l.over {
			delete(l.awaited, h.Slot)
			l.next[h.Slot] = max(l.next[h.Slot], h.Next)
			l.held[h.Slot] = max(l.taken[len(l.taken)-1].From, reached)
		}
	}
}

// released are the slots given up, once all that was due before has been begun
// and written down: reached is how far the engine has come, started how many
// iterations it has begun.
func (l *life) released(reached time.Duration, started int64) (all []executor.Handover) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.taken); n > 0 && reached >= l.taken[n-1].From && started == int64(len(l.begun)) {
		for slot := range l.giving {
			l.gave[slot] = executor.Handover{Slot: slot, Next: l.next[slot]}
		}
		clear(l.giving)
	}
	for _, slot := range slices.Sorted(maps.Keys(l.gave)) {
		all = append(all, l.gave[slot])
	}
	return all
}

// extend notes until when the fence is open. One that was closed in between
// leaves a hole; the slots are still this engine's when it opens again.
func (l *life) extend(deadline time.Time) {
	run := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if shut := time.Since(l.deadline); len(l.taken) > 0 && !l.over && shut > 0 {
		l.holes = append(l.holes, hole{run - shut, run})
	}
	l.deadline = deadline
}

// end notes that no more load is sent, and how far the arrivals had come.
func (l *life) end(reached time.Duration) {
	run := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if shut := time.Since(l.deadline); shut > 0 {
		run -= shut
	}
	l.over, l.until, l.reached = true, run, reached
	for slot := range l.held {
		l.release(slot, run)
	}
}
