package hive

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// What a member is told that wants to end a proposal, whatever has happened to that.
func TestVetoAndWhatItComesTo(t *testing.T) {
	t.Parallel()
	endpoints, _ := startStore(t)
	c, err := newEtcdClient(endpoints)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	n := &Node{etcd: c, keys: NewKeys("hive")}
	open := State{Phase: Running, Epoch: 1, Tried: 2, Proposal: &Proposal{Epoch: 2, From: time.Second}}
	other, committed, anew := open, open, open
	other.Warnings = []string{"something else"}
	committed.Epoch, committed.Proposal = 2, nil
	anew.Tried, anew.Proposal = 3, &Proposal{Epoch: 3, From: 2 * time.Second}
	for i, tt := range []struct {
		name         string
		before       bool  // another member did it before
		then         State // what the leader writes after the member has seen the proposal; nothing if it is as it was
		vetoed, open bool
	}{
		{"open", false, open, true, false},
		{"vetoed by another member", true, open, true, false},
		{"vetoed by another member, and something else changed", true, other, true, false},
		{"something else changed", false, other, false, true},
		{"committed", false, committed, false, false},
		{"replaced", false, anew, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run := fmt.Sprint("r", i)
			put := func(st State) int64 {
				text, _, err := encodeState(st)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := c.Put(t.Context(), n.keys.State(run), text)
				if err != nil {
					t.Fatal(err)
				}
				return resp.Header.Revision
			}
			rev := put(open)
			if tt.before {
				if vetoed, _, err := n.veto(t.Context(), run, Veto{Epoch: 2, Node: "other"}, rev); err != nil || !vetoed {
					t.Fatalf("the other's veto: %t (%v)", vetoed, err)
				}
			}
			if tt.then.Epoch != 1 || tt.then.Tried != 2 || tt.then.Warnings != nil {
				put(tt.then)
			}
			for _, again := range []string{"", ", asked again"} { // its answer may have been lost
				vetoed, open, err := n.veto(t.Context(), run, Veto{Epoch: 2, Node: "self"}, rev)
				if err != nil || vetoed != tt.vetoed || open != tt.open {
					t.Errorf("vetoed %t, open %t (%v)%s: want %t, %t", vetoed, open, err, again, tt.vetoed, tt.open)
				}
			}
			resp, err := c.Get(t.Context(), n.keys.Veto(run), clientv3.WithCountOnly())
			if err != nil || resp.Count == 1 != tt.vetoed {
				t.Errorf("there are %d vetoes (%v)", resp.Count, err)
			}
		})
	}
}

// stuck holds a leader up at its first commit until a member has ended the proposal.
type stuck struct {
	a    *act
	once sync.Once
	met  bool          // it came to that
	over chan struct{} // closed when the test ends
}

