package js

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

// evaluate returns what an expression is, as a string, in the VU stage.
func evaluate(t *testing.T, cfg func(*Config), init, expression string) string {
	t.Helper()
	c := newConfig(t, init+"\nexports.default = function () {}; exports.f = function () { return String("+expression+") }")
	if cfg != nil {
		cfg(c)
	}
	vu := newVU(t, c, nil)
	if err := vu.Iterate(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	v, err := vu.Call(context.Background(), StageVU, "f")
	if err != nil {
		return err.Error()
	}
	return v.String()
}

func TestGlobals(t *testing.T) {
	env := func(c *Config) { c.Env = map[string]string{"A": "1", "LONG": strings.Repeat("ü", 40)} }
	for _, tt := range []struct{ init, expression, want string }{
		{"", "__VU", "7"},
		{"", "__ITER", "0"},
		{"let e = ''; try { __ITER } catch (x) { e = x.name }", "e", "ReferenceError"},
		{"", "__ENV.A + typeof __ENV.B", "1undefined"},
		{"", "__ENV.LONG.length", "40"},
		{"", "(__ENV.B = 2, delete __ENV.A, JSON.stringify(Object.keys(__ENV)))", `["B","LONG"]`},
		{"__ENV.A = 'mine'", "__ENV.A", "1"},
		{"", "typeof console + typeof open + typeof require + typeof TextEncoder + typeof setTimeout", "objectfunctionfunctionfunctionfunction"},
		{"", "[typeof URL, typeof fetch, typeof structuredClone, typeof queueMicrotask, typeof process, typeof Buffer]", "undefined,undefined,undefined,undefined,undefined,undefined"},
		{"", "global === globalThis", "true"},
		{"", "'console' in globalThis", "true"},
		{"", "console === console && console.log === console.log", "true"},
		{"globalThis.console = 5", "console", "5"},
		{"globalThis.setTimeout = 'x'", "setTimeout", "x"},
		{"var mine = 1; globalThis.other = 2", "other + mine", "3"},
		{"", "setTimeout.name", "setTimeout"},
		{"", "typeof globalThis.toString()", "string"},
		{"", "typeof GoError", "function"},
	} {
		if got := evaluate(t, env, tt.init, tt.expression); got != tt.want {
			t.Errorf("%s; %s: got %q, want %q", tt.init, tt.expression, got, tt.want)
		}
	}
}

func TestStages(t *testing.T) {
	c := newConfig(t, `exports.default = function () {};
		exports.f = function () { try { return String(open('x')) } catch (e) { return e.name + (e instanceof GoError) + e.message } }`)
	vu := newVU(t, c, nil)
	for _, stage := range []Stage{StageSetup, StageVU, StageTeardown, StageSummary} {
		v, err := vu.Call(context.Background(), stage, "f")
		if err != nil {
			t.Fatal(err)
		}
		want := "GoErrortrueopen() can only be used in the init context, not in " + stage.String()
		if v.String() != want {
			t.Errorf("got %q, want %q", v, want)
		}
	}
}

// counters are the program counters in stacks, which are the interpreter's own.
var counters = regexp.MustCompile(`\(\d+\)`)

func TestExceptions(t *testing.T) {
	for _, tt := range []struct{ script, message, stack string }{
		{"\nexports.default = function f() {\n  throw new Error('boom') }", "Error: boom", "\tat f (file:///s.js:3:9)"},
		{"\nexports.default = function () { throw 'plain' }", "plain", "\tat file:///s.js:2:33"},
		{"\nfunction script_default() { null.x }\nexports.default = script_default", "TypeError: Cannot read property 'x' of undefined", "\tat default (file:///s.js:2:34)"},
		{"\nexports.default = async function f() { throw new Error('later') }", "Uncaught (in promise) Error: later", "\tat f (file:///s.js:2:46)"},
		{"\nexports.default = function () { Promise.reject('r') }", "Uncaught (in promise) r", ""},
		{"\nexports.default = function () { setTimeout(function cb() { throw new TypeError('t') }, 1) }", "TypeError: t", "\tat cb (file:///s.js:2:66)"},
		{"\nexports.default = function () { throw { get toString() { throw 1 } } }", "exception that cannot be shown as a string", ""},
	} {
		vu := newVU(t, newConfig(t, tt.script), nil)
		err := vu.Iterate(context.Background(), nil)
		var ex *Exception
		if !errors.As(err, &ex) {
			t.Errorf("%s: got %v, want an *Exception", tt.script, err)
			continue
		}
		if ex.Message != tt.message || (tt.stack != "" && counters.ReplaceAllString(ex.Stack, "") != tt.stack) {
			t.Errorf("%s:\ngot  %q %q\nwant %q %q", tt.script, ex.Message, ex.Stack, tt.message, tt.stack)
		}
	}
}

func TestHandledRejections(t *testing.T) {
	for _, script := range []string{
		"exports.default = function () { Promise.reject(1).catch(() => {}) }",
		"exports.default = async function () { try { await Promise.reject(1) } catch {} }",
		"exports.default = async function () { await new Promise(() => {}) }",
	} {
		if err := newVU(t, newConfig(t, script), nil).Iterate(context.Background(), nil); err != nil {
			t.Errorf("%s: %v", script, err)
		}
	}
}

func TestRecursionIsAnException(t *testing.T) {
	vu := newVU(t, newConfig(t, "exports.default = function f() { return f() + 1 }"), nil)
	err := vu.Iterate(context.Background(), nil)
	if err == nil || !strings.HasPrefix(err.Error(), "RangeError: Maximum call stack size exceeded\n\tat f") {
		t.Errorf("got %v", err)
	}
	if n := strings.Count(err.Error(), "\n"); n > stackLines {
		t.Errorf("the stack has %d lines", n)
	}
}

func TestInterrupt(t *testing.T) {
	for _, body := range []string{
		"for (;;) {}",
		"try { for (;;) {} } catch (e) { caught = true } finally { caught = true }",
		"setInterval(() => {}, 1)",
		"setTimeout(() => { for (;;) {} }, 1)",
		"return new Promise(() => { setTimeout(() => {}, 1e9) })",
		"(async () => { for (;;) await 1 })()",
	} {
		c := newConfig(t, "let caught = false; let again = 0; exports.default = function () { if (again++) return; "+body+" }; exports.caught = () => caught")
		vu := newVU(t, c, nil)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		if err := vu.Iterate(ctx, nil); !errors.Is(err, ErrInterrupted) {
			t.Errorf("%s: got %v, want ErrInterrupted", body, err)
		}
		if err := vu.Iterate(ctx, nil); !errors.Is(err, ErrInterrupted) {
			t.Errorf("%s: with the same context got %v, want ErrInterrupted", body, err)
		}
		cancel()
		if err := vu.Iterate(context.Background(), nil); err != nil {
			t.Errorf("%s: the next iteration: %v", body, err)
		}
		v, err := vu.Call(context.Background(), StageVU, "caught")
		if err != nil || v.ToBoolean() {
			t.Errorf("%s: caught %v, %v", body, v, err)
		}
	}
}

// A context that ends while the VU is idle, or busy with another one, must not
// touch what runs then.
func TestLateInterrupt(t *testing.T) {
	vu := newVU(t, newConfig(t, "exports.default = function () { let n = 0; for (let i = 0; i < 1000; i++) n += i }"), nil)
	for range 300 {
		ctx, cancel := context.WithCancel(context.Background())
		if err := vu.Iterate(ctx, nil); err != nil {
			t.Fatal(err)
		}
		go cancel()
		if err := vu.Iterate(context.Background(), nil); err != nil {
			t.Fatalf("interrupted by the end of another context: %v", err)
		}
		<-ctx.Done()
	}
}

func TestInterruptInit(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := NewVU(ctx, newConfig(t, "for (;;) {}"), VUID{}, nil); !errors.Is(err, ErrInterrupted) {
		t.Errorf("got %v", err)
	}
}

func TestTimers(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{"setTimeout(() => say(2), 20); setTimeout(() => say(1), 1); say(0)", "0 1 2"},
		{"setTimeout((a, b) => say(a + b), 1, 3, 4)", "7"},
		{"const id = setTimeout(() => say('no'), 1); clearTimeout(id); say('yes')", "yes"},
		{"let n = 0; const id = setInterval(() => { say(n); if (++n === 3) clearInterval(id) }, 0)", "0 1 2"},
		{"setTimeout(() => say('a'), -5); Promise.resolve().then(() => say('b')); say('c')", "c b a"},
		{"setTimeout(() => { say(1); setTimeout(() => say(2)) })", "1 2"},
		{"clearTimeout(99); clearTimeout(undefined); say('fine')", "fine"},
		{"try { setTimeout(5) } catch (e) { say(e.message) }", "setTimeout: the callback must be a function, not 5"},
	} {
		c := newConfig(t, "const said = []; const say = (x) => said.push(x); exports.default = function () { "+tt.body+" }; exports.said = () => said.join(' ')")
		vu := newVU(t, c, nil)
		if err := vu.Iterate(context.Background(), nil); err != nil {
			t.Errorf("%s: %v", tt.body, err)
			continue
		}
		v, err := vu.Call(context.Background(), StageVU, "said")
		if err != nil || v.String() != tt.want {
			t.Errorf("%s: got %v, %v, want %s", tt.body, v, err, tt.want)
		}
	}
}

