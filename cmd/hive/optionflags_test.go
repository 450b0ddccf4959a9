package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"hive/engine/options"
)

// parse runs act with the context of `hive run` on a command line.
func parse(t *testing.T, line []string, act func(*cli.Context) error) error {
	t.Helper()
	a := newApp()
	a.screen = newScreen(io.Discard, io.Discard)
	p := a.program()
	p.Command("run").Action = act
	words, err := normalise(p, append([]string{"run"}, line...))
	if err != nil {
		t.Fatalf("normalise(%q): %v", line, err)
	}
	return p.RunContext(t.Context(), append([]string{"hive"}, words...))
}

func TestOptionsFromFlags(t *testing.T) {
	for _, tc := range []struct {
		line string
		want string // JSON of the options object
	}{
		{"a.js", `{}`},
		{"a.js --vus 5 -i 10", `{"vus":5,"iterations":10}`},
		{"a.js -d 1m30s", `{"duration":"1m30s"}`},
		{"a.js -s 5s:10,10s:0 -s 1m:3", `{"stages":[{"duration":"5s","target":10},{"duration":"10s","target":0},{"duration":"1m","target":3}]}`},
		{"a.js --tag a=b --tag c=d=e,f", `{"tags":{"a":"b","c":"d=e,f"}}`},
		{"a.js --system-tags url,method", `{"systemTags":["url","method"]}`},
		{"a.js --system-tags=", `{"systemTags":[]}`},
		{"a.js --blacklist-ip 10.0.0.0/8 --blacklist-ip 127.0.0.0/8", `{"blacklistIPs":["10.0.0.0/8","127.0.0.0/8"]}`},
		{"a.js --block-hostnames a.org,*.b.org", `{"blockHostnames":["a.org","*.b.org"]}`},
		{"a.js --http-debug", `{"httpDebug":"headers"}`},
		{"a.js --http-debug=full", `{"httpDebug":"full"}`},
		{"a.js --no-setup --no-teardown=false -w", `{"noSetup":true,"noTeardown":false,"throw":true}`},
		{"a.js --dns ttl=0,policy=any", `{"dns":{"ttl":"0","policy":"any"}}`},
		{"a.js --dns ttl=5m,select=random,policy=preferIPv4", `{}`},
		{"a.js --summary-trend-stats avg,p(99)", `{"summaryTrendStats":["avg","p(99)"]}`},
		{"a.js --summary-time-unit ms", `{"summaryTimeUnit":"ms"}`},
		{"a.js --user-agent x --rps 3 --batch 4 --batch-per-host 2 --max-redirects 1", `{"userAgent":"x","rps":3,"batch":4,"batchPerHost":2,"maxRedirects":1}`},
		{"a.js --execution-segment 1/3 --execution-segment-sequence 0,1/3,1", `{"executionSegment":"1/3","executionSegmentSequence":"0,1/3,1"}`},
		{"a.js --local-ips 127.0.0.1 --console-output c.log", `{}`}, // not part of the object
	} {
		err := parse(t, strings.Fields(tc.line), func(c *cli.Context) error {
			object, direct, err := optionsFromFlags(c)
			if err != nil {
				return err
			}
			var got, want any
			if err := json.Unmarshal(object, &got); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(tc.want), &want); err != nil {
				return err
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s\n got %s\nwant %s", tc.line, object, tc.want)
			}
			if strings.Contains(tc.line, "--local-ips") && (direct.LocalIPs == nil || direct.ConsoleOutput == nil || *direct.ConsoleOutput != "c.log") {
				t.Errorf("%s: got %+v, want both direct options", tc.line, direct)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", tc.line, err)
		}
	}
}

func TestOptionFlagsRefuse(t *testing.T) {
	for _, tc := range []struct {
		line, want string
		code       int
	}{
		{"a.js --vus x", "--vus x: want a whole number", exitOther},
		{"a.js --duration 5", "--duration 5: want a duration with a unit", exitOther},
		{"a.js --stage 5s", "want duration:target", exitConfig},
		{"a.js --stage 5s:x", "want a whole number of VUs", exitConfig},
		{"a.js --tag foo", "want name=value", exitOther},
		{"a.js --http-debug=all", `want "headers" or "full"`, exitOther},
		{"a.js --summary-time-unit h", "want s, ms or us", exitOther},
		{"a.js --summary-trend-stats avg,foo", `"foo"`, exitOther},
		{"a.js --blacklist-ip 10.0.0.0", "10.0.0.0/8", exitOther},
		{"a.js --execution-segment 2:1", `segment "2:1"`, exitOther},
		{"a.js --dns foo=1", "want ttl=, select= or policy=", exitOther},
	} {
		err := parse(t, strings.Fields(tc.line), func(c *cli.Context) error {
			_, err := flagLayer(c)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), tc.want) || exitCode(err) != tc.code {
			t.Errorf("%s: got %v (code %d), want %q (code %d)", tc.line, err, exitCode(err), tc.want, tc.code)
		}
	}
}

func TestConsolidateLayers(t *testing.T) {
	env := func(pairs ...string) lookupFunc {
		return overlay(scriptEnv(pairs, true, nil), func(string) (string, bool) { return "", false })
	}
	for _, tc := range []struct {
		name, config, script, line string
		env                        lookupFunc
		vus                        int
		agent                      string
	}{
		{"defaults", ``, ``, "a.js", env(), 1, ""},
		{"config file", `{"vus":2,"userAgent":"cfg"}`, ``, "a.js", env(), 2, "cfg"},
		{"script above config", `{"vus":2,"userAgent":"cfg"}`, `{"vus":3}`, "a.js", env(), 3, "cfg"},
		{"environment above script", ``, `{"vus":3}`, "a.js", env("K6_VUS=4"), 4, ""},
		{"flags above environment", ``, `{"vus":3}`, "a.js --vus 5", env("K6_VUS=4", "K6_USER_AGENT=env"), 5, "env"},
	} {
		err := parse(t, strings.Fields(tc.line), func(c *cli.Context) error {
			var data []byte
			if tc.config != "" {
				data = []byte(tc.config)
			}
			cfg, err := parseConfig(data, "config.json")
			if err != nil {
				return err
			}
			var script json.RawMessage
			if tc.script != "" {
				script = json.RawMessage(tc.script)
			}
			opts, err := consolidate(c, cfg, script, "a.js", tc.env, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			if got := opts.Scenarios[0].MaxVUs(); got != tc.vus || opts.UserAgent != tc.agent {
				t.Errorf("%s: got %d VUs and agent %q, want %d and %q", tc.name, got, opts.UserAgent, tc.vus, tc.agent)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestParseConfig(t *testing.T) {
	cfg, err := parseConfig([]byte(`{"out":["json=a"],"linger":true,"noUsageReport":true,"vus":3}`), "c.json")
	if err != nil || len(cfg.out) != 1 || !cfg.linger || string(cfg.options) != `{"noUsageReport":true,"vus":3}` {
		t.Errorf("got %+v, %v; want out, linger and the rest", cfg, err)
	}
	layer, warnings, err := options.FromConfig(cfg.options, "c.json")
	if err != nil || len(warnings) > 0 || layer.VUs == nil || *layer.VUs != 3 {
		t.Errorf("the rest as options: %+v, %q, %v; want 3 VUs and no word on noUsageReport", layer.VUs, warnings, err)
	}
	for _, tc := range []struct{ text, want string }{
		{`[`, "want one JSON object"},
		{`{"out":3}`, "out: want a list"},
		{`{"linger":3}`, "linger: want true or false"},
		{`{"collectors":{}}`, "collectors is not supported"},
	} {
		if _, err := parseConfig([]byte(tc.text), "c.json"); err == nil || !strings.Contains(err.Error(), tc.want) || exitCode(err) != exitConfig {
			t.Errorf("parseConfig(%s): got %v, want %q with code %d", tc.text, err, tc.want, exitConfig)
		}
	}
}

func TestOutputs(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	k6out := func(string) (string, bool) { return "json=e.json,csv", true }
	for _, tc := range []struct {
		line   string
		cfg    configFile
		lookup lookupFunc
		want   string
	}{
		{"a.js", configFile{}, none, "-"},
		{"a.js -o json", configFile{}, none, "json"},
		{"a.js -o json=a.json -o csv=b.csv,x", configFile{out: []string{"csv"}}, k6out, "json (a.json), csv (b.csv,x)"},
		{"a.js", configFile{out: []string{"csv"}}, k6out, "json (e.json), csv"},
		{"a.js", configFile{out: []string{"csv"}}, none, "csv"},
	} {
		err := parse(t, strings.Fields(tc.line), func(c *cli.Context) error {
			specs, err := outputs(c, tc.cfg, tc.lookup)
			if got := describeOutputs(specs); err == nil && got != tc.want {
				t.Errorf("%s: got %s, want %s", tc.line, got, tc.want)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", tc.line, err)
		}
	}
	for word, want := range map[string]string{"influxdb=x": "does not have this output yet", "foo": `unknown output type "foo"`} {
		if _, err := parseOutput(word); err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != exitOther {
			t.Errorf("parseOutput(%s): got %v, want %q", word, err, want)
		}
	}
}

func TestUnsupported(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	for line, want := range map[string]string{
		"a.js --address x":                  "--address is not supported",
		"a.js --secret-source file=x":       "--secret-source is not supported",
		"a.js --profiling-enabled":          "--profiling-enabled is not supported",
		"a.js --traces-output otel":         "--traces-output is not supported",
		"a.js --traces-output none":         "",
		"a.js --features native-histograms": "--features is not supported",
		"a.js --no-usage-report":            "",
	} {
		err := parse(t, strings.Fields(line), func(c *cli.Context) error {
			return refuseUnsupported(c, none, slog.New(slog.DiscardHandler))
		})
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
	var log bytes.Buffer
	lookup := func(name string) (string, bool) { return "otel", name == "K6_TRACES_OUTPUT" }
	err := parse(t, []string{"a.js"}, func(c *cli.Context) error {
		return refuseUnsupported(c, lookup, slog.New(slog.NewTextHandler(&log, nil)))
	})
	if err != nil || !strings.Contains(log.String(), "K6_TRACES_OUTPUT=otel has no effect") {
		t.Errorf("a variable: got %v and %q, want a warning", err, log.String())
	}
}

func TestCheckSupported(t *testing.T) {
	for _, tc := range []struct {
		opts   options.Options
		remote bool
		want   string
	}{
		{options.Options{}, true, ""},
		{options.Options{Paused: true}, false, "paused"},
		{options.Options{ExecutionSegment: "1/2"}, false, ""},
		{options.Options{ExecutionSegment: "1/2"}, true, "executionSegment"},
		{options.Options{LocalIPs: "127.0.0.1"}, true, "localIPs"},
	} {
		err := checkSupported(tc.opts, tc.remote)
		if (tc.want == "") != (err == nil) || err != nil && (!strings.HasPrefix(err.Error(), tc.want) || exitCode(err) != exitConfig) {
			t.Errorf("checkSupported(%+v, %v): got %v, want %q", tc.opts, tc.remote, err, tc.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	err := parse(t, []string{"a.js", "-e", "A=b,c=d", "-e", "B", "-e", "A=last , ", "-e", "K6_VUS=7"}, func(c *cli.Context) error {
		flags, err := envFlags(c)
		if err != nil {
			return err
		}
		want := map[string]string{"A": "last , ", "B": "", "K6_VUS": "7"}
		if !reflect.DeepEqual(flags, want) {
			t.Errorf("got %q, want %q", flags, want)
		}
		env := scriptEnv([]string{"A=under", "C=x=y", "=odd"}, true, flags)
		if env["A"] != "last , " || env["C"] != "x=y" || len(env) != 4 {
			t.Errorf("got %q, want the flags over the system's", env)
		}
		if env := scriptEnv([]string{"C=x"}, false, flags); len(env) != 3 {
			t.Errorf("got %q, want the flags alone", env)
		}
		if v, ok := overlay(flags, func(string) (string, bool) { return "under", true })("K6_VUS"); !ok || v != "7" {
			t.Errorf("K6_VUS: got %q, want that of -e", v)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	err = parse(t, []string{"a.js", "-e", "1A=x"}, func(c *cli.Context) error { _, err := envFlags(c); return err })
	if exitCode(err) != exitOther || !strings.Contains(err.Error(), "invalid environment variable name") {
		t.Errorf("-e 1A=x: got %v, want a refusal", err)
	}
}