func (s *stuck) fault(at string) {
	if at != "before commit" {
		return
	}
	s.once.Do(func() {
		s.met = true
		for {
			resp, err := s.a.etcd.Get(s.a.t.Context(), NewKeys("hive").Veto(s.a.run), clientv3.WithCountOnly())
			if err == nil && resp.Count > 0 {
				return
			}
			select {
			case <-s.over:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
}

const vetoScenarios = `,"shared":{"executor":"shared-iterations","vus":4,"iterations":1000000,"maxDuration":"10m"},"loop":{"executor":"constant-vus","vus":4,"duration":"10m"}`

// open starts the etcd of a plot.
func (a *act) open() {
	a.t.Helper()
	a.endpoints, _ = startStore(a.t)
	var err error
	if a.etcd, err = newEtcdClient(a.endpoints); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { a.etcd.Close() })
}

// begin starts the nodes that carry load, and the run.
func (a *act) begin(fault func(string)) {
	a.t.Helper()
	for i := range a.carry {
		name := fmt.Sprintf("n%d", i+1)
		if fault == nil {
			a.nodes = append(a.nodes, a.carrier(name, a.t.TempDir()))
			continue
		}
		a.nodes = append(a.nodes, launch(a.t, Config{Name: name, Etcd: a.endpoints, Capacity: 10, Timing: patient, follows: true, Fault: fault}, a.script))
	}
	a.c = client(a.t, a.nodes[0])
	within(a.t, longWait, "all are there", func() bool {
		all, err := a.nodes[0].roll(a.t.Context())
		return err == nil && len(all) >= len(a.nodes)
	})
	a.run = submitWith(a.t, a.c, consolidated(a.t, fmt.Sprintf(`{"scenarios":{
		"main":{"executor":"constant-arrival-rate","rate":%d,"duration":"%ds","preAllocatedVUs":6,"gracefulStop":"0s"}%s}}`, mainRate, mainLength, a.more)), a.flags)
	a.begun(20)
}

// held begins a run in a hive whose leader comes too late to its first commit. The leader carries a share if it has a
// capacity.
func held(t *testing.T, p *plot, capacity int) (*act, *stuck) {
	t.Helper()
	a := &act{plot: p, t: t}
	s := &stuck{a: a, over: make(chan struct{})}
	a.open()
	lead := launch(t, Config{Name: "lead", Etcd: a.endpoints, Capacity: capacity, Timing: patient, Fault: s.fault}, p.script)
	t.Cleanup(func() { close(s.over) })
	if capacity > 0 {
		a.nodes = append(a.nodes, lead)
	}
	a.begin(nil)
	return a, s
}

// vetoEnds plays on to the end: the owners are agreed upon after all, and nothing was begun twice.
func (a *act) vetoEnds(s *stuck, epoch int) {
	a.t.Helper()
	within(a.t, longWait, "an epoch is agreed upon", func() bool { st := a.state(); return st.Epoch > epoch && st.Proposal == nil })
	if st := a.state(); st.Epoch <= epoch+1 && s.met {
		a.t.Errorf("epoch %d was committed, want that its members ended the first proposal", st.Epoch)
	}
	a.begun(20)
	a.stop()
	res, _ := follow(a.t, a.c, a.run)
	a.check(res)
	if !slices.ContainsFunc(res.Timeline, func(e TimelineEvent) bool {
		return e.Kind == TimelineEpoch && strings.Contains(e.Message, "was given up by its members")
	}) {
		a.t.Errorf("the timeline does not tell of it: %+v", res.Timeline)
	}
	if !s.met {
		a.t.Error("the leader came to no commit")
	}
}

// A commit that comes after a veto changes nothing, after a loss as in a planned change, with a leader that carries load
// as with one that carries none: the load goes on by the epoch before, and another is agreed upon.
func TestCommitComesAfterTheVeto(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		capacity int // of the leader
		goes     func(a *act, r *running)
	}{
		{"a loss", 10, func(_ *act, r *running) { r.stop(errCrash) }},
		{"a drain", 0, func(a *act, r *running) { a.must(r.Drain(a.t.Context())) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, s := held(t, &plot{carry: 3, script: &script{traits: Traits{Setup: true, Teardown: true}}, more: vetoScenarios, kind: KindStopped}, tt.capacity)
			last := len(a.nodes) - 1
			tt.goes(a, a.nodes[last])
			a.nodes = a.nodes[:last]
			a.vetoEnds(s, 1)
		})
	}
}

// duel lets a leader and its members come to a commit and to vetoes of it at the same moment.
type duel struct {
	mu      sync.Mutex
	vetoing chan struct{} // closed when a member is about to veto
}

// turn is the duel under way.
func (d *duel) turn() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.vetoing == nil {
		d.vetoing = make(chan struct{})
	}
	return d.vetoing
}

// draw ends it.
func (d *duel) draw() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.vetoing != nil {
		close(d.vetoing)
		d.vetoing = nil
	}
}

