package hive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hive/engine/metric"
	"hive/engine/options"
)

func scenarios(t *testing.T, text string) options.Options {
	t.Helper()
	var opts options.Options
	if err := json.Unmarshal(consolidated(t, text), &opts); err != nil {
		t.Fatal(err)
	}
	return opts
}

func TestDeal(t *testing.T) {
	opts := scenarios(t, `{"scenarios":{
		"a":{"executor":"constant-arrival-rate","rate":100,"duration":"10s","preAllocatedVUs":4,"maxVUs":4},
		"b":{"executor":"constant-vus","vus":6,"duration":"10s"},
		"c":{"executor":"ramping-arrival-rate","startTime":"1m","startRate":10,"timeUnit":"1s","preAllocatedVUs":4,"stages":[{"target":50,"duration":"10s"}]}}}`)
	members := []Member{{ID: "1", Name: "n1", Capacity: 10}, {ID: "2", Name: "n2", Capacity: 10}, {ID: "3", Name: "n3", Capacity: 1}}
	plan, used, shares, err := Deal("s.js", opts.Scenarios, members)
	if err != nil {
		t.Fatal(err)
	}
	var vus int
	var rate float64
	for i, n := range plan.Nodes {
		vus += n.VUs
		rate += n.Rate
		if n.VUs != shares[i].All().Len() || n.VUs != used[i].VUs || n.VUs > n.Capacity {
			t.Errorf("node %s: %d VUs in the plan, %d in its share, capacity %d", n.Name, n.VUs, shares[i].All().Len(), n.Capacity)
		}
	}
	if vus != 10 || plan.VUs != 10 || plan.Capacity != 21 {
		t.Errorf("%d VUs dealt of %d, capacity %d; want 10 of 10, 21", vus, plan.VUs, plan.Capacity)
	}
	if math.Abs(rate-100) > 1e-9 {
		t.Errorf("the nodes' rates sum to %v, want the 100 of the scenario that runs alone", rate)
	}
	if len(plan.Warnings) == 0 || !strings.Contains(plan.Warnings[0], "scenario a") {
		t.Errorf("warnings %v, want one of the thin pools of scenario a", plan.Warnings)
	}
	var text strings.Builder
	if err := plan.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"10 max VUs", "* a: 100.00 iterations/s for 10s (maxVUs: 4", "* n1: ", "warning: "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the plan does not say %q:\n%s", want, &text)
		}
	}
}

func TestDealLeavesOutWhoGetsNothing(t *testing.T) {
	var members []Member
	for i := range 100 {
		members = append(members, Member{ID: fmt.Sprint(i), Name: fmt.Sprint("n", i), Capacity: 10})
	}
	opts := scenarios(t, `{"scenarios":{"b":{"executor":"constant-vus","vus":50,"duration":"10s"}}}`)
	plan, used, shares, err := Deal("s.js", opts.Scenarios, members)
	if err != nil || len(used) != 50 || len(shares) != 50 || len(plan.Nodes) != 50 {
		t.Fatalf("%d nodes used, %d shares (%v), want 50 of one VU each", len(used), len(shares), err)
	}
	for i, s := range shares {
		if s.All().Len() != 1 || used[i].VUs != 1 {
			t.Errorf("node %s has %d VUs", used[i].Name, s.All().Len())
		}
	}
}

func TestDealRefuses(t *testing.T) {
	opts := scenarios(t, `{"scenarios":{"b":{"executor":"constant-vus","vus":50,"duration":"10s"}}}`)
	for _, members := range [][]Member{nil, {{Name: "n1", Capacity: 20}, {Name: "n2", Capacity: 29}}} {
		_, _, _, err := Deal("s.js", opts.Scenarios, members)
		if f := AsFailure(err); f == nil || f.Kind != KindCapacity || !strings.Contains(f.Message, "50 VUs") {
			t.Errorf("%v: got %v, want a refusal with the numbers", members, err)
		}
	}
	if _, _, _, err := Deal("s.js", opts.Scenarios, []Member{{Name: "n1", Capacity: 20}, {Name: "n2", Capacity: 30}}); err != nil {
		t.Errorf("a test that exactly fills the hive: %v", err)
	}
}

