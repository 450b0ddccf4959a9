package hive

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/engine/executor"
)

// plot is a run in which leaders are killed, each before or after a write: whatever the write was, the run ends as it
// would have without that.
type plot struct {
	name   string
	points []string // at which a leader dies
	carry  int      // nodes that carry load: n1, n2, …
	script *script
	flags  Flags
	more   string // scenarios beside main, which sends 40 arrivals a second for ten minutes
	play   func(*act)
	dies   *mortal  // a node that carries load; nil when none dies by itself
	kind   Kind     // of the failure that the run ends with; beside that it may be inconclusive
	once   []string // kinds of entries that the timeline has once
}

// act is a plot that is played.
type act struct {
	*plot
	t         *testing.T
	endpoints []string
	etcd      *clientv3.Client
	leaders   *cast
	nodes     []*running // that carry load
	c         *Client
	run       string
}

// The scenario that every plot has.
const (
	mainRate   = 40
	mainLength = 600 // seconds
)

// points are the fault points of writes on one side of them.
func points(side string, writes ...string) (points []string) {
	for _, w := range writes {
		points = append(points, side+" "+w)
	}
	return points
}

// around are those on both sides.
func around(writes ...string) []string {
	return append(points("before", writes...), points("after", writes...)...)
}

// fromQueueToLoad are the writes that every run takes until its load is stopped, and those that end it.
var fromQueueToLoad, toTheEnd = []string{"line", "clear allocations", "allocations", "begin", "ready", "setup", "start", "anchor", "tick", "timeline"},
	[]string{"stop", "teardown", "result", "finish"}

// plots are the runs in which leaders die at their writes.
func plots() []plot {
	called := Traits{Setup: true, Teardown: true}
	whole := func(a *act) {
		anchor := around("anchor")
		a.leaders.await(slices.DeleteFunc(around(fromQueueToLoad...), func(p string) bool { return slices.Contains(anchor, p) })...)
		a.begun(20)
		a.leaders.drive(a.untie(), anchor...)
		a.stop()
	}
	return []plot{
		{name: "from the queue to the end, before each write", points: points("before", slices.Concat(fromQueueToLoad, toTheEnd)...), carry: 2,
			script: &script{traits: called}, play: whole, kind: KindStopped, once: []string{TimelineStart}},
		{name: "from the queue to the end, after each write", points: points("after", slices.Concat(fromQueueToLoad, toTheEnd)...), carry: 2,
			script: &script{traits: called}, play: whole, kind: KindStopped, once: []string{TimelineStart}},
		{name: "who resumed the run is gone before anybody heard how the clock goes", points: around("new clock"), carry: 2, script: &script{traits: called},
			play: (*act).resumeByGhost, kind: KindStopped, once: []string{TimelineStart, TimelinePause}},
		{name: "control", points: around("scale", "pause", "resume", "refuse"), carry: 2, script: &script{traits: called},
			more: `,"side":{"executor":"externally-controlled","vus":1,"maxVUs":3,"duration":"10m"}`, play: (*act).control,
			kind: KindStopped, once: []string{TimelineScale, TimelinePause, TimelineResume}},
		{name: "nodes come and go", points: around("revoke", "propose", "work", "commit", "name from", "close accounts", "withdraw"), carry: 5,
			script: &script{traits: called, fails: map[string]*Failure{"bad load": {Kind: KindScript, Message: "bad"}}},
			more:   `,"shared":{"executor":"shared-iterations","vus":4,"iterations":1000000,"maxDuration":"10m"},"loop":{"executor":"constant-vus","vus":4,"duration":"10m"}`,
			play:   (*act).comeAndGo, kind: KindStopped, once: []string{TimelineStart}},
		{name: "a node is not replaced", points: around("strike"), carry: 3, script: &script{traits: called},
			flags: Flags{Policy: Policy{OnNodeLoss: LossContinue}}, play: (*act).loseOne, kind: KindStopped, once: []string{TimelineNodeLost}},
		{name: "a lost node ends the run", points: around("abort"), carry: 3, script: &script{traits: called},
			flags: Flags{Policy: Policy{OnNodeLoss: LossAbort}}, play: func(a *act) { a.begun(20); a.nodes[2].stop(errCrash) }, kind: KindNodeLost, once: []string{TimelineNodeLost}},
		{name: "the script ends the run", points: around("drain"), carry: 2,
			script: &script{traits: called, fails: map[string]*Failure{"n2 run": {Kind: KindAborted, Message: "enough"}}},
			play:   func(*act) {}, kind: KindAborted, once: []string{TimelineStart}},
		{name: "a node is lost before there is load", points: around("deal again"), carry: 3, script: &script{traits: called, making: make(chan struct{})},
			play: (*act).loseEarly, kind: KindStopped, once: []string{TimelineNodeLost}},
		{name: "a node is lost in setup", points: around("setup lost"), carry: 2, script: &script{traits: called, hold: make(chan struct{})},
			play: (*act).loseInSetup, kind: KindSetupLost},
		{name: "a stop comes late", points: around("stop late"), carry: 2, script: &script{traits: called, closing: make(chan struct{})},
			play: (*act).stopTwice, kind: KindStopped},
		{name: "the whole hive goes down", points: around("lives", "outage"), carry: 2, script: &script{traits: called},
			play: func(a *act) { a.goDown(); a.begunBy("n1", 20); a.stop() }, kind: KindStopped, once: []string{TimelineStart}},
		{name: "the whole hive goes down, and the run is not to go on", points: around("outage abort"), carry: 2, script: &script{traits: called},
			flags: Flags{Policy: Policy{OnOutage: OutageAbort}}, play: (*act).goDown, kind: KindOutage, once: []string{TimelineOutage}},
		{name: "a node does not keep up", points: around("propose"), carry: 3, script: &script{traits: called, late: map[string]time.Duration{"n3": time.Second}},
			flags: Flags{Policy: Policy{Derate: "on"}}, play: func(a *act) { a.leaders.await(); a.derated("n3"); a.stop() }, kind: KindStopped, once: []string{TimelineStart}},
		{name: "a node is lost before it runs teardown", points: around("duty"), carry: 2, script: &script{traits: Traits{Teardown: true}},
			dies: &mortal{point: "before begin duty", nth: 1}, play: (*act).loseOnDuty, kind: KindStopped, once: []string{TimelineStart}},
	}
}

