package threshold

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"hive/engine/metric"
)

func TestRuleFromJSON(t *testing.T) {
	tests := map[string]struct {
		json string
		want Rule
		bad  bool
	}{
		"a string":                  {json: `"p(95)<500"`, want: Rule{Threshold: "p(95)<500"}},
		"an object":                 {json: `{"threshold":"rate<0.1","abortOnFail":true,"delayAbortEval":"10s"}`, want: Rule{"rate<0.1", true, 10 * time.Second}},
		"a delay in milliseconds":   {json: `{"threshold":"rate<0.1","delayAbortEval":1500}`, want: Rule{"rate<0.1", false, 1500 * time.Millisecond}},
		"a delay in days":           {json: `{"threshold":"rate<0.1","delayAbortEval":"1d2h"}`, want: Rule{"rate<0.1", false, 26 * time.Hour}},
		"a delay that is null":      {json: `{"threshold":"rate<0.1","delayAbortEval":null}`, want: Rule{Threshold: "rate<0.1"}},
		"a number":                  {json: `5`, bad: true},
		"a list":                    {json: `["a"]`, bad: true},
		"a delay that is no time":   {json: `{"threshold":"rate<0.1","delayAbortEval":"soon"}`, bad: true},
		"a delay below zero":        {json: `{"threshold":"rate<0.1","delayAbortEval":"-1s"}`, bad: true},
		"a delay beyond all bounds": {json: `{"threshold":"rate<0.1","delayAbortEval":1e300}`, bad: true},
		"abortOnFail as a string":   {json: `{"threshold":"rate<0.1","abortOnFail":"yes"}`, bad: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got Rule
			err := json.Unmarshal([]byte(tt.json), &got)
			if (err != nil) != tt.bad {
				t.Fatalf("error is %v, want one: %v", err, tt.bad)
			}
			if tt.bad {
				return
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			b, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			var again Rule
			if err := json.Unmarshal(b, &again); err != nil || again != got {
				t.Errorf("%s reads back as %+v, %v", b, again, err)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	tests := map[string]struct {
		key, expr string
		names     []string // what the error must name
	}{
		"nonsense":                   {"http_reqs", "fast", []string{"http_reqs", "fast", "p(95)<500"}},
		"no number":                  {"http_reqs", "count>", []string{"http_reqs"}},
		"a unit":                     {"http_req_duration", "avg<500ms", []string{"500ms"}},
		"a percent sign":             {"checks", "rate<10%", []string{"10%"}},
		"hexadecimal":                {"http_reqs", "count<0x10", []string{"0x10"}},
		"not a number":               {"http_reqs", "count<NaN", []string{"NaN"}},
		"count of a trend":           {"http_req_duration", "count>1", []string{"http_req_duration", "trend", "count", "avg, min, max, med, p(N)"}},
		"value of a rate":            {"checks", "value>1", []string{"rate"}},
		"avg of a counter":           {"http_reqs", "avg<1", []string{"counter", "count, rate"}},
		"rate of a gauge":            {"vus", "rate<1", []string{"gauge", "value"}},
		"a percentile above 100":     {"http_req_duration", "p(101)<1", []string{"0 to 100"}},
		"a percentile below 0":       {"http_req_duration", "p(-1)<1", []string{"0 to 100"}},
		"a percentile of nothing":    {"http_req_duration", "p()<1", []string{"0 to 100"}},
		"an unknown metric":          {"nope", "count<1", []string{"nope"}},
		"an unknown metric's part":   {"nope{a:b}", "count<1", []string{"nope"}},
		"a selector without a value": {"http_reqs{a}", "count<1", []string{"http_reqs{a}", "tag:value"}},
		"two comparisons":            {"http_reqs", "1<count<2", []string{"1<count<2"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(map[string][]Rule{tt.key: {{Threshold: tt.expr}}}, metric.NewRegistry())
			if err == nil {
				t.Fatalf("%q on %s is accepted", tt.expr, tt.key)
			}
			for _, name := range tt.names {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("error %q does not name %q", err, name)
				}
			}
		})
	}
}

// run is a view with one sample or more of each kind.
func run(t *testing.T, rules map[string][]Rule) (*Set, *metric.View) {
	t.Helper()
	r := metric.NewRegistry()
	set, err := New(rules, r)
	if err != nil {
		t.Fatal(err)
	}
	s, b := metric.NewStore(r, metric.StoreOptions{}), r.Builtin()
	rec := s.Recorder(0)
	for i := range 10 {
		tags := r.Root().With("status", []string{"200", "500"}[i%2])
		rec.Record(tags, metric.Extra{}, time.Now(), metric.Value{Metric: b.HTTPReqs, V: 1},
			metric.Value{Metric: b.Checks, V: float64(i % 2)}, metric.Value{Metric: b.HTTPReqDuration, V: float64(i + 1)})
	}
	rec.Record(r.Root(), metric.Extra{}, time.Now(), metric.Value{Metric: b.VUs, V: 7})
	return set, metric.NewView(s.Snapshot())
}

func TestJudge(t *testing.T) {
	tests := []struct {
		key, expr string
		ok        bool
		left      float64
		agg       string
	}{
		{"http_reqs", "count<=10", true, 10, "count"},
		{"http_reqs", "count<10", false, 10, "count"},
		{"http_reqs", "count === 10", true, 10, "count"},
		{"http_reqs", "count!=10", false, 10, "count"},
		{"http_reqs", " rate > 1.9e0 ", true, 2, "rate"},
		{"http_reqs{status:200}", "count==5", true, 5, "count"},
		{"http_reqs{status:404}", "count<1", true, 0, "count"},
		{"vus", "value>=7", true, 7, "value"},
		{"checks", "rate>0.5", false, 0.5, "rate"},
		{"checks{status:404}", "rate>0.99", true, 0, "rate"},
		{"http_req_duration", "avg<5.5", false, 5.5, "avg"},
		{"http_req_duration", "min>0", true, 1, "min"},
		{"http_req_duration", "max<+Inf", true, 10, "max"},
		{"http_req_duration", "med<6", true, 5.5, "med"},
		{"http_req_duration", "p(50)<6", true, 5.5, "p(50)"},
		{"http_req_duration", "p( 99.9 )<10", true, 9.991, "p(99.9)"},
		{"http_req_duration", "p(0)>-1", true, 1, "p(0)"},
		{"http_req_waiting", "avg<1", true, 0, "avg"},
		{"http_req_waiting", "avg>1", false, 0, "avg"},
		{"dropped_iterations", "count>0", false, 0, "count"},
	}
	for _, tt := range tests {
		t.Run(tt.key+" "+tt.expr, func(t *testing.T) {
			set, view := run(t, map[string][]Rule{tt.key: {{Threshold: tt.expr}}})
			j := set.Judge(view, 5*time.Second, true)
			got := j.Results[tt.key]
			if len(got) != 1 || got[0].OK != tt.ok || math.Abs(got[0].Left-tt.left) > 1e-9 || got[0].Agg != tt.agg || got[0].Source != tt.expr {
				t.Errorf("got %+v, want %v with %v", got, tt.ok, tt.left)
			}
			if j.Passed() != tt.ok {
				t.Errorf("passed is %v, want %v", j.Passed(), tt.ok)
			}
		})
	}
}

func TestTicksSkipWhatHasNoSamples(t *testing.T) {
	set, view := run(t, map[string][]Rule{"dropped_iterations": {{Threshold: "count>0", AbortOnFail: true}}})
	if j := set.Judge(view, time.Minute, false); len(j.Failed) > 0 || j.Abort || len(j.Results) > 0 {
		t.Errorf("a tick judges %+v, want nothing", j)
	}
	if j := set.Judge(view, time.Minute, true); !slices.Equal(j.Failed, []string{"dropped_iterations"}) || j.Abort {
		t.Errorf("the end judges %+v, want a failure and no abort", j)
	}
}

func TestAbort(t *testing.T) {
	tests := map[string]struct {
		rule    Rule
		elapsed time.Duration
		final   bool
		want    bool
	}{
		"a failure that aborts":       {Rule{"count<1", true, 0}, time.Second, false, true},
		"a failure that does not":     {Rule{"count<1", false, 0}, time.Second, false, false},
		"no failure":                  {Rule{"count>1", true, 0}, time.Second, false, false},
		"within its delay":            {Rule{"count<1", true, 10 * time.Second}, 9 * time.Second, false, false},
		"when its delay is over":      {Rule{"count<1", true, 10 * time.Second}, 10 * time.Second, false, true},
		"at the end nothing is ended": {Rule{"count<1", true, 0}, time.Second, true, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			set, view := run(t, map[string][]Rule{"http_reqs": {{Threshold: "count>0"}, tt.rule}})
			if j := set.Judge(view, tt.elapsed, tt.final); j.Abort != tt.want {
				t.Errorf("abort is %v, want %v", j.Abort, tt.want)
			}
		})
	}
}

func TestFailedAreSorted(t *testing.T) {
	bad := []Rule{{Threshold: "count<0"}, {Threshold: "count>=0"}}
	set, view := run(t, map[string][]Rule{"iterations": bad, "http_reqs{ status:200 }": bad, "data_sent": bad, "vus": {}})
	j := set.Judge(view, time.Second, true)
	if want := []string{"data_sent", "http_reqs{status:200}", "iterations"}; !slices.Equal(j.Failed, want) {
		t.Errorf("failed are %q, want %q", j.Failed, want)
	}
	if set.Empty() {
		t.Error("a set with rules is empty")
	}
	if none, _ := run(t, map[string][]Rule{"vus": {}}); !none.Empty() {
		t.Error("a set of empty lists is not empty")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"p(95)<500", "rate===0.1", "med >= -1e5", "p(99.9) != Inf"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parse(s)
		if err == nil && (math.IsNaN(e.limit) || !(e.quantile >= 0 && e.quantile <= 1)) {
			t.Fatalf("%q is %+v", s, e)
		}
	})
}
