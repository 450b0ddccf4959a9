package hive

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/archive"
	"hive/election"
)

func TestRunFromSubmissionToResult(t *testing.T) {
	t.Parallel()
	s := &script{traits: Traits{Setup: true, Teardown: true, HandleSummary: true}, custom: true,
		summary: func(data []byte) (map[string][]byte, error) {
			return map[string][]byte{"stdout": []byte("mine"), "data.json": data}, nil
		}}
	first := launch(t, Config{Name: "n1", DataDir: t.TempDir(), Capacity: 100}, s)
	n2 := launch(t, Config{Name: "n2", Peer: first.info.URL, Capacity: 200}, s)
	n3 := launch(t, Config{Name: "n3", Peer: n2.info.URL, Capacity: 300}, s)
	awaitNodes(t, n3, 3)
	c := client(t, n3)
	nodes, err := c.Nodes(t.Context())
	if err != nil || len(nodes) != 3 || !nodes[0].Leader || nodes[1].Leader || nodes[0].PID == 0 {
		t.Errorf("nodes: got %+v (%v), want three, the first leading", nodes, err)
	}

	opts := consolidated(t, `{"scenarios":{"main":{"executor":"constant-arrival-rate","rate":6000,"duration":"1s","preAllocatedVUs":60,"gracefulStop":"0s"}},
		"thresholds":{"my_trend":["p(95)<=6000"],"iterations":["count>10"]}}`)
	res, events := follow(t, c, submit(t, c, opts))
	if res.Verdict != Passed || res.Failure != nil {
		t.Errorf("verdict %s (%v), want passed", res.Verdict, res.Failure)
	}
	want := []Phase{Preparing, Ready, Setup, Running, Teardown, Finished}
	if got := phases(events); !slices.Equal(got, want) {
		t.Errorf("phases %v, want %v", got, want)
	}
	for _, call := range []string{"setup", "teardown", "summary"} {
		if n, _ := s.count(call); n != 1 {
			t.Errorf("%s ran %d times, want once", call, n)
		}
	}
	if got := iterations(res); got != 6000 {
		t.Errorf("%d iterations, want %d", got, 6000)
	}
	for i, node := range []string{"n1", "n2", "n3"} {
		if got := s.shares[node].All().Len(); got != 10*(i+1) {
			t.Errorf("%s has %d VUs, want %d", node, got, 10*(i+1))
		}
		if got := s.data[node]; got != `{"from":"setup"}` {
			t.Errorf("%s got setup data %s", node, got)
		}
	}
	if !res.Handled || string(res.Files["stdout"]) != "mine" {
		t.Errorf("handleSummary: handled %t, files %v", res.Handled, res.Files)
	}
	var data struct {
		Metrics map[string]struct{ Values map[string]float64 } `json:"metrics"`
	}
	if err := json.Unmarshal(res.Files["data.json"], &data); err != nil || data.Metrics["iterations"].Values["count"] != 6000 {
		t.Errorf("merged iterations in the summary's data: got %v (%v), want %d", data.Metrics["iterations"], err, 6000)
	}
	if !strings.Contains(res.Text, "iterations") || len(res.Export) == 0 {
		t.Errorf("summary text %q, export of %d bytes", res.Text, len(res.Export))
	}
	if plans := texts(events, EventPlan); len(plans) != 1 || !strings.Contains(plans[0], `"n3"`) {
		t.Errorf("plans: %v", plans)
	}
	if logs := texts(events, EventLog); len(logs) != 4 || !strings.Contains(logs[3], "said in handleSummary") {
		t.Errorf("%d log lines, want one of each node and then handleSummary's: %v", len(logs), logs)
	}
	info, err := c.Show(t.Context(), res.Run)
	if err != nil || info.Phase != Finished || info.Verdict != Passed || info.Plan == nil {
		t.Errorf("show: got %+v (%v)", info, err)
	}
	for _, n := range []*running{first, n2} {
		again, retold := follow(t, client(t, n), res.Run)
		if again.Verdict != Passed || !slices.Equal(texts(retold, EventLog), texts(events, EventLog)) {
			t.Errorf("attached to a finished run at %s: verdict %s, log lines %v, want those of before", n.info.Name, again.Verdict, texts(retold, EventLog))
		}
	}
	// The claim of the upload is all that keeps the archive now.
	if _, err := n3.etcd.Delete(t.Context(), n3.keys.Refs(), clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	first.leading.Load().tidy(t.Context())
	if resp, err := n3.etcd.Get(t.Context(), n3.keys.Blobs(), clientv3.WithPrefix()); err != nil || resp.Count != 0 {
		t.Errorf("%d keys of archives that no run needs are left (%v)", resp.Count, err)
	}
}

// Fifty nodes leave other tests nothing of a small machine, so this one runs alone.
func TestFiftyNodes(t *testing.T) {
	s := &script{traits: Traits{Setup: true}}
	endpoints, _ := startStore(t)
	slow := Timing{Checkpoint: 5 * time.Second, Judge: 5 * time.Second, StartDelay: time.Second, Prepare: longWait, Grace: longWait}
	nodes := make([]*running, 50)
	var wg sync.WaitGroup
	doors := make(chan struct{}, 5) // at once, so that each gets on with it on a machine that is busy
	for i := range nodes {
		wg.Go(func() {
			doors <- struct{}{}
			defer func() { <-doors }()
			if !t.Failed() { // one that did not join has waited for all
				nodes[i] = launch(t, Config{Name: fmt.Sprintf("n%02d", i+1), Etcd: endpoints, Capacity: 10 * (i%5 + 1), Timing: slow, LeaseTTL: time.Minute}, s)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	awaitNodes(t, nodes[49], 50)
	c := client(t, nodes[49])
	const vus = 750 // half of the hive's 1500
	res, _ := follow(t, c, submit(t, c, arriving(t, 2*vus, vus, time.Second)))
	if res.Verdict != Passed {
		t.Fatalf("verdict %s: %v", res.Verdict, res.Failure)
	}
	if got := iterations(res); got != 2*vus {
		t.Errorf("%d iterations, want %d", got, 2*vus)
	}
	owner := map[int]string{}
	for node, sh := range s.shares {
		for _, slot := range sh.Slots(0) {
			if owner[slot] != "" {
				t.Fatalf("slot %d is of %s and of %s", slot, owner[slot], node)
			}
			owner[slot] = node
		}
	}
	if len(owner) != vus {
		t.Errorf("%d slots have an owner, want %d", len(owner), vus)
	}
	for i := range 50 {
		if got, want := s.shares[fmt.Sprintf("n%02d", i+1)].All().Len(), 5*(i%5+1); got != want {
			t.Errorf("node %d has %d VUs, want half of its capacity: %d", i+1, got, want)
		}
	}
}

func TestTwoRunsAtTheSameMoment(t *testing.T) {
	t.Parallel()
	s := &script{}
	nodes := hiveOf(t, s, 10, 10)
	var wg sync.WaitGroup
	results := make([]*Result, 2)
	events := make([][]Event, 2)
	opts := arriving(t, 100, 10, time.Second)
	for i := range 2 {
		c := client(t, nodes[i])
		wg.Go(func() { results[i], events[i] = follow(t, c, submit(t, c, opts)) })
	}
	wg.Wait()
	waited := 0
	for i, res := range results {
		if res.Verdict != Passed {
			t.Errorf("run %d: %s (%v)", i, res.Verdict, res.Failure)
		}
		if slices.ContainsFunc(texts(events[i], EventState), func(e string) bool { return strings.Contains(e, `"position":1`) }) {
			waited++
		}
	}
	if waited != 1 {
		t.Errorf("%d runs were told to wait, want one", waited)
	}
	var runs []RunInfo
	eventually(t, "two runs are listed", func() (ok bool) {
		var err error
		runs, err = client(t, nodes[0]).Runs(t.Context())
		return err == nil && len(runs) == 2
	})
	if a, b := runs[0].Times[Finished], runs[1].Times[Preparing]; b.Before(a) {
		t.Errorf("the second run was prepared at %s, before the first finished at %s", b, a)
	}
}

func TestLostNodeAbortsTheRun(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		lose func(*testing.T, *running)
		when Phase
	}{
		{"killed under load", func(_ *testing.T, r *running) { r.stop(errCrash) }, Running},
		{"leaves while setup runs elsewhere", func(_ *testing.T, r *running) { r.stop(nil) }, Setup},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{traits: Traits{Setup: tt.when == Setup, Teardown: true}}
			if tt.when == Setup {
				s.hold = make(chan struct{})
			}
			nodes := hiveOf(t, s, 10, 10, 10)
			c := client(t, nodes[0])
			run := submitWith(t, c, looping(t, 9, time.Minute, ""), Flags{Policy: Policy{OnNodeLoss: LossAbort}})
			awaitPhase(t, c, run, tt.when)
			tt.lose(t, nodes[2])
			res, _ := follow(t, c, run)
			if res.Verdict != Aborted || res.Failure == nil || res.Failure.Kind != KindNodeLost || res.Failure.Node != "n3" {
				t.Errorf("verdict %s, failure %+v, want aborted because n3 was lost", res.Verdict, res.Failure)
			}
			if n, _ := s.count("teardown"); tt.when == Running && n != 1 {
				t.Errorf("teardown ran %d times, want once", n)
			}
		})
	}
}

func TestNodeLostInsideSetup(t *testing.T) {
	t.Parallel()
	s := &script{traits: Traits{Setup: true, Teardown: true}, hold: make(chan struct{})}
	nodes := hiveOf(t, s, 0, 10, 10)
	c := client(t, nodes[0])
	run := submit(t, c, looping(t, 9, time.Minute, ""))
	eventually(t, "setup runs", func() bool { n, _ := s.count("setup"); return n == 1 })
	_, who := s.count("setup")
	nodes[slices.IndexFunc(nodes, func(r *running) bool { return r.info.Name == who })].stop(errCrash)
	res, _ := follow(t, c, run)
	if res.Verdict != Errored || res.Failure.Kind != KindSetupLost {
		t.Errorf("verdict %s, failure %+v, want an error because of setup", res.Verdict, res.Failure)
	}
	if n, other := s.count("teardown"); n != 1 || other == who {
		t.Errorf("teardown ran %d times, last on %s, want once and not on %s", n, other, who)
	}
}

func TestLeaderChangesInMidRun(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{"killed": errCrash, "leaves": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{traits: Traits{Setup: true, Teardown: true}}
			nodes := hiveOf(t, s, 0, 10, 10) // the first leads and carries nothing
			c := client(t, nodes[1])
			run := submit(t, c, arriving(t, 100, 10, 5*time.Second))
			var stopping sync.WaitGroup
			stopping.Go(func() {
				for t.Context().Err() == nil && !s.sending("n2", "n3") {
					time.Sleep(10 * time.Millisecond)
				}
				nodes[0].stop(cause)
			})
			res, _ := follow(t, c, run)
			stopping.Wait()
			if res.Verdict != Passed {
				t.Errorf("verdict %s: %v", res.Verdict, res.Failure)
			}
			if got := iterations(res); got != 500 {
				t.Errorf("%d iterations, want 500", got)
			}
			if n, _ := s.count("teardown"); n != 1 {
				t.Errorf("teardown ran %d times", n)
			}
		})
	}
}