func TestLeaderKilledAtItsWrites(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a process for each fault point")
	}
	for _, p := range plots() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			a := enact(t, &p)
			p.play(a)
			res, _ := follow(t, a.c, a.run)
			a.leaders.await()
			a.check(res)
		})
	}
}

// patient makes nodes fast, and lets them wait for the next leader.
var patient = Timing{Checkpoint: quick.Checkpoint, Judge: quick.Judge, StartDelay: quick.StartDelay, Prepare: longWait, Grace: 10 * time.Second, HoldRuns: 1}

// enact begins a run in a hive whose leaders carry no load and die at the points of a plot.
func enact(t *testing.T, p *plot) *act {
	t.Helper()
	a := raise(t, p)
	a.run = submitWith(t, a.c, consolidated(t, fmt.Sprintf(`{"scenarios":{
		"main":{"executor":"constant-arrival-rate","rate":%d,"duration":"%ds","preAllocatedVUs":6,"gracefulStop":"0s"}%s}}`, mainRate, mainLength, p.more)), p.flags)
	return a
}

// raise starts the hive of a plot.
func raise(t *testing.T, p *plot) *act {
	t.Helper()
	a := &act{plot: p, t: t}
	a.endpoints, _ = startStore(t)
	var err error
	if a.etcd, err = newEtcdClient(a.endpoints); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.etcd.Close() })
	a.lead("lead", p.points...)
	dir := t.TempDir()
	for i := range p.carry {
		name := fmt.Sprintf("n%d", i+1)
		a.nodes = append(a.nodes, a.carrier(name, dir+"/"+name))
	}
	a.c = client(t, a.nodes[0])
	return a
}

// lead has nodes lead that die at points.
func (a *act) lead(name string, points ...string) {
	a.leaders = leaders(a.t, a.etcd, helper{Name: name, Etcd: a.endpoints, TTL: calmTTL, Timing: patient, Small: true}, points...)
}

