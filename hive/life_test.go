package hive

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/hive/hivetest"
)

// arriving is a test of a constant arrival rate.
func arriving(t *testing.T, rate, vus int, d time.Duration) json.RawMessage {
	return consolidated(t, fmt.Sprintf(`{"scenarios":{"main":{"executor":"constant-arrival-rate","rate":%d,"duration":"%s","preAllocatedVUs":%d,"gracefulStop":"0s"}}}`, rate, d, vus))
}

// begunOnce checks that no iteration was begun twice, and returns how many of n never were.
func begunOnce(t *testing.T, s *script, n int64) (missing int) {
	t.Helper()
	seen := onceEach(t, s)
	for i := range n {
		if _, ok := seen[i]; !ok {
			missing++
		}
	}
	return missing
}

// onceEach checks that no iteration was begun twice, and returns them by their indices.
func onceEach(t *testing.T, s *script) map[int64]hivetest.Iteration {
	t.Helper()
	seen := map[int64]hivetest.Iteration{}
	for _, it := range s.all() {
		if other, twice := seen[it.Index]; twice {
			t.Errorf("iteration %d was begun in epoch %d and again in epoch %d", it.Index, other.Epoch, it.Epoch)
		}
		seen[it.Index] = it
	}
	return seen
}

// skipped checks that no iteration was begun twice, and returns those that were not, of all that are due before
// the first of the nodes named has begun its last one.
func skipped(t *testing.T, s *script, nodes ...string) (missing []int64) {
	t.Helper()
	seen := onceEach(t, s)
	s.mu.Lock()
	defer s.mu.Unlock()
	end := int64(math.MaxInt64)
	for _, node := range nodes {
		end = min(end, s.begun[node][len(s.begun[node])-1].Index)
	}
	for i := range end {
		if _, ok := seen[i]; !ok {
			missing = append(missing, i)
		}
	}
	return missing
}

// firstOf is the first index that was begun in an epoch.
func firstOf(s *script, epoch int) int64 {
	first := int64(math.MaxInt64)
	for _, it := range s.all() {
		if it.Epoch == epoch {
			first = min(first, it.Index)
		}
	}
	return first
}

// epochOf is the newest epoch that a node has begun iterations of. The first one that has load is not always the first:
// a node that is lost before is left out of the next.
func epochOf(s *script, node string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.begun[node]
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1].Epoch
}

// awaitEpoch waits until a node has begun iterations of an epoch.
func awaitEpoch(t *testing.T, s *script, node string, epoch int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s executes epoch %d", node, epoch), func() bool { return epochOf(s, node) >= epoch })
}

// end stops a run gracefully and returns its result.
func end(t *testing.T, c *Client, run string) *Result {
	t.Helper()
	if err := c.Stop(t.Context(), run, StopRequest{Mode: StopGraceful}); err != nil {
		t.Fatal(err)
	}
	res, _ := follow(t, c, run)
	if res.Failure == nil || res.Failure.Kind != KindStopped {
		t.Errorf("the run was stopped, and ended with %v", res.Failure)
	}
	return res
}

// awaitBegun waits until a node has begun some iterations.
func awaitBegun(t *testing.T, s *script, node string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has begun %d iterations", node, n), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.begun[node]) >= n
	})
}

