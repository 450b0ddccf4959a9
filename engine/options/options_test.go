package options_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/options"
)

// read reads a script's options that the test knows to be right.
func read(t testing.TB, text string) options.Layer {
	t.Helper()
	l, warnings, err := options.FromJSON([]byte(text), "script.js: options")
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%s: %v %v", text, err, warnings)
	}
	return l
}

func consolidate(t testing.TB, layers ...options.Layer) (options.Options, []string) {
	t.Helper()
	o, warnings, err := options.Consolidate(layers...)
	if err != nil {
		t.Fatal(err)
	}
	return o, warnings
}

func TestFromJSONErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`7`, `script.js: options: want an object of options`},
		{`{"vus":"ten"}`, `script.js: options.vus: found "ten" (string), want an integer, e.g. 10`},
		{`{"vus":1.5}`, `script.js: options.vus: found 1.5 (number), want an integer`},
		{`{"throw":"true"}`, `script.js: options.throw: found "true" (string), want a boolean, true or false`},
		{`{"noSetup":1}`, `script.js: options.noSetup: found 1 (number), want a boolean`},
		{`{"duration":"x"}`, `script.js: options.duration: found "x" (string), want a duration`},
		{`{"stages":[{"duration":"1s"}]}`, `script.js: options.stages[0]: target is missing`},
		{`{"stages":7}`, `script.js: options.stages: found 7 (number), want an array of stages`},
		{`{"userAgent":[]}`, `script.js: options.userAgent: found [] (array), want a string`},
		{`{"tags":{"a":1}}`, `script.js: options.tags["a"]: found 1 (number), want a string`},
		{`{"systemTags":["a",1]}`, `script.js: options.systemTags[1]: found 1 (number), want a string`},
		{`{"thresholds":{"http_reqs":"count>1"}}`, `script.js: options.thresholds["http_reqs"]: found "count>1", want an array of expressions`},
		{`{"thresholds":[]}`, `script.js: options.thresholds: found [], want an object`},
		{`{"dns":{"ttl":"x"}}`, `script.js: options.dns: ttl: found "x", want a duration`},
		{`{"dns":{"select":"x"}}`, `script.js: options.dns: select: found "x", want one of first, random, roundRobin`},
		{`{"dns":{"x":1}}`, `script.js: options.dns: unknown field "x"`},
		{`{"tlsVersion":"ssl3.0"}`, `script.js: options.tlsVersion: found "ssl3.0", want one of tls1.0`},
		{`{"tlsVersion":{"min":"tls1.3","max":"tls1.1"}}`, `found min tls1.3 above max tls1.1`},
		{`{"tlsAuth":[{"cert":"x"}]}`, `script.js: options.tlsAuth[0]: want both cert and key`},
		{`{"scenarios":{"a":{"executor":"nope"}}}`, `script.js: options.scenarios.a.executor: found "nope" (string), want one of shared-iterations`},
		{`{"scenarios":{"a":{"executor":"constant-vus","duration":"1s","vu":3}}}`, `script.js: options.scenarios.a.vu: unknown field; constant-vus has executor`},
		{`{"scenarios":[]}`, `script.js: options.scenarios: found [], want an object of scenarios`},
	} {
		_, _, err := options.FromJSON([]byte(tt.text), "script.js: options")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:\n got %v\nwant %s", tt.text, err, tt.want)
			continue
		}
		if _, ok := errors.AsType[*options.Error](err); !ok {
			t.Errorf("%s: the error is no *options.Error", tt.text)
		}
	}
}

func TestKeysOfAnyCase(t *testing.T) {
	const text = `{"VUS":2,"iterations":5,"Iterations":9,"Scenarios":{"a":{"Executor":"ramping-vus","startvus":3,"STAGES":[{"Duration":"2s","target":4}]}}}`
	layer, warnings, err := options.FromJSON([]byte(text), "script.js: options")
	if err != nil {
		t.Fatal(err)
	}
	if layer.VUs == nil || *layer.VUs != 2 {
		t.Errorf("VUS: got %v, want 2", layer.VUs)
	}
	if *layer.Iterations != 5 {
		t.Errorf("iterations: got %d, want 5: the right spelling goes first", *layer.Iterations)
	}
	if s := layer.Scenarios[0]; s.StartVUs != 3 || s.Stages[0].Target != 4 {
		t.Errorf("scenario: got %+v", s)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "Iterations") {
		t.Errorf("warnings: got %q, want one on the second Iterations", warnings)
	}
}

