package execution

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hive/engine/js"
	"hive/engine/metric"
)

// fixed is a Run that stands still.
type fixed struct{ aborted, failed []string }

func (f *fixed) Instance() Instance {
	return Instance{IterationsCompleted: 1, IterationsInterrupted: 2, VUsActive: 3, VUsInitialized: 4, Elapsed: 1500 * time.Microsecond}
}
func (f *fixed) Scenario(*js.VU) Scenario {
	return Scenario{Name: "sc", Executor: "constant-vus", Start: time.UnixMilli(12345), Progress: 0.5}
}
func (f *fixed) Iteration(*js.VU) Iteration     { return Iteration{InTest: 30, InInstance: 20, InVU: 10} }
func (f *fixed) Options() []byte                { return []byte(`{"rps":5,"scenarios":{"a":{"vus":1}}}`) }
func (f *fixed) Abort(_ *js.VU, message string) { f.aborted = append(f.aborted, message) }
func (f *fixed) Fail(_ *js.VU, message string)  { f.failed = append(f.failed, message) }

// newVU compiles a script that tells in f what expression is.
func newVU(t *testing.T, run Run, init, expression string) (*js.VU, error) {
	t.Helper()
	prg, err := js.Compile("file:///s.js", []byte("'use strict'; const exec = require('k6/execution');\n"+
		"const tell = (f) => { try { return String(f()) } catch (e) { return String(e) } };\n"+
		init+"; let said; exports.default = () => { said = tell(() => "+expression+") }; exports.f = exports.default; exports.said = () => said"), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &js.Config{Program: prg, Modules: []js.Module{New(run)}, Registry: metric.NewRegistry(), SystemTags: metric.DefaultSystemTags}
	vu, err := js.NewVU(context.Background(), cfg, js.VUID{InTest: 9, InInstance: 8}, nil)
	if err != nil {
		return nil, err
	}
	t.Cleanup(vu.Close)
	return vu, nil
}

// tell evaluates an expression in a stage.
func tell(t *testing.T, stage js.Stage, init, expression string) string {
	t.Helper()
	vu, err := newVU(t, &fixed{}, init, expression)
	if err != nil {
		t.Fatal(err)
	}
	if stage == js.StageVU {
		if err := vu.Activate(js.Activation{Scenario: "sc"}); err != nil {
			t.Fatal(err)
		}
		err = vu.Iterate(context.Background(), nil)
	} else {
		_, err = vu.Call(context.Background(), stage, "f")
	}
	if err != nil {
		t.Fatal(err)
	}
	v, err := vu.Call(context.Background(), stage, "said")
	if err != nil {
		t.Fatal(err)
	}
	return v.String()
}

func TestValues(t *testing.T) {
	for _, tt := range []struct{ expression, want string }{
		{"JSON.stringify(exec.instance)", `{"currentTestRunDuration":1.5,"iterationsCompleted":1,"iterationsInterrupted":2,"vusActive":3,"vusInitialized":4}`},
		{"JSON.stringify(exec.scenario)", `{"executor":"constant-vus","startTime":12345,"progress":0.5,"iterationInInstance":20,"iterationInTest":30,"name":"sc"}`},
		{"JSON.stringify(exec.vu)", `{"idInInstance":8,"idInTest":9,"iterationInInstance":0,"iterationInScenario":10,"tags":{"group":"","scenario":"sc"},"metrics":{"tags":{"group":"","scenario":"sc"},"metadata":{}}}`},
		{"Object.keys(exec) + '|' + Object.keys(exec.test)", "instance,scenario,test,vu|fail,options,abort"},
		{"exec.test.options.rps + exec.test.options.scenarios.a.vus", "6"},
		{"exec.test.options === exec.test.options && Object.isFrozen(exec.test.options.scenarios.a)", "true"},
		{"exec.test.options.rps = 1", "TypeError: Cannot assign to read only property 'rps'"},
		{"exec.scenario.name = 'x'", "TypeError: k6/execution: 'name' cannot be assigned to"},
		{"exec.vu.metrics.tags = {}", "TypeError: k6/execution: 'tags' cannot be assigned to"},
		{"(exec.vu.metrics.tags.a = 1, exec.vu.tags.b = true, JSON.stringify(exec.vu.metrics.tags))", `{"a":"1","b":"true","group":"","scenario":"sc"}`},
		{"(exec.vu.tags.a = 1, delete exec.vu.tags.a, 'a' in exec.vu.tags)", "false"},
		{"exec.vu.tags.a = {}", "TypeError: invalid value for metric tag 'a': a tag is a string, a number or a boolean"},
		{"exec.vu.metrics.tags.a = null", "TypeError: invalid value for metric tag 'a': a tag is a string, a number or a boolean"},
		{"(exec.vu.metrics.metadata.m = 5, JSON.stringify(exec.vu.metrics.metadata))", `{"m":"5"}`},
	} {
		if got := tell(t, js.StageVU, "", tt.expression); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.expression, got, tt.want)
		}
	}
}

