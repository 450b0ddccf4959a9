package metrics

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"hive/engine/js"
	"hive/engine/metric"
)

// outcome runs body in the VU stage after init and returns what it gave, what
// was recorded, and what was logged.
func outcome(t *testing.T, throw bool, init, body string) (result, samples, logged string) {
	t.Helper()
	prg, err := js.Compile("file:///s.js", []byte("const { Counter, Gauge, Rate, Trend } = require('k6/metrics');\n"+
		"const tell = (f) => { try { return String(f()) } catch (e) { return String(e) } };\n"+
		init+"; let result; exports.default = () => { result = tell(() => "+body+") }; exports.result = () => result"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	reg := metric.NewRegistry()
	var got []string
	store := metric.NewStore(reg, metric.StoreOptions{Shards: 1, Raw: func(s []metric.Sample) {
		for _, s := range s {
			tag, _ := s.Tags.Get("tag")
			got = append(got, fmt.Sprintf("%s:%v:%v{%s}=%v", s.Metric.Name, s.Metric.Kind, s.Metric.Contains, tag, s.Value))
		}
	}})
	cfg := &js.Config{Program: prg, Modules: []js.Module{New()}, Registry: reg, Throw: throw, Log: slog.New(slog.NewTextHandler(&out, nil))}
	vu, err := js.NewVU(context.Background(), cfg, js.VUID{InTest: 1, InInstance: 1}, store.Recorder(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vu.Close)
	if err := vu.Activate(js.Activation{}); err != nil {
		t.Fatal(err)
	}
	if err := vu.Iterate(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	v, err := vu.Call(context.Background(), js.StageVU, "result")
	if err != nil {
		t.Fatal(err)
	}
	store.FlushRaw()
	return v.String(), strings.Join(got, " "), out.String()
}

func TestAdd(t *testing.T) {
	for _, tt := range []struct{ init, body, result, samples string }{
		{"const m = new Counter('mm')", "m.add(-2)", "true", "mm:counter:default{}=-2"},
		{"const m = new Counter('mm')", "m.add('5.5', { tag: 'x' })", "true", "mm:counter:default{x}=5.5"},
		{"const m = new Gauge('mm')", "m.add(true, 7)", "true", "mm:gauge:default{}=1"},
		{"const m = new Rate('mm')", "[m.add(-3), m.add(0), m.add(false)]", "true,true,true", "mm:rate:default{}=1 mm:rate:default{}=0 mm:rate:default{}=0"},
		{"const m = new Trend('mm', true)", "m.add(1.5, { tag: 1 })", "true", "mm:trend:time{1}=1.5"},
		{"const m = Trend('mm')", "m.add(1)", "true", "mm:trend:default{}=1"},
		{"const m = new Counter('mm'), n = new Counter('mm')", "m.add(1) && n.add(2)", "true", "mm:counter:default{}=1 mm:counter:default{}=2"},
		{"const m = new Counter('http_reqs')", "m.add(1)", "true", "http_reqs:counter:default{}=1"},
		{"const m = new Counter('mm')", "m.name + (m instanceof Counter) + JSON.stringify(Object.keys(m))", `mmtrue["name","add"]`, ""},
		{"const m = new Counter('mm')", "m.add(1, { tag: {} })", "GoError: metric 'mm': invalid value for metric tag 'tag': a tag is a string, a number or a boolean", ""},
		{"const m = new Counter('mm')", "m.add(1, { tag: null })", "GoError: metric 'mm': invalid value for metric tag 'tag': a tag is a string, a number or a boolean", ""},
		{"const m = tell(() => { new Counter('mm').add(1) })", "m", "GoError: the add() of a metric cannot be used in the init context", ""},
		{"", "new Counter('mm')", "GoError: new Counter() can only be used in the init context, not in VU code", ""},
	} {
		result, samples, _ := outcome(t, false, tt.init, tt.body)
		if result != tt.result || samples != tt.samples {
			t.Errorf("%s; %s:\ngot  %s; %s\nwant %s; %s", tt.init, tt.body, result, samples, tt.result, tt.samples)
		}
	}
}

func TestBadValues(t *testing.T) {
	for _, arg := range []string{"", "undefined", "null", "NaN", "'x'", "{}"} {
		body := "m.add(" + arg + ")"
		result, samples, logged := outcome(t, false, "const m = new Trend('mm')", body)
		if result != "false" || samples != "" || !strings.Contains(logged, "level=WARN") || !strings.Contains(logged, "'mm'") {
			t.Errorf("%s: got %s, %s, %s", body, result, samples, logged)
		}
		if result, _, _ := outcome(t, true, "const m = new Trend('mm')", body); !strings.HasPrefix(result, "GoError: metric 'mm'") {
			t.Errorf("%s under throw: got %s", body, result)
		}
	}
}

func TestBadMetrics(t *testing.T) {
	for _, init := range []string{"new Counter('a')", "new Counter('')", "new Counter()", "new Counter('a b')", "new Counter('mm'); new Trend('mm')",
		"new Trend('mm'); new Trend('mm', true)", "new Trend('http_reqs')"} {
		if result, _, _ := outcome(t, false, "const said = tell(() => { "+init+" })", "said"); !strings.HasPrefix(result, "GoError: ") {
			t.Errorf("%s: got %s", init, result)
		}
	}
}

// adding is a VU whose iterations add a value with a tag.
func adding(t testing.TB) *js.VU {
	t.Helper()
	prg, err := js.Compile("file:///s.js", []byte("const { Trend } = require('k6/metrics'); const m = new Trend('mm'), tags = { page: 'a' };\n"+
		"exports.default = () => { m.add(1.5, tags) }"), nil)
	if err != nil {
		t.Fatal(err)
	}
	reg := metric.NewRegistry()
	cfg := &js.Config{Program: prg, Modules: []js.Module{New()}, Registry: reg}
	vu, err := js.NewVU(context.Background(), cfg, js.VUID{InTest: 1, InInstance: 1}, metric.NewStore(reg, metric.StoreOptions{}).Recorder(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vu.Close)
	if err := vu.Activate(js.Activation{}); err != nil {
		t.Fatal(err)
	}
	return vu
}

func BenchmarkAdd(b *testing.B) {
	vu := adding(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := vu.Iterate(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAddAllocations(t *testing.T) {
	vu := adding(t)
	got := testing.AllocsPerRun(100, func() {
		if err := vu.Iterate(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
	})
	if got > 11 { // most of them list the properties of the tags
		t.Errorf("%v allocations in an iteration that adds a value", got)
	}
}
