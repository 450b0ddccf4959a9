package executor

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseScenarioErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`[]`, `scenarios.test: found [] (array), want an object`},
		{`null`, `scenarios.test: found null, want an object`},
		{`{}`, `scenarios.test.executor: missing, want one of shared-iterations, per-vu-iterations`},
		{`{"executor":"nope"}`, `scenarios.test.executor: found "nope" (string), want one of shared-iterations`},
		{`{"executor":7}`, `found 7 (number), want one of`},
		{`{"executor":"constant-vus","vus":"ten","duration":"1s"}`, `scenarios.test.vus: found "ten" (string), want an integer, e.g. 10`},
		{`{"executor":"constant-vus","vus":2.5,"duration":"1s"}`, `scenarios.test.vus: found 2.5 (number), want an integer`},
		{`{"executor":"constant-vus","vus":0,"duration":"1s"}`, `scenarios.test.vus: found 0, want 1 to`},
		{`{"executor":"constant-vus"}`, `scenarios.test.duration: missing`},
		{`{"executor":"constant-vus","duration":"10ms"}`, `scenarios.test.duration: found 10ms, want at least 1s`},
		{`{"executor":"constant-vus","duration":"1x"}`, `scenarios.test.duration: found "1x" (string), want a duration`},
		{`{"executor":"constant-vus","duration":true}`, `scenarios.test.duration: found true (boolean), want a duration`},
		{`{"executor":"constant-vus","duration":"1s","rate":3}`, `scenarios.test.rate: unknown field; constant-vus has executor, startTime`},
		{`{"executor":"constant-vus","duration":"1s","env":{"A":1}}`, `scenarios.test.env["A"]: found 1 (number), want a string`},
		{`{"executor":"constant-vus","duration":"1s","gracefulStop":"-1s"}`, `scenarios.test.gracefulStop: found -1s, want at least 0s`},
		{`{"executor":"constant-vus","duration":"1s","exec":""}`, `scenarios.test.exec: found "", want the name of an exported function`},
		{`{"executor":"shared-iterations","vus":5,"iterations":2}`, `scenarios.test.iterations: found 2, want at least as many as vus (5)`},
		{`{"executor":"ramping-vus"}`, `scenarios.test.stages: missing`},
		{`{"executor":"ramping-vus","stages":[{"target":5}]}`, `scenarios.test.stages[0]: duration is missing`},
		{`{"executor":"ramping-vus","stages":[{"duration":"1s"}]}`, `scenarios.test.stages[0]: target is missing`},
		{`{"executor":"ramping-vus","stages":[{"duration":"1s","target":1,"x":1}]}`, `unknown field "x"`},
		{`{"executor":"ramping-vus","startVUs":0,"stages":[{"duration":"1s","target":0}]}`, `no VU would ever run`},
		{`{"executor":"ramping-vus","stages":[{"duration":"1s","target":-1}]}`, `stages[0].target: found -1`},
		{`{"executor":"constant-arrival-rate","duration":"1s","preAllocatedVUs":1}`, `scenarios.test.rate: missing`},
		{`{"executor":"constant-arrival-rate","rate":0,"duration":"1s","preAllocatedVUs":1}`, `scenarios.test.rate: found 0`},
		{`{"executor":"constant-arrival-rate","rate":1,"duration":"1s"}`, `scenarios.test.preAllocatedVUs: missing`},
		{`{"executor":"constant-arrival-rate","rate":1,"duration":"1s","preAllocatedVUs":5,"maxVUs":4}`, `scenarios.test.maxVUs: found 4, want at least preAllocatedVUs (5)`},
		{`{"executor":"constant-arrival-rate","rate":1,"timeUnit":"0s","duration":"1s","preAllocatedVUs":5}`, `scenarios.test.timeUnit: found 0s`},
		{`{"executor":"externally-controlled","duration":"1m","gracefulStop":"1s"}`, `gracefulStop: not supported`},
		{`{"executor":"externally-controlled"}`, `scenarios.test.duration: missing`},
		{`{"executor":"externally-controlled","duration":"1m","vus":5,"maxVUs":4}`, `maxVUs: found 4, want at least vus (5)`},
	} {
		if _, err := ParseScenario("test", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
	if _, err := ParseScenario("a b", []byte(`{}`)); err == nil {
		t.Error("a name with a space was accepted")
	}
}

func TestScenarioJSON(t *testing.T) {
	text := `{"executor":"ramping-arrival-rate","startTime":"1s","env":{"A":"b"},"exec":"foo","options":{"browser":{"type":"chromium"}},` +
		`"startRate":1,"timeUnit":"1m0s","stages":[{"duration":"2s","target":600}],"preAllocatedVUs":3}`
	s := parse(t, text)
	if s.TimeUnit != time.Minute || s.VULimit != 3 || s.GracefulStop != 30*time.Second {
		t.Errorf("got %+v", s)
	}
	data, err := json.Marshal(s)
	if err != nil || string(data) != text {
		t.Errorf("got %s, %v\nwant %s", data, err, text)
	}
	if again := parse(t, string(data)); !reflect.DeepEqual(again, s) {
		t.Errorf("got %+v, want %+v", again, s)
	}
	want := `{"executor":"constant-vus","startTime":null,"gracefulStop":null,"env":null,"exec":null,"tags":null,"vus":5,"duration":"10s"}`
	view, err := parse(t, `{"executor":"constant-vus","vus":"5","duration":10000}`).View()
	if err != nil || string(view) != want {
		t.Errorf("got %s, %v\nwant %s", view, err, want)
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1m30s": 90 * time.Second, "1500": 1500 * time.Millisecond, "0.5": 500 * time.Microsecond, "2d": 48 * time.Hour,
		"1d12h": 36 * time.Hour, "1.5d": 36 * time.Hour, "0": 0, "-1d1h": -25 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "d", "1x", "1d-1h", "NaN", "Inf", "1e300", "99999999999999d", "1dd"} {
		if got, err := ParseDuration(bad); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}

func FuzzParseScenario(f *testing.F) {
	f.Add([]byte(`{"executor":"ramping-vus","stages":[{"duration":"1d2h","target":"5"}],"env":{"a":"b"}}`))
	f.Add([]byte(`{"executor":"constant-arrival-rate","rate":1e3,"timeUnit":1.5,"duration":"1h","preAllocatedVUs":0,"maxVUs":1}`))
	f.Add([]byte(`{"executor":"externally-controlled","duration":0,"options":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseScenario("x", data)
		if err != nil {
			return
		}
		out, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseScenario("x", out)
		if err != nil || again.End() != s.End() || again.MaxVUs() != s.MaxVUs() {
			t.Fatalf("%s came back as %+v: %v", out, again, err)
		}
		if at := s.ArrivalSchedule(); at != nil {
			at(0)
			at(1 << 40)
		}
		s.Describe()
		Layout([]Scenario{s})
	})
}
