package engine_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hive/engine"
)

// What setup() returns travels as Go's JSON, not as that of JSON.stringify.
func TestSetupData(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ body, json, seen string }{
		{`return { a: [1, 'x', null] }`, `{"a":[1,"x",null]}`, `{"a":[1,"x",null]}`},
		{``, `null`, `null`},
		{`return null`, `null`, `null`},
		{`return 'text'`, `"text"`, `"text"`},
		{`return 5`, `5`, `5`},
		{`return { d: new Date(Date.UTC(2020, 1, 3)) }`, `{"d":"2020-02-03T00:00:00Z"}`, `{"d":"2020-02-03T00:00:00Z"}`},
		{`return new Map([['k', 1]])`, `[["k",1]]`, `[["k",1]]`},
		{`return new Uint8Array([1, 2, 3])`, `"AQID"`, `"AQID"`},
	} {
		s := begin(t, `export function setup() { `+tt.body+` }
			export default (data) => console.log(JSON.stringify(data));`)
		if err := s.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		data, err := s.Setup(t.Context())
		if err != nil || strings.ReplaceAll(string(data), ".000", "") != tt.json {
			t.Errorf("%s: got %s, %v; want %s", tt.body, data, err, tt.json)
			continue
		}
		if err := s.Run(t.Context(), time.Now(), whole, data); err != nil {
			t.Fatal(err)
		}
		if got := s.log.said(); len(got) != 1 || strings.ReplaceAll(got[0], ".000", "") != tt.seen {
			t.Errorf("%s: the VU sees %q, want %q", tt.body, got, tt.seen)
		}
	}
}

func TestSetupDataThatCannotBeKept(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`return () => 1`, `return { f() {} }`} {
		s := begin(t, `export function setup() { `+body+` } export default () => {}`)
		_, err := s.Setup(t.Context())
		wantKind(t, err, engine.KindSetupData)
	}
}

// A VU decodes the data once and keeps its changes; other VUs and teardown() have their own.
func TestSetupDataIsEachVUsOwn(t *testing.T) {
	t.Parallel()
	s := begin(t, `
		export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 2, iterations: 3 } } };
		export function setup() { return { n: 0 } }
		export default (data) => { data.n++; if (__ITER === 2) console.log('vu ' + data.n) }
		export function teardown(data) { console.log('teardown ' + data.n) }`)
	s.pass(t)
	s.log.wantSaid(t, "vu 3", "vu 3", "teardown 0")
}

func TestAsyncStages(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		const later = (v) => new Promise((done) => setTimeout(() => done(v), 100));
		export async function setup() { return { v: await later('data') } }
		export default async function (data) { console.log(await later(data.v)) }
		export async function teardown(data) { console.log(await later('teardown ' + data.v)) }
		export async function handleSummary(data) { return { stdout: await later(data.s) } }`)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := prepare(t, b, setting{})
		s.pass(t)
		s.log.wantSaid(t, "data", "teardown data")
		if got, want := time.Since(began), 300*time.Millisecond; got != want {
			t.Errorf("took %v, want %v", got, want)
		}
		files, ran, err := s.HandleSummary(t.Context(), []byte(`{"s":"summary"}`))
		if err != nil || !ran || string(files["stdout"]) != "summary" {
			t.Errorf("handleSummary: got %q, %v, %v", files, ran, err)
		}
		if got := s.view().Get("iteration_duration").Sketch.Min(); got != 100 {
			t.Errorf("iteration_duration: got %v ms, want 100: it includes waiting for the event loop", got)
		}
	})
}

func TestSetupAndTeardownThatThrow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		kind         engine.Kind
		want         string
	}{
		{"setup throws", `export function setup() { throw new TypeError('bad') }`, engine.KindScript, "setup: TypeError: bad\n\tat setup (file:///-:1:"},
		{"setup rejects", `export async function setup() { throw new Error('bad') }`, engine.KindScript, "setup: "},
		{"setup waits for nothing", `export function setup() { return new Promise(() => {}) }`, engine.KindScript, "nothing is left to settle"},
		{"setup's own init code throws", `let n = 0; export function setup() { n.x.y }`, engine.KindScript, "TypeError"},
		{"teardown throws", `export function teardown() { throw new Error('bad') }`, engine.KindScript, "teardown: Error: bad\n\tat teardown ("},
		{"setup aborts", `import exec from 'k6/execution'; export function setup() { exec.test.abort('enough'); console.log('went on') }
			export function teardown() { console.log('teardown') }`, engine.KindAborted, "setup: test aborted: enough"},
		{"teardown aborts", `import exec from 'k6/execution'; export function teardown() { exec.test.abort('enough'); console.log('went on') }`,
			engine.KindAborted, "teardown: test aborted: enough"},
		{"a VU's init code aborts", `import exec from 'k6/execution'; if (__VU === 1) exec.test.abort('enough')`, engine.KindAborted, "init: test aborted: enough"},
		{"a VU's init code throws", `if (__VU === 1) throw new Error('bad')`, engine.KindScript, "init: Error: bad"},
	} {
		s := begin(t, tt.script+"\nexport default () => {}")
		err := s.life(t.Context())
		if got := engine.KindOf(err); got != tt.kind || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q: %v; want %q, with %q in it", tt.name, got, err, tt.kind, tt.want)
		}
		s.log.wantSaid(t)
	}
}

// The time limits end functions that wait and functions that compute.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import { sleep } from 'k6';
		export const options = { setupTimeout: '2s', teardownTimeout: '3s', handleSummaryTimeout: '4s' };
		export function setup() { sleep(60) }
		export default () => {}
		export async function teardown() { await new Promise((done) => setTimeout(done, 60000)) }
		export function handleSummary() { sleep(60); return {} }`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		began := time.Now()
		_, err := s.Setup(t.Context())
		wantKind(t, err, engine.KindSetupTimeout)
		if err == nil || !strings.Contains(err.Error(), "setup() took longer than its timeout of 2s") {
			t.Errorf("got %v", err)
		}
		wantKind(t, s.Teardown(t.Context(), nil), engine.KindTeardownTimeout)
		_, ran, err := s.HandleSummary(t.Context(), []byte(`{}`))
		if ran || err != nil {
			t.Errorf("handleSummary: %v, %v", ran, err)
		}
		s.log.want(t, "handleSummary() took longer than its timeout of 4s")
		if got, want := time.Since(began), 9*time.Second; got != want {
			t.Errorf("took %v, want %v", got, want)
		}
	})
}

