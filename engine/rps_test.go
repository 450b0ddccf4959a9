package engine_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// The option rps holds for all nodes together, whoever has the VUs: in no second more goes out than it says, one request
// more for each node at most, and when all VUs want more, no less than that.
func TestRPSOfAHive(t *testing.T) {
	t.Parallel()
	const rps, seconds = 60, 9
	b := bundle(t, `
		import http from 'k6/http';
		export const options = { rps: 60, scenarios: {
			steady: { executor: 'constant-vus', vus: 4, duration: '9s', gracefulStop: '0s' },
			ramp: { executor: 'ramping-vus', startVUs: 0, stages: [{ duration: '6s', target: 5 }, { duration: '3s', target: 1 }], gracefulStop: '0s', gracefulRampDown: '0s' },
		} };
		export default () => { http.get(__ENV.TARGET) };`)
	server := serve(t)
	synctest.Test(t, func(t *testing.T) {
		var raw samples
		with := target(server.URL)
		with.raw = raw.add
		w := newSwarm(t, b, with, 10, 10, 0)
		w.begin(t.Context())
		// At 3 s a third node takes from both, and at 6 s the first one leaves.
		time.Sleep(2 * time.Second)
		owners := slices.Clone(w.owners)
		for slot := range owners {
			if slot%4 > 1 {
				owners[slot] = 2
			}
		}
		w.next(t.Context(), owners, 3*time.Second)
		time.Sleep(5*time.Second - w.now())
		owners = slices.Clone(owners)
		for slot, owner := range owners {
			if owner == 0 {
				owners[slot] = 1
			}
		}
		w.next(t.Context(), owners, 6*time.Second)
		w.finish()
		wantRate(t, &raw, w.start, rps, seconds, len(w.engines))
	})
}

// wantRate checks that no second saw more requests than rps and one for each node, and all together no fewer.
func wantRate(t *testing.T, raw *samples, start time.Time, rps, seconds, nodes int) {
	t.Helper()
	var sent []time.Time
	for _, x := range raw.of("http_reqs") {
		sent = append(sent, x.Time)
	}
	slices.SortFunc(sent, time.Time.Compare)
	for i, first := range sent {
		n, _ := slices.BinarySearchFunc(sent[i:], first.Add(time.Second), time.Time.Compare)
		if n > rps+nodes {
			t.Errorf("%d requests in the second from %v on, want at most %d", n, first.Sub(start), rps+nodes)
			break
		}
	}
	if got, least := len(sent), rps*seconds-2*nodes; got < least {
		t.Errorf("%d requests in %d s, want at least %d", got, seconds, least)
	}
}

// While the schedule has all VUs at work, the nodes take turns: no second has more than rps of all of them together,
// whatever parts of it they have and when others take over.
func TestRPSByTurns(t *testing.T) {
	t.Parallel()
	const rps, seconds = 40, 8
	b := bundle(t, `
		import http from 'k6/http';
		export const options = { rps: 40, scenarios: { s: { executor: 'constant-vus', vus: 30, duration: '8s', gracefulStop: '0s' } } };
		export default () => { http.get(__ENV.TARGET) };`)
	server := serve(t)
	synctest.Test(t, func(t *testing.T) {
		var raw samples
		with := target(server.URL)
		with.raw = raw.add
		w := newSwarm(t, b, with, 100, 30, 7)
		w.begin(t.Context())
		time.Sleep(3 * time.Second)
		owners := slices.Clone(w.owners)
		for slot, owner := range owners {
			if owner == 0 && slot%3 == 0 {
				owners[slot] = 2
			}
		}
		w.next(t.Context(), owners, 4*time.Second)
		w.finish()
		wantRate(t, &raw, w.start, rps, seconds, 1)
	})
}

// A node that hands all over ends its iterations at the rate of the VUs that are in them.
func TestRPSOfWhoLeaves(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import http from 'k6/http';
		import { sleep } from 'k6';
		export const options = { rps: 100, scenarios: { s: { executor: 'constant-vus', vus: 4, duration: '8s' } } };
		export default () => { for (let i = 0; i < 5; i++) { http.get(__ENV.TARGET); sleep(0.3); } };`)
	server := serve(t)
	synctest.Test(t, func(t *testing.T) {
		w := newSwarm(t, b, target(server.URL), 10, 10)
		w.begin(t.Context())
		time.Sleep(2 * time.Second)
		w.next(t.Context(), slices.Repeat([]int{1}, len(w.owners)), 2500*time.Millisecond)
		time.Sleep(4*time.Second + 500*time.Millisecond - w.now())
		if got := w.engines[0].Released(); len(got) != 2 {
			t.Errorf("2 s after it gave 2 slots up, whose iterations take 1.5 s, it has let %d go", len(got))
		}
		w.running.Wait()
		for _, e := range w.engines {
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			if l := e.Ledger()[0]; l.Interrupted > 0 {
				t.Errorf("%d iterations were interrupted", l.Interrupted)
			}
		}
	})
}

// On one machine rps is the limit whatever the VUs do.
func TestRPSAlone(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import http from 'k6/http';
		export const options = { rps: 50, scenarios: { s: { executor: 'ramping-vus', startVUs: 3, stages: [{ duration: '4s', target: 1 }], gracefulStop: '0s' } } };
		export default () => { http.get(__ENV.TARGET) };`)
	server := serve(t)
	synctest.Test(t, func(t *testing.T) {
		var raw samples
		with := target(server.URL)
		with.raw = raw.add
		s := prepare(t, b, with)
		if err := s.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := s.Run(t.Context(), start, whole, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wantRate(t, &raw, start, 50, 4, 1)
	})
}

// A node that has no VUs of the test still runs setup() and teardown() at the full rate.
func TestRPSOfSetup(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import http from 'k6/http';
		export const options = { rps: 100, vus: 1, duration: '1s' };
		export const setup = () => { for (let i = 0; i < 10; i++) http.get(__ENV.TARGET); };
		export const teardown = setup;
		export default () => {};`)
	with := target(serve(t).URL)
	w := newSwarm(t, b, with, 10, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	idle := w.engines[1]
	if _, err := idle.Setup(ctx); err != nil {
		t.Error(err)
	}
	if err := idle.Teardown(ctx, nil); err != nil {
		t.Error(err)
	}
}