// A lease that is lost and taken again before anybody dealt the node's slots anew leaves its engine as it is.
func TestLeaseRegained(t *testing.T) {
	t.Parallel()
	s := &script{}
	nodes := hiveOf(t, s, 10)
	c := client(t, nodes[0])
	run := submit(t, c, arriving(t, 100, 4, time.Minute))
	awaitBegun(t, s, "n1", 20)
	was := nodes[0].place.Load()
	if _, err := nodes[0].etcd.Revoke(t.Context(), was.session.Lease()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node has another lease", func() bool { p := nodes[0].place.Load(); return p != nil && p != was })
	s.mu.Lock()
	n := len(s.begun["n1"])
	s.mu.Unlock()
	awaitBegun(t, s, "n1", n+100)
	end(t, c, run)
	if n := len(s.lives("n1")); n != 1 {
		t.Errorf("%d engines were made, want the one to go on", n)
	}
	if missing := skipped(t, s, "n1"); len(missing) > 0 {
		t.Errorf("%d iterations were not begun", len(missing))
	}
}

// link is a way to an etcd that can be cut.
type link struct {
	to string
	l  net.Listener

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if u, err := url.Parse(to); err == nil && u.Host != "" {
		to = u.Host
	}
	k := &link{to: to, l: l, conns: map[net.Conn]bool{}}
	k.wg.Go(k.serve)
	t.Cleanup(func() { l.Close(); k.set(true); k.wg.Wait() })
	return k
}

func (k *link) serve() {
	for {
		a, err := k.l.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", k.to)
		if err != nil {
			a.Close()
			continue
		}
		k.mu.Lock()
		if k.cut {
			a.Close()
			b.Close()
		}
		k.conns[a], k.conns[b] = true, true
		k.mu.Unlock()
		for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
			k.wg.Go(func() {
				_, _ = io.Copy(way[0], way[1])
				way[0].Close()
				way[1].Close()
			})
		}
	}
}

// set cuts the link or mends it.
func (k *link) set(cut bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut = cut
	if cut {
		for c := range k.conns {
			c.Close()
		}
		clear(k.conns)
	}
}

// A node that is cut off from etcd stops its load, the others take it over, and when it is back it gets a new share.
func TestLeaseLostAndRedealt(t *testing.T) {
	t.Parallel()
	s := &script{}
	endpoints, _ := startStore(t)
	way := newLink(t, endpoints[0])
	var nodes []*running
	for i := range 2 {
		nodes = append(nodes, launch(t, Config{Name: fmt.Sprintf("n%d", i+1), Etcd: endpoints, Capacity: 10, LeaseTTL: endingTTL}, s))
	}
	nodes = append(nodes, launch(t, Config{Name: "n3", Etcd: []string{way.l.Addr().String()}, Capacity: 10, LeaseTTL: endingTTL}, s))
	awaitNodes(t, nodes[0], 3)
	c := client(t, nodes[0])
	run := submit(t, c, arriving(t, 100, 6, time.Minute))
	awaitBegun(t, s, "n3", 10)
	epoch := epochOf(s, "n3")
	way.set(true)
	eventually(t, "the node that is cut off is fenced", func() bool { return s.lives("n3")[0].Fenced() })
	awaitEpoch(t, s, "n1", epoch+1)
	way.set(false)
	awaitEpoch(t, s, "n3", epoch+2)
	if n := len(s.lives("n3")); n < 2 {
		t.Errorf("the node that was cut off had %d engines, want another one when it was back", n)
	}
	end(t, c, run)
	missing := skipped(t, s, "n1", "n2", "n3")
	if first := firstOf(s, epoch+1); len(missing) == 0 || missing[len(missing)-1] >= first {
		t.Errorf("the iterations %v were not begun, want those of one node, before the others had its share at %d", missing, first)
	}
}

// A test that is dealt anew while the engines are being made has one engine on each node, and they end with the run.
func TestDealtAnewWhileEnginesAreMade(t *testing.T) {
	t.Parallel()
	s := &script{making: make(chan struct{})}
	nodes := hiveOf(t, s, 0, 10, 10, 10)
	c := client(t, nodes[0])
	run := submit(t, c, arriving(t, 50, 9, time.Second))
	warming := func(r *running, epoch int) bool {
		a := r.agent.Load()
		if a == nil || a.task(run) == nil {
			return false
		}
		lives := a.task(run).all()
		if len(lives) == 0 {
			return false
		}
		lives[0].mu.Lock()
		defer lives[0].mu.Unlock()
		return lives[0].making == epoch
	}
	for _, r := range nodes[1:] {
		eventually(t, r.info.Name+" makes an engine", func() bool { return warming(r, 1) })
	}
	nodes[3].stop(errCrash)
	for _, r := range nodes[1:3] {
		eventually(t, r.info.Name+" is dealt in anew", func() bool { return warming(r, 2) })
	}
	close(s.making)
	if res, _ := follow(t, c, run); res.Failure != nil {
		t.Errorf("the run ended with %v", res.Failure)
	}
	for _, r := range nodes[1:3] {
		if n := len(s.lives(r.info.Name)); n != 1 {
			t.Errorf("%s made %d engines, want 1", r.info.Name, n)
		}
		eventually(t, r.info.Name+" is free", func() bool { return r.agent.Load().present() == nil })
	}
}

