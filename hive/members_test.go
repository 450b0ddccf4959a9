package hive

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hive/registry"
)

// helperEnv holds the configuration of a node that a test runs as a process of
// its own: the test binary, started again.
const helperEnv = "HIVE_TEST_NODE"

// helper is such a node's configuration.
type helper struct {
	Name    string
	DataDir string
	Address string
	Peer    string
	Etcd    []string
	TTL     time.Duration
	Timing  Timing
	Quota   int64
	Small   bool // transactions of two operations, and one life kept of those that are over
	Leads   bool // it carries no load
	Asks    bool // at each fault point, whether it may go on
}

// TestHelperNode is no test: it is the node that [spawn] starts.
func TestHelperNode(t *testing.T) {
	text := os.Getenv(helperEnv)
	if text == "" {
		t.Skip("for other tests")
	}
	var h helper
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Name: h.Name, DataDir: h.DataDir, Address: h.Address, Peer: h.Peer, Etcd: h.Etcd, Capacity: 1, LeaseTTL: h.TTL,
		Timing: h.Timing, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Factory: func(context.Context, Job) (Engine, error) { return nil, errors.New("there is no engine here") },
		Ready:   func(i Info) { fmt.Println("ready", i.ID) }, quota: h.Quota}
	if h.Leads {
		cfg.Capacity = 0
	}
	if h.Small {
		cfg.ops, cfg.unfolded = 2, 1
	}
	answers := make(chan struct{})
	if h.Asks {
		var asking sync.Mutex
		cfg.Fault = func(point string) {
			asking.Lock()
			defer asking.Unlock()
			fmt.Println("at", point)
			<-answers
		}
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	leave := make(chan os.Signal, 1)
	signal.Notify(leave, syscall.SIGTERM)
	go func() {
		<-leave
		if err := n.amend(ctx, func(r *registry.Node) { r.Draining = true }); err != nil {
			t.Error(err)
		}
		n.giveUpMember(ctx)
		cancel()
	}()
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			answers <- struct{}{}
		}
		close(answers)
		cancel() // the test that started this has ended, however it did
	}()
	if err := n.Run(ctx); err != nil && ctx.Err() == nil {
		fmt.Println("ended", err)
	}
	os.Exit(0) // what etcd's connections leave behind for some seconds is no concern of the other tests
}

// process is a node in a process of its own.
type process struct {
	helper
	t     *testing.T
	id    string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Scanner
	log   *logTail
}

// logTail keeps what a process says on its standard error.
type logTail struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logTail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// freeAddress is a loopback address that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// spawn starts a node as a process, without waiting for it to be in the hive.
func spawn(t *testing.T, h helper) *process {
	t.Helper()
	if h.DataDir == "" {
		h.DataDir = t.TempDir()
	}
	if h.Address == "" {
		h.Address = freeAddress(t)
	}
	p, err := start(t, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", h.Name, p.log)
		}
	})
	return p
}

// start starts a node as a process that the caller ends.
func start(t *testing.T, h helper) (*process, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	p := &process{helper: h, t: t, cmd: exec.Command(os.Args[0], "-test.run=^TestHelperNode$"), log: &logTail{}}
	p.cmd.Env = append(os.Environ(), helperEnv+"="+string(text))
	p.cmd.Stderr = p.log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(out)
	return p, p.cmd.Start()
}