func TestEndlessStages(t *testing.T) {
	t.Parallel()
	s := begin(t, `
		export const options = {
			setupTimeout: '100ms', teardownTimeout: '100ms', handleSummaryTimeout: '100ms',
			scenarios: { s: { executor: 'per-vu-iterations', vus: 2, maxDuration: '1s', gracefulStop: '100ms' } },
		};
		const endless = () => { try { while (true) {} } catch (e) { console.log('caught') } };
		export const setup = endless, teardown = endless, handleSummary = endless;
		export default endless;`)
	if err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := s.Setup(t.Context())
	wantKind(t, err, engine.KindSetupTimeout)
	if err := s.Run(t.Context(), time.Now(), whole, nil); err != nil {
		t.Errorf("Run: %v", err)
	}
	s.wantTally(t, 0, 2, 0)
	if a := s.view().Get("iterations"); a != nil {
		t.Errorf("interrupted iterations were counted: %v", a.Sum)
	}
	wantKind(t, s.Teardown(t.Context(), nil), engine.KindTeardownTimeout)
	if _, ran, err := s.HandleSummary(t.Context(), []byte(`{}`)); ran || err != nil {
		t.Errorf("handleSummary: %v, %v", ran, err)
	}
	s.log.wantSaid(t)
}

// The caller's context ends every stage, which is then no timeout.
func TestInterruptedStages(t *testing.T) {
	t.Parallel()
	s := begin(t, `
		import { sleep } from 'k6';
		export function setup() { while (true) {} }
		export default () => sleep(60);
		export function teardown() { sleep(60) }
		export function handleSummary() { sleep(60) }`)
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	if err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := s.Setup(soon())
	wantKind(t, err, engine.KindInterrupted)
	wantKind(t, s.Run(soon(), time.Now(), whole, nil), engine.KindInterrupted)
	s.wantTally(t, 0, 1, 0)
	wantKind(t, s.Teardown(soon(), nil), engine.KindInterrupted)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, ran, err := s.HandleSummary(ctx, []byte(`{}`)); ran || err == nil {
		t.Errorf("handleSummary: %v, %v", ran, err)
	}
}

// A VU that aborts ends the iterations of all others; its own counts as one.
func TestAbortInVU(t *testing.T) {
	t.Parallel()
	b := bundle(t, `
		import exec from 'k6/execution';
		import { sleep } from 'k6';
		export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 3 } } };
		export default () => {
			if (exec.vu.idInTest === 2) {
				sleep(1);
				try { exec.test.abort('seen enough') } catch (e) { console.log('caught') } finally { console.log('finally') }
			}
			sleep(60);
			console.log('went on');
		}
		export function teardown() { console.log('teardown') }`)
	synctest.Test(t, func(t *testing.T) {
		s := prepare(t, b, setting{})
		began := time.Now()
		err := s.life(t.Context())
		wantKind(t, err, engine.KindAborted)
		if err == nil || err.Error() != "test aborted: seen enough" {
			t.Errorf("got %v", err)
		}
		if got, want := time.Since(began), time.Second; got != want {
			t.Errorf("took %v, want %v", got, want)
		}
		s.log.wantSaid(t, "teardown")
		if got := s.count("iterations"); got != 1 {
			t.Errorf("iterations: got %v, want 1", got)
		}
		if p := s.Progress(); p.VUs != 0 || p.Iterations+p.Interrupted != 3 {
			t.Errorf("progress: %+v", p)
		}
	})
}

