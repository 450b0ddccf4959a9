package engine_test

import (
	"context"
	"testing"
	"time"

	"hive/engine"
	"hive/engine/executor"
	"hive/engine/share"
)

// fencedScript loops over requests, long sleeps and requests without an answer.
const fencedScript = `
	import http from 'k6/http';
	import { sleep } from 'k6';
	export const options = { scenarios: {
		busy: { executor: 'constant-vus', vus: 3, duration: '1h', exec: 'busy' },
		asleep: { executor: 'constant-vus', vus: 2, duration: '1h', exec: 'asleep' },
		hung: { executor: 'constant-vus', vus: 2, duration: '1h', exec: 'hung' },
		spin: { executor: 'constant-vus', vus: 1, duration: '1h', exec: 'spin' },
	} };
	export const busy = () => { http.get(__ENV.TARGET + '/?id=busy'); sleep(0.005) };
	export const asleep = () => sleep(3600);
	export const hung = () => http.get(__ENV.TARGET + '/hang?id=hung');
	export const spin = () => { for (;;); };
	export const setup = () => http.get(__ENV.TARGET + '/?id=setup').status;
	export const teardown = () => { http.get(__ENV.TARGET + '/?id=teardown') };`

// When the fence closes nothing is sent any more and all that runs is interrupted; when it opens again the load goes on.
// setup() and teardown() are not held up.
func TestFence(t *testing.T) {
	t.Parallel()
	server := serve(t)
	with := target(server.URL)
	with.node, with.fenced = true, true
	s := prepare(t, bundle(t, fencedScript), with)
	if err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Setup(t.Context()); err != nil || server.count("setup") != 1 {
		t.Fatalf("setup: %v, %d requests", err, server.count("setup"))
	}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go allow(ctx, s)
	go func() { ended <- s.Run(ctx, time.Now(), whole, nil) }()
	time.Sleep(100 * time.Millisecond)
	if n, p := server.count("busy"), s.Progress(); n != 0 || p.Iterations+p.Interrupted != 0 {
		t.Errorf("%d requests were sent before the fence was ever open: %+v", n, p)
	}
	for turn := int64(1); turn <= 2; turn++ {
		before := server.count("busy")
		for server.count("busy") < before+5 || server.hanging.Load() < 2 {
			s.Extend(time.Now().Add(300 * time.Millisecond)) // and not a word after that
			time.Sleep(10 * time.Millisecond)
		}
		eventually(t, "what hangs, sleeps and spins to be interrupted", func() bool {
			return server.hanging.Load() == 0 && s.Progress().Interrupted >= 5*turn && s.Progress().VUs == 0
		})
		time.Sleep(100 * time.Millisecond) // the server may have what was sent before, and not have come to it
		closed := server.count("busy")
		time.Sleep(100 * time.Millisecond)
		if late := server.count("busy") - closed; late > 0 {
			t.Errorf("%d requests were sent behind the closed fence", late)
		}
		ledgers := map[string]executor.Ledger{}
		for i, l := range s.Ledger() {
			ledgers[s.opts.Scenarios[i].Name] = l
		}
		if asleep := ledgers["asleep"]; asleep.Interrupted != 2*turn || asleep.Doubtful != 0 {
			t.Errorf("what slept: %+v, want %d interrupted", asleep, 2*turn)
		}
		if hung := ledgers["hung"]; hung.Interrupted != 0 || hung.Doubtful != 2*turn {
			t.Errorf("what was in a request: %+v, want %d of which nobody knows whether it arrived", hung, 2*turn)
		}
	}
	p := s.Progress()
	if got, want := s.count("iterations"), float64(p.Iterations); got != want {
		t.Errorf("%v iterations were measured, %v completed", got, want)
	}
	if got, least := s.count("http_reqs"), float64(p.Iterations); got < least {
		t.Errorf("%v requests were measured in %v iterations", got, least)
	}
	s.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := s.Teardown(t.Context(), nil); err != nil || server.count("teardown") != 1 {
		t.Errorf("teardown: %v, %d requests", err, server.count("teardown"))
	}
}

// Scripts that spin or fill the memory do not keep the engine from being told what to do.
func TestOrdersWhileScriptsSpin(t *testing.T) {
	t.Parallel()
	s := prepare(t, bundle(t, `
		export const options = { scenarios: { s: { executor: 'constant-vus', vus: 4, duration: '1h', gracefulStop: '1h' } } };
		export default () => { for (;;); };`), setting{node: true, fenced: true})
	if err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s.Extend(time.Now().Add(time.Hour))
	defer cancel()
	go allow(ctx, s)
	go func() { ended <- s.Run(ctx, time.Now(), whole, nil) }()
	eventually(t, "the scripts to spin", func() bool { return s.Progress().VUs == 4 })
	shares, err := share.Split(executor.Layout(s.opts.Scenarios), []int{2, 2})
	if err != nil {
		t.Fatal(err)
	}
	next := executor.Epoch{Number: 2, From: s.Progress().Elapsed + 100*time.Millisecond, Share: shares[0]}
	for _, err := range []error{s.Warm(ctx, shares[0]), s.Propose(next), s.Commit(next)} {
		if err != nil {
			t.Error(err)
		}
	}
	s.Extend(time.Now().Add(2 * time.Hour))
	s.Allow(s.Marks())
	eventually(t, "a look at the engine's health", func() bool { return s.Health().Memory > 0 })
	if got := s.Released(); len(got) != 0 {
		t.Errorf("slots %v were released while their scripts spin", got)
	}
	cancel()
	wantKind(t, <-ended, engine.KindInterrupted)
	select {
	case <-s.Done():
		t.Errorf("the engine broke down: %v", s.Err())
	default:
	}
}

// eventually waits until so is true.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