func TestUnknownOptions(t *testing.T) {
	_, warnings, err := options.FromJSON([]byte(`{"vuss":3,"insecureSkipTlsVerifi":true,"zzz":1,"features":["a"],"localIPs":"x","vus":1}`), "script.js: options")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"features has no effect", "did you mean insecureSkipTLSVerify?", "localIPs: unknown option", "did you mean vus?", "zzz: unknown option, ignored"}
	if len(warnings) != len(want) {
		t.Fatalf("got %q", warnings)
	}
	for i := range want {
		if !strings.Contains(warnings[i], want[i]) {
			t.Errorf("got %q, want %q", warnings[i], want[i])
		}
	}
	if _, warnings, err = options.FromConfig([]byte(`{"out":["json"],"linger":true,"collectors":{},"consoleOutput":"x"}`), "config.json"); err != nil || len(warnings) > 0 {
		t.Errorf("configuration: %v %v", warnings, err)
	}
}

func TestDerivation(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		kind       executor.Kind
		view       string // what was derived, without nulls
		warning    string
	}{
		{"nothing", `{}`, executor.PerVUIterations, `{"executor":"per-vu-iterations"}`, ""},
		{"iterations", `{"iterations":5}`, executor.SharedIterations, `{"executor":"shared-iterations","vus":1,"iterations":5}`, ""},
		{"iterations and duration", `{"iterations":5,"duration":"2s","vus":"2"}`, executor.SharedIterations, `{"executor":"shared-iterations","vus":2,"iterations":5,"maxDuration":"2s"}`, ""},
		{"duration", `{"duration":"10s"}`, executor.ConstantVUs, `{"executor":"constant-vus","vus":1,"duration":"10s"}`, ""},
		{"duration and vus", `{"duration":10000,"vus":3}`, executor.ConstantVUs, `{"executor":"constant-vus","vus":3,"duration":"10s"}`, ""},
		{"stages", `{"stages":[{"target":1},{"duration":"10s","target":5}]}`, executor.RampingVUs, `{"executor":"ramping-vus","stages":[{"duration":"10s","target":5}]}`, ""},
		{"stages and vus", `{"stages":[{"duration":"10s","target":5}],"vus":2}`, executor.RampingVUs, `{"executor":"ramping-vus","startVUs":2,"stages":[{"duration":"10s","target":5}]}`, ""},
		{"vus", `{"vus":3}`, executor.SharedIterations, `{"executor":"shared-iterations","vus":3,"iterations":3}`, ""},
		{"vus and scenarios", `{"vus":3,"scenarios":{"a":{"executor":"constant-vus","duration":"1s"}}}`, executor.SharedIterations, `{"executor":"shared-iterations","vus":3,"iterations":3}`, "vus=3 overrides the scenarios"},
		{"empty stages", `{"stages":[],"vus":3}`, executor.PerVUIterations, `{"executor":"per-vu-iterations"}`, "stages is empty"},
		{"empty scenarios", `{"scenarios":{}}`, executor.PerVUIterations, `{"executor":"per-vu-iterations"}`, "scenarios is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, warnings := consolidate(t, read(t, tt.text))
			if len(o.Scenarios) != 1 || o.Scenarios[0].Name != "default" || o.Scenarios[0].Executor != tt.kind {
				t.Fatalf("got %+v", o.Scenarios)
			}
			if got, err := json.Marshal(o.Scenarios[0]); err != nil || string(got) != tt.view {
				t.Errorf("got %s, want %s", got, tt.view)
			}
			if tt.warning == "" != (len(warnings) == 0) || !strings.Contains(strings.Join(warnings, "\n"), tt.warning) {
				t.Errorf("got the warnings %q, want %q", warnings, tt.warning)
			}
		})
	}
}

func TestConsolidateErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`{"duration":"1s","stages":[{"duration":"1s","target":1}]}`, "duration and stages cannot be used together"},
		{`{"iterations":1,"scenarios":{}}`, "iterations and scenarios cannot be used together"},
		{`{"duration":0}`, "duration: found 0s, want more than 0"},
		{`{"duration":"10ms"}`, "scenarios.default.duration: found 10ms, want at least 1s"},
		{`{"vus":0}`, "scenarios.default.vus: found 0, want 1 to"},
		{`{"vus":5,"iterations":2}`, "scenarios.default.iterations: found 2, want at least as many as vus (5)"},
		{`{"setupTimeout":0}`, "setupTimeout: found 0s, want more than 0"},
		{`{"blacklistIPs":["10.0.0.0/8","x"]}`, `blacklistIPs[1]: found "x", want an address range`},
		{`{"hosts":{"a.b":"x"}}`, `hosts["a.b"]: found "x", want an address`},
		{`{"hosts":{"a.*":"127.0.0.1"}}`, `hosts: found "a.*", want a host name`},
		{`{"blockHostnames":["a*b"]}`, `blockHostnames: found "a*b"`},
		{`{"summaryTrendStats":["avg","p95"]}`, `summaryTrendStats[1]: found "p95", want avg`},
		{`{"executionSegment":"0:2"}`, `executionSegment: share: segment "0:2"`},
		{`{"minIterationDuration":"-1s"}`, `minIterationDuration: found -1s`},
	} {
		_, _, err := options.Consolidate(read(t, tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:\n got %v\nwant %s", tt.text, err, tt.want)
			continue
		}
		if _, ok := errors.AsType[*options.Error](err); !ok {
			t.Errorf("%s: the error is no *options.Error", tt.text)
		}
	}
}

func TestPrecedence(t *testing.T) {
	config := read(t, `{"duration":"1m","userAgent":"config","dns":{"ttl":"1m","select":"first"},"tags":{"a":"1","b":"2"},"batch":3}`)
	script := read(t, `{"scenarios":{"a":{"executor":"constant-vus","duration":"1s"}},"dns":{"ttl":"0"},"userAgent":"script"}`)
	env, err := options.FromEnv(lookup(map[string]string{"K6_ITERATIONS": "7", "K6_TAGS": "c:3"}))
	if err != nil {
		t.Fatal(err)
	}
	flags := options.Layer{UserAgent: new("flag")}
	o, _ := consolidate(t, config, script, env, flags)
	if s := o.Scenarios[0]; s.Executor != executor.SharedIterations || s.Iterations != 7 {
		t.Errorf("got %+v, want the iterations of the environment", s)
	}
	if want := (options.DNS{TTL: 0, Select: "first", Policy: "preferIPv4"}); o.DNS != want {
		t.Errorf("dns: got %+v, want %+v", o.DNS, want)
	}
	if !maps.Equal(o.Tags, map[string]string{"c": "3"}) || o.UserAgent != "flag" || o.Batch != 3 || o.BatchPerHost != 6 {
		t.Errorf("got tags %v, user agent %q, batch %d, per host %d", o.Tags, o.UserAgent, o.Batch, o.BatchPerHost)
	}
	o, _ = consolidate(t, script, options.Layer{Duration: new(5 * time.Second)})
	if s := o.Scenarios[0]; s.Executor != executor.ConstantVUs || s.Duration != 5*time.Second {
		t.Errorf("got %+v, want the flag's duration", s)
	}
}

