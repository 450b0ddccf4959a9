package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hive/engine"
)

// An exception ends the iteration, not the test: it is logged with its stack and the iteration counts.
func TestExceptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, want string }{
		{"thrown", "\nthrow new Error('boom ' + __ITER)", `msg="Error: boom 0\n\tat default (file:///-:2:7(`},
		{"thrown below", "\nconst f = () => { null.x }; f()", `at f (file:///-:2:`},
		{"not an Error", "throw 'plain'", `msg="plain\n\tat default (file:///-:1:`},
		{"rejected by nobody handled", "Promise.reject(new Error('lost'))", `msg="Uncaught (in promise) Error: lost`},
		{"async function", "return Promise.resolve().then(() => { throw new RangeError('later') })", `RangeError: later`},
		{"in a timer", "setTimeout(() => { throw new Error('tick') }, 1)", `msg="Error: tick`},
		{"endless recursion", "const f = () => f(); f()", `RangeError: Maximum call stack size exceeded`},
		{"fail", "fail('gave up')", `GoError: gave up`},
	} {
		s := begin(t, `import { fail } from 'k6'; export const options = { iterations: 3 }; export default () => {`+tt.body+`}`)
		if err := s.life(t.Context()); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		s.wantTally(t, 3, 0, 0)
		if got := s.count("iterations"); got != 3 {
			t.Errorf("%s: iterations: got %v, want 3", tt.name, got)
		}
		if got := s.view().Get("iteration_duration").Sketch.Count(); got != 3 {
			t.Errorf("%s: iteration_duration: got %d samples, want 3", tt.name, got)
		}
		s.log.want(t, tt.want)
		if got := strings.Count(s.log.String(), "level=ERROR"); got != 3 {
			t.Errorf("%s: %d errors were logged, want 3:\n%s", tt.name, got, s.log)
		}
		s.log.want(t, "executor=shared-iterations scenario=default source=stacktrace")
	}
}

// An error in one iteration leaves nothing behind in the next.
func TestIterationsAreApart(t *testing.T) {
	t.Parallel()
	s := begin(t, `
		import { group } from 'k6';
		import { Counter } from 'k6/metrics';
		const c = new Counter('after');
		export const options = { iterations: 3 };
		let globals = 0;
		export default () => {
			globals++;
			c.add(1, { globals: String(globals) });
			setTimeout(() => c.add(100), 50);
			group('g', () => { throw new Error('in a group') });
		}`)
	s.pass(t)
	if got := s.count("after"); got != 3 {
		t.Errorf("got %v, want 3: timers of a failed iteration must not run", got)
	}
	groups := s.view().GroupBy("after", "group", "globals")
	if len(groups) != 3 || groups[2].Values[0] != "" || groups[2].Values[1] != "3" {
		t.Errorf("got %+v", groups)
	}
}

// A forgotten interval holds the iteration until gracefulStop has passed.
func TestDanglingInterval(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		export const options = { scenarios: { s: { executor: 'constant-vus', vus: 2, duration: '2s', gracefulStop: '3s' } } };
		export default () => { setInterval(() => {}, 100); console.log('end of code') }`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		began := time.Now()
		s.pass(t)
		if got, want := time.Since(began), 5*time.Second; got != want {
			t.Errorf("took %v, want %v", got, want)
		}
		s.log.wantSaid(t, "end of code", "end of code")
		s.wantTally(t, 0, 2, 0)
		if s.view().Get("iterations") != nil || s.view().Get("iteration_duration") != nil {
			t.Error("interrupted iterations were measured as if they had ended")
		}
	})
}

// Interruption cannot be caught, and what is interrupted leaves the runtime usable.
func TestInterruptedIteration(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import { sleep } from 'k6';
		export const options = { scenarios: {
			first: { executor: 'per-vu-iterations', maxDuration: '1s', gracefulStop: '0s', exec: 'first' },
			second: { executor: 'per-vu-iterations', startTime: '2s', exec: 'second' },
		} };
		export function first() {
			for (;;) try { sleep(10); console.log('after sleep') } catch (e) { console.log('caught ' + e) }
		}
		export function second() { sleep(1); console.log('second') }`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		s.pass(t)
		s.log.wantSaid(t, "second")
		s.wantTally(t, 1, 1, 0)
	})
}

