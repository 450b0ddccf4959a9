package engine_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hive/archive"
	"hive/engine"
	"hive/engine/executor"
	"hive/engine/share"
)

// swarm are the engines of a hive's nodes, with what its leader does for them.
type swarm struct {
	t       testing.TB
	engines []*subject
	nodes   int
	plan    share.Plan
	owners  []int // of each slot, by engine; -1 for nobody
	epoch   int
	shares  []share.Share // of the present epoch
	start   time.Time
	running sync.WaitGroup
}

// finish waits for the end of the load and closes the engines.
func (w *swarm) finish() {
	w.t.Helper()
	w.running.Wait()
	for _, e := range w.engines {
		if err := e.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// newSwarm prepares engines of which the first deal is in proportion to capacities; 0 has no part in it yet.
func newSwarm(t testing.TB, b *archive.Bundle, with setting, capacities ...int) *swarm {
	t.Helper()
	w := &swarm{t: t, nodes: len(capacities), epoch: 1}
	with.node = true
	for i := range capacities {
		with.share = func(p share.Plan) share.Share {
			if w.owners == nil {
				owners, err := share.Deal(capacities, p.Slots)
				if err != nil {
					t.Fatal(err)
				}
				w.plan, w.owners = p, owners
				w.shares = w.assign()
			}
			return w.shares[i]
		}
		w.engines = append(w.engines, prepare(t, b, with))
	}
	for i, e := range w.engines {
		if capacities[i] > 0 {
			if err := e.Init(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w
}

// assign makes the shares of the present owners.
func (w *swarm) assign() []share.Share {
	w.t.Helper()
	shares, err := share.Assign(w.plan, w.owners, w.nodes)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range shares {
		shares[i] = travelled(w.t, shares[i])
	}
	return shares
}

// begin runs the engines that have slots.
func (w *swarm) begin(ctx context.Context) {
	w.start = time.Now()
	for i, e := range w.engines {
		if !w.shares[i].Empty() {
			w.run(ctx, e, executor.Epoch{Number: 1, Share: w.shares[i]})
		}
	}
}

func (w *swarm) run(ctx context.Context, e *subject, first executor.Epoch) {
	w.running.Go(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		w.running.Go(func() { allow(ctx, e) })
		if err := e.Run(ctx, w.start, first, nil); err != nil {
			w.t.Errorf("%v\n%s", err, e.log)
		}
	})
}

// now is what the run's clock reads, while it has not been paused.
func (w *swarm) now() time.Duration { return time.Since(w.start) }

// next deals anew, by new owners, and takes all nodes to the next epoch at a moment that lies ahead. Newcomers begin,
// and those who have nothing left are stopped once they have let go.
func (w *swarm) next(ctx context.Context, owners []int, from time.Duration) {
	w.t.Helper()
	before, had := w.owners, w.shares
	w.owners = slices.Clone(owners)
	w.epoch++
	w.shares = w.assign()
	epochs := make([]executor.Epoch, len(w.engines))
	for i := range w.engines {
		var awaits []int
		for slot, owner := range owners {
			if owner == i && before[slot] >= 0 && before[slot] != i {
				awaits = append(awaits, slot)
			}
		}
		epochs[i] = executor.Epoch{Number: w.epoch, From: from, Share: w.shares[i], Awaits: share.NewSlots(awaits)}
	}
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	for i, e := range w.engines {
		switch {
		case !had[i].Empty():
			must(e.Warm(ctx, w.shares[i]))
		case !w.shares[i].Empty():
			must(e.Init(ctx))
		}
	}
	for i, e := range w.engines {
		if !had[i].Empty() {
			must(e.Propose(epochs[i]))
		}
	}
	for i, e := range w.engines {
		switch {
		case !had[i].Empty():
			must(e.Commit(epochs[i]))
		case !w.shares[i].Empty():
			w.run(ctx, e, epochs[i])
		}
	}
	w.handOver(ctx, before, from)
}

// handOver passes slots on as they are released.
func (w *swarm) handOver(ctx context.Context, before []int, from time.Duration) {
	w.t.Helper()
	passed := map[int]bool{}
	moved := 0
	for slot, owner := range w.owners {
		if before[slot] >= 0 && owner != before[slot] && owner >= 0 {
			moved++
		}
	}
	for deadline := from + 20*time.Second; len(passed) < moved; time.Sleep(5 * time.Millisecond) {
		if w.now() > deadline || ctx.Err() != nil {
			w.t.Fatalf("%d of %d slots that moved were released", len(passed), moved)
		}
		for i, e := range w.engines {
			for _, h := range e.Released() {
				if before[h.Slot] != i || passed[h.Slot] {
					continue
				}
				if w.now() < from {
					w.t.Errorf("slot %d was released at %v, before %v", h.Slot, w.now(), from)
				}
				passed[h.Slot] = true
				if owner := w.owners[h.Slot]; owner >= 0 {
					w.engines[owner].Receive([]executor.Handover{h})
				}
			}
		}
	}
	for i, e := range w.engines {
		if w.shares[i].Empty() {
			e.Stop()
		}
	}
}

// allow gives an engine the marks that it asks for, as a leader does that is always at hand, until ctx ends.
func allow(ctx context.Context, e *subject) {
	for {
		e.Allow(e.Marks())
		select {
		case <-e.NeedMarks():
		case <-ctx.Done():
			return
		}
	}
}

// loops collects "vu iteration" pairs as the iterations that each VU made, in order of number.
func loops(t testing.TB, ids []string) map[int][]int {
	t.Helper()
	of := map[int][]int{}
	for _, id := range ids {
		vu, n, _ := strings.Cut(id, ".")
		k, err1 := strconv.Atoi(vu)
		i, err2 := strconv.Atoi(n)
		if err1 != nil || err2 != nil {
			t.Fatalf("the target was sent the id %q", id)
		}
		of[k] = append(of[k], i)
	}
	for _, list := range of {
		slices.Sort(list)
	}
	return of
}

// moving is a script that tells the target what runs where.
const moving = `
	import http from 'k6/http';
	import exec from 'k6/execution';
	import { sleep } from 'k6';
	export const options = { scenarios: {
		rate: { executor: 'constant-arrival-rate', rate: 100, duration: '3s', preAllocatedVUs: 12, maxVUs: 12, exec: 'rate' },
		loop: { executor: 'constant-vus', vus: 6, duration: '3s', exec: 'loop', gracefulStop: '5s' },
	} };
	export const rate = () => { http.get(__ENV.TARGET + '/?id=rate.' + exec.scenario.iterationInTest) };
	export const loop = () => {
		http.get(__ENV.TARGET + '/?id=loop.' + exec.vu.idInTest + '.' + exec.vu.iterationInScenario);
		http.get(__ENV.TARGET + '/?id=test.' + exec.scenario.iterationInTest);
		sleep(0.02);
	};`

// While nodes come and go, every iteration starts once and VUs go on with their numbers.
func TestSharesMove(t *testing.T) {
	t.Parallel()
	server := serve(t)
	w := newSwarm(t, bundle(t, moving), target(server.URL), 10, 10, 0)
	w.begin(t.Context())
	time.Sleep(300 * time.Millisecond)
	// The third node takes the first one's place.
	owners := slices.Clone(w.owners)
	for slot, owner := range owners {
		if owner == 0 {
			owners[slot] = 2
		}
	}
	w.next(t.Context(), owners, w.now()+300*time.Millisecond)
	// All slots go to the second.
	for slot := range owners {
		owners[slot] = 1
	}
	w.next(t.Context(), owners, w.now()+300*time.Millisecond)
	w.running.Wait()
	w.checkRate(server, 300)
	vus := loops(t, server.of("loop."))
	if len(vus) != 6 {
		t.Errorf("%d VUs looped, want 6", len(vus))
	}
	for vu, list := range vus {
		if want := upToInt(len(list)); !slices.Equal(list, want) {
			t.Errorf("VU %d made iterations %v, want each of %d once", vu, list, len(list))
		}
	}
	for id, n := range server.counts("test.") {
		if n != 1 {
			t.Errorf("iteration number %s of the looping scenario was seen %d times", id, n)
		}
	}
	for i, e := range w.engines {
		if l := e.Ledger(); l[0].Lost != 0 || l[1].Lost != 0 {
			t.Errorf("engine %d lost iterations: %+v", i, l)
		}
	}
}

// checkRate checks that every iteration of the rate was begun once or dropped.
func (w *swarm) checkRate(server *server, planned int) {
	w.t.Helper()
	seen := server.counts("rate.")
	dropped := 0
	var ledgers [][]executor.Ledger
	for _, e := range w.engines {
		ledgers = append(ledgers, e.Ledger())
		for _, l := range e.Ledger() { // VUs that loop drop nothing
			for _, n := range l.Dropped {
				dropped += int(n)
			}
		}
	}
	for id, n := range seen {
		if i, err := strconv.Atoi(id); err != nil || n != 1 || i < 0 || i >= planned {
			w.t.Errorf("iteration %s of the rate was seen %d times", id, n)
		}
	}
	if got := len(seen) + dropped; got != planned {
		w.t.Errorf("%d iterations of the rate were seen and %d dropped, want %d together: %+v", len(seen), dropped, planned, ledgers)
	}
}

func upToInt(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// A share is kept up to plan when slots are dealt by the rules of a hive.
func TestRedealInMidRun(t *testing.T) {
	t.Parallel()
	server := serve(t)
	w := newSwarm(t, bundle(t, moving), target(server.URL), 10, 10, 10)
	w.begin(t.Context())
	time.Sleep(200 * time.Millisecond)
	owners := slices.Clone(w.owners)
	for slot, owner := range owners { // of a node that is taken out
		if owner == 2 {
			owners[slot] = -1
		}
	}
	w.next(t.Context(), share.Redeal(owners, []int{10, 10, 0}, []int{10, 10, 0}), w.now()+200*time.Millisecond)
	w.running.Wait()
	w.checkRate(server, 300)
}

// A pause takes no time from the run: what is due afterwards comes as much later as the pause was long. Orders that come
// before Run, and after it, are taken too.
func TestPauseOfARun(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import exec from 'k6/execution';
		import { sleep } from 'k6';
		import { Trend } from 'k6/metrics';
		const id = new Trend('id'), begun = new Trend('begun');
		export const options = { scenarios: {
			rate: { executor: 'constant-arrival-rate', rate: 10, duration: '4s', preAllocatedVUs: 5, exec: 'rate' },
			loop: { executor: 'constant-vus', vus: 2, duration: '4s', gracefulStop: '0s', exec: 'loop' },
		} };
		export const rate = () => { id.add(exec.scenario.iterationInTest) };
		export const loop = () => { begun.add(1); sleep(0.3) };`)
	synctest.Test(t, func(t *testing.T) {
		var raw samples
		s := prepare(t, b, setting{raw: raw.add, node: true})
		if err := s.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go allow(ctx, s)
		s.PauseAt(950 * time.Millisecond)
		start := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, start, whole, nil) }()
		time.Sleep(6 * time.Second)
		if p := s.Progress(); p.Elapsed != 950*time.Millisecond || p.VUs != 0 {
			t.Errorf("in the pause the clock reads %v and %d VUs are active, want 950ms and none", p.Elapsed, p.VUs)
		}
		s.ResumeAt(start.Add(10950 * time.Millisecond))
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		cancel()
		if took := time.Since(start); took != 14*time.Second || s.Progress().Elapsed != 4*time.Second {
			t.Errorf("took %v, and %v by the run's clock; want 14s and 4s", took, s.Progress().Elapsed)
		}
		next := executor.Epoch{Number: 2, From: 5 * time.Second, Share: s.share()}
		for _, err := range []error{s.Propose(next), s.Commit(next), s.Warm(t.Context(), s.share())} {
			if err != nil {
				t.Errorf("after the run: %v", err)
			}
		}
		s.Withdraw()
		s.PauseAt(time.Hour)
		s.Extend(time.Now().Add(time.Hour))
		s.Receive(s.Released())
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		ids := raw.of("id")
		if len(ids) != 40 {
			t.Fatalf("%d iterations of the rate, want 40", len(ids))
		}
		for i, x := range ids {
			due := start.Add(time.Duration(i) * 100 * time.Millisecond)
			if i >= 10 {
				due = due.Add(10 * time.Second)
			}
			if x.Value != float64(i) || !x.Time.Equal(due) {
				t.Errorf("start %d was of id %v, %v off its time", i, x.Value, x.Time.Sub(due))
			}
		}
		for _, x := range raw.of("begun") {
			if at := x.Time.Sub(start); at > 950*time.Millisecond && at < 10950*time.Millisecond {
				t.Errorf("an iteration began at %v, in the pause", at)
			}
		}
	})
}

// share is the one that the engine was made for.
func (s *subject) share() share.Share { return share.Whole(executor.Layout(s.opts.Scenarios)) }

// VUs of slots that leave are closed, and made anew when the slots come back; what was made for a proposal that comes to
// nothing is given up too.
func TestVUsOfSlotsThatMove(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import exec from 'k6/execution';
		import { sleep } from 'k6';
		import { Trend } from 'k6/metrics';
		const age = new Trend('age'), id = new Trend('vu');
		let lived = 0;
		export const options = { scenarios: { s: { executor: 'constant-vus', vus: 4, duration: '40s', gracefulStop: '0s' } } };
		export default () => { age.add(lived++); id.add(exec.vu.idInTest); sleep(1) };`)
	synctest.Test(t, func(t *testing.T) {
		var raw samples
		s := prepare(t, b, setting{raw: raw.add, node: true})
		halves, err := share.Split(executor.Layout(s.opts.Scenarios), []int{2, 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go allow(ctx, s)
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, time.Now(), whole, nil) }()
		vus := func(what string, want int) {
			t.Helper()
			time.Sleep(3 * time.Second)
			if got := s.Progress().VUsMax; got != want {
				t.Errorf("%s: %d VUs are initialised, want %d", what, got, want)
			}
		}
		must := func(errs ...error) {
			t.Helper()
			for _, err := range errs {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		epoch := func(number int, s share.Share, from time.Duration) executor.Epoch {
			return executor.Epoch{Number: number, From: from, Share: s}
		}
		vus("at first", 4)
		must(s.Commit(epoch(2, halves[0], 9500*time.Millisecond)))
		vus("before half of the slots leave", 4)
		time.Sleep(6 * time.Second)
		vus("after it", 2)
		if got := s.Released(); len(got) != 2 || got[0].Slot != 1 || got[0].Next != 10 {
			t.Errorf("released: %+v, want the slots 1 and 3 after 10 iterations each", got)
		}
		must(s.Warm(t.Context(), s.share()), s.Warm(t.Context(), s.share()), s.Propose(epoch(3, s.share(), 16*time.Second)))
		vus("made ready", 4)
		s.Withdraw()
		vus("for nothing", 2)
		must(s.Warm(t.Context(), s.share()), s.Commit(epoch(4, s.share(), 25*time.Second)))
		vus("made ready again", 4)
		time.Sleep(5 * time.Second)
		vus("back", 4)
		must(<-ended, s.Close())
		cancel()
		born := map[float64]int{}
		ids := raw.of("vu")
		for i, x := range raw.of("age") {
			if x.Value == 0 {
				born[ids[i].Value]++
			}
		}
		if want := map[float64]int{1: 1, 2: 2, 3: 1, 4: 2}; !maps.Equal(born, want) {
			t.Errorf("VUs began their life %v times, want %v", born, want)
		}
	})
}

// A VU that cannot be made for a slot that comes fails with its number.
func TestWarmFails(t *testing.T) {
	t.Parallel()
	s := prepare(t, bundle(t, `
		export const options = { vus: 4, duration: '1m' };
		if (__VU === 4) throw new Error('no fourth');
		export default () => {};`), setting{node: true})
	err := s.Warm(t.Context(), s.share())
	wantKind(t, err, engine.KindScript)
	if err == nil || !strings.Contains(err.Error(), "VU 4 cannot be initialised") || !strings.Contains(err.Error(), "no fourth") {
		t.Errorf("got %v", err)
	}
}

// Dropped iterations say why, and selectors find them.
func TestDroppedIterationsSayWhy(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import { sleep } from 'k6';
		export const options = {
			thresholds: { dropped_iterations: ['count<100'], 'dropped_iterations{reason:no-free-vu}': ['count==9'], 'dropped_iterations{reason:max-duration}': ['count==3'] },
			scenarios: {
				rate: { executor: 'constant-arrival-rate', rate: 10, duration: '1s', preAllocatedVUs: 1, exec: 'long' },
				each: { executor: 'per-vu-iterations', vus: 1, iterations: 4, maxDuration: '1s', gracefulStop: '2s', exec: 'long' },
			},
		};
		export const long = () => sleep(2);`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		s.pass(t)
		if got := s.count("dropped_iterations"); got != 12 {
			t.Errorf("%v iterations were dropped, want 12", got)
		}
		if judged := s.Thresholds().Judge(s.view(), time.Minute, true); len(judged.Failed) > 0 || len(judged.Results) != 3 {
			t.Errorf("thresholds: %+v", judged)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