func TestConclude(t *testing.T) {
	lost, marked := Failf(KindNodeLost, "lost"), Failf(KindMarkedFailed, "marked")
	tests := []struct {
		name          string
		first, marked *Failure
		failed        []string
		verdict       Verdict
		kind          Kind
	}{
		{"all well", nil, nil, nil, Passed, ""},
		{"thresholds", nil, nil, []string{"a", "b"}, Failed, KindThresholds},
		{"the script's mark comes before thresholds", nil, marked, []string{"a"}, Failed, KindMarkedFailed},
		{"what came first counts", lost, marked, []string{"a"}, Aborted, KindNodeLost},
		{"an error", Failf(KindConfig, "x"), nil, nil, Errored, KindConfig},
	}
	for _, tt := range tests {
		v, f := Conclude(tt.first, tt.marked, tt.failed)
		if v != tt.verdict || (f == nil) != (tt.kind == "") || f != nil && f.Kind != tt.kind {
			t.Errorf("%s: got %s, %+v, want %s, %s", tt.name, v, f, tt.verdict, tt.kind)
		}
	}
	if f := AsFailure(fmt.Errorf("wrapped: %w", lost)); f == lost || f.Kind != KindNodeLost {
		t.Errorf("AsFailure of a wrapped failure: got %+v, want a copy of it", f)
	}
	if f := AsFailure(errors.New("x")); f.Kind != KindInternal {
		t.Errorf("AsFailure of any error: got %+v, want an internal one", f)
	}
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mine := NewClock()
		theirs := NewClock()
		theirs.zero += Instant(time.Hour)
		n := 0
		o, err := mine.Measure(t.Context(), func(context.Context) (Instant, error) {
			n++
			if n == 1 {
				return 0, errors.New("lost")
			}
			there := time.Duration(n) * time.Millisecond
			time.Sleep(there)
			now := theirs.Now()
			time.Sleep(there)
			return now, nil
		})
		if err != nil || o.Delta != time.Hour || o.RTT != 4*time.Millisecond {
			t.Errorf("got %+v (%v), want an hour from the shortest round trip of 4ms", o, err)
		}
		at := mine.Now() + Instant(time.Minute)
		if got := time.Until(mine.Time(at)); got != time.Minute {
			t.Errorf("an instant a minute ahead is %s ahead", got)
		}
		if _, err := mine.Measure(t.Context(), func(context.Context) (Instant, error) { return 0, errors.New("gone") }); err == nil {
			t.Error("a clock that never answers was measured")
		}
	})
}

func checkpointSeed(t testing.TB) []byte {
	t.Helper()
	r := metric.NewRegistry()
	s := metric.NewStore(r, metric.StoreOptions{Shards: 1})
	s.Recorder(0).Record(r.Root().With("a", "b"), metric.Extra{}, time.Unix(1, 0), metric.Value{Metric: r.Builtin().HTTPReqDuration, V: 12.5})
	data, err := encodeCheckpoint(Report{Node: "n", Seq: 3, Stage: StageEnded, Logs: []LogLine{{Seq: 1, Level: slog.LevelWarn, Message: "hm"}}}, s.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCheckpointRoundTrip(t *testing.T) {
	r, s, err := decodeCheckpoint(checkpointSeed(t))
	if err != nil {
		t.Fatal(err)
	}
	if r.Node != "n" || r.Seq != 3 || r.Stage != StageEnded || len(r.Logs) != 1 || r.Logs[0].Level != slog.LevelWarn {
		t.Errorf("head: got %+v", r)
	}
	if a := metric.NewView(s).Get("http_req_duration"); a == nil || a.Sketch.Count() != 1 {
		t.Errorf("metrics: got %+v, want the one sample", a)
	}
}

func FuzzCheckpoint(f *testing.F) {
	seed := checkpointSeed(f)
	f.Add(seed)
	f.Add(seed[:len(seed)/2])
	f.Add([]byte{0, 0, 0, 2, '{', '}'})
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, s, err := decodeCheckpoint(data)
		if err != nil {
			return
		}
		again, err := encodeCheckpoint(r, s)
		if err != nil {
			t.Fatalf("what was decoded does not encode: %v", err)
		}
		if _, _, err := decodeCheckpoint(again); err != nil {
			t.Fatalf("and does not decode again: %v", err)
		}
	})
}

