package hive

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A node that is lost under the policy "continue" leaves a hole; nobody else sends more for it.
func TestContinueLeavesTheHole(t *testing.T) {
	t.Parallel()
	s := &script{}
	nodes := hiveOf(t, s, 10, 10, 10)
	c := client(t, nodes[0])
	run := submitWith(t, c, arriving(t, 90, 9, 5*time.Second), Flags{Policy: Policy{OnNodeLoss: LossContinue}})
	awaitBegun(t, s, "n3", 10)
	nodes[2].stop(errCrash)
	res, _ := follow(t, c, run)
	if res.Verdict != Inconclusive || res.Failure.Kind != KindInconclusive {
		t.Errorf("verdict %s (%v), want inconclusive: more than 1%% is missing", res.Verdict, res.Failure)
	}
	if missing := begunOnce(t, s, 450); missing < 80 {
		t.Errorf("%d of 450 iterations were not begun, want most of one node's 150", missing)
	}
	if res.Unowned != 3 {
		t.Errorf("%d slots are without an owner, want the 3 of the lost node", res.Unowned)
	}
	if len(s.lives("n1")[0].Epochs()) != 1 {
		t.Errorf("n1 executed the epochs %v, want one", s.lives("n1")[0].Epochs())
	}
}

// What is left of shared iterations goes on with those that live.
func TestSharedIterationsMove(t *testing.T) {
	t.Parallel()
	s := &script{}
	nodes := hiveOf(t, s, 10, 10, 10)
	c := client(t, nodes[0])
	opts := consolidated(t, `{"scenarios":{"main":{"executor":"shared-iterations","vus":9,"iterations":900,"maxDuration":"20s"}}}`)
	run := submit(t, c, opts)
	awaitBegun(t, s, "n3", 10)
	nodes[2].stop(errCrash)
	res, _ := follow(t, c, run)
	if res.Failure != nil && res.Verdict != Inconclusive {
		t.Errorf("verdict %s: %v", res.Verdict, res.Failure)
	}
	missing := begunOnce(t, s, 900)
	if len(res.Ledger) != 1 {
		t.Fatalf("ledger %+v, want one scenario", res.Ledger)
	}
	l := res.Ledger[0]
	if l.Planned != 900 || l.Completed+l.Interrupted+l.Lost+l.Unknown+l.Cancelled+float64(droppedSum(l)) != 900 {
		t.Errorf("the ledger does not add up: %+v", l)
	}
	if float64(missing) > l.Lost+l.Unknown+l.Cancelled+droppedSum(l) {
		t.Errorf("%d iterations were never begun, and the ledger has %+v", missing, l)
	}
}

