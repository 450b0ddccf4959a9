package hive

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// leaderStream serves run r1 as a leader in a term does, with the events given as "type data".
func leaderStream(term int, events ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/events"):
			for i, e := range events {
				kind, data, _ := strings.Cut(e, " ")
				fmt.Fprintf(w, "id: %d.%d\nevent: %s\ndata: %s\n\n", term, i+1, kind, data)
			}
		case strings.HasSuffix(r.URL.Path, "/result"):
			writeJSON(w, http.StatusOK, Result{Run: "r1", Verdict: Passed})
		default:
			writeError(w, r, refuse(http.StatusServiceUnavailable, codeUnavailable, "not now"))
		}
	}
}

func clientOf(t *testing.T, bases ...string) *Client {
	t.Helper()
	c, err := NewClient(bases[0], "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.bases = bases
	return c
}

// A client that is passed from a leader to the next sees everything once.
func TestFollowingOverLeaders(t *testing.T) {
	log := func(inc, seq int) string {
		return fmt.Sprintf(`log {"node":"a","incarnation":%d,"seq":%d,"message":"line %d of %d"}`, inc, seq, seq, inc)
	}
	entry := func(n int) string { return fmt.Sprintf(`timeline {"n":%d,"message":"entry %d"}`, n, n) }
	const plan, warned, state = `plan {"name":"x"}`, `warning {"message":"mind"}`, `state {"run":"r1","phase":"running"}`
	first := httptest.NewServer(leaderStream(1, plan, state, entry(1), warned, log(1, 1), log(1, 2)))
	defer first.Close()
	second := httptest.NewServer(leaderStream(2, plan, state, entry(1), entry(2), warned, log(1, 2), log(1, 3), log(2, 1), `result {"run":"r1","phase":"finished"}`))
	defer second.Close()
	var asked atomic.Int32
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 || !strings.HasSuffix(r.URL.Path, "/events") {
			second.Config.Handler.ServeHTTP(w, r)
			return
		}
		first.Config.Handler.ServeHTTP(w, r)
	}))
	defer relay.Close()
	asked.Store(-1) // the first call asks for the nodes
	var got []string
	res, err := clientOf(t, relay.URL).Attach(t.Context(), "r1", func(e Event) error {
		if e.Type != EventState {
			got = append(got, e.Type+" "+string(e.Data))
		}
		return nil
	})
	if err != nil || res.Verdict != Passed {
		t.Fatalf("got %+v, %v", res, err)
	}
	want := []string{plan, entry(1), warned, log(1, 1), log(1, 2), entry(2), log(1, 3), log(2, 1), `result {"run":"r1","phase":"finished"}`}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A node that refuses, one that takes a call and says nothing, and one that is out of the hive do not keep a client from
// the one that helps.
func TestFollowingPastNodesThatDoNotHelp(t *testing.T) {
	refusing := httptest.NewServer(nil)
	refusing.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes the connection
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	out := httptest.NewServer(leaderStream(0))
	defer out.Close()
	out.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeError(w, r, refuse(http.StatusServiceUnavailable, codeUnavailable, "out"))
	})
	good := httptest.NewServer(leaderStream(1, `result {"run":"r1","phase":"finished"}`))
	defer good.Close()
	for name, base := range map[string]string{"refusing": refusing.URL, "silent": "http://" + silent.Addr().String(), "out": out.URL} {
		f := newAttachment(clientOf(t, base, good.URL), "r1", nil)
		if heard, err := f.listen(t.Context()); err != nil || !heard {
			t.Errorf("%s: got %v, %v; want the stream of the other node", name, heard, err)
		}
		if first := f.client.known()[0]; first != good.URL {
			t.Errorf("%s: %s is asked first, want the node that helped", name, first)
		}
	}
}

// An unknown run is a plain refusal, whichever node is asked.
func TestFollowingAnUnknownRun(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { writeError(w, r, noRun("x")) }))
	defer srv.Close()
	if _, err := clientOf(t, srv.URL).Attach(t.Context(), "x", nil); err == nil || !strings.Contains(err.Error(), `no run "x"`) {
		t.Errorf("got %v, want a refusal", err)
	}
}

// Clients forget nodes that are gone, and keep the address that they were given.
func TestClientLearnsNodes(t *testing.T) {
	var nodes atomic.Pointer[[]string]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		infos := []NodeInfo{}
		for _, address := range *nodes.Load() {
			var n NodeInfo
			n.Address = address
			infos = append(infos, n)
		}
		writeJSON(w, http.StatusOK, infos)
	}))
	defer srv.Close()
	c := clientOf(t, srv.URL)
	for _, step := range []struct{ nodes, want []string }{
		{[]string{"http://a", "http://b"}, []string{srv.URL, "http://a", "http://b"}},
		{[]string{"http://b", "http://c"}, []string{srv.URL, "http://b", "http://c"}},
		{nil, []string{srv.URL, "http://b", "http://c"}},
	} {
		nodes.Store(&step.nodes)
		c.learn(t.Context())
		got := c.known()
		slices.Sort(got[1:])
		if !slices.Equal(got, step.want) {
			t.Errorf("nodes %q: got %q, want %q", step.nodes, got, step.want)
		}
	}
}

func TestPolicyValidate(t *testing.T) {
	part := func(v float64) *float64 { return &v }
	for _, p := range []Policy{{}, {OnNodeLoss: LossAbort, OnOutage: OutageFreeze, MaxLoss: part(0), Reserve: 3, Derate: "off"}, {MaxLoss: part(1)}} {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: got %v", p, err)
		}
	}
	for want, p := range map[string]Policy{
		"on-node-loss": {OnNodeLoss: "x"}, "on-outage": {OnOutage: "x"}, "max-loss": {MaxLoss: part(1.01)}, "reserve": {Reserve: -1}, "derate": {Derate: "maybe"},
	} {
		if err := p.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: got %v, want it to begin with %s", p, err, want)
		}
	}
}

func TestVerdictOfKinds(t *testing.T) {
	for kind, want := range map[Kind]Verdict{
		KindThresholds: Failed, KindNodeLost: Aborted, KindInconclusive: Inconclusive, KindEngine: Aborted, KindEngineMemory: Aborted, KindOutage: Aborted, KindInternal: Errored,
	} {
		if got := kind.Verdict(); got != want {
			t.Errorf("%s: got %s, want %s", kind, got, want)
		}
	}
}

func TestHubTellsProgress(t *testing.T) {
	h := newHub(1)
	if got := h.progress(); got.Nodes != 0 {
		t.Errorf("before the first: got %+v", got)
	}
	h.publish(EventProgress, ProgressEvent{Nodes: 2})
	h.publish(EventProgress, ProgressEvent{Nodes: 3, Ledger: []ScenarioLedger{{Scenario: "a"}}})
	h.publish(EventWarning, json.RawMessage(`{"message":"x"}`))
	if got := h.progress(); got.Nodes != 3 || len(got.Ledger) != 1 {
		t.Errorf("got %+v, want the newest", got)
	}
}