func lookup(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestFromEnv(t *testing.T) {
	l, err := options.FromEnv(lookup(map[string]string{
		"K6_VUS": "5", "K6_DURATION": "1500", "K6_STAGES": "5s:10,1m:0", "K6_THROW": "true", "K6_DNS": "ttl=1m,select=first",
		"K6_BLACKLIST_IPS": "10.0.0.0/8, 192.168.0.0/16", "K6_NO_VU_CONNECTION_REUSE": "1", "K6_TAGS": "a:b,c:d:e", "K6_RPS": "",
		"K6_INSECURE_SKIP_TLS_VERIFY": "false", "K6_SETUP_TIMEOUT": "2d", "K6_LOCAL_IPS": "127.0.0.1-127.0.0.9",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if *l.VUs != 5 || *l.Duration != 1500*time.Millisecond || *l.SetupTimeout != 48*time.Hour || !*l.Throw || *l.InsecureSkipTLSVerify || l.RPS != nil {
		t.Errorf("got %+v", l)
	}
	if want := []executor.Stage{{Duration: 5 * time.Second, Target: 10}, {Duration: time.Minute}}; !slices.Equal(l.Stages, want) {
		t.Errorf("stages: got %v, want %v", l.Stages, want)
	}
	if !slices.Equal(l.BlacklistIPs, []string{"10.0.0.0/8", "192.168.0.0/16"}) || l.Tags["c"] != "d:e" || *l.DNS.Select != "first" {
		t.Errorf("got %v, %v, %v", l.BlacklistIPs, l.Tags, l.DNS)
	}
	for name, value := range map[string]string{
		"K6_VUS": "ten", "K6_DURATION": "x", "K6_THROW": "maybe", "K6_STAGES": "5s", "K6_TAGS": "a", "K6_DNS": "x=y", "K6_BATCH": "1.5",
	} {
		_, err := options.FromEnv(lookup(map[string]string{name: value}))
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), `found "`) {
			t.Errorf("%s=%s: got %v", name, value, err)
		}
	}
}

const everything = `{"paused":false,"scenarios":{"b":{"executor":"constant-vus","vus":5,"duration":"10s","env":{"A":"b"}},` +
	`"a":{"executor":"ramping-arrival-rate","startTime":"5s","stages":[{"duration":"1s","target":5}],"preAllocatedVUs":3}},` +
	`"noSetup":true,"setupTimeout":"10s","rps":5,"dns":{"ttl":"1m"},"tlsVersion":"tls1.2","thresholds":{"http_reqs":["count>1"],"checks":[]},` +
	`"blacklistIPs":["10.0.0.0/8"],"hosts":{"*.a.b":"127.0.0.1:80"},"systemTags":["url"],"tags":{"a":"b"},"ext":{"x":[1]},"summaryTrendStats":["p(99.9)"]}`

func TestJSON(t *testing.T) {
	o, _ := consolidate(t, read(t, everything), options.Layer{ConsoleOutput: new("out.log")})
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var back options.Options
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	again, err := json.Marshal(back)
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("got %s\nwant %s", again, data)
	}
	if back.ConsoleOutput != "out.log" || len(back.Scenarios) != 2 || back.Scenarios[0].Name != "b" || !back.NoSetup ||
		!reflect.DeepEqual(back.Thresholds, o.Thresholds) || back.SystemTags != metric.TagURL || back.TLSVersion.Max != "tls1.2" {
		t.Errorf("got %+v\nwant %+v", back, o)
	}
}

func TestScriptView(t *testing.T) {
	o, _ := consolidate(t, read(t, `{"duration":"10s","vus":3,"thresholds":{"http_reqs":["count>1"]},"cloud":{"a":1}}`))
	data, err := o.ScriptView()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	for _, absent := range []string{"vus", "duration", "iterations", "stages", "cloud"} {
		if _, ok := got[absent]; ok {
			t.Errorf("%s is there", absent)
		}
	}
	for key, want := range map[string]string{
		"paused": "null", "consoleOutput": "null", "localIPs": "null", "dns": `{"policy":null,"select":null,"ttl":null}`,
		"scenarios":         `{"default":{"executor":"constant-vus","startTime":null,"gracefulStop":null,"env":null,"exec":null,"tags":null,"vus":3,"duration":"10s"}}`,
		"summaryTrendStats": `["avg","min","med","max","p(90)","p(95)"]`, "features": "null",
		"systemTags": `["check","error","error_code","expected_response","group","method","name","proto","scenario","service","status","subproto","tls_version","url"]`,
	} {
		if string(got[key]) != want {
			t.Errorf("%s: got %s, want %s", key, got[key], want)
		}
	}
}

func TestCheckExec(t *testing.T) {
	o, _ := consolidate(t, read(t, `{"scenarios":{"a":{"executor":"constant-vus","duration":"1s","exec":"foo"}}}`))
	if err := o.CheckExec([]string{"default", "foo"}); err != nil {
		t.Error(err)
	}
	err := o.CheckExec([]string{"default"})
	if want := `scenarios.a.exec: function "foo" is not exported by the script, which exports default`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func FuzzFromJSON(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte(`{"vus":"3","duration":"1d","iterations":1e2,"tlsAuth":[{"cert":"a","key":"b"}],"tlsVersion":{"min":"tls1.1"}}`))
	f.Add([]byte(`{"stages":[{"target":1},null,{"duration":1.5,"target":2}],"dns":{"ttl":300,"policy":null}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, _, err := options.FromJSON(data, "fuzz")
		if err != nil {
			return
		}
		o, _, err := options.Consolidate(l)
		if err != nil {
			return
		}
		out, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var back options.Options
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if again, err := json.Marshal(back); err != nil || !bytes.Equal(out, again) {
			t.Fatalf("%s came back as %s: %v", out, again, err)
		}
		if view, err := o.ScriptView(); err != nil || !json.Valid(view) {
			t.Fatalf("view: %s, %v", view, err)
		}
	})
}