// minIterationDuration fills up short iterations, also failed ones, but is no part of their measured duration.
func TestMinIterationDuration(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import { sleep } from 'k6';
		export const options = { iterations: 3, minIterationDuration: '2s' };
		export default () => { sleep(__ITER * 1.5); if (__ITER === 0) throw new Error('x') }`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		began := time.Now()
		s.pass(t)
		if got, want := time.Since(began), 7*time.Second; got != want {
			t.Errorf("took %v, want %v (2 s, 2 s and 3 s)", got, want)
		}
		d := s.view().Get("iteration_duration").Sketch
		if d.Min() != 0 || d.Max() != 3000 || d.Sum() != 4500 {
			t.Errorf("iteration_duration: min %v, max %v, sum %v; want 0, 3000, 4500", d.Min(), d.Max(), d.Sum())
		}
	})
}

// Waiting for minIterationDuration gives way to the end of the test.
func TestMinIterationDurationIsCut(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		export const options = { minIterationDuration: '1h', scenarios: { s: { executor: 'constant-vus', vus: 1, duration: '2s', gracefulStop: '1s' } } };
		export default () => {}`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		began := time.Now()
		s.pass(t)
		if got, want := time.Since(began), 3*time.Second; got != want {
			t.Errorf("took %v, want %v", got, want)
		}
		s.wantTally(t, 1, 0, 0)
	})
}

// Stop lets running iterations end and starts no new ones.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                   string
		graceful               string
		took                   time.Duration
		completed, interrupted int64
	}{
		{"iterations end by themselves", "30s", 6 * time.Second, 9, 0},
		{"gracefulStop is too short for them", "500ms", 5500 * time.Millisecond, 6, 3},
	} {
		b := bundle(t, `
			import { sleep } from 'k6';
			export const options = { scenarios: {
				s: { executor: 'constant-vus', vus: 3, duration: '1h', gracefulStop: '`+tt.graceful+`' },
				never: { executor: 'constant-vus', vus: 1, duration: '1h', startTime: '1h' },
			} };
			export default () => sleep(2);
			export function teardown() { console.log('teardown') }`)
		synctest.Test(t, func(t *testing.T) {
			s := prepare(t, b, setting{})
			began := time.Now()
			stop := time.AfterFunc(5*time.Second, s.Stop)
			defer stop.Stop()
			s.pass(t)
			if got := time.Since(began); got != tt.took {
				t.Errorf("%s: took %v, want %v", tt.name, got, tt.took)
			}
			s.wantTally(t, tt.completed, tt.interrupted, 0)
			s.log.wantSaid(t, "teardown")
			s.Stop()
		})
	}
}

// The end of Run's context interrupts at once.
func TestRunIsInterrupted(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import { sleep } from 'k6';
		export const options = { scenarios: { s: { executor: 'constant-vus', vus: 3, duration: '1h' } } };
		export default () => { sleep(2); sleep(60) }`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		began := time.Now()
		ctx, cancel := contextFor(t, 5*time.Second)
		defer cancel()
		wantKind(t, s.life(ctx), engine.KindInterrupted)
		if got, want := time.Since(began), 5*time.Second; got != want {
			t.Errorf("took %v, want %v", got, want)
		}
		s.wantTally(t, 0, 3, 0)
		if p := s.Progress(); p.Elapsed != 5*time.Second || p.VUs != 0 || p.VUsMax != 3 {
			t.Errorf("progress: %+v", p)
		}
	})
}

// Nothing starts before the given instant.
func TestStartLiesAhead(t *testing.T) {
	t.Parallel()
	b := bundle(t, `export default () => console.log(Date.now())`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		if err := s.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now().Add(90 * time.Second)
		if err := s.Run(t.Context(), start, whole, nil); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got != 0 {
			t.Errorf("ended %v after the start, want 0", got)
		}
		if s.count("iterations") != 1 || s.Progress().Elapsed != 0 {
			t.Errorf("progress: %+v", s.Progress())
		}
	})
}

// A test that was stopped before it began runs nothing.
func TestStopBeforeRun(t *testing.T) {
	t.Parallel()
	s := begin(t, `export const options = { vus: 2, iterations: 10 }; export default () => {}`)
	s.Stop()
	s.pass(t)
	s.wantTally(t, 0, 0, 0)
}
