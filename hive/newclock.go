package hive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// soughtEvery is how often a leader asks the members for a clock that it does not know.
	soughtEvery = time.Second
	// soughtAtOnce is how many of them at a time.
	soughtAtOnce = 20
)

// renewClock begins another generation of the run's clock, when the leader that named the present one is gone and nobody
// has heard from it how that goes. So nobody has begun anything by it, and the clock still stands where it was to go on.
func (d *driver) renewClock(ctx context.Context) error {
	if time.Since(d.sought) < soughtEvery {
		return nil
	}
	d.sought = time.Now()
	was := d.st.Anchor
	there, err := d.alive(ctx, Member{ID: was.Node, Name: d.nameOf(was.Node), Boot: was.Boot})
	if there || err != nil || !d.unheard(ctx, was.Gen) {
		return err
	}
	next := Anchor{Node: d.n.info.ID, Boot: d.n.boot, At: d.n.clock.Now() + Instant(d.n.cfg.Timing.StartDelay), Run: was.Run, Gen: was.Gen + 1}
	d.note(TimelineClock, "", fmt.Sprintf("the leader that set the run's clock going at %s was lost before any node had heard how: node %s sets it going", seconds(was.Run), d.n.info.Name), nil)
	d.notes[len(d.notes)-1].At = was.Run
	return d.advance(ctx, "new clock", func(s *State) { s.Anchor = next })
}

// unheard says whether every living member says that it does not know a generation of the clock. Who cannot be asked may.
func (d *driver) unheard(ctx context.Context, gen int64) bool {
	var known atomic.Bool
	var g errgroup.Group
	g.SetLimit(soughtAtOnce)
	for _, m := range d.living() {
		g.Go(func() error {
			if d.mayKnow(ctx, m, gen) {
				known.Store(true)
			}
			return nil
		})
	}
	_ = g.Wait() // there are no errors
	return !known.Load()
}

// mayKnow says whether a member knows a generation of the clock, or cannot be asked.
func (d *driver) mayKnow(ctx context.Context, m Member, gen int64) bool {
	r, ok := d.n.find(m.ID)
	if !ok || r.Boot != m.Boot {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	var info RunClockInfo
	err := d.n.calls.call(ctx, "GET", r.Address+"/api/v1/runs/"+d.id+"/clock", nil, &info)
	if api, ok := errors.AsType[*APIError](err); ok && api.Status == http.StatusConflict {
		return false
	}
	return err != nil || info.Gen >= gen
}
