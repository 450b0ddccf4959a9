package js

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dop251/goja"

	"hive/engine/metric"
)

func TestCompileErrors(t *testing.T) {
	for _, tt := range []struct{ code, want string }{
		{"let x = ;", "s.js: Line 1:"},
		{"\n\nfunction (", "s.js: Line 3:"},
		{"return await 1 }", "s.js: Line"},
	} {
		_, err := Compile("s.js", []byte(tt.code), nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %q in it", tt.code, err, tt.want)
		}
	}
	if _, err := Compile("s.js", nil, []byte("{")); err == nil {
		t.Error("a broken source map is no error")
	}
}

// The map says that the code's first line is line 10, column 3 of other.ts.
func TestSourceMap(t *testing.T) {
	sourceMap := `{"version":3,"sources":["other.ts"],"names":[],"mappings":"AASE"}`
	prg, err := Compile("file:///d/s.js", []byte("throw new Error('x')"), []byte(sourceMap))
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewVU(context.Background(), &Config{Program: prg}, VUID{}, nil)
	if err == nil || !strings.Contains(err.Error(), "file:///d/other.ts:10:3") {
		t.Errorf("got %v", err)
	}
}

// waiting is a module with functions that hold the event loop.
func waiting(started chan<- func()) Module {
	table := NewTable(
		Method("later", func(vu *VU, call goja.FunctionCall) goja.Value {
			p, resolve, reject := vu.Runtime().NewPromise()
			done := vu.Loop().Hold()
			value := call.Argument(0)
			started <- func() {
				done(func() {
					if value.String() == "bad" {
						_ = reject(value)
						return
					}
					_ = resolve(value)
				})
				done(nil)
			}
			return vu.Runtime().ToValue(p)
		}),
		Method("throws", func(vu *VU, _ goja.FunctionCall) goja.Value {
			done := vu.Loop().Hold()
			started <- func() { done(func() { Throw(vu.Runtime(), errors.New("from a task")) }) }
			return nil
		}),
		Constant[*VU]("answer", 42),
	)
	return Module{Path: "k6/x", Names: table.Names(), Open: func(vu *VU) *goja.Object { return table.Object(vu.Runtime(), vu) }}
}

func TestHold(t *testing.T) {
	for _, tt := range []struct{ body, want, fault string }{
		{"return x.later(1).then(v => { out += v; return x.later(2) }).then(v => { out += v })", "12", ""},
		{"for (let i = 0; i < 3; i++) x.later(i).then(v => { out += v })", "012", ""},
		{"x.later('bad').catch(v => { out += v })", "bad", ""},
		{"x.later('bad')", "", "Uncaught (in promise) bad"},
		{"x.throws()", "", "GoError: from a task"},
		{"x.later(1).then(v => { out += v }); throw new Error('now')", "", "Error: now"},
		{"setTimeout(() => { throw 5 }); x.later(1).then(() => { out += 'x' })", "", "5"},
	} {
		started := make(chan func(), 10)
		c := newConfig(t, "const x = require('k6/x'); let out = ''; exports.default = () => { "+tt.body+" }; exports.out = () => out")
		c.Modules = []Module{waiting(started)}
		vu := newVU(t, c, nil)
		stop := make(chan struct{})
		go func() {
			for f := range started {
				time.Sleep(2 * time.Millisecond)
				f()
			}
			close(stop)
		}()
		err := vu.Iterate(context.Background(), nil)
		close(started)
		<-stop
		if (err != nil) != (tt.fault != "") || (err != nil && !strings.HasPrefix(err.Error(), tt.fault)) {
			t.Errorf("%s: got %v, want %q", tt.body, err, tt.fault)
		}
		if v, err := vu.Call(context.Background(), StageVU, "out"); err != nil || v.String() != tt.want {
			t.Errorf("%s: got %v, %v, want %q", tt.body, v, err, tt.want)
		}
	}
}

func TestModuleObjects(t *testing.T) {
	with := func(c *Config) { c.Modules = []Module{waiting(nil)} }
	for _, tt := range []struct{ init, expression, want string }{
		{"const x = require('k6/x')", "Object.keys(x)", "later,throws,answer"},
		{"const x = require('k6/x')", "x === y", "true"},
		{"const x = require('k6/x')", "x.later === x.later && x.later.name", "later"},
		{"const x = require('k6/x'); const old = x.later; x.later = function mine() { return old }", "x.later() === old && Object.keys(x)", "later,throws,answer"},
		{"const x = require('k6/x'); x.more = 1; delete x.later", "Object.keys(x) + x.later + ('later' in x)", "throws,answer,moreundefinedfalse"},
		{"const x = { ...require('k6/x') }", "x.answer", "42"},
		{"let x; try { require('k6/none') } catch (e) { x = e.message }", "x", `require: there is no module "k6/none"`},
	} {
		if got := evaluate(t, with, tt.init+"; const y = require('k6/x')", tt.expression); got != tt.want {
			t.Errorf("%s; %s: got %q, want %q", tt.init, tt.expression, got, tt.want)
		}
	}
}

