package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"hive/engine"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	s := begin(t, `
		export const options = { vus: 2, iterations: 4, tags: { a: 'b' } };
		export const notAFunction = 1;
		export function handleSummary() {}
		export async function other() {}
		export default () => {};`)
	if got, want := s.test.Exports(), []string{"default", "handleSummary", "other"}; !slices.Equal(got, want) {
		t.Errorf("exports: got %q, want %q", got, want)
	}
	if !s.test.Exported("other") || s.test.Exported("notAFunction") || s.test.Exported("setup") {
		t.Error("Exported does not agree with Exports")
	}
	if got, want := string(s.test.Options()), `{"vus":2,"iterations":4,"tags":{"a":"b"}}`; got != want {
		t.Errorf("options: got %s, want %s", got, want)
	}
	if bare := begin(t, `export default () => {}`); bare.test.Options() != nil {
		t.Errorf("options of a script without any: got %s", bare.test.Options())
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		kind         engine.Kind
		want         string
	}{
		{"exception in init code", `const f = () => { throw new Error('boom') };
			f(); export default () => {}`, engine.KindScript, "Error: boom\n\tat f (file:///-:1:"},
		{"no function", `export const options = {}; export default 5`, engine.KindNoExports, "exports no function"},
		{"abort", `import exec from 'k6/execution'; exec.test.abort('no'); export default () => {}`, engine.KindAborted, "test aborted: no"},
		{"options that are a cycle", `export const options = {}; options.self = options; export default () => {}`, engine.KindConfig, "options"},
		{"options that throw", `export const options = { get vus() { throw new Error('bad') } }; export default () => {}`, engine.KindConfig, "bad"},
		{"rejection in init code", `Promise.reject(new Error('late')); export default () => {}`, engine.KindScript, "Error: late"},
		{"a request in init code", `import http from 'k6/http'; http.get('http://127.0.0.1:1'); export default () => {}`, engine.KindScript, "init"},
		{"a check in init code", `import { check } from 'k6'; check(1, { a: true }); export default () => {}`, engine.KindScript, "init"},
		{"a file where there are none", `open('none.txt'); export default () => {}`, engine.KindScript, "GoError: open()"},
		{"top-level await that never ends", `await new Promise(() => {}); export default () => {}`, engine.KindScript, "top-level await"},
	} {
		_, err := load(t.Context(), bundle(t, tt.script), setting{}, &journal{})
		if got := engine.KindOf(err); got != tt.kind || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q: %v; want %q, with %q in it", tt.name, got, err, tt.kind, tt.want)
		}
	}
	if _, err := engine.Load(t.Context(), engine.Source{Name: "file:///s.js", Code: []byte("let x = ;")}, (&journal{}).logger()); engine.KindOf(err) != engine.KindScript {
		t.Errorf("code that does not parse: got %v", err)
	}
}

// Endless init code ends with the context, when it is first looked at and in a VU.
func TestEndlessInit(t *testing.T) {
	t.Parallel()
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	_, err := load(short(), bundle(t, `while (true) {} export default () => {}`), setting{}, &journal{})
	wantKind(t, err, engine.KindInterrupted)
	_, err = load(short(), bundle(t, `await new Promise((done) => setTimeout(done, 1e9)); export default () => {}`), setting{}, &journal{})
	wantKind(t, err, engine.KindInterrupted)

	s := begin(t, `if (__VU > 0) while (true) {}
		export const options = { vus: 3, iterations: 3 };
		export default () => {}`)
	wantKind(t, s.Init(short()), engine.KindInterrupted)
}

func TestTopLevelAwait(t *testing.T) {
	t.Parallel()
	s := begin(t, `
		const answer = await new Promise((done) => setTimeout(() => done(42), 1));
		export const options = { vus: 2, iterations: 2 };
		export default () => console.log(answer);`)
	s.pass(t)
	s.log.wantSaid(t, "42", "42")
}

func TestNewErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, script, want string }{
		{"a function that is not there", `export const options = { scenarios: { s: { executor: 'per-vu-iterations', exec: 'nope' } } };
			export default () => {}`, `scenarios.s.exec: function "nope" is not exported by the script, which exports default`},
		{"no default function", `export function other() {}`, `"default"`},
		{"a threshold of an unknown metric", `export const options = { thresholds: { nope: ['count>1'] } }; export default () => {}`, `"nope"`},
		{"a threshold that does not fit", `export const options = { thresholds: { checks: ['p(95)>1'] } }; export default () => {}`, "checks"},
		{"a TLS key that is none", `export const options = { tlsAuth: [{ cert: 'x', key: 'y' }] }; export default () => {}`, "tlsAuth[0]"},
	} {
		_, err := tryPrepare(t, bundle(t, tt.script), setting{})
		if got := engine.KindOf(err); got != engine.KindConfig || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q: %v; want %q in it", tt.name, got, err, tt.want)
		}
	}
}

// The init code runs once to be looked at and once for each VU, for setup(), teardown() and handleSummary().
func TestInitCount(t *testing.T) {
	t.Parallel()
	s := begin(t, `
		console.log('init ' + __VU);
		export const options = { vus: 3, iterations: 6 };
		export function setup() { console.log('setup ' + __VU) }
		export default () => {};
		export function teardown() { console.log('teardown ' + __VU) }
		export function handleSummary() { console.log('summary ' + __VU); return {} }`)
	s.log.wantSaid(t, "init 0")
	if err := s.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := s.log.said()[1:]
	slices.Sort(got)
	if want := []string{"init 1", "init 2", "init 3"}; !slices.Equal(got, want) {
		t.Errorf("after Init: got %q, want %q", got, want)
	}
	data, err := s.Setup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), time.Now(), whole, data); err != nil {
		t.Fatal(err)
	}
	if err := s.Teardown(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.HandleSummary(t.Context(), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if got, want := s.log.said()[4:], []string{"init 0", "setup 0", "init 0", "teardown 0", "init 0", "summary 0"}; !slices.Equal(got, want) {
		t.Errorf("after Init: got %q, want %q", got, want)
	}
}

// Without the functions, or when the options leave them out, nothing is initialised for them.
func TestNoSetupNoTeardown(t *testing.T) {
	t.Parallel()
	s := begin(t, `
		console.log('init');
		export const options = { noSetup: true, noTeardown: true };
		export function setup() { throw new Error('ran') }
		export default () => {};
		export function teardown() { throw new Error('ran') }`)
	s.pass(t)
	s.log.wantSaid(t, "init", "init")
	if _, ran, err := s.HandleSummary(t.Context(), []byte(`{}`)); ran || err != nil {
		t.Errorf("handleSummary() of a script without it: %v, %v", ran, err)
	}
}