func TestAsyncProgram(t *testing.T) {
	run := func(code string) (*VU, error) {
		prg, err := CompileAsync("file:///s.js", []byte(code), nil)
		if err != nil {
			t.Fatal(err)
		}
		return NewVU(context.Background(), &Config{Program: prg}, VUID{}, nil)
	}
	vu, err := run("const x = await new Promise(r => setTimeout(() => r(5), 1)); exports.f = () => x")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := vu.Call(context.Background(), StageSetup, "f"); err != nil || v.ToInteger() != 5 {
		t.Errorf("got %v, %v", v, err)
	}
	if _, err := run("await new Promise(() => {})"); err == nil || !strings.Contains(err.Error(), "never ends") {
		t.Errorf("a promise that never settles: got %v", err)
	}
	if _, err := run("await 1; throw new Error('x')"); err == nil || !strings.Contains(err.Error(), "Error: x") {
		t.Errorf("a rejected program: got %v", err)
	}
}

func TestActivate(t *testing.T) {
	c := newConfig(t, `exports.default = () => {}; let seen; exports.other = () => { seen = __ENV.X + __ENV.Y }; exports.seen = () => seen; exports.none = 5`)
	c.Env = map[string]string{"X": "x", "Y": "y"}
	vu := newVU(t, c, nil)
	if err := vu.Activate(Activation{Exec: "other", Env: map[string]string{"Y": "z"}, Scenario: "sc"}); err != nil {
		t.Fatal(err)
	}
	if err := vu.Iterate(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if v, _ := vu.Call(context.Background(), StageVU, "seen"); v.String() != "xz" {
		t.Errorf("got %v", v)
	}
	for _, exec := range []string{"none", "missing"} {
		if err := vu.Activate(Activation{Exec: exec}); err == nil || !strings.Contains(err.Error(), exec) {
			t.Errorf("exec %s: got %v", exec, err)
		}
	}
}

func TestSetupData(t *testing.T) {
	c := newConfig(t, `let last; exports.default = (d) => { d.n++; last = d.n }; exports.last = () => last`)
	vu := newVU(t, c, nil)
	data := []byte(`{"n":1}`)
	for range 3 {
		if err := vu.Iterate(context.Background(), data); err != nil {
			t.Fatal(err)
		}
	}
	if v, _ := vu.Call(context.Background(), StageVU, "last"); v.ToInteger() != 4 {
		t.Errorf("got %v, want the changes of earlier iterations", v)
	}
}

func TestMarshalSetup(t *testing.T) {
	for _, tt := range []struct{ result, want, fault string }{
		{"undefined", "null", ""},
		{"null", "null", ""},
		{"{ b: 1, a: [true, 'x', 1.5], u: undefined }", `{"a":[true,"x",1.5],"b":1,"u":null}`, ""},
		{"new Map([['k', 1]])", `[["k",1]]`, ""},
		{"new Uint8Array([1, 2, 3])", `"AQID"`, ""},
		{"'s'", `"s"`, ""},
		{"{ f() {} }", "", "JSON"},
		{"() => 1", "", "JSON"},
		{"{ n: NaN }", "", "JSON"},
		{"(() => { const a = {}; a.a = a; return a })()", "", "JSON"},
	} {
		vu := newVU(t, newConfig(t, "exports.default = () => {}; exports.setup = async () => ("+tt.result+")"), nil)
		v, err := vu.Call(context.Background(), StageSetup, "setup")
		if err != nil {
			t.Fatal(err)
		}
		got, err := MarshalSetup(v)
		if string(got) != tt.want || (err != nil) != (tt.fault != "") || (err != nil && !strings.Contains(err.Error(), tt.fault)) {
			t.Errorf("%s: got %s, %v, want %s", tt.result, got, err, tt.want)
		}
	}
	vu := newVU(t, newConfig(t, "exports.default = () => {}; exports.setup = () => new Date(0)"), nil)
	v, err := vu.Call(context.Background(), StageSetup, "setup")
	if err != nil {
		t.Fatal(err)
	}
	data, err := MarshalSetup(v)
	if at, perr := time.Parse(`"`+time.RFC3339+`"`, string(data)); err != nil || perr != nil || at.Unix() != 0 {
		t.Errorf("a Date: got %s, %v", data, err)
	}
}

func TestOptionsAreOverwritten(t *testing.T) {
	c := newConfig(t, "exports.options = { vus: 1, mine: 2 }; exports.default = () => {}; exports.f = () => JSON.stringify(exports.options)")
	c.Options = []byte(`{"vus":5,"rps":null,"userAgent":"u","scenarios":{"a":{"vus":1}}}`)
	vu := newVU(t, c, nil)
	v, err := vu.Call(context.Background(), StageVU, "f")
	want := `{"vus":5,"mine":2,"scenarios":{"a":{"vus":1}},"userAgent":"u"}`
	if err != nil || v.String() != want {
		t.Errorf("got %v, %v, want %s", v, err, want)
	}
}

func TestConsole(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"'a b', 1, null, undefined, true, 10n, -0, NaN", "a b 1 null undefined true 10 0 NaN"},
		{"{ a: 1, b: 'x', c: [1, 'y', null, undefined, {}] }", `{ a: 1, b: "x", c: [ 1, "y", null, null, {} ] }`},
		{"[], {}, () => 1, Symbol('q')", "[] {} [object Function] q"},
		{"(() => { const a = { x: 1 }; a.self = a; return a })()", "{ x: 1, self: [Circular] }"},
		{"(() => { const a = { x: 1 }; return [a, a] })()", "[ { x: 1 }, { x: 1 } ]"},
		{"new Error('e'), [new TypeError('t')]", "Error: e [ TypeError: t ]"},
		{"new Date(0)", `"1970-01-01T00:00:00.000Z"`},
		{"new Map([[1, 2]]), new Set([1])", "{} {}"},
		{"new Uint8Array([1, 2]), new Float64Array([1.5])", "Uint8Array(2) [ 1, 2 ] Float64Array(1) [ 1.5 ]"},
		{"new Uint8Array([1, 171]).buffer", "ArrayBuffer { [Uint8Contents]: <01 ab>, byteLength: 2 }"},
		{"'%s', 'a'", "%s a"},
	} {
		got := say(t, newConfig(t, "exports.default = () => { console.log("+tt.args+") }"))
		want := "level=INFO msg=" + quote(tt.want) + " source=console"
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.args, got, want)
		}
	}
	got := say(t, newConfig(t, "exports.default = () => { console.debug('d'); console.info('i'); console.warn('w'); console.error('e') }"))
	want := "level=DEBUG msg=d source=console|level=INFO msg=i source=console|level=WARN msg=w source=console|level=ERROR msg=e source=console"
	if strings.Join(got, "|") != want {
		t.Errorf("got %v", got)
	}
}

