package engine_test

import (
	"maps"
	"testing"
)

func TestHandleSummary(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		files      map[string]string // nil: the default summary is to be shown
		logged     string
	}{
		{"text and files", `return { stdout: 'out', stderr: 'err', 'a.txt': 'A', 'dir/é': '' }`, map[string]string{"stdout": "out", "stderr": "err", "a.txt": "A", "dir/é": ""}, ""},
		{"the data", `return { stdout: JSON.stringify(data) }`, map[string]string{"stdout": `{"metrics":{"m":1}}`}, ""},
		{"bytes", `const u = new Uint8Array([65, 255, 66]); return { u, b: u.buffer, sub: u.subarray(1, 2) }`,
			map[string]string{"u": "A\xffB", "b": "A\xffB", "sub": "\xff"}, ""},
		{"unpaired surrogates become U+FFFD", `return { a: 'é\ud800' }`, map[string]string{"a": "é\ufffd"}, ""},
		{"nothing to write", `return {}`, map[string]string{}, ""},
		{"undefined", ``, nil, ""},
		{"null", `return null`, nil, ""},
		{"async", `return Promise.resolve({ a: 'b' })`, map[string]string{"a": "b"}, ""},
		{"thrown", `throw new Error('bad')`, nil, `Error: bad\n\tat handleSummary (file:///-:`},
		{"rejected", `return Promise.reject(new Error('bad'))`, nil, `Error: bad`},
		{"abort", `exec.test.abort('why'); return { a: 'b' }`, nil, `msg="test aborted: why"`},
		// One content of a wrong type spoils all, as in k6.
		{"a getter that throws", `return { get a() { throw new Error('bad') } }`, map[string]string{}, "Error: bad"},
		{"a number", `return { a: 'A', b: 5, c: 'C' }`, map[string]string{}, `handleSummary() returned a content for \"b\"`},
		{"a null", `return { stdout: null }`, map[string]string{}, `\"stdout\"`},
		{"an object", `return { stdout: { a: 1 } }`, map[string]string{}, `\"stdout\"`},
		{"a function", `return { stdout: () => 1 }`, map[string]string{}, `\"stdout\"`},
		{"not an object", `return 5`, map[string]string{}, "handleSummary() returned"},
		{"a string", `return 'hello'`, map[string]string{}, "handleSummary() returned"},
		{"an array", `return ['x', 'y']`, map[string]string{}, "handleSummary() returned"},
		{"only a function", `return () => 1`, map[string]string{}, "handleSummary() returned"},
	} {
		s := begin(t, `import exec from 'k6/execution'; export default () => {}; export function handleSummary(data) { `+tt.body+` }`)
		files, ran, err := s.HandleSummary(t.Context(), []byte(`{"metrics":{"m":1}}`))
		if err != nil || ran != (tt.files != nil) {
			t.Errorf("%s: got %v, %v", tt.name, ran, err)
		}
		got := map[string]string{}
		for name, content := range files {
			got[name] = string(content)
		}
		if !maps.Equal(got, tt.files) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.files)
		}
		if tt.logged == "" && s.log.String() != "" {
			t.Errorf("%s: logged %s", tt.name, s.log)
		}
		s.log.want(t, tt.logged)
	}
}

// handleSummary() has its own runtime, so that it can tell of a test that never ran.
func TestHandleSummaryAfterFailedSetup(t *testing.T) {
	t.Parallel()
	s := begin(t, `
		export function setup() { throw new Error('no') }
		export default () => {};
		export function handleSummary() { return { stdout: 'summary' } }`)
	if err := s.life(t.Context()); err == nil {
		t.Error("setup() did not fail")
	}
	files, ran, err := s.HandleSummary(t.Context(), []byte(`{}`))
	if err != nil || !ran || string(files["stdout"]) != "summary" {
		t.Errorf("got %q, %v, %v", files, ran, err)
	}
}