// carrier starts a node that carries load and does not lead.
func (a *act) carrier(name, dir string) *running {
	cfg := Config{Name: name, DataDir: dir, Etcd: a.endpoints, Capacity: 10, Timing: patient, follows: true}
	if a.dies != nil {
		return a.dies.launch(a.t, cfg, a.script)
	}
	return launch(a.t, cfg, a.script)
}

// begun waits until every node has begun iterations.
func (a *act) begun(n int) {
	for _, r := range a.nodes {
		a.begunBy(r.info.Name, n)
	}
}

// begunBy waits until a node has begun n iterations more.
func (a *act) begunBy(node string, n int) {
	a.t.Helper()
	count := func() int { a.script.mu.Lock(); defer a.script.mu.Unlock(); return len(a.script.begun[node]) }
	from := count()
	within(a.t, longWait, node+" sends load", func() bool { return count() >= from+n })
}

// must says when something did not go well that has to.
func (a *act) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Error(err)
	}
}

// ask makes a call of the API, again where etcd or a leader was too busy for it.
func (a *act) ask(call func() error) {
	a.t.Helper()
	var err error
	within(a.t, longWait, "a call is answered", func() bool {
		err = call()
		return err == nil || !Passing(err)
	})
	a.must(err)
}

func (a *act) stop() {
	a.t.Helper()
	a.ask(func() error { return a.c.Stop(a.t.Context(), a.run, StopRequest{Mode: StopGraceful}) })
}

// state is the run's state as etcd has it.
func (a *act) state() (st State) {
	st, _, _, _ = readState(a.t.Context(), a.etcd, a.nodes[0].keys, a.run)
	return st
}

// control pauses, scales and resumes, and asks for what makes no sense when it comes to be served.
func (a *act) control() {
	ctx, vus := a.t.Context(), 2
	a.begun(20)
	a.ask(func() error { return a.c.Scale(ctx, a.run, ScaleRequest{VUs: &vus, By: "me"}) })
	a.ask(func() error { return a.c.Pause(ctx, a.run, PauseRequest{By: "me"}) })
	within(a.t, longWait, "the run is paused", func() bool { return a.state().Halt != nil })
	a.must(putJSON(ctx, a.etcd, a.nodes[0].keys.Control(a.run, NewRunID()), Control{Action: ActionPause}))
	a.leaders.await(around("scale", "pause", "refuse")...)
	a.ask(func() error { return a.c.Resume(ctx, a.run, PauseRequest{By: "me"}) })
	a.leaders.await()
	a.begun(20)
	a.stop()
}

// resumeByGhost resumes as a leader does that dies at once.
func (a *act) resumeByGhost() {
	a.begun(20)
	a.ask(func() error { return a.c.Pause(a.t.Context(), a.run, PauseRequest{By: "me"}) })
	within(a.t, longWait, "the run is paused", func() bool { return a.state().Halt != nil })
	a.leaders.vanish()
	st := a.state()
	st.Anchor = Anchor{Node: "ghost", Boot: "ghost", Run: st.Halt.At, Gen: st.Anchor.Gen + 1}
	st.Halt = nil
	state, _, err := encodeState(st)
	a.must(err)
	_, err = a.etcd.Put(a.t.Context(), a.nodes[0].keys.State(a.run), state)
	a.must(err)
	a.lead("later", a.points...)
	a.leaders.await()
	a.begun(20)
	a.stop()
}

// comeAndGo loses a node, drains two, and lets one join whose engine cannot be made.
func (a *act) comeAndGo() {
	a.begun(20)
	a.nodes[4].stop(errCrash)
	a.leaders.drive(a.loseAgain(a.nodes[4].info), around("revoke")...)
	a.leaders.await(around("propose", "work", "commit")...)
	for _, i := range []int{3, 2} {
		a.must(a.nodes[i].Drain(a.t.Context()))
	}
	a.leaders.await(around("name from")...)
	a.leaders.drive(a.leaveAgain(), around("close accounts")...)
	a.carrier("bad", a.t.TempDir())
	a.leaders.await()
	a.nodes = a.nodes[:2]
	a.begun(20)
	a.stop()
}