// A commit and vetoes of it are made at the same moment. Whichever comes first, one of them counts and the other does not.
func TestCommitAndVetoAtOnce(t *testing.T) {
	t.Parallel()
	var d duel
	a := &act{plot: &plot{carry: 5, script: &script{traits: Traits{Setup: true, Teardown: true}}, more: vetoScenarios, kind: KindStopped}, t: t}
	a.open()
	launch(t, Config{Name: "lead", Etcd: a.endpoints, Capacity: 0, Timing: patient, Fault: func(at string) {
		if at == "before commit" {
			select {
			case <-d.turn():
			case <-time.After(stateTry): // as long as the commit could wait
			}
		}
	}}, a.script)
	a.begin(func(at string) {
		if at == "before veto" {
			d.draw()
		}
	})
	for len(a.nodes) > 2 {
		last := len(a.nodes) - 1
		a.nodes[last].stop(errCrash)
		a.nodes = a.nodes[:last]
		within(t, longWait, "its share is dealt", func() bool { st := a.state(); return len(st.Members) == last && st.Proposal == nil })
	}
	st := a.state()
	t.Logf("%d of %d proposals were committed", 3, st.Tried-1)
	a.begun(20)
	a.stop()
	res, _ := follow(t, a.c, a.run)
	a.check(res)
}

// vetoPoints are those of a member that ends a proposal.
var vetoPoints = around("veto")

// A member is killed before or after it ends a proposal: the others do, or hear of it, and its share is dealt with the rest.
func TestNodeKilledAtItsVeto(t *testing.T) {
	t.Parallel()
	for _, point := range vetoPoints {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			m := &mortal{point: point, nth: 1}
			a, s := held(t, &plot{carry: 4, script: &script{traits: Traits{Teardown: true}}, more: vetoScenarios, dies: m, kind: KindStopped}, 0)
			a.nodes[3].stop(errCrash)
			a.nodes = a.nodes[:3]
			within(t, longWait, "a node comes to its veto", func() bool { return m.who.Load() != nil })
			a.nodes = slices.DeleteFunc(a.nodes, func(r *running) bool { return r == m.who.Load() })
			a.c = client(t, a.nodes[0])
			within(t, longWait, "both are replaced", func() bool { return len(a.state().Members) == 2 })
			a.vetoEnds(s, 1)
		})
	}
}

// frozen starts a leader that stands still, as a process does whose host is gone, when it comes to a point. It goes on
// when it is woken up.
func (a *act) frozen(name, point string) (still <-chan struct{}, wake func()) {
	a.t.Helper()
	p, err := start(a.t, helper{Name: name, Address: "127.0.0.1:0", DataDir: a.t.TempDir(), Etcd: a.endpoints, TTL: calmTTL, Timing: patient, Leads: true, Asks: true})
	if err != nil {
		a.t.Fatal(err)
	}
	stopped, woken := make(chan struct{}), make(chan struct{})
	wake = sync.OnceFunc(func() {
		_ = p.cmd.Process.Signal(syscall.SIGCONT) // it may have ended
		close(woken)
	})
	var wg sync.WaitGroup
	a.t.Cleanup(func() {
		wake()
		p.kill()
		wg.Wait()
		if a.t.Failed() {
			a.t.Logf("log of %s:\n%s", name, p.log)
		}
	})
	wg.Go(func() {
		first := true
		for p.out.Scan() {
			at, asks := strings.CutPrefix(p.out.Text(), "at ")
			if asks && at == point && first {
				first = false
				if p.cmd.Process.Signal(syscall.SIGSTOP) == nil {
					close(stopped)
					<-woken // an answer could be read before the signal is
				}
			}
			if asks {
				if _, err := io.WriteString(p.stdin, "\n"); err != nil {
					return
				}
			}
		}
	})
	return stopped, wake
}