func TestHub(t *testing.T) {
	h := newHub(7)
	h.publish(EventLog, LogLine{Seq: 1})
	h.publish(EventProgress, ProgressEvent{})
	h.publish(EventProgress, ProgressEvent{Nodes: 2})
	events, ended, more := h.after(0)
	if len(events) != 2 || ended || events[1].ID != "7.3" {
		t.Fatalf("got %v, ended %t, want the log line and the newest progress", events, ended)
	}
	if got := h.resume("7.3"); got != 3 {
		t.Errorf("resume with the last id: got %d, want 3", got)
	}
	for _, id := range []string{"", "6.3", "7.x", "7"} {
		if got := h.resume(id); got != 0 {
			t.Errorf("resume with %q: got %d, want the whole stream", id, got)
		}
	}
	h.close()
	h.close()
	h.publish(EventLog, LogLine{Seq: 2})
	<-more
	if events, ended, _ := h.after(3); len(events) != 0 || !ended {
		t.Errorf("after the end: got %v, ended %t", events, ended)
	}

	full := newHub(1)
	for i := range maxEvents + 10 {
		full.publish(EventLog, LogLine{Seq: int64(i)})
	}
	if events, _, _ := full.after(0); len(events) > maxEvents || events[len(events)-1].n != maxEvents+10 {
		t.Errorf("%d events are kept, the last is number %d", len(events), events[len(events)-1].n)
	}
}

func TestLogBuffer(t *testing.T) {
	var b logBuffer
	log := slog.New(b.handler("n1")).With("source", "console").WithGroup("g")
	log.Info("one", "k", 1, "e", errors.New("x"))
	log.Warn("two")
	lines := b.pending()
	if len(lines) != 2 || lines[0].Node != "n1" || lines[1].Seq != 2 || lines[0].Attrs["source"] != "console" || lines[0].Attrs["g.e"] != "x" {
		t.Fatalf("got %+v", lines)
	}
	b.ack(1)
	if got := b.pending(); len(got) != 1 || got[0].Message != "two" {
		t.Errorf("after the first was acknowledged: %+v", got)
	}
	b.reset()
	if got := b.pending(); len(got) != 2 {
		t.Errorf("for a new leader: %+v, want both", got)
	}
}

// A flood of lines is bounded in bytes, and what was dropped is told.
func TestLogBufferFlood(t *testing.T) {
	kicks := 0
	b := logBuffer{full: func() { kicks++ }}
	log := slog.New(b.handler("n1"))
	const lines = 1000
	line := strings.Repeat("\x01", 50_000) // each byte takes six in JSON
	for range lines {
		log.Info(line)
	}
	got := b.pending()
	size := 0
	for _, l := range got {
		size += len(l.Message)
	}
	if size > maxLogBytes || size < maxLogBytes/2 || got[len(got)-1].Seq != lines {
		t.Errorf("%d bytes wait, want at most %d, and the last line among them", size, maxLogBytes)
	}
	if want := fmt.Sprintf("%d log lines were dropped", lines-len(got)+1); !strings.HasPrefix(got[0].Message, want) {
		t.Errorf("the first line that waits says %q, want %q", got[0].Message, want)
	}
	if kicks == 0 {
		t.Error("the poster was not told that the buffer fills")
	}
	if body, err := encodeCheckpoint(Report{Logs: got}, nil); err != nil || len(body) > maxCheckpoint {
		t.Errorf("a checkpoint with them: %d bytes, %v; want at most %d", len(body), err, maxCheckpoint)
	}
	b.ack(lines)
	if b.reset(); len(b.pending()) != 0 || b.size != 0 {
		t.Errorf("%d delivered lines of %d bytes are kept, want none when they are that large", len(b.pending()), b.size)
	}
	log.Info(strings.Repeat("é", maxLineBytes))
	if got := b.pending()[0].Message; len(got) > maxLineBytes+100 || !strings.HasSuffix(got, "é… (1048576 more bytes)") {
		t.Errorf("a long line has %d bytes and ends in %q", len(got), got[len(got)-40:])
	}
}

func TestLogBufferKeeps(t *testing.T) {
	var b logBuffer
	for range 3 * keptLines {
		b.add(LogLine{Message: "more"})
	}
	b.ack(3 * keptLines)
	b.reset()
	if got := len(b.pending()); got != keptLines {
		t.Errorf("%d delivered lines are kept, want %d", got, keptLines)
	}
}