func TestHowRunsEnd(t *testing.T) {
	t.Parallel()
	abort := `,"thresholds":{"iterations":[{"threshold":"count<10","abortOnFail":true}]}`
	tests := []struct {
		name     string
		fails    map[string]*Failure
		more     string
		verdict  Verdict
		kind     Kind
		teardown int
		loads    bool
	}{
		{"a threshold fails at the end", nil, `,"thresholds":{"iterations":["count<10"]}`, Failed, KindThresholds, 1, true},
		{"a threshold ends it", nil, abort, Failed, KindThresholds, 1, true},
		{"the script does not load on one node", map[string]*Failure{"n2 load": {Kind: KindScript, Message: "bad"}}, "", Errored, KindScript, 0, false},
		{"init throws", map[string]*Failure{"n1 init": {Kind: KindScript, Message: "bad"}}, "", Errored, KindScript, 0, false},
		{"setup throws", map[string]*Failure{"n1 setup": {Kind: KindScript, Message: "bad"}}, "", Errored, KindScript, 0, false},
		{"the script aborts", map[string]*Failure{"n2 run": {Kind: KindAborted, Message: "enough"}}, "", Aborted, KindAborted, 1, true},
		{"the script marks it", map[string]*Failure{"n2 mark": {Message: "no good"}}, "", Failed, KindMarkedFailed, 1, true},
		{"teardown throws", map[string]*Failure{"n1 teardown": {Kind: KindScript, Message: "bad"}}, "", Errored, KindScript, 1, true},
	}
	s := &script{}
	nodes := hiveOf(t, s, 10, 10)
	c := client(t, nodes[1])
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.mu.Lock()
			s.fails, s.calls, s.starts = tt.fails, nil, map[string]time.Time{}
			s.traits = Traits{Setup: true, Teardown: true}
			s.mu.Unlock()
			d := time.Second
			if tt.more == abort || tt.kind == KindAborted {
				d = time.Minute
			}
			res, _ := follow(t, c, submit(t, c, looping(t, 4, d, tt.more)))
			if res.Verdict != tt.verdict || res.Failure == nil || res.Failure.Kind != tt.kind {
				t.Errorf("verdict %s, failure %+v, want %s because of %s", res.Verdict, res.Failure, tt.verdict, tt.kind)
			}
			if n, _ := s.count("teardown"); n != tt.teardown {
				t.Errorf("teardown ran %d times, want %d", n, tt.teardown)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if got := len(s.starts) > 0; got != tt.loads {
				t.Errorf("load was sent: %t, want %t", got, tt.loads)
			}
		})
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	s := &script{traits: Traits{Teardown: true}}
	nodes := hiveOf(t, s, 10, 10)
	c := client(t, nodes[1])
	for _, tt := range []struct {
		req  StopRequest
		kind Kind
		how  string
	}{
		{StopRequest{Mode: StopGraceful, By: "me"}, KindStopped, "stopped"},
		{StopRequest{Kind: KindInterrupted}, KindInterrupted, "interrupted"},
	} {
		run := submit(t, c, looping(t, 4, time.Minute, ""))
		second := submit(t, c, looping(t, 4, time.Minute, ""))
		eventually(t, "load is sent", func() bool {
			info, err := c.Show(t.Context(), run)
			s.mu.Lock()
			defer s.mu.Unlock()
			return err == nil && info.Phase == Running && len(s.starts) == 2
		})
		if err := c.Stop(t.Context(), second, StopRequest{}); err != nil {
			t.Fatal(err)
		}
		if res, _ := follow(t, c, second); res.Verdict != Aborted || res.Failure.Kind != KindStopped {
			t.Errorf("stopped while it waited: %s, %+v", res.Verdict, res.Failure)
		}
		if err := c.Stop(t.Context(), run, tt.req); err != nil {
			t.Fatal(err)
		}
		res, _ := follow(t, c, run)
		if res.Verdict != Aborted || res.Failure.Kind != tt.kind {
			t.Errorf("%+v: verdict %s, failure %+v", tt.req, res.Verdict, res.Failure)
		}
		s.mu.Lock()
		if got := s.stops["n1"]; got != tt.how {
			t.Errorf("%+v: the load was %s, want %s", tt.req, got, tt.how)
		}
		s.starts = map[string]time.Time{}
		s.mu.Unlock()
		if err := c.Stop(t.Context(), run, StopRequest{}); err == nil || !strings.Contains(err.Error(), "has finished") {
			t.Errorf("stopping a finished run: %v", err)
		}
	}
}