func TestStages(t *testing.T) {
	const refused = "GoError: exec."
	for _, tt := range []struct {
		expression                   string
		setup, vu, teardown, summary bool
	}{
		{"exec.instance.vusActive", true, true, false, false},
		{"exec.scenario.name", false, true, false, false},
		{"exec.vu.idInTest", true, true, true, true},
		{"exec.vu.iterationInScenario", true, true, true, true},
		{"exec.test.options.rps", true, true, true, true},
		{"exec.test.fail('x')", true, true, true, true},
	} {
		for stage, ok := range map[js.Stage]bool{js.StageSetup: tt.setup, js.StageVU: tt.vu, js.StageTeardown: tt.teardown, js.StageSummary: tt.summary} {
			if got := tell(t, stage, "", tt.expression); strings.HasPrefix(got, refused) == ok {
				t.Errorf("%s in %v: got %s", tt.expression, stage, got)
			}
		}
		if got := tell(t, js.StageVU, "const init = tell(() => "+tt.expression+")", "init"); !strings.HasPrefix(got, refused) {
			t.Errorf("%s in init: got %s", tt.expression, got)
		}
	}
}

func TestAbort(t *testing.T) {
	run := &fixed{}
	vu, err := newVU(t, run, "let after = false; exports.after = () => after", "(exec.test.abort('why'), after = true)")
	if err != nil {
		t.Fatal(err)
	}
	if err := vu.Activate(js.Activation{}); err != nil {
		t.Fatal(err)
	}
	err = vu.Iterate(context.Background(), nil)
	var aborted *Aborted
	if !errors.As(err, &aborted) || aborted.Message != "why" || !errors.Is(err, js.ErrInterrupted) {
		t.Errorf("got %v", err)
	}
	if len(run.aborted) != 1 || run.aborted[0] != "why" {
		t.Errorf("told %v", run.aborted)
	}
	if v, err := vu.Call(context.Background(), js.StageTeardown, "after"); err != nil || v.ToBoolean() {
		t.Errorf("code ran after abort: %v, %v", v, err)
	}
	if _, err := newVU(t, nil, "exec.test.abort()", "1"); !errors.As(err, &aborted) || aborted.Message != "" {
		t.Errorf("in init: got %v", err)
	}
}

func TestFail(t *testing.T) {
	run := &fixed{}
	vu, err := newVU(t, run, "", "exec.test.fail('bad')")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vu.Call(context.Background(), js.StageSetup, "f"); err != nil {
		t.Fatal(err)
	}
	if len(run.failed) != 1 || run.failed[0] != "bad" {
		t.Errorf("told %v", run.failed)
	}
}

// Tags that a script sets last until the VU is activated anew.
func TestTagsLastUntilActivation(t *testing.T) {
	vu, err := newVU(t, &fixed{}, "", "(exec.vu.tags.a = (exec.vu.tags.a || '') + 'x', exec.vu.metrics.metadata.m = exec.vu.tags.a)")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2} {
		if err := vu.Activate(js.Activation{}); err != nil {
			t.Fatal(err)
		}
		for range n {
			if err := vu.Iterate(context.Background(), nil); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := vu.Tags().Get("a"); got != strings.Repeat("x", n) {
			t.Errorf("after %d iterations: got %q", n, got)
		}
	}
}