func TestFail(t *testing.T) {
	t.Parallel()
	s := begin(t, `
		import exec from 'k6/execution';
		export const options = { iterations: 2 };
		export default () => exec.test.fail('because ' + __ITER);`)
	if text, failed := s.Failed(); failed || text != "" {
		t.Errorf("before: %q, %v", text, failed)
	}
	s.pass(t)
	if text, failed := s.Failed(); !failed || text != "because 0" {
		t.Errorf("got %q, %v; want the first message", text, failed)
	}
	s.wantTally(t, 2, 0, 0)
}

// What may be used where; the error can be caught.
func TestStageRules(t *testing.T) {
	t.Parallel()
	server := serve(t)
	s := prepare(t, bundle(t, `
		import http from 'k6/http';
		import { check, group } from 'k6';
		import { Counter } from 'k6/metrics';
		import { SharedArray } from 'k6/data';
		import exec from 'k6/execution';
		const c = new Counter('calls');
		const uses = {
			open: () => open('x'), require: () => require('k6'), metric: () => new Counter('more'), shared: () => new SharedArray('s', () => []),
			http: () => http.get(__ENV.TARGET), check: () => check(1, { a: true }), group: () => group('g', () => 1), add: () => c.add(1),
			vu: () => exec.vu.idInTest, scenario: () => exec.scenario.name, instance: () => exec.instance.vusActive,
			options: () => exec.test.options, iter: () => __ITER,
		};
		function allowed() {
			const names = [];
			for (const [name, use] of Object.entries(uses)) {
				try { use(); names.push(name) } catch (e) {
					const kind = name === 'iter' ? 'ReferenceError' : 'GoError';
					if (e.name !== kind) names.push(name + '!' + e);
				}
			}
			return names.join(' ');
		}
		if (__VU === 1) console.log('init: ' + allowed());
		export function setup() { console.log('setup: ' + allowed()) }
		export default () => console.log('vu: ' + allowed());
		export function teardown() { console.log('teardown: ' + allowed()) }
		export function handleSummary() { console.log('summary: ' + allowed()); return {} }`), target(server.URL))
	s.pass(t)
	if _, _, err := s.HandleSummary(t.Context(), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	var init string
	for _, m := range s.log.said() {
		if strings.HasPrefix(m, "init: ") {
			init = m
		}
	}
	// open() fails because there is no such file; that it is a GoError too makes it look forbidden here.
	if want := "init: require metric shared"; init != want {
		t.Errorf("got %q, want %q", init, want)
	}
	s.log.want(t,
		`"setup: http check group add vu instance options"`,
		`"vu: http check group add vu scenario instance options iter"`,
		`"teardown: http check group add vu options"`,
		`"summary: http check group add vu options"`)
	if got := s.count("calls"); got != 3 {
		t.Errorf("counter: got %v, want 3: what handleSummary() adds is lost", got)
	}
	for key, want := range map[string]float64{"::setup": 1, "": 1, "::teardown": 1} {
		got := 0.0
		for _, g := range s.view().GroupBy("calls", "group") {
			if g.Values[0] == key {
				got = g.Sum
			}
		}
		if got != want {
			t.Errorf("counter in group %q: got %v, want %v", key, got, want)
		}
	}
}

func TestEndlessGettersAreInterrupted(t *testing.T) {
	const endless = `Object.defineProperty({}, 'x', { enumerable: true, get() { for (;;) {} } })`
	s := begin(t, `
		export const options = { setupTimeout: '300ms', handleSummaryTimeout: '300ms' };
		export function setup() { return `+endless+`; }
		export function handleSummary() { return `+endless+`; }
		export default function () {}`)
	if _, err := s.Setup(t.Context()); engine.KindOf(err) != engine.KindSetupTimeout {
		t.Errorf("setup: got %v, want its timeout", err)
	}
	if files, ran, err := s.HandleSummary(t.Context(), []byte("{}")); files != nil || ran || err != nil {
		t.Errorf("handleSummary: got %v, %v, %v, want nothing", files, ran, err)
	}
}