func TestTamperedArchive(t *testing.T) {
	t.Parallel()
	s := &script{}
	nodes := hiveOf(t, s, 10)
	c := client(t, nodes[0])
	digest := archive.DigestOf(packed)
	if err := c.upload(t.Context(), digest, packed); err != nil {
		t.Fatal(err)
	}
	key := nodes[0].keys.Blobs() + digest + "/0"
	resp, err := nodes[0].etcd.Get(t.Context(), key)
	if err != nil || len(resp.Kvs) != 1 {
		t.Fatalf("no chunk at %s (%v)", key, err)
	}
	if _, err := nodes[0].etcd.Put(t.Context(), key, strings.ToUpper(string(resp.Kvs[0].Value))); err != nil {
		t.Fatal(err)
	}
	res, _ := follow(t, c, submit(t, c, looping(t, 1, time.Second, "")))
	if res.Verdict != Errored || !strings.Contains(res.Failure.Message, "archive") || res.Failure.Node != "n1" {
		t.Errorf("verdict %s, failure %+v, want an error about the archive", res.Verdict, res.Failure)
	}
	if err := c.calls.send(t.Context(), "PUT", nodes[0].info.URL+"/api/v1/blobs/"+digest, []byte("other"), nil); err == nil || !strings.Contains(err.Error(), "changed on its way") {
		t.Errorf("an upload that does not have its digest: %v", err)
	}
	if err := c.upload(t.Context(), "", make([]byte, maxArchive+1)); err == nil || !strings.Contains(err.Error(), "a hive takes at most 256 MiB") {
		t.Errorf("an archive that is too large: %v", err)
	}
}