// quote is how slog's text handler writes a value.
func quote(s string) string {
	if strings.ContainsAny(s, ` "=`) {
		return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
	}
	return s
}

func TestTextCodec(t *testing.T) {
	for _, tt := range []struct{ expression, want string }{
		{"new TextEncoder().encode('aü€').join()", "97,195,188,226,130,172"},
		{"new TextEncoder().encoding + new TextEncoder().encode().length", "utf-80"},
		{"new TextDecoder().decode(new Uint8Array([97, 195, 188]))", "aü"},
		{"new TextDecoder().decode(new Uint8Array([0xEF, 0xBB, 0xBF, 97])).length", "1"},
		{"new TextDecoder('utf-8', { ignoreBOM: true }).decode(new Uint8Array([0xEF, 0xBB, 0xBF, 97])).length", "2"},
		{"new TextDecoder().decode(new Uint8Array([0xE2, 0x82, 97, 0xFF, 0xF0, 0x9F]))", "\uFFFDa\uFFFD\uFFFD"},
		{"new TextDecoder('utf-16le').decode(new Uint8Array([97, 0, 0x3D, 0xD8, 0, 0xDE]))", "a\U0001F600"},
		{"new TextDecoder('utf-16be').decode(new Uint8Array([0, 97, 0xD8]))", "a\uFFFD"},
		{"(() => { const d = new TextDecoder(); return d.decode(new Uint8Array([0xE2, 0x82]), { stream: true }) + '|' + d.decode(new Uint8Array([0xAC])) })()", "|€"},
		{"(() => { try { new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([0xFF])) } catch (e) { return e.name } })()", "TypeError"},
		{"(() => { try { new TextDecoder('nope') } catch (e) { return e.name } })()", "RangeError"},
		{"new TextDecoder().encoding + new TextDecoder().fatal", "utf-8false"},
	} {
		if got := evaluate(t, nil, "", tt.expression); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.expression, got, tt.want)
		}
	}
}
