package simulation_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"hive/hive"
	"hive/hive/simulation"
)

func TestMain(m *testing.M) {
	// etcd's own server leaves a few goroutines of its libraries behind.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("go.etcd.io/etcd/server/v3/etcdserver.(*EtcdServer).purgeFile"),
		goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreAnyFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// scene is a hive on an etcd of its own with a run under way.
type scene struct {
	*testing.T
	ctx   context.Context
	swarm *simulation.Swarm
	see   *simulation.Observer
	calls *hive.Client
	run   string
	fault atomic.Pointer[func(point string)] // called at the nodes' fault points, when set
}

var load = simulation.Load{Slots: 30, Rate: 100, Loops: 10, For: 10 * time.Minute}

func begin(t *testing.T, nodes int) *scene {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Second, errors.New("the simulation took too long"))
	t.Cleanup(cancel)
	store, err := simulation.StartStore(t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	cfg := simulation.Config{Endpoints: store.Endpoints(), Dir: t.TempDir(), Capacity: 8, TTL: 2 * time.Second,
		Timing: hive.Timing{Checkpoint: 200 * time.Millisecond, StartDelay: 300 * time.Millisecond}}
	if testing.Verbose() {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s := &scene{T: t, ctx: ctx}
	cfg.Fault = func(point string) {
		if f := s.fault.Load(); f != nil {
			(*f)(point)
		}
	}
	s.swarm = simulation.NewSwarm(cfg)
	t.Cleanup(func() {
		if err := s.swarm.Close(); err != nil {
			t.Errorf("the nodes did not end cleanly: %v", err)
		}
	})
	if err := s.swarm.Start(ctx, nodes, true); err != nil {
		t.Fatal(err)
	}
	if s.see, err = simulation.NewObserver(store.Endpoints()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.see.Close() })
	if err := s.see.AwaitNodes(ctx, nodes); err != nil {
		t.Fatal(err)
	}
	if s.calls, err = hive.NewClient(s.swarm.Nodes()[0].URL(), ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.calls.Close)
	if _, err := s.calls.Nodes(ctx); err != nil { // the first node may be the one that goes
		t.Fatal(err)
	}
	s.submit()
	return s
}

func (s *scene) submit() {
	s.Helper()
	opts, _, err := load.Options()
	if err != nil {
		s.Fatal(err)
	}
	info, err := s.calls.Submit(s.ctx, []byte("an archive, as far as counters care"), hive.Submission{Name: "script.js", Options: opts})
	if err != nil {
		s.Fatal(err)
	}
	s.run = info.ID
	s.await("the run is running", func(st hive.State) bool { return st.Phase == hive.Running })
}

func (s *scene) await(what string, is func(hive.State) bool) hive.State {
	s.Helper()
	st, err := s.see.AwaitState(s.ctx, s.run, is)
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
	return st
}

// members waits for an epoch with so many members, in which these are or are
// not.
func (s *scene) members(count int, in bool, nodes ...*simulation.Node) {
	s.Helper()
	s.await("epoch with the right members", func(st hive.State) bool {
		if st.Phase != hive.Running || st.Proposal != nil || len(st.Members) != count {
			return false
		}
		for _, n := range nodes {
			if in != slices.ContainsFunc(st.Members, func(m hive.Member) bool { return m.ID == n.ID() }) {
				return false
			}
		}
		return true
	})
}

// end stops the run and holds it against what its engines wrote down.
func (s *scene) end() simulation.Report {
	s.Helper()
	if err := s.calls.Stop(s.ctx, s.run, hive.StopRequest{Mode: hive.StopGraceful}); err != nil {
		s.Fatal(err)
	}
	st := s.await("the run has finished", func(st hive.State) bool { return st.Phase == hive.Finished })
	_, scenarios, err := load.Options()
	if err != nil {
		s.Fatal(err)
	}
	rep := s.swarm.Record().Check(scenarios, st.StoppedAt)
	s.Logf("%+v", rep)
	for _, p := range rep.Problems {
		s.Error(p)
	}
	if rep.Begun == 0 || rep.Begun+rep.Gone+rep.Fenced != rep.Planned {
		s.Errorf("%d arrivals begun, %d gone, %d fenced: want %d in all", rep.Begun, rep.Gone, rep.Fenced, rep.Planned)
	}
	return rep
}

// leader is the node of the swarm that leads.
func (s *scene) leader(not string) *simulation.Node {
	s.Helper()
	id, err := s.see.AwaitLeader(s.ctx, not)
	if err != nil {
		s.Fatal(err)
	}
	nodes := s.swarm.Nodes()
	i := slices.IndexFunc(nodes, func(n *simulation.Node) bool { return n.ID() == id })
	if i < 0 {
		s.Fatalf("node %s leads, which is not of the swarm", id)
	}
	return nodes[i]
}

// others are some nodes that run and do not lead.
func (s *scene) others(count int) []*simulation.Node {
	s.Helper()
	leader := s.leader("")
	nodes := slices.DeleteFunc(s.swarm.Nodes(), func(n *simulation.Node) bool { return n == leader || !n.Running() })
	return nodes[len(nodes)-count:]
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// Nodes join, crash, lose etcd and return, and the leader goes: whatever
// happens, the engines' own record shows every iteration once and every slot
// with one owner.
func TestNodesComeAndGo(t *testing.T) {
	s := begin(t, 8)
	s.must(s.swarm.Start(s.ctx, 2, true))
	s.members(10, true, s.swarm.Nodes()...)

	some := s.others(2)
	s.must(s.swarm.Crash(some...))
	s.members(8, false, some...)
	s.must(s.swarm.Launch(s.ctx, some...))
	s.members(10, true, some...)

	leader := s.leader("")
	s.must(s.swarm.Crash(leader))
	s.leader(leader.ID())
	s.members(9, false, leader)

	one := s.others(3)[:1]
	s.swarm.Cut(one...)
	s.members(8, false, one...)
	s.swarm.Mend(one...)
	s.members(9, true, one...)
	s.end()
}

// Every other commit of the leader comes too late: the members have ended the
// proposal and gone on by themselves. The next one is agreed upon, and no
// promise is broken.
func TestCommitsComeTooLate(t *testing.T) {
	s := begin(t, 6)
	var commits atomic.Int64
	late := func(point string) {
		if point != "before commit" || commits.Add(1)%2 == 0 {
			return
		}
		for vetoed := false; !vetoed && s.ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			resp, err := s.see.Client().Get(s.ctx, s.see.Keys().Veto(s.run), clientv3.WithCountOnly())
			vetoed = err == nil && resp.Count > 0
		}
	}
	s.fault.Store(&late)
	some := s.others(2)
	s.must(s.swarm.Crash(some[0]))
	s.members(5, false, some[0])
	s.must(s.swarm.Launch(s.ctx, some[0]))
	s.members(6, true, some[0])
	s.must(s.swarm.Crash(some[1]))
	s.members(5, false, some[1])
	if rep := s.end(); rep.Back == 0 {
		t.Errorf("no promise was taken back in %d commits", commits.Load())
	}
}