func TestHubFlood(t *testing.T) {
	h := newHub(1)
	h.publish(EventState, StateEvent{Phase: Running})
	line := strings.Repeat("y", 1<<20)
	for range 80 {
		h.publish(EventLog, LogLine{Message: line})
	}
	events, _, _ := h.after(0)
	size := 0
	for _, e := range events {
		size += len(e.Data)
	}
	if size > maxEventBytes || size < maxEventBytes/2 {
		t.Errorf("%d bytes are kept, want at most %d", size, maxEventBytes)
	}
	if events[0].Type != EventWarning || events[1].Type != EventState || events[len(events)-1].n != 81 {
		t.Errorf("got %s, %s, …, number %d; want a warning, then the state, and the last line", events[0].Type, events[1].Type, events[len(events)-1].n)
	}
	if events, _, _ := h.after(events[len(events)-1].n - 1); len(events) != 1 || events[0].Type != EventLog {
		t.Errorf("a client that kept up gets %d events, want the next line alone", len(events))
	}
}

// An answer to HEAD has no body; its error is told all the same.
func TestErrorOfHead(t *testing.T) {
	srv := httptest.NewServer(guarded("secret", handler(func(http.ResponseWriter, *http.Request) error {
		return refuse(http.StatusServiceUnavailable, codeUnavailable, "the hive's etcd does not answer")
	})))
	defer srv.Close()
	for token, want := range map[string]string{"": "asks for a token", "guess": "not the one", "secret": "etcd does not answer"} {
		c, err := NewClient(srv.URL, token)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Submit(t.Context(), packed, Submission{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with token %q: got %v, want %q", token, err, want)
		}
	}
}

// A client that hears nothing says so at once, and gives up in the end.
func TestAttachWithoutAnswers(t *testing.T) {
	srv := httptest.NewServer(handler(func(http.ResponseWriter, *http.Request) error {
		return refuse(http.StatusServiceUnavailable, codeUnavailable, "the hive's etcd does not answer")
	}))
	defer srv.Close()
	c, err := NewClient(srv.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.patience = 10 * time.Millisecond
	var events []Event
	_, err = c.Attach(t.Context(), "r1", func(e Event) error { events = append(events, e); return nil })
	if err == nil || !strings.Contains(err.Error(), "run r1 was lost sight of") || !strings.Contains(err.Error(), "etcd does not answer") {
		t.Errorf("got %v, want it to say that the run was lost sight of, and why", err)
	}
	if told := texts(events, EventWarning); len(told) != 1 || !strings.Contains(told[0], "etcd does not answer") {
		t.Errorf("got %q, want one warning", told)
	}
}

// A leader that was killed is named until its lease has run out; who follows a run is told why nothing comes.
func TestWaitingForALeader(t *testing.T) {
	for value, want := range map[string]string{"": "no leader", "n1": "does not answer"} {
		if got := waitingFor(lead{node: value}); !strings.Contains(got, want) {
			t.Errorf("leader %q: got %q, want %q in it", value, got, want)
		}
	}
}

func TestRunPath(t *testing.T) {
	if got := runPath("../x"); got != "/api/v1/runs/..%2Fx" {
		t.Errorf("got %s, want an id that stays one part of the path", got)
	}
}

func TestToken(t *testing.T) {
	srv := httptest.NewServer(guarded("secret", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, 1) })))
	defer srv.Close()
	for _, tt := range []struct {
		token string
		want  string // "" lets it through
	}{{"secret", ""}, {"", "asks for a token"}, {"wrong", "not the one"}, {"secre", "not the one"}} {
		c := newCaller(tt.token)
		err := c.call(t.Context(), "GET", srv.URL, nil, nil)
		c.close()
		if tt.want == "" && err != nil {
			t.Errorf("the right token: %v", err)
		}
		if tt.want != "" && (!errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("token %q: got %v, want a refusal that says %q", tt.token, err, tt.want)
		}
	}
}

