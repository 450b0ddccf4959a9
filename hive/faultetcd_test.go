package hive

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// The fault points of what nodes do to the embedded etcd itself.
var (
	growthPoints  = around("call", "add learner", "promote", "move lead", "call off")
	removalPoints = around("remove member")
	roomPoints    = around("compact", "shrink", "lift alarm")
)

// members are nodes of a hive that hold its etcd, and come back as themselves when they die at a fault point.
func members(t *testing.T, replace time.Duration, points []string, names ...string) *cast {
	t.Helper()
	c := newCast(t, nil, points...)
	var first string
	for _, name := range names {
		h := helper{Name: name, DataDir: t.TempDir(), Address: freeAddress(t), Peer: first, TTL: 2 * time.Second, Timing: Timing{Replace: replace}}
		c.enter(h)
		if first == "" {
			first = h.Address
			within(t, longWait, "the first node is there", func() bool { return len(c.find(name).nodes()) == 1 })
		}
	}
	return c
}

// find is the process of a node that was started last.
func (c *cast) find(name string) (p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.procs {
		if o.Name == name {
			p = o
		}
	}
	return p
}

// settles waits until the etcd has these voters and nobody else, as any node sees it, and nobody is called.
func (c *cast) settles(names ...string) {
	c.t.Helper()
	within(c.t, longWait, strings.Join(names, ", ")+" are the members", func() bool {
		p := c.find(names[0])
		if got := voters(p.nodes()); strings.Join(got, " ") != strings.Join(names, " ") {
			return false
		}
		ctx, cancel := context.WithTimeout(c.t.Context(), etcdTry)
		defer cancel()
		etcd, err := p.etcd(ctx)
		if err != nil {
			return false
		}
		defer etcd.Close()
		list, err := etcd.MemberList(ctx)
		if err != nil || len(list.Members) != len(names) {
			return false
		}
		calls, err := etcd.Get(ctx, NewKeys("hive").Calls(), clientv3.WithPrefix(), clientv3.WithCountOnly())
		return err == nil && calls.Count == 0
	})
}

// etcd is a client of the etcd that a node knows.
func (p *process) etcd(ctx context.Context) (*clientv3.Client, error) {
	calls := newCaller("")
	defer calls.close()
	var info ClusterInfo
	if err := calls.call(ctx, "GET", "http://"+p.Address+"/api/v1/cluster", nil, &info); err != nil {
		return nil, err
	}
	return newEtcdClient(info.Etcd)
}

// memberID is the member of the etcd that a node holds, 0 for none.
func (p *process) memberID() uint64 {
	var kept identity
	data, err := os.ReadFile(p.DataDir + "/identity.json")
	if err != nil || json.Unmarshal(data, &kept) != nil {
		return 0
	}
	id, _ := strconv.ParseUint(kept.MemberID, 16, 64) // 0 when there is none
	return id
}

// tie gives the lead of the etcd to the node that leads the hive, if another has it: one that does not stay there.
func (c *cast) tie(name string) {
	ctx, cancel := context.WithTimeout(c.t.Context(), etcdTry)
	defer cancel()
	p := c.find(name)
	var leader *process
	for other, r := range p.nodes() {
		if r.Leader && r.Member == voterPart {
			leader = c.find(other)
		}
	}
	etcd, err := p.etcd(ctx)
	if err != nil {
		return
	}
	defer etcd.Close()
	for _, endpoint := range etcd.Endpoints() {
		st, err := etcd.Status(ctx, endpoint)
		if err != nil || leader == nil || st.Leader != st.Header.MemberId || st.Leader == leader.memberID() {
			continue
		}
		if mover, err := newEtcdClient([]string{endpoint}); err == nil {
			_, _ = mover.MoveLeader(ctx, leader.memberID()) // it is asked again
			mover.Close()
		}
	}
}

// Nodes are killed while the etcd grows from one member to three, each before or after a step of that, and come back.
func TestNodeKilledWhileMembersGrow(t *testing.T) {
	t.Parallel()
	c := members(t, time.Minute, growthPoints, "n1", "n2", "n3")
	within(t, longWait, "a node dies at each point", func() bool {
		if c.done(around("call", "add learner", "promote", "call off")...) {
			c.tie("n2")
		}
		time.Sleep(100 * time.Millisecond)
		return c.done()
	})
	c.settles("n1", "n2", "n3")
}

// Nodes are killed before and after the member of one that is gone for good is removed.
func TestNodeKilledWhileAMemberIsRemoved(t *testing.T) {
	t.Parallel()
	c := members(t, time.Second, removalPoints, "n1", "n2", "n3")
	c.settles("n1", "n2", "n3")
	c.enter(helper{Name: "n4", DataDir: t.TempDir(), Address: freeAddress(t), Peer: c.find("n2").Address, TTL: 2 * time.Second, Timing: Timing{Replace: time.Second}})
	within(t, longWait, "the fourth node is there", func() bool { return len(c.find("n2").nodes()) == 4 })
	if err := c.find("n3").cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.await()
	c.settles("n1", "n2", "n4")
}

// A hive of one node whose database is full has its node killed before and after each step of making room. Nobody gets a
// lease meanwhile, so that nobody leads; it has room again in the end.
func TestNodeKilledWhileItMakesRoom(t *testing.T) {
	t.Parallel()
	c := newCast(t, nil, roomPoints...)
	c.enter(helper{Name: "n1", DataDir: t.TempDir(), Address: freeAddress(t), TTL: 2 * time.Second, Quota: 16 << 20})
	within(t, longWait, "the node is there", func() bool { return len(c.find("n1").nodes()) == 1 })
	value := strings.Repeat("x", 1<<20)
	put := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), etcdTry)
		defer cancel()
		etcd, err := c.find("n1").etcd(ctx)
		if err != nil {
			return err
		}
		defer etcd.Close()
		_, err = etcd.Put(ctx, "/test/key", value)
		return err
	}
	within(t, longWait, "the database is full", func() bool { return errors.Is(put(), rpctypes.ErrNoSpace) || c.done("before compact") })
	c.await()
	within(t, longWait, "the database takes writes, and the node is back", func() bool { return put() == nil && len(c.find("n1").nodes()) == 1 })
}