func TestKilledMemberIsReplaced(t *testing.T) {
	t.Parallel()
	s := &script{}
	nodes := hiveOf(t, s, 10, 10, 10)
	c := client(t, nodes[0])
	run := submit(t, c, arriving(t, 100, 9, time.Minute))
	awaitBegun(t, s, "n3", 10)
	epoch := epochOf(s, "n3")
	nodes[2].stop(errCrash)
	awaitEpoch(t, s, "n1", epoch+1)
	awaitEpoch(t, s, "n2", epoch+1)
	end(t, c, run)
	missing := skipped(t, s, "n1", "n2")
	if first := firstOf(s, epoch+1); len(missing) == 0 || missing[len(missing)-1] >= first {
		t.Errorf("the iterations %v were not begun, want those of one node, before the others had its share at %d", missing, first)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	s := &script{}
	nodes := hiveOf(t, s, 10, 10, 10)
	c := client(t, nodes[1])
	run := submit(t, c, arriving(t, 100, 9, time.Minute))
	awaitBegun(t, s, "n1", 10)
	awaitBegun(t, s, "n3", 10)
	epoch := epochOf(s, "n3")
	if err := nodes[0].Drain(t.Context()); err != nil { // it leads, too
		t.Fatal(err)
	}
	nodes[0].once.Do(func() {
		if err := <-nodes[0].done; err != nil {
			t.Errorf("a node that was drained ended with %v", err)
		}
	})
	awaitEpoch(t, s, "n2", epoch+1)
	awaitEpoch(t, s, "n3", epoch+1)
	res := end(t, c, run)
	if missing := skipped(t, s, "n2", "n3"); len(missing) > 0 {
		t.Errorf("the iterations %v were not begun", missing)
	}
	if got, want := iterations(res), int64(len(s.all())); got != want {
		t.Errorf("%d iterations are in the result, want %d", got, want)
	}
}

func TestJoinInMidRun(t *testing.T) {
	t.Parallel()
	s := &script{traits: Traits{Setup: true}}
	endpoints, _ := startStore(t)
	first := launch(t, Config{Name: "n1", Etcd: endpoints, Capacity: 10}, s)
	c := client(t, first)
	run := submit(t, c, arriving(t, 100, 8, time.Minute))
	awaitBegun(t, s, "n1", 50)
	launch(t, Config{Name: "n2", Etcd: endpoints, Capacity: 10}, s)
	awaitBegun(t, s, "n2", 20)
	end(t, c, run)
	if missing := skipped(t, s, "n1", "n2"); len(missing) > 0 {
		t.Errorf("the iterations %v were not begun", missing)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.data["n2"]; got != `{"from":"setup"}` {
		t.Errorf("it got the setup data %q", got)
	}
}

// A pause stops the clocks of all nodes at one moment of the run.
func TestPauseOnTwoNodes(t *testing.T) {
	t.Parallel()
	s := &script{}
	nodes := hiveOf(t, s, 10, 10)
	c := client(t, nodes[0])
	run := submit(t, c, arriving(t, 100, 4, 4*time.Second))
	awaitBegun(t, s, "n1", 10)
	awaitBegun(t, s, "n2", 10)
	if err := c.Pause(t.Context(), run, PauseRequest{By: "me"}); err != nil {
		t.Fatal(err)
	}
	at := func(r *running) time.Duration {
		if clock := r.runClock(run); clock != nil {
			return clock.Now()
		}
		return -1
	}
	eventually(t, "both clocks stand", func() bool {
		a, b := at(nodes[0]), at(nodes[1])
		time.Sleep(20 * time.Millisecond)
		return at(nodes[0]) == a && at(nodes[1]) == b
	})
	info, err := c.Show(t.Context(), run)
	if err != nil || info.Paused == nil {
		t.Fatalf("the run is not paused: %+v, %v", info, err)
	}
	// A machine that is so busy that it hears of the pause too late stands where it is.
	for i, node := range []string{"n1", "n2"} {
		if got, engine := at(nodes[i]), s.lives(node)[0].Now(); got < info.Paused.At || got > info.Paused.At+time.Second || (engine-got).Abs() > 100*time.Millisecond {
			t.Errorf("the clock of %s stands at %s and that of its engine at %s, want %s", node, got, engine, info.Paused.At)
		}
	}
	before := len(s.all())
	time.Sleep(300 * time.Millisecond)
	if after := len(s.all()); after != before {
		t.Errorf("%d iterations were begun in the pause", after-before)
	}
	if err := c.Resume(t.Context(), run, PauseRequest{By: "me"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the requests that were served are gone", func() bool {
		left, err := nodes[0].etcd.Get(t.Context(), nodes[0].keys.Controls(run), clientv3.WithPrefix(), clientv3.WithCountOnly())
		return err == nil && left.Count == 0
	})
	res, _ := follow(t, c, run)
	if res.Verdict != Passed {
		t.Errorf("verdict %s: %v", res.Verdict, res.Failure)
	}
	if missing := skipped(t, s, "n1", "n2"); len(missing) > 0 || iterations(res) != 400 {
		t.Errorf("%d iterations, without %v; want 400", iterations(res), missing)
	}
}

// A node that is killed in a pause costs nothing of what comes after it.
func TestKilledInAPause(t *testing.T) {
	t.Parallel()
	s := &script{}
	nodes := hiveOf(t, s, 10, 10, 10)
	c := client(t, nodes[0])
	run := submit(t, c, arriving(t, 100, 9, time.Minute))
	awaitBegun(t, s, "n3", 10)
	if err := c.Pause(t.Context(), run, PauseRequest{By: "me"}); err != nil {
		t.Fatal(err)
	}
	var epoch int
	eventually(t, "all that was due before the pause has begun", func() bool {
		info, err := c.Show(t.Context(), run)
		if err != nil || info.Paused == nil {
			return false
		}
		epoch = info.Epoch
		return len(s.all()) >= int(math.Ceil(info.Paused.At.Seconds()*100))
	})
	nodes[2].stop(errCrash)
	eventually(t, "its share is dealt anew", func() bool {
		info, err := c.Show(t.Context(), run)
		return err == nil && info.Epoch > epoch
	})
	if err := c.Resume(t.Context(), run, PauseRequest{By: "me"}); err != nil {
		t.Fatal(err)
	}
	awaitEpoch(t, s, "n1", epoch+1)
	awaitEpoch(t, s, "n2", epoch+1)
	end(t, c, run)
	if missing := skipped(t, s, "n1", "n2"); len(missing) > 0 {
		t.Errorf("the iterations %v were not begun", missing)
	}
}

// A run that is stopped in a pause ends, and is not paused any more.
func TestStoppedInAPause(t *testing.T) {
	t.Parallel()
	s := &script{traits: Traits{Teardown: true}}
	nodes := hiveOf(t, s, 10, 10)
	c := client(t, nodes[0])
	run := submit(t, c, arriving(t, 100, 4, time.Minute))
	awaitBegun(t, s, "n1", 10)
	if err := c.Pause(t.Context(), run, PauseRequest{By: "me"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the run is paused", func() bool {
		info, err := c.Show(t.Context(), run)
		return err == nil && info.Paused != nil
	})
	if err := c.Stop(t.Context(), run, StopRequest{Mode: StopGraceful, Kind: KindStopped}); err != nil {
		t.Fatal(err)
	}
	follow(t, c, run)
	if n, _ := s.count("teardown"); n != 1 {
		t.Errorf("teardown ran %d times, want once", n)
	}
	if info, err := c.Show(t.Context(), run); err != nil || info.Paused != nil {
		t.Errorf("of the run that is over it is said that it is paused: %+v, %v", info.Paused, err)
	}
}