// untie has the leader killed that the run's clock goes by, at once and after each lull: the next one ties it to its own
// node. A leader has no need to when the one before it died before anybody had heard how the clock goes, so that it set
// the clock going itself.
func (a *act) untie() func() {
	return afterLulls(0, func() { a.leaders.kill(a.state().Anchor.Node) })
}

// lull is how long nobody dies until a plot goes on that waits for nodes to die.
const lull = 15 * time.Second

// afterLulls does something after a while, and again after each lull.
func afterLulls(first time.Duration, do func()) func() {
	next := time.Now().Add(first)
	return func() {
		if time.Now().After(next) {
			do()
			next = time.Now().Add(lull)
		}
	}
}

// loseAgain loses one node more as often as the hive has got rid of the one before without a write: the lease of one that
// is gone runs out when all that could have proven its end were killed.
func (a *act) loseAgain(lost Info) func() {
	lives := 0
	return func() {
		resp, err := a.etcd.Get(a.t.Context(), a.nodes[0].keys.Nodes()+lost.ID, clientv3.WithCountOnly())
		if err != nil || resp.Count > 0 {
			return
		}
		lives++
		r := a.carrier(fmt.Sprintf("lost%d", lives), a.t.TempDir())
		a.begunBy(r.info.Name, 1)
		r.stop(errCrash)
		lost = r.info
	}
}

// leaveAgain lets one node more join and leave after each lull: a life counts as over once its last report is there, and
// that of a node which has left is gone when the leader is killed before another one has it.
func (a *act) leaveAgain() func() {
	lives := 0
	return afterLulls(lull, func() {
		lives++
		r := a.carrier(fmt.Sprintf("leaves%d", lives), a.t.TempDir())
		a.begunBy(r.info.Name, 1)
		a.must(r.Drain(a.t.Context()))
	})
}

func (a *act) loseOne() {
	a.begun(20)
	a.nodes[2].stop(errCrash)
	a.nodes = a.nodes[:2]
	a.leaders.await()
	a.begun(20)
	a.stop()
}

func (a *act) loseEarly() {
	within(a.t, longWait, "the run is being prepared", func() bool { return a.state().Phase == Preparing })
	a.nodes[2].stop(errCrash)
	a.nodes = a.nodes[:2]
	a.leaders.await()
	close(a.script.making)
	a.begun(20)
	a.stop()
}

func (a *act) loseInSetup() {
	var who string
	within(a.t, longWait, "setup runs", func() bool {
		var n int
		n, who = a.script.count("setup")
		return n == 1
	})
	i := slices.IndexFunc(a.nodes, func(r *running) bool { return r.info.Name == who })
	a.nodes[i].stop(errCrash)
	a.nodes = slices.Delete(a.nodes, i, i+1)
	a.c = client(a.t, a.nodes[0])
}

func (a *act) loseOnDuty() {
	a.begun(20)
	a.stop()
	within(a.t, longWait, "the node on duty dies", func() bool { return a.dies.who.Load() != nil })
	a.nodes = slices.DeleteFunc(a.nodes, func(r *running) bool { return r == a.dies.who.Load() })
	a.c = client(a.t, a.nodes[0])
}

func (a *act) stopTwice() {
	a.begun(20)
	a.stop()
	within(a.t, longWait, "teardown runs", func() bool { n, _ := a.script.count("teardown"); return n == 1 })
	a.stop()
	a.leaders.await()
	close(a.script.closing)
}

// goDown lets the whole hive go and come back.
func (a *act) goDown() {
	a.begun(20)
	a.leaders.vanish()
	for _, r := range a.nodes {
		r.stop(errCrash)
	}
	a.lead("later", a.points...)
	for i, r := range a.nodes {
		a.nodes[i] = a.carrier(r.info.Name, r.cfg.DataDir)
	}
	a.c = client(a.t, a.nodes[0])
	a.leaders.await()
}

// derated waits until a node has a part of its weight only.
func (a *act) derated(node string) {
	within(a.t, longWait, node+" is given less", func() bool {
		return slices.ContainsFunc(a.state().Members, func(m Member) bool { return m.Name == node && m.Weight < m.Capacity })
	})
}

