package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

const (
	// tickEvery is how often the run's clock is written down.
	tickEvery = time.Second
	// reanchorAfter is how long a new leader waits until it ties the run's clock to its own node.
	reanchorAfter = 500 * time.Millisecond
	// soughtEvery is how often a leader asks the members for a clock that it does not know.
	soughtEvery = time.Second
	// soughtAtOnce is how many of them at a time.
	soughtAtOnce = 20
)

// keepClock ties the run's clock to this node and writes down how far it has come.
func (d *driver) keepClock(ctx context.Context) error {
	clock := d.n.runClock(d.id)
	if clock == nil {
		return nil
	}
	if clock.generation() != d.st.Anchor.Gen { // it is of before a pause or an outage
		if d.at() < d.n.leaseTTL() || d.tiedHere() {
			return nil
		}
		return d.renewClock(ctx)
	}
	if !d.tiedHere() && time.Since(d.born) > reanchorAfter {
		run, at := clock.Now(), d.n.clock.Now()
		return d.advance(ctx, "anchor", func(s *State) {
			s.Anchor = Anchor{Node: d.n.info.ID, Boot: d.n.boot, At: at, Run: run, Gen: s.Anchor.Gen}
		})
	}
	if time.Since(d.ticked) < tickEvery {
		return nil
	}
	d.ticked, d.last = time.Now(), d.tick(clock.Now())
	value, err := json.Marshal(d.last)
	if err != nil {
		return fmt.Errorf("tick: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	began, from := d.now(), d.n.clock.Now()
	resp, err := d.l.write(ctx, "tick", nil, clientv3.OpPut(d.n.keys.Tick(d.id), string(value)))
	if err == nil {
		d.term = resp.Header.RaftTerm
	}
	took := time.Duration(d.n.clock.Now() - from)
	d.etcdTakes = max(took, d.etcdTakes*9/10)
	if !d.n.troubles.anyAfter(from) { // that is told otherwise
		d.lag.wrote(began, took)
	}
	return err
}

// tiedHere says whether the run's clock goes by this process's own.
func (d *driver) tiedHere() bool {
	return d.st.Anchor.Node == d.n.info.ID && d.st.Anchor.Boot == d.n.boot
}

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