// The leader stands still between the promises and its commit. Nobody else leads: the others end the proposal by
// themselves and go on. The next leader deals anew, and the one before changes nothing when it wakes up.
func TestLeaderFrozenBetweenPromisesAndCommit(t *testing.T) {
	t.Parallel()
	a := &act{plot: &plot{carry: 3, script: &script{traits: Traits{Setup: true, Teardown: true}}, kind: KindStopped, more: vetoScenarios}, t: t}
	a.open()
	still, wake := a.frozen("ice", "before commit")
	a.begin(nil)
	gone := a.nodes[2]
	gone.stop(errCrash)
	a.nodes = a.nodes[:2]
	select {
	case <-still:
	case <-time.After(longWait):
		t.Fatal("the leader did not come to a commit")
	}
	p := a.state().Proposal
	if p == nil || p.From < 0 {
		t.Fatalf("the leader stands still, and %+v is proposed", p)
	}
	for _, r := range a.nodes {
		within(t, longWait, r.info.Name+" goes on without a leader", func() bool { return a.reached(r.info.Name) > p.From+time.Second })
	}
	if st := a.state(); st.Epoch != 1 || st.Proposal == nil || st.Proposal.Epoch != p.Epoch {
		t.Errorf("epoch %d, and %+v is proposed: want what the leader left behind", st.Epoch, st.Proposal)
	}
	t.Logf("what was due after the beginning began up to %s late; %s were to be waited", a.latest(p.From), p.Hold)

	a.lead("next")
	t.Cleanup(a.leaders.end)
	within(t, longWait, "the next leader deals anew", func() bool { st := a.state(); return st.Epoch > p.Epoch && st.Proposal == nil })
	st := a.state()
	wake()
	a.begun(40)
	if now := a.state(); now.Epoch != st.Epoch || now.From != st.From || now.Anchor.Gen != st.Anchor.Gen {
		t.Errorf("after the former leader woke up: epoch %d from %s, clock %d; before: epoch %d from %s, clock %d", now.Epoch, now.From, now.Anchor.Gen, st.Epoch, st.From, st.Anchor.Gen)
	}
	a.stop()
	res, _ := follow(t, a.c, a.run)
	a.check(res)
	a.lostOnly(gone.info.Name, res)
}

// reached is the latest moment on the run's clock at which an arrival that a node began was due.
func (a *act) reached(node string) (due time.Duration) {
	a.script.mu.Lock()
	defer a.script.mu.Unlock()
	for _, it := range a.script.begun[node] {
		if it.Scenario == 0 {
			due = max(due, it.Due)
		}
	}
	return due
}

// latest is how late the arrivals began that were due in the second after a moment on the run's clock, against the most
// punctual one of all.
func (a *act) latest(from time.Duration) (late time.Duration) {
	all := a.script.all()
	zero := all[0].At.Add(-all[0].Due)
	for _, it := range all {
		if z := it.At.Add(-it.Due); it.Scenario == 0 && z.Before(zero) {
			zero = z
		}
	}
	for _, it := range all {
		if it.Scenario == 0 && it.Due >= from && it.Due < from+time.Second {
			late = max(late, it.At.Sub(zero.Add(it.Due)))
		}
	}
	return late
}

// lostOnly sees that of the arrivals that were due before the end nothing is missing but what a node had that was lost.
func (a *act) lostOnly(node string, res *Result) {
	a.t.Helper()
	seen, last := map[int64]bool{}, int64(0)
	for _, it := range a.script.all() {
		if it.Scenario == 0 {
			seen[it.Index], last = true, max(last, it.Index)
		}
	}
	own := map[int64]bool{}
	a.script.mu.Lock()
	seq := a.script.shares[node].Iterations(0)
	a.script.mu.Unlock()
	for n := int64(0); seq.At(n) <= last; n++ {
		own[seq.At(n)] = true
	}
	for index := range last - mainRate {
		if !seen[index] && !own[index] {
			a.t.Errorf("arrival %d was not begun, and was not of the node that was lost", index)
		}
	}
	if res.Ledger[0].Dropped != nil {
		a.t.Errorf("arrivals were dropped: %v", res.Ledger[0].Dropped)
	}
}
