package k6

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hive/engine/js"
	"hive/engine/metric"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run is a script's default function run in a VU whose samples are kept.
type run struct {
	vu      *js.VU
	store   *metric.Store
	samples []metric.Sample
}

func newRun(t testing.TB, script string, raw bool) *run {
	t.Helper()
	prg, err := js.Compile("file:///s.js", []byte("const { check, fail, group, randomSeed, sleep } = require('k6');\n"+script), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &js.Config{Program: prg, Modules: []js.Module{New()}, Registry: metric.NewRegistry(), SystemTags: metric.DefaultSystemTags}
	r := &run{}
	o := metric.StoreOptions{Shards: 1}
	if raw {
		o.Raw = func(s []metric.Sample) { r.samples = append(r.samples, s...) }
	}
	r.store = metric.NewStore(cfg.Registry, o)
	if r.vu, err = js.NewVU(context.Background(), cfg, js.VUID{InTest: 1, InInstance: 1}, r.store.Recorder(0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.vu.Close)
	if err := r.vu.Activate(js.Activation{Scenario: "s"}); err != nil {
		t.Fatal(err)
	}
	return r
}

// recorded lists the samples as name{tags}=value, durations without values.
func (r *run) recorded() string {
	r.store.FlushRaw()
	var out []string
	for _, s := range r.samples {
		check, isCheck := s.Tags.Get("check")
		group, _ := s.Tags.Get("group")
		mine, _ := s.Tags.Get("mine")
		line := fmt.Sprintf("%s{%s|%s|%s}", s.Metric.Name, check, group, mine)
		if isCheck {
			line += fmt.Sprint("=", s.Value)
		}
		out = append(out, line)
	}
	return strings.Join(out, " ")
}

func TestFunctions(t *testing.T) {
	for _, tt := range []struct{ body, result, samples string }{
		{"check(5, { a: v => v === 5, b: true, c: '' })", "false", "checks{a||}=1 checks{b||}=1 checks{c||}=0"},
		{"check(5, { a: v => v === 5 }, { mine: 1 })", "true", "checks{a||1}=1"},
		{"check(5, {})", "true", ""},
		{"check(5)", "GoError: check() needs an object of checks as its second argument", ""},
		{"check(5, null)", "TypeError: check(): the checks must be an object, not null", ""},
		{"check(5, undefined)", "TypeError: check(): the checks must be an object, not undefined", ""},
		{"check(5, { 'a::b': true })", "GoError: the names of groups and checks must not contain '::'", ""},
		{"check(5, { a: async () => true })", "GoError: check() cannot wait for async functions; use the check() of the k6-utils library", ""},
		{"check(5, { a: true, b() { throw new Error('mine') }, c: true })", "Error: mine", "checks{a||}=1 checks{b||}=0"},
		{"check(5, { a: true }, { mine: {} })", "GoError: invalid value for metric tag 'mine': a tag is a string, a number or a boolean", ""},
		{"check(5, { a: true }, 'x')", "true", "checks{a||}=1"},
		{"group('g', () => { check(1, { a: true }); return 7 })", "7", "checks{a|::g|}=1 group_duration{|::g|}"},
		{"group('g', () => group('h', () => check(1, { a: true })))", "true", "checks{a|::g::h|}=1 group_duration{|::g::h|} group_duration{|::g|}"},
		{"try { group('g', () => { throw new Error('in') }) } finally { check(1, { a: 1 }) }", "Error: in", "group_duration{|::g|} checks{a||}=1"},
		{"group('a::b', () => 1)", "GoError: the names of groups and checks must not contain '::'", ""},
		{"group('a')", "GoError: group() needs a function as its second argument", ""},
		{"group('a', async () => 1)", "GoError: group() cannot wait for async functions", ""},
		{"fail('why')", "GoError: why", ""},
		{"fail()", "GoError", ""},
		{"sleep(0.001); sleep(-1); sleep(NaN); sleep(); sleep('0.001')", "undefined", ""},
		{"randomSeed(1); const a = Math.random(); randomSeed(1); a === Math.random()", "true", ""},
	} {
		r := newRun(t, "let result; exports.default = () => { try { result = String(eval(text)) } catch (e) { result = String(e) } };\nconst text = "+
			fmt.Sprintf("%q", tt.body)+"; exports.result = () => result", true)
		if err := r.vu.Iterate(context.Background(), nil); err != nil {
			t.Errorf("%s: %v", tt.body, err)
		}
		if got := r.recorded(); got != tt.samples {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.body, got, tt.samples)
		}
		if v, err := r.vu.Call(context.Background(), js.StageVU, "result"); err != nil || v.String() != tt.result {
			t.Errorf("%s: got %v, %v, want %s", tt.body, v, err, tt.result)
		}
	}
}

func TestInitStage(t *testing.T) {
	r := newRun(t, `const said = [];
		for (const f of [() => check(1, {}), () => group('g', () => 1), () => sleep(0), () => fail('f')]) {
			try { f(); said.push('fine') } catch (e) { said.push(e.message) }
		}
		exports.default = () => {}; exports.said = () => said.join('; ')`, false)
	v, err := r.vu.Call(context.Background(), js.StageVU, "said")
	want := "check() cannot be used in the init context; group() cannot be used in the init context; fine; f"
	if err != nil || v.String() != want {
		t.Errorf("got %v, %v, want %s", v, err, want)
	}
}

func TestSleepIsInterrupted(t *testing.T) {
	for _, body := range []string{"sleep(1e6)", "sleep(1e6); after = true", "group('g', () => sleep(1e6)); after = true", "check(1, { a: () => { sleep(1e6); after = true } })",
		"try { sleep(1e6) } catch (e) { after = true }"} {
		r := newRun(t, "let after = false, n = 0; exports.default = () => { if (n++ === 0) { "+body+" } }; exports.after = () => after", false)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		if err := r.vu.Iterate(ctx, nil); !errors.Is(err, js.ErrInterrupted) {
			t.Errorf("%s: got %v", body, err)
		}
		cancel()
		if group, _ := r.vu.Tags().Get("group"); group != "" {
			t.Errorf("%s: the group %q was not left", body, group)
		}
		v, err := r.vu.Call(context.Background(), js.StageVU, "after")
		if err != nil || v.ToBoolean() {
			t.Errorf("%s: code ran after the interruption: %v, %v", body, v, err)
		}
		if err := r.vu.Iterate(context.Background(), nil); err != nil {
			t.Errorf("%s: the next iteration: %v", body, err)
		}
	}
}

func TestGroupTagInStages(t *testing.T) {
	r := newRun(t, "exports.default = () => {}; exports.f = () => { check(1, { a: true }); group('g', () => check(1, { b: true })) }", true)
	for _, stage := range []js.Stage{js.StageSetup, js.StageTeardown, js.StageSummary} {
		if _, err := r.vu.Call(context.Background(), stage, "f"); err != nil {
			t.Fatal(err)
		}
	}
	want := "checks{a|::setup|}=1 checks{b|::setup::g|}=1 group_duration{|::setup::g|} checks{a|::teardown|}=1 checks{b|::teardown::g|}=1 group_duration{|::teardown::g|}"
	if got := r.recorded(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func BenchmarkCheck(b *testing.B) {
	r := newRun(b, "exports.default = () => { check(1, { one: v => v === 1, two: v => v === 1 }) }", false)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if err := r.vu.Iterate(ctx, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// Most of what a check costs is the script's own making of its functions.
func TestCheckAllocations(t *testing.T) {
	r := newRun(t, "const checks = { one: v => v === 1, two: v => v === 1 }; exports.default = () => { check(1, checks) }", false)
	got := testing.AllocsPerRun(100, func() {
		if err := r.vu.Iterate(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
	})
	if got > 26 {
		t.Errorf("%v allocations in an iteration with two checks", got)
	}
}

func BenchmarkGroup(b *testing.B) {
	r := newRun(b, "const f = () => {}; exports.default = () => { group('g', f) }", false)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.vu.Iterate(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func TestGroupAllocations(t *testing.T) {
	r := newRun(t, "const f = () => {}; exports.default = () => { group('g', f) }", false)
	got := testing.AllocsPerRun(100, func() {
		if err := r.vu.Iterate(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
	})
	if got > 6 {
		t.Errorf("%v allocations in an iteration with a group", got)
	}
}

// What a check throws is the script's own, and the check has failed.
func TestThrowingCheck(t *testing.T) {
	for _, predicate := range []string{"() => { throw new Error('boom') }", "class {}", "new Proxy(() => { throw new Error('boom') }, {})"} {
		r := newRun(t, "exports.default = () => { try { check(1, { a: true, b: "+predicate+", c: true }) } catch (e) { exports.caught = () => e instanceof Error } }", true)
		if err := r.vu.Iterate(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		if v, err := r.vu.Call(context.Background(), js.StageVU, "caught"); err != nil || !v.ToBoolean() {
			t.Errorf("%s: the script caught no Error: %v, %v", predicate, v, err)
		}
		if got, want := r.recorded(), "checks{a||}=1 checks{b||}=0"; got != want {
			t.Errorf("%s: got %s, want %s", predicate, got, want)
		}
	}
}
