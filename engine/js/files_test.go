package js

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
)

func TestOpen(t *testing.T) {
	open := func(c *Config) { c.Files = files{"a.txt": []byte("grüezi"), "b.bin": {1, 2, 3}} }
	for _, tt := range []struct{ init, expression, want string }{
		{"const x = open('a.txt')", "x + x.length", "grüezi6"},
		{"const x = open('b.bin', 'b')", "new Uint8Array(x).join() + (x instanceof ArrayBuffer)", "1,2,3true"},
		{"let x; try { open('none') } catch (e) { x = e.name + ': ' + e.message }", "x", "GoError: open none: no such file"},
		{"let x; try { open() } catch (e) { x = e.message }", "x", "open() needs the name of a file"},
	} {
		if got := evaluate(t, open, tt.init, tt.expression); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.init, got, tt.want)
		}
	}
}

// bytesOf is the memory behind the buffer that a script exports as b.
func bytesOf(t *testing.T, vu *VU) []byte {
	t.Helper()
	data, ok := Bytes(vu.Export("b"))
	if !ok {
		t.Fatal("b is no buffer")
	}
	return data
}

// Large files are held once, until a VU makes a view of its buffer; what it
// then writes no other VU sees.
func TestOpenShares(t *testing.T) {
	content := bytes.Repeat([]byte("x"), minShared)
	script := `const Early = Uint8Array; exports.b = open('big', 'b'); exports.default = () => {};
		exports.read = () => exports.b.byteLength + ',' + new Uint8Array(exports.b)[0];`
	for _, view := range []string{
		"new Uint8Array(exports.b)[0] = 7",
		"new Early(exports.b)[0] = 7",
		"new DataView(exports.b).setUint8(0, 7)",
		"new (new Uint8Array(1).constructor)(exports.b).fill(7)",
		"Reflect.construct(Uint8Array, [exports.b])[0] = 7",
		"class Sub extends Uint8Array {}; new Sub(exports.b)[0] = 7",
		"new TextEncoder().encode('').constructor.prototype; new Uint8Array(exports.b).set([7])",
	} {
		c := newConfig(t, script+"exports.write = () => { "+view+" }")
		c.Files = files{"big": content}
		first := newVU(t, c, nil)
		if &bytesOf(t, first)[0] == &content[0] {
			t.Fatal("the first VU shares though nothing intercepts its views")
		}
		a, b := newVU(t, c, nil), newVU(t, c, nil)
		if &bytesOf(t, a)[0] != &content[0] || &bytesOf(t, b)[0] != &content[0] {
			t.Error("the content is not shared")
		}
		if _, err := a.Call(context.Background(), StageVU, "write"); err != nil {
			t.Fatalf("%s: %v", view, err)
		}
		for vu, want := range map[*VU]string{a: "65536,7", b: "65536,120", first: "65536,120"} {
			if v, err := vu.Call(context.Background(), StageVU, "read"); err != nil || v.String() != want {
				t.Errorf("%s: got %v, %v, want %s", view, v, err, want)
			}
		}
		if content[0] != 'x' {
			t.Fatalf("%s: the shared content was written to", view)
		}
	}
}

func TestGuardedViewsWorkAsBefore(t *testing.T) {
	c := newConfig(t, `open('big', 'b'); exports.default = () => {}; exports.f = () => {
		const u = new Uint8Array([3, 1, 2]), s = u.subarray(1), v = new DataView(u.buffer, 1);
		return [u instanceof Uint8Array, u.constructor === Uint8Array, s.join(), u.map(x => x * 2).join(), v.getUint8(0),
			Uint8Array.from([1, 2]).length, Uint8Array.of(5)[0], Uint8Array.name, Uint8Array.BYTES_PER_ELEMENT,
			u.slice(1) instanceof Uint8Array, new Float64Array(2).length, Object.prototype.toString.call(u), ArrayBuffer.isView(s)].join(' ') }`)
	c.Files = files{"big": make([]byte, minShared)}
	want := "true true 1,2 6,2,4 1 2 5 Uint8Array 1 true 2 [object Uint8Array] true"
	for i := range 2 {
		vu := newVU(t, c, nil)
		if v, err := vu.Call(context.Background(), StageVU, "f"); err != nil || v.String() != want {
			t.Errorf("VU %d: got %v, %v\nwant %s", i, v, err, want)
		}
	}
}

// Texts and environment are shared by runtimes on different goroutines.
func TestConcurrentVUs(t *testing.T) {
	c := newConfig(t, `const s = open('t'); exports.default = () => { if (s.length !== 6000 || __ENV.L.length !== 6000 || JSON.stringify({ [s]: __ENV.L }).length < 9) throw 1 }`)
	long := strings.Repeat("aü€xyz", 1000)
	c.Files, c.Env = files{"t": []byte(long)}, map[string]string{"L": long}
	var wg sync.WaitGroup
	for range 8 {
		vu := newVU(t, c, nil)
		wg.Go(func() {
			for range 10 {
				if err := vu.Iterate(context.Background(), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
