package data

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"hive/engine/js"
)

// compile makes a config of a script and one module for all its VUs.
func compile(t testing.TB, script string) *js.Config {
	t.Helper()
	prg, err := js.Compile("file:///s.js", []byte("const { SharedArray } = require('k6/data');\n"+
		"const tell = (f) => { try { return String(f()) } catch (e) { return String(e) } };\nexports.default = () => {};\n"+script), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &js.Config{Program: prg, Modules: []js.Module{New()}}
}

func newVU(t testing.TB, cfg *js.Config) *js.VU {
	t.Helper()
	vu, err := js.NewVU(context.Background(), cfg, js.VUID{InTest: 1, InInstance: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vu.Close)
	return vu
}

func call(t testing.TB, vu *js.VU, fn string) string {
	t.Helper()
	v, err := vu.Call(context.Background(), js.StageVU, fn)
	if err != nil {
		t.Fatal(err)
	}
	return v.String()
}

func TestSharedArray(t *testing.T) {
	const init = "'use strict'; const a = new SharedArray('a', () => [{ n: 1, deep: { x: [1, 2] } }, { n: 2 }, 3, null, undefined, 'ü']); exports.f = () => tell(() => "
	for _, tt := range []struct{ expression, want string }{
		{"a.length", "6"},
		{"a[0].n + a[1].n + a[2]", "6"},
		{"[a[3], a[4] === null, a[5]].join()", ",true,ü"},
		{"[a[-1], a[6], a.nope]", ",,"},
		{"a.map(e => e && e.n).join()", "1,2,,,,"},
		{"a.filter(e => e && e.n > 1).length + a.findIndex(e => e === 3) + a.indexOf(3)", "5"},
		{"(() => { let s = ''; for (const e of a) s += typeof e; return s })()", "objectobjectnumberobjectobjectstring"},
		{"Object.keys(a).join() + (1 in a) + (9 in a)", "0,1,2,3,4,5truefalse"},
		{"Array.isArray(a) + ' ' + (a instanceof SharedArray) + (a instanceof Array)", "true truetrue"},
		{"a[0] !== a[0] && Object.isFrozen(a[0].deep.x)", "true"},
		{"JSON.stringify(a.slice(0, 2))", `[{"n":1,"deep":{"x":[1,2]}},{"n":2}]`},
		{"a.at(-1)", "ü"},
		{"[...a].length", "6"},
		{"a[0] = 5", "TypeError: a SharedArray cannot be changed"},
		{"a.push(5)", "TypeError: a SharedArray cannot be changed"},
		{"a.length = 0", "TypeError: a SharedArray cannot be changed"},
		{"a.sort()", "TypeError: a SharedArray cannot be changed"},
		{"a[0].n = 5", "TypeError: Cannot assign to read only property 'n'"},
		{"new SharedArray('b', () => [])", "GoError: new SharedArray() can only be used in the init context, not in VU code"},
	} {
		if got := call(t, newVU(t, compile(t, "(() => {"+init+tt.expression+") })()")), "f"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.expression, got, tt.want)
		}
	}
}

func TestBadSharedArrays(t *testing.T) {
	for _, tt := range []struct{ init, want string }{
		{"new SharedArray('', () => [])", "GoError: " + errNoName.Error()},
		{"new SharedArray('a')", "GoError: " + errNoFunction.Error()},
		{"new SharedArray('a', async () => [])", "GoError: " + errAsync.Error()},
		{"new SharedArray('a', () => ({}))", "GoError: " + errNoArray.Error()},
		{"new SharedArray('a', () => { throw new RangeError('mine') })", "RangeError: mine"},
		{"new SharedArray('a', () => new SharedArray('a', () => []))", "GoError: " + errNested.Error()},
		{"new SharedArray('a', () => [new SharedArray('b', () => [1])]).length", "1"},
	} {
		if got := call(t, newVU(t, compile(t, "const said = tell(() => "+tt.init+"); exports.f = () => said")), "f"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.init, got, tt.want)
		}
	}
}

// However many VUs there are, the function runs once, and again only after it
// failed.
func TestMadeOnce(t *testing.T) {
	cfg := compile(t, "let ran = 0; const a = new SharedArray('a', () => { ran = 1; return [1, 2] }); exports.f = () => ran + a.length * 10")
	var wg sync.WaitGroup
	ran := make([]string, 8)
	for i := range ran {
		wg.Go(func() { ran[i] = call(t, newVU(t, cfg), "f") })
	}
	wg.Wait()
	first := 0
	for _, got := range ran {
		switch got {
		case "21":
			first++
		case "20":
		default:
			t.Errorf("got %s", got)
		}
	}
	if first != 1 {
		t.Errorf("the function ran %d times", first)
	}
	again := newVU(t, compile(t, "let n = 0; const make = () => { if (n++ === 0) throw 1; return [5] }; tell(() => new SharedArray('a', make)); const a = new SharedArray('a', make); exports.f = () => a[0]"))
	if got := call(t, again, "f"); got != "5" {
		t.Errorf("after a failure: got %s", got)
	}
}

func TestInterruptedMaking(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	cfg := compile(t, "new SharedArray('a', () => { for (;;) {} })")
	if _, err := js.NewVU(ctx, cfg, js.VUID{}, nil); !errors.Is(err, js.ErrInterrupted) {
		t.Errorf("got %v", err)
	}
}