// joined waits until the process is in the hive.
func (p *process) joined() *process {
	p.t.Helper()
	var said []string
	for p.out.Scan() {
		said = append(said, p.out.Text())
		if id, ok := strings.CutPrefix(p.out.Text(), "ready "); ok {
			p.id = id
			return p
		}
	}
	p.t.Fatalf("%s ended before it was in the hive: %q, %s", p.Name, said, p.log)
	return nil
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill() // it may have ended by itself
		_ = p.cmd.Wait()         // killed, as it says
		p.stdin.Close()
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// again starts the process anew in the same directory and at the same address.
func (p *process) again(peer string) *process {
	p.t.Helper()
	h := p.helper
	h.Peer = peer
	return spawn(p.t, h)
}

// nodes is the hive as one process sees it, by name; nil when it does not say.
func (p *process) nodes() map[string]NodeInfo {
	calls := newCaller("")
	defer calls.close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var list []NodeInfo
	if calls.call(ctx, "GET", "http://"+p.Address+"/api/v1/nodes", nil, &list) != nil {
		return nil
	}
	byName := map[string]NodeInfo{}
	for _, r := range list {
		byName[r.Name] = r
	}
	return byName
}

// voters are the names of the nodes that hold a voter, sorted.
func voters(nodes map[string]NodeInfo) (names []string) {
	for name, r := range nodes {
		if r.Member == voterPart {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// within waits longer than eventually does: for elections and processes.
func within(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for time.Since(began) < limit {
		if ok() {
			return time.Since(began)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within %s: %s", limit, what)
	return 0
}

// awaitVoters waits until p sees exactly these nodes hold voters.
func awaitVoters(t *testing.T, p *process, names ...string) time.Duration {
	t.Helper()
	var last map[string]NodeInfo
	defer func() {
		if t.Failed() {
			t.Logf("last seen: %+v", last)
		}
	}()
	return within(t, longWait, fmt.Sprintf("%v are the voters", names), func() bool {
		last = p.nodes()
		return slices.Equal(voters(last), names)
	})
}

// three starts a hive of three processes that all hold a voter.
func three(t *testing.T, ttl, replace time.Duration) []*process {
	t.Helper()
	all := []*process{spawn(t, helper{Name: "n1", TTL: ttl, Timing: Timing{Replace: replace}}).joined()}
	for _, name := range []string{"n2", "n3"} {
		all = append(all, spawn(t, helper{Name: name, Peer: all[0].Address, TTL: ttl, Timing: Timing{Replace: replace}}))
	}
	all[1].joined()
	all[2].joined()
	t.Logf("from two nodes that joined to three voters: %s", awaitVoters(t, all[0], "n1", "n2", "n3"))
	return all
}

// Nodes that come one after the other, and at the same moment, end with three
// voters; the fourth is a client. A fourth takes the place of one that dies for
// good, and the dead one comes back without a member.
func TestMembersGrowAndAreReplaced(t *testing.T) {
	t.Parallel()
	one := spawn(t, helper{Name: "n1", TTL: 2 * time.Second, Timing: Timing{Replace: 2 * time.Second}}).joined()
	two := spawn(t, helper{Name: "n2", Peer: one.Address, TTL: 2 * time.Second, Timing: Timing{Replace: 2 * time.Second}}).joined()
	time.Sleep(time.Second) // two nodes stay at one member
	awaitVoters(t, one, "n1")
	spawn(t, helper{Name: "n3", Peer: two.Address, TTL: 2 * time.Second, Timing: Timing{Replace: 2 * time.Second}}).joined()
	t.Logf("from the third node to three voters: %s", awaitVoters(t, two, "n1", "n2", "n3"))
	four := spawn(t, helper{Name: "n4", Peer: two.Address, TTL: 2 * time.Second, Timing: Timing{Replace: 2 * time.Second}}).joined()
	if got := four.nodes(); len(got) != 4 || got["n4"].Member != "" {
		t.Errorf("the fourth node sees %+v, want four nodes and no part of its own", got)
	}
	one.kill()
	t.Logf("from the death of n1 to its replacement: %s", awaitVoters(t, four, "n2", "n3", "n4"))
	within(t, longWait, "the member of n1 is removed", func() bool { // a voter that is back before that keeps its place
		c, err := newEtcdClient(clusterOf(t, four).Etcd)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		list, err := c.MemberList(t.Context())
		return err == nil && len(list.Members) == 3
	})
	one = one.again("").joined()
	within(t, longWait, "n1 is back without a member", func() bool {
		r, ok := one.nodes()["n1"]
		return ok && r.Member == ""
	})
	awaitVoters(t, one, "n2", "n3", "n4")
}

// A member that is killed comes back as itself, on the ports that it had; so do
// all three, in any order, after all were killed.
func TestMembersComeBackAsThemselves(t *testing.T) {
	t.Parallel()
	all := three(t, 2*time.Second, time.Minute)
	identities := func() (ids []identity) {
		for _, p := range all {
			data, err := os.ReadFile(p.DataDir + "/identity.json")
			var id identity
			if err != nil || json.Unmarshal(data, &id) != nil {
				t.Fatalf("identity of %s: %v", p.Name, err)
			}
			id.Etcd, id.Peers = nil, nil
			ids = append(ids, id)
		}
		return ids
	}
	was := identities()
	all[1].kill()
	all[1] = all[1].again("").joined()
	awaitVoters(t, all[1], "n1", "n2", "n3")
	for _, p := range all {
		p.kill()
	}
	for _, i := range []int{2, 0, 1} {
		all[i] = all[i].again("")
		time.Sleep(200 * time.Millisecond)
	}
	began := time.Now()
	for _, p := range all {
		p.joined()
	}
	awaitVoters(t, all[0], "n1", "n2", "n3")
	t.Logf("from the start of the last of three to a whole hive: %s", time.Since(began))
	for i, got := range identities() {
		if fmt.Sprint(got) != fmt.Sprint(was[i]) {
			t.Errorf("%s came back as %+v, want %+v", all[i].Name, got, was[i])
		}
	}
}

// Every node of three may be killed, and the others have a leader soon.
func TestFailover(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Minute // so that nothing here can be due to a lease that ran out
	all := three(t, ttl, time.Minute)
	for round := range 3 {
		time.Sleep(1500 * time.Millisecond) // the lead of etcd moves away from the leader
		nodes := all[0].nodes()
		i := slices.IndexFunc(all, func(p *process) bool { return nodes[p.Name].Leader })
		if i < 0 {
			t.Fatalf("nobody leads: %+v", nodes)
		}
		if round == 2 {
			i = (i + 1) % 3
		}
		victim, other := all[i], all[(i+1)%3]
		was := nodes[victim.Name].Boot
		victim.kill()
		took := within(t, ttl/2, victim.Name+" is out and another leads", func() bool {
			nodes := other.nodes()
			_, still := nodes[victim.Name]
			for name, r := range nodes {
				if r.Leader && name != victim.Name {
					return !still
				}
			}
			return false
		})
		t.Logf("kill -9 of %s (leader: %v) to its lease gone and a leader: %s", victim.Name, round < 2, took)
		all[i] = victim.again("").joined()
		within(t, longWait, victim.Name+" is back", func() bool {
			r, ok := other.nodes()[victim.Name]
			return ok && r.Boot != was
		})
	}
}

// A process that only stands still is not taken for dead; one that is killed is.
func TestStoppedProcessProvesNothing(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Minute // so that nothing here can be due to a lease that ran out
	first := launch(t, Config{Name: "n1", DataDir: t.TempDir(), Capacity: 1, LeaseTTL: ttl}, &script{})
	p := spawn(t, helper{Name: "n2", Peer: first.info.URL, TTL: ttl}).joined()
	r, ok := first.find(p.id)
	for ; !ok; r, ok = first.find(p.id) {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond) // the watch begins
	p.signal(syscall.SIGSTOP)
	time.Sleep(time.Second)
	if _, ok := first.find(p.id); !ok {
		t.Error("a stopped process was taken out of the hive")
	}
	if at, ok := first.proof(p.id, r.Boot); ok {
		t.Errorf("a stopped process counts as gone since %d", at)
	}
	began := time.Now()
	p.kill()
	within(t, ttl/2, "the killed process is out", func() bool { _, ok := first.find(p.id); return !ok })
	t.Logf("kill -9 of a stopped process to its lease gone: %s", time.Since(began))
	if _, ok := first.proof(p.id, r.Boot); !ok {
		t.Error("there is no proof that the process is gone")
	}
	if _, ok := first.proof(p.id, "another boot"); ok {
		t.Error("there is a proof for another process")
	}
}

// A node that leads etcd stands still for longer than all leases, and goes on:
// the others are not taken for lost because it believes that nobody has renewed,
// and it is back soon.
func TestStoppedEtcdLeaderTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	all := three(t, 2*time.Second, time.Minute)
	time.Sleep(1500 * time.Millisecond) // the lead of etcd moves away from the leader
	led := func() *process {
		for _, p := range all {
			c, err := newEtcdClient(clusterOf(t, p).Etcd)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, endpoint := range c.Endpoints() {
				st, err := c.Status(t.Context(), endpoint)
				if err == nil && st.Leader == st.Header.MemberId {
					return memberAt(t, all, st.Header.MemberId)
				}
			}
		}
		t.Fatal("nobody leads the etcd")
		return nil
	}()
	other := all[0]
	if other == led {
		other = all[1]
	}
	was := other.nodes()
	led.signal(syscall.SIGSTOP)
	within(t, longWait, led.Name+" is out", func() bool {
		nodes := other.nodes()
		_, still := nodes[led.Name]
		return nodes != nil && !still
	})
	time.Sleep(2 * time.Second)
	led.signal(syscall.SIGCONT)
	took := within(t, longWait, led.Name+" is back", func() bool { _, ok := other.nodes()[led.Name]; return ok })
	t.Logf("from going on to being back: %s", took)
	time.Sleep(time.Second) // what it would have proposed has come
	for name, r := range other.nodes() {
		if name != led.Name && r.Incarnation != was[name].Incarnation {
			t.Errorf("%s lost its place in the hive: incarnation %d, then %d", name, was[name].Incarnation, r.Incarnation)
		}
	}
}

// memberAt is the process whose node holds a member of the etcd.
func memberAt(t *testing.T, all []*process, id uint64) *process {
	t.Helper()
	for _, p := range all {
		var kept identity
		data, err := os.ReadFile(p.DataDir + "/identity.json")
		if err == nil && json.Unmarshal(data, &kept) == nil && kept.MemberID == fmt.Sprintf("%x", id) {
			return p
		}
	}
	t.Fatalf("nobody holds member %x", id)
	return nil
}

// A node that never answered at its address is not taken for dead because the
// address refuses.
func TestRefusalOfAStrangerProvesNothing(t *testing.T) {
	t.Parallel()
	first := launch(t, Config{Name: "n1", Capacity: 1}, &script{})
	s, err := registry.NewSession(t.Context(), first.etcd, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Orphan()
	rec, err := first.reg.Register(t.Context(), s, registry.Node{ID: "x", Name: "x", Address: "http://" + freeAddress(t), Boot: "b"})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if _, ok := first.find(rec.ID); !ok {
		t.Error("the record is gone")
	}
	if _, ok := first.proof("x", "b"); ok {
		t.Error("a refused connection at an address that never answered counts as a proof")
	}
}

// Members that leave on request are replaced where there is a spare node, and
// else the hive goes back to one.
func TestMembersLeave(t *testing.T) {
	t.Parallel()
	all := three(t, 2*time.Second, time.Minute)
	all = append(all, spawn(t, helper{Name: "n4", Peer: all[0].Address, TTL: 2 * time.Second}).joined())
	leave := func() {
		t.Helper()
		began := time.Now()
		all[0].signal(syscall.SIGTERM)
		if err := all[0].cmd.Wait(); err != nil {
			t.Fatalf("%s ended with %v", all[0].Name, err)
		}
		t.Logf("%s has handed its member over and left: %s", all[0].Name, time.Since(began))
		all[0].stdin.Close()
		all = all[1:]
	}
	leave()
	awaitVoters(t, all[0], "n2", "n3", "n4")
	leave()
	within(t, longWait, "two nodes go back to one voter", func() bool { return len(voters(all[0].nodes())) == 1 })
	if voters(all[0].nodes())[0] != all[0].Name {
		all[0], all[1] = all[1], all[0]
	}
	leave()
	awaitVoters(t, all[0], all[0].Name)
	c, err := newEtcdClient(clusterOf(t, all[0]).Etcd)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	within(t, longWait, "the etcd of the last one takes writes", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := c.Put(ctx, "/test", "x")
		return err == nil
	})
}

func clusterOf(t *testing.T, p *process) (c ClusterInfo) {
	t.Helper()
	calls := newCaller("")
	defer calls.close()
	if err := calls.call(t.Context(), "GET", "http://"+p.Address+"/api/v1/cluster", nil, &c); err != nil {
		t.Fatal(err)
	}
	return c
}