// Of an engine that dies alone its node can tell what it had not begun: others do that, even if they had nothing to do any
// more, and nothing is unknown.
func TestDeadEngineLeavesNothingReserved(t *testing.T) {
	t.Parallel()
	for name, scenario := range map[string]string{
		"shared": `"executor":"shared-iterations","vus":9,"iterations":270,"maxDuration":"60s"`,
		"per VU": `"executor":"per-vu-iterations","vus":9,"iterations":30,"maxDuration":"60s"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{waits: true}
			nodes := hiveOf(t, s, 10, 10, 10)
			c := client(t, nodes[0])
			run := submit(t, c, consolidated(t, `{"scenarios":{"main":{`+scenario+`}}}`))
			awaitBegun(t, s, "n3", 10)
			s.lives("n3")[0].Kill("killed by a test")
			res, _ := follow(t, c, run)
			if res.Verdict != Passed {
				t.Errorf("verdict %s: %v", res.Verdict, res.Failure)
			}
			if l := res.Ledger[0]; l.Planned != 270 || l.Completed != 270 {
				t.Errorf("ledger %+v, want all of the 270 completed", l)
			}
			if got := len(s.all()); got != 270 {
				t.Errorf("%d iterations were begun, want 270", got)
			}
		})
	}
}

// VUs that moved and never ran are told of however the load ends, since their epoch was told as if they did. Their time is
// lost, and what is lost makes the verdict of a run that ended as planned inconclusive.
func TestVUsThatNeverRunAgainAreTold(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		length time.Duration
		end    func(t *testing.T, c *Client, run string, s *script) // a while after the loss; nil waits for the end
		want   Verdict
	}{
		"at the end": {length: 20 * time.Second, want: Inconclusive}, // time for an epoch on a busy machine, and to miss VUs in it
		"when a user stops the run": {length: 5 * time.Minute, want: Aborted, end: func(t *testing.T, c *Client, run string, _ *script) {
			if err := c.Stop(t.Context(), run, StopRequest{Mode: StopGraceful, Kind: KindStopped}); err != nil {
				t.Fatal(err)
			}
		}},
		"when the script aborts": {length: 5 * time.Minute, want: Aborted, end: func(_ *testing.T, _ *Client, _ string, s *script) { close(s.abort) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{warming: make(chan struct{}), abort: make(chan struct{})}
			nodes := hiveOf(t, s, 10, 10, 10)
			c := client(t, nodes[0])
			run := submit(t, c, looping(t, 9, tt.length, ""))
			awaitBegun(t, s, "n3", 2)
			moveInPause(t, c, nodes[0], run, nodes[2])
			if tt.end != nil {
				clock := nodes[0].runClock(run)
				until := clock.Now() + unfilledAfter + time.Second
				eventually(t, "the VUs that moved are missed", func() bool { return clock.Now() > until })
				tt.end(t, c, run, s)
			}
			res, _ := follow(t, c, run)
			if res.Verdict != tt.want {
				t.Errorf("verdict %s: %v, want %s", res.Verdict, res.Failure, tt.want)
			}
			if !slices.ContainsFunc(res.Warnings, func(w string) bool { return strings.HasPrefix(w, "not all VUs that moved") }) {
				t.Errorf("the warnings are %q, want one of VUs that did not run", res.Warnings)
			}
			if !slices.ContainsFunc(res.Timeline, func(e TimelineEvent) bool { return strings.HasPrefix(e.Message, "not all of the VUs that moved") }) {
				t.Errorf("the timeline is %+v, want an entry of VUs that did not run", res.Timeline)
			}
			l := res.Ledger[0]
			if l.Lost < 3*unfilledAfter.Seconds() || l.Handover > l.Lost/10 || math.Abs(l.sum()-l.Planned) > 1e-6 {
				t.Errorf("ledger %+v: want the time of three VUs for some seconds to be lost", l)
			}
		})
	}
}

// moveInPause kills a node while the run's clock stands still, so that however long it takes until others have its VUs, the
// plan has not gone on.
func moveInPause(t *testing.T, c *Client, n *running, run string, victim *running) {
	t.Helper()
	state := func(ok func(State) bool) func() bool {
		return func() bool {
			st, _, _, err := readState(t.Context(), n.etcd, n.keys, run)
			return err == nil && ok(st)
		}
	}
	if err := c.Pause(t.Context(), run, PauseRequest{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the run is paused", state(func(st State) bool { return st.Halt != nil && n.runClock(run).Now() >= st.Halt.At }))
	victim.stop(errCrash)
	eventually(t, "the VUs move", state(func(st State) bool { return len(st.Members) == 2 && st.Proposal == nil }))
	if err := c.Resume(t.Context(), run, PauseRequest{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the run goes on", state(func(st State) bool { return st.Halt == nil }))
}

// A run that ends while nobody has any share of it still has its teardown.
func TestTeardownWithoutMembers(t *testing.T) {
	t.Parallel()
	s := &script{traits: Traits{Teardown: true}}
	nodes := hiveOf(t, s, 10, 10)
	c := client(t, nodes[0])
	run := submit(t, c, looping(t, 4, 2*time.Second, ""))
	for _, node := range []string{"n1", "n2"} {
		awaitBegun(t, s, node, 2)
	}
	for _, node := range []string{"n1", "n2"} {
		s.lives(node)[0].Kill("killed by a test")
	}
	res, _ := follow(t, c, run)
	if n, _ := s.count("teardown"); n != 1 {
		t.Errorf("teardown ran %d times, want once; the warnings are %q", n, res.Warnings)
	}
}

func droppedSum(l ScenarioLedger) (n float64) {
	for _, d := range l.Dropped {
		n += d
	}
	return n
}

// The whole hive goes down and comes up again.
func TestWholeHiveDown(t *testing.T) {
	t.Parallel()
	for _, policy := range []OutagePolicy{OutageSkip, OutageFreeze, OutageAbort} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := &script{traits: Traits{Teardown: true}}
			endpoints, _ := startStore(t)
			start := func(gen int) (nodes []*running) {
				for i := range 2 {
					nodes = append(nodes, launch(t, Config{Name: fmt.Sprintf("n%d%c", i+1, 'a'+gen), Etcd: endpoints, Capacity: 10, LeaseTTL: endingTTL}, s))
				}
				return nodes
			}
			nodes := start(0)
			awaitNodes(t, nodes[0], 2)
			run := submitWith(t, client(t, nodes[0]), arriving(t, 50, 6, 12*time.Second), Flags{Policy: Policy{OnOutage: policy}})
			awaitBegun(t, s, "n1a", 20)
			var down sync.WaitGroup
			for _, n := range nodes {
				down.Go(func() { n.stop(errCrash) })
			}
			down.Wait()
			nodes = start(1)
			res, _ := follow(t, client(t, nodes[0]), run)
			begunOnce(t, s, 600)
			if n, _ := s.count("teardown"); n != 1 {
				t.Errorf("teardown ran %d times, want once", n)
			}
			l, begun := res.Ledger[0], float64(len(s.all()))
			if l.Completed > begun || begun > l.Completed+l.Unknown || l.sum() != 600 {
				t.Errorf("%g iterations were begun, and the ledger has %+v", begun, l)
			}
			for _, w := range res.Warnings {
				if strings.Contains(w, "accounted for") {
					t.Errorf("the ledger does not add up: %s", w)
				}
			}
			var told bool
			for _, e := range res.Timeline {
				told = told || e.Kind == TimelineOutage
			}
			if !told {
				t.Errorf("the timeline does not tell of the outage: %+v", res.Timeline)
			}
			if policy == OutageAbort {
				if res.Failure == nil || res.Failure.Kind != KindOutage {
					t.Errorf("verdict %s: %v, want the outage to be the reason", res.Verdict, res.Failure)
				}
				return
			}
			if res.Verdict != Inconclusive {
				t.Errorf("verdict %s: %v, want inconclusive", res.Verdict, res.Failure)
			}
			if len(s.lives("n1b")) == 0 {
				t.Error("the nodes that came up got no share")
			}
		})
	}
}

// The whole hive goes down before the load has begun, and comes up again: the test is dealt to the nodes that are back, and
// one that was inside setup() is told of, even if its node is among them.
func TestWholeHiveDownBeforeTheLoad(t *testing.T) {
	t.Parallel()
	for _, phase := range []Phase{Preparing, Setup} {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			s := &script{traits: Traits{Setup: true, Teardown: true}}
			if phase == Preparing {
				s.making = make(chan struct{})
			} else {
				s.hold = make(chan struct{})
			}
			endpoints, _ := startStore(t)
			dirs := []string{t.TempDir(), t.TempDir()}
			start := func() []*running {
				nodes := make([]*running, len(dirs))
				for i, dir := range dirs {
					nodes[i] = launch(t, Config{Name: fmt.Sprintf("n%d", i+1), DataDir: dir, Etcd: endpoints, Capacity: 10}, s)
				}
				return nodes
			}
			nodes := start()
			awaitNodes(t, nodes[0], 2)
			c := client(t, nodes[0])
			run := submit(t, c, arriving(t, 50, 12, time.Second)) // one node is not enough
			awaitPhase(t, c, run, phase)
			if phase == Setup {
				eventually(t, "setup runs", func() bool { n, _ := s.count("setup"); return n == 1 })
			}
			var down sync.WaitGroup
			for _, n := range nodes {
				down.Go(func() { n.stop(errCrash) })
			}
			down.Wait()
			nodes = start()
			if phase == Preparing {
				close(s.making)
			}
			res, _ := follow(t, client(t, nodes[1]), run)
			switch {
			case phase == Preparing && (res.Verdict != Passed || begunOnce(t, s, 50) != 0):
				t.Errorf("verdict %s (%v), want a run as planned", res.Verdict, res.Failure)
			case phase == Setup && (res.Failure == nil || res.Failure.Kind != KindSetupLost):
				t.Errorf("verdict %s (%v), want it to be lost inside setup()", res.Verdict, res.Failure)
			}
			if n, _ := s.count("teardown"); n != 1 {
				t.Errorf("teardown ran %d times, want once", n)
			}
		})
	}
}

// A run whose plan came to its end while the whole hive was down is closed with teardown(), by nodes that never had a share.
func TestWholeHiveDownUntilAfterThePlan(t *testing.T) {
	t.Parallel()
	s := &script{traits: Traits{Teardown: true}}
	endpoints, _ := startStore(t)
	first := launch(t, Config{Name: "n1", Etcd: endpoints, Capacity: 10, LeaseTTL: endingTTL}, s)
	run := submit(t, client(t, first), arriving(t, 50, 6, 3*time.Second))
	awaitBegun(t, s, "n1", 20)
	first.stop(errCrash)
	time.Sleep(4 * time.Second)
	second := launch(t, Config{Name: "n2", Etcd: endpoints, Capacity: 10, LeaseTTL: endingTTL}, s)
	res, _ := follow(t, client(t, second), run)
	if n, _ := s.count("teardown"); n != 1 {
		t.Errorf("teardown ran %d times, want once", n)
	}
	if res.Verdict != Inconclusive {
		t.Errorf("verdict %s: %v, want inconclusive", res.Verdict, res.Failure)
	}
}