func TestClientErrors(t *testing.T) {
	if _, err := NewClient("ftp://x", ""); err == nil {
		t.Error("a remote that is no http URL was accepted")
	}
	c, err := NewClient("127.0.0.1:1", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Nodes(t.Context())
	if u, ok := errors.AsType[*UnreachableError](err); !ok || u.URL != "http://127.0.0.1:1" {
		t.Errorf("nothing listens there: got %v, want an UnreachableError", err)
	}
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	other, err := NewClient(srv.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Nodes(t.Context()); err == nil || !strings.Contains(err.Error(), "is it the API of a node?") {
		t.Errorf("some other server: got %v", err)
	}
}

func TestConfigErrors(t *testing.T) {
	f := (&script{}).factory("n")
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no factory", Config{}, "factory"},
		{"peer and etcd", Config{Factory: f, Peer: "a:1", Etcd: []string{"b:2"}}, "both given"},
		{"other hosts and no token", Config{Factory: f, Address: "0.0.0.0:7070"}, "give a token"},
		{"all hosts and no token", Config{Factory: f, Address: ":7070"}, "give a token"},
		{"no port", Config{Factory: f, Address: "127.0.0.1"}, "want host:port"},
		{"a bad port", Config{Factory: f, Address: "127.0.0.1:x"}, "not a number"},
		{"a slash", Config{Factory: f, Name: "a/b"}, "slash"},
	} {
		if _, err := New(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want it to say %q", tt.name, err, tt.want)
		}
	}
	if _, err := New(Config{Factory: f, Address: "0.0.0.0:7070", Token: "x"}); err != nil {
		t.Errorf("other hosts with a token: %v", err)
	}
}

func TestDataDir(t *testing.T) {
	dir := t.TempDir()
	d, err := openDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.check("c", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := openDataDir(dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("opened twice: got %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openDataDir(dir)
	if err != nil || again.id.Node != d.id.Node {
		t.Fatalf("opened again: got %+v (%v), want the same node", again, err)
	}
	if err := again.check("c", "2"); !errors.Is(err, ErrOtherCluster) {
		t.Errorf("another cluster: got %v", err)
	}
	again.Close()
	if err := os.WriteFile(filepath.Join(dir, "identity.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openDataDir(dir); err == nil || !strings.Contains(err.Error(), "not the identity") {
		t.Errorf("a broken identity: got %v", err)
	}
	temp, err := openDataDir("")
	if err != nil {
		t.Fatal(err)
	}
	temp.Close()
	if _, err := os.Stat(temp.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary directory is left: %v", err)
	}
}

func TestMergeProgress(t *testing.T) {
	a := Progress{VUs: 1, VUsMax: 2, Iterations: 3, Scenarios: []ScenarioProgress{{Name: "x", Fraction: 0.5, VUs: 1, VUsMax: 2, Text: "mine"}}}
	b := Progress{VUs: 10, VUsMax: 20, Iterations: 30, Scenarios: []ScenarioProgress{{Name: "x", Fraction: 1, VUs: 10, VUsMax: 20}}}
	sum := MergeProgress(a, b)
	if sum.VUs != 11 || sum.Iterations != 33 || len(sum.Scenarios) != 1 || sum.Scenarios[0].Fraction != 0.75 || sum.Scenarios[0].Text != "11/22 VUs on 2 nodes" {
		t.Errorf("got %+v", sum)
	}
	if one := MergeProgress(a); one.Scenarios[0].Text != "mine" {
		t.Errorf("one share alone: %+v", one)
	}
}

func TestLocal(t *testing.T) {
	tests := []struct {
		name    string
		fails   map[string]*Failure
		more    string
		cancel  bool
		verdict Verdict
		kind    Kind
		calls   []string
	}{
		{"passes", nil, "", false, Passed, "", []string{"setup me", "teardown me", "summary me"}},
		{"threshold", nil, `,"thresholds":{"my_trend":["max<1"]}`, false, Failed, KindThresholds, []string{"setup me", "teardown me", "summary me"}},
		{"threshold aborts", nil, `,"thresholds":{"iterations":[{"threshold":"count<5","abortOnFail":true}]}`, false, Failed, KindThresholds, []string{"setup me", "teardown me", "summary me"}},
		{"setup throws", map[string]*Failure{"me setup": {Kind: KindScript, Message: "x"}}, "", false, Errored, KindScript, []string{"setup me", "summary me"}},
		{"init throws", map[string]*Failure{"me init": {Kind: KindScript, Message: "x"}}, "", false, Errored, KindScript, nil},
		{"interrupted", nil, "", true, Aborted, KindInterrupted, []string{"setup me", "teardown me", "summary me"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{traits: Traits{Setup: true, Teardown: true, HandleSummary: true}, custom: true, fails: tt.fails,
					summary: func([]byte) (map[string][]byte, error) { return map[string][]byte{"stdout": []byte("mine")}, nil }}
				raw := looping(t, 2, 30*time.Second, tt.more)
				opts := scenarios(t, string(raw))
				plan, _, shares, err := Deal("s.js", opts.Scenarios, []Member{{Name: "me", Capacity: 2}})
				if err != nil || len(plan.Nodes) != 1 {
					t.Fatal(err)
				}
				e, err := s.factory("me")(t.Context(), Job{Options: raw, Share: shares[0], Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.cancel {
					time.AfterFunc(5*time.Second, cancel)
				}
				var phases []Phase
				l := Local{Name: "s.js", Options: opts, Engine: e, Share: shares[0], Phase: func(p Phase) { phases = append(phases, p) }}
				res := l.Run(ctx, t.Context())
				if res.Verdict != tt.verdict || (res.Failure == nil) != (tt.kind == "") || res.Failure != nil && res.Failure.Kind != tt.kind {
					t.Errorf("verdict %s, failure %+v, want %s, %s", res.Verdict, res.Failure, tt.verdict, tt.kind)
				}
				if !slices.Equal(s.calls, tt.calls) {
					t.Errorf("calls %v, want %v", s.calls, tt.calls)
				}
				if want := len(tt.calls) > 0; res.Summarized != want || res.Handled != want || bytes.Contains(res.Summary, []byte("my_trend")) != (want && tt.kind != KindScript) {
					t.Errorf("summarized %t, handled %t, want %t; %s", res.Summarized, res.Handled, want, res.Summary)
				}
				if phases[len(phases)-1] != Finished {
					t.Errorf("phases %v, want them to end", phases)
				}
			})
		})
	}
}

func TestLateIterationsAreNoted(t *testing.T) {
	p := Progress{Scenarios: []ScenarioProgress{{Name: "steady", Late: 120 * time.Millisecond}, {Name: "other", Late: lateLimit}}}
	notes := lateNotes("n1", p)
	if len(notes) != 1 || !strings.Contains(notes[0], "steady") || !strings.Contains(notes[0], "n1") || !strings.Contains(notes[0], "120ms") {
		t.Fatalf("got %q, want one note on steady, n1 and 120ms", notes)
	}
	again := Progress{Scenarios: []ScenarioProgress{{Name: "steady", Late: 70 * time.Millisecond}}}
	lives := []NodeResult{{Name: "n1", Progress: again}, {Name: "n2", Progress: again}, {Name: "n1", Progress: p}}
	if got := lateOnNodes(lives); len(got) != 2 || got[0] != notes[0] || !strings.Contains(got[1], "n2") {
		t.Errorf("of two lives of n1 and one of n2: %q, want the worst of n1, and n2", got)
	}
	res := &Result{}
	if err := Summarize(res, Outcome{View: metric.NewView(&metric.Snapshot{}), Duration: time.Second, Notes: notes}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(res.Text, "! scenario steady") || !strings.Contains(res.ColorText, "! scenario steady") {
		t.Errorf("the summary does not carry the note:\n%s", res.Text)
	}
}

func TestMachineReadableSummary(t *testing.T) {
	res := &Result{}
	o := Outcome{View: metric.NewView(&metric.Snapshot{}), Duration: time.Second, Flags: Flags{NewSummary: true, Script: "export default 1"}}
	if err := Summarize(res, o); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Version string
		Config  struct {
			Duration float64
			Script   string
		}
	}
	if err := json.Unmarshal(res.Summary, &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != "1.0.0" || got.Config.Duration != 1 || got.Config.Script != o.Flags.Script {
		t.Errorf("got %+v, want version 1.0.0, a second, and the script", got)
	}
	if string(res.Export) != string(res.Summary) {
		t.Errorf("the export is %s, want what handleSummary gets", res.Export)
	}
}