func TestExtraGlobals(t *testing.T) {
	opened := 0
	with := func(c *Config) {
		c.Globals = []Global{{Name: "crypto", Open: func(vu *VU) goja.Value { opened++; return vu.Runtime().ToValue("c") }}}
	}
	if got := evaluate(t, with, "", "crypto + crypto"); got != "cc" || opened != 1 {
		t.Errorf("got %q, opened %d times", got, opened)
	}
}

// An interrupt at the end of an activity must not reach the next one.
func TestInterruptWithoutCodeAfterIt(t *testing.T) {
	c := newConfig(t, "const x = require('k6/x'); exports.default = (d) => { if (d) x.cut() }")
	table := NewTable(Method("cut", func(vu *VU, _ goja.FunctionCall) goja.Value {
		vu.Loop().Hold()(func() { vu.Interrupt(errors.New("why")) })
		return nil
	}))
	c.Modules = []Module{{Path: "k6/x", Open: func(vu *VU) *goja.Object { return table.Object(vu.Runtime(), vu) }}}
	vu := newVU(t, c, nil)
	err := vu.Iterate(context.Background(), []byte("true"))
	if !errors.Is(err, ErrInterrupted) || !strings.Contains(err.Error(), "why") {
		t.Errorf("got %v", err)
	}
	if err := vu.Iterate(context.Background(), []byte("false")); err != nil {
		t.Errorf("the next iteration: %v", err)
	}
}

func TestRecord(t *testing.T) {
	c := newConfig(t, "exports.default = () => {}")
	var samples []metric.Sample
	store := metric.NewStore(c.Registry, metric.StoreOptions{Shards: 1, Raw: func(s []metric.Sample) { samples = append(samples, s...) }})
	vu := newVU(t, c, store.Recorder(0))
	for range 2 {
		if err := vu.Iterate(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
	}
	vu.Record(vu.Tags(), "http://u", time.Now(), metric.Value{Metric: c.Registry.Builtin().Checks, V: 1})
	store.FlushRaw()
	if len(samples) != 1 || samples[0].Extra != (metric.Extra{URL: "http://u", VU: 7, Iter: 1}) {
		t.Fatalf("got %+v", samples)
	}
	for key, want := range map[string]string{"scenario": "s", "group": ""} {
		if got, ok := samples[0].Tags.Get(key); !ok || got != want {
			t.Errorf("tag %s: got %q, %v, want %q", key, got, ok, want)
		}
	}
}

func TestHooks(t *testing.T) {
	vu := newVU(t, newConfig(t, "exports.default = () => { throw 1 }"), nil)
	var got []string
	vu.OnIterationEnd(func() { got = append(got, "iteration") })
	vu.OnActivate(func() { got = append(got, "activate") })
	vu.OnClose(func() { got = append(got, "close 1") })
	vu.OnClose(func() { got = append(got, "close 2") })
	_ = vu.Iterate(context.Background(), nil)
	if err := vu.Activate(Activation{}); err != nil {
		t.Fatal(err)
	}
	vu.Close()
	vu.Close()
	if s := strings.Join(got, ", "); s != "iteration, activate, close 2, close 1" {
		t.Errorf("got %s", s)
	}
}

func TestEmptyIterationAllocations(t *testing.T) {
	vu := newVU(t, newConfig(t, "exports.default = function () {}"), nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	got := testing.AllocsPerRun(100, func() {
		if err := vu.Iterate(ctx, nil); err != nil {
			t.Fatal(err)
		}
	})
	if got > 5 {
		t.Errorf("%v allocations in an empty iteration", got)
	}
}

func BenchmarkEmptyIteration(b *testing.B) {
	vu := newVU(b, newConfig(b, "exports.default = function () {}"), nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if err := vu.Iterate(ctx, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewVU(b *testing.B) {
	c := newConfig(b, "exports.default = function () {}")
	b.ReportAllocs()
	for b.Loop() {
		vu, err := NewVU(context.Background(), c, VUID{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := vu.Activate(Activation{}); err != nil {
			b.Fatal(err)
		}
	}
}