func TestEtcdGoneInMidRun(t *testing.T) {
	t.Parallel()
	s := &script{}
	endpoints, stop := startStore(t)
	n := launch(t, Config{Name: "n1", Etcd: endpoints, Capacity: 10, LeaseTTL: endingTTL}, s)
	c := client(t, n)
	run := submit(t, c, looping(t, 1, time.Minute, ""))
	awaitPhase(t, c, run, Running)
	eventually(t, "load is sent", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.starts) == 1 })
	stop()
	eventually(t, "the node stops its load by itself", func() bool { return s.lives("n1")[0].Fenced() })
	if _, err := c.Runs(t.Context()); err == nil || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("a call without etcd: %v, want it to name etcd", err)
	}
}

func TestDeposedLeaderWritesNothing(t *testing.T) {
	t.Parallel()
	s := &script{}
	nodes := hiveOf(t, s, 10, 10)
	eventually(t, "somebody leads", func() bool { return nodes[0].leading.Load() != nil })
	old := nodes[0].leading.Load()
	if _, err := nodes[0].etcd.Delete(t.Context(), old.fence.Key()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other leads", func() bool { return nodes[1].leading.Load() != nil })
	d := newDriver(old, "r1")
	d.st = State{Times: map[Phase]time.Time{}}
	if err := d.advance(t.Context(), "test", func(s *State) { s.Phase = Running }); err == nil || !strings.Contains(err.Error(), election.ErrDeposed.Error()) {
		t.Errorf("got %v, want ErrDeposed", err)
	}
}