// check finds what every run must be like when it is over, whoever led it.
func (a *act) check(res *Result) {
	t := a.t
	t.Helper()
	if f := res.Failure; f != nil && f.Kind != a.kind && f.Kind != KindInconclusive || f == nil && a.kind != "" {
		t.Errorf("verdict %s: %v, want it to be %s", res.Verdict, res.Failure, a.kind)
	}
	if a.script.traits.Setup {
		ranOnce(t, a.script, "setup")
	}
	ranOnce(t, a.script, "teardown")
	kinds := toldInOrder(t, res)
	for _, kind := range a.once {
		if kinds[kind] != 1 {
			t.Errorf("the timeline has %d entries of the kind %s, want one: %+v", kinds[kind], kind, res.Timeline)
		}
	}
	for _, w := range res.Warnings {
		if strings.Contains(w, "accounted for") {
			t.Errorf("the ledger does not add up: %s", w)
		}
	}
	a.checkLedger(res)
	a.checkKeys()
}

// checkLedger holds the ledger against what was begun: nothing twice, and all of the plan in one class.
func (a *act) checkLedger(res *Result) {
	type number struct {
		scenario, slot int
		index          int64
	}
	seen, begun := map[number]bool{}, map[int]float64{}
	for _, it := range a.script.all() {
		n := number{it.Scenario, it.Slot, it.Index}
		if res.Ledger[it.Scenario].Executor == string(executor.SharedIterations) {
			n.slot = 0 // whoever begins it
		}
		if begun[it.Scenario]++; seen[n] {
			a.t.Errorf("iteration %+v was begun twice", n)
		}
		seen[n] = true
	}
	for i, l := range res.Ledger {
		if l.Unit != "iterations" {
			continue
		}
		if l.sum() != l.Planned || begun[i] < l.Completed || begun[i] > l.Completed+l.Unknown+l.Interrupted {
			a.t.Errorf("%g iterations were begun, and the ledger has %+v; %s; nodes %+v; timeline %v", begun[i], l, a.parts(i), res.Nodes, res.Timeline)
		}
		if l.Scenario == "main" && l.Planned != mainRate*mainLength {
			a.t.Errorf("%g iterations were planned, want %d", l.Planned, mainRate*mainLength)
		}
	}
}

// parts are the nodes' parts in what was begun of a scenario.
func (a *act) parts(scenario int) string {
	a.script.mu.Lock()
	defer a.script.mu.Unlock()
	var parts []string
	for node, list := range a.script.begun {
		n, first, last := 0, time.Duration(math.MaxInt64), time.Duration(0)
		for _, it := range list {
			if it.Scenario == scenario {
				n, first, last = n+1, min(first, it.Due), max(last, it.Due)
			}
		}
		parts = append(parts, fmt.Sprintf("%s began %d, due from %s to %s", node, n, first, last))
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// checkKeys looks for what a run leaves behind in etcd: what is kept of it, and nothing else.
func (a *act) checkKeys() {
	k := a.nodes[0].keys
	kept := []string{"spec", "state", "roster", "plan", "timeline/", "result"}
	var left []string
	within(a.t, longWait, fmt.Sprintf("nothing is left of the run but %q", kept), func() bool {
		left = nil
		for _, prefix := range []string{k.Run(a.run), k.Active(), k.Queue(), k.Calls()} {
			resp, err := a.etcd.Get(a.t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
			if err != nil {
				return false
			}
			for _, kv := range resp.Kvs {
				name := strings.TrimPrefix(string(kv.Key), k.Run(a.run))
				if !slices.ContainsFunc(kept, func(s string) bool { return strings.HasPrefix(name, s) }) {
					left = append(left, string(kv.Key))
				}
			}
		}
		return len(left) == 0
	})
	if resp, err := a.etcd.Get(a.t.Context(), k.Refs(), clientv3.WithPrefix(), clientv3.WithKeysOnly()); err != nil ||
		slices.ContainsFunc(resp.Kvs, func(kv *mvccpb.KeyValue) bool { return strings.HasSuffix(string(kv.Key), a.run) }) {
		a.t.Errorf("the run still claims its archive (%v)", err)
	}
}
