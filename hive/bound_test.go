package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/share"
	"hive/registry"
)

// historyScenarios are what a long run executes.
func historyScenarios() []executor.Scenario {
	return []executor.Scenario{
		{Name: "rate", Executor: executor.ConstantArrivalRate, Rate: 10, TimeUnit: time.Second, Duration: 1000 * time.Hour, VULimit: 10},
		{Name: "ext", Executor: executor.ExternallyControlled, VUs: 1, VULimit: 20, Duration: 1000 * time.Hour},
	}
}

// Days of joins, deaths, gaps and changes of scale leave the state as small as an hour does, and what is not listed any
// more still counts.
func TestStateStaysBounded(t *testing.T) {
	d := &driver{}
	d.opts.Scenarios = historyScenarios()
	rng := rand.New(rand.NewPCG(1, 2))
	var s State
	var gaps []Gap
	var scales []Scale
	largest, due := 0, int64(0)
	for i := range 5000 {
		now := time.Duration(i+1) * time.Minute
		m := Member{ID: fmt.Sprintf("node-%05d", i), Name: fmt.Sprintf("n%d", i), Boot: "b", Incarnation: int64(i + 1)}
		s.Members = []Member{m, {ID: "old", Incarnation: 1}}
		s.Gone = append(s.Gone, Gone{Member: m, Lost: true})
		s.Deaths = withDeath(s.Deaths, m.ID, Death{Count: 1, At: now, Banned: i%7 == 0})
		gap := Gap{From: now, Until: now + time.Duration(rng.Int64N(int64(time.Second)))}
		gaps, s.Gaps = append(gaps, gap), append(s.Gaps, gap)
		due += d.opts.Scenarios[0].DueBefore(gap.Until) - d.opts.Scenarios[0].DueBefore(gap.From)
		change := Scale{Scenario: "ext", VUs: rng.IntN(21), At: now}
		scales, s.Scaled = append(scales, change), append(s.Scaled, change)
		d.bound(&s)
		value, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if largest = max(largest, len(value)); len(s.Gone)+s.GoneBefore != i+1 {
			t.Fatalf("%d incarnations are listed and %d summed up, want %d", len(s.Gone), s.GoneBefore, i+1)
		}
	}
	if largest > 100_000 {
		t.Errorf("the state grew to %d bytes", largest)
	}
	if _, ok := s.Deaths["node-04999"]; !ok || len(s.Deaths) != keptDeaths {
		t.Errorf("%d deaths are kept, want the newest %d", len(s.Deaths), keptDeaths)
	}
	all := LedgerInput{Scenarios: d.opts.Scenarios, Gaps: gaps, Scales: scales, Over: true, Stopped: true, StoppedAt: 5001 * time.Minute}
	folded := all
	folded.Gaps, folded.Missed, folded.Scales, folded.ScaledBefore = s.Gaps, s.Missed, s.Scaled, s.ScaledBefore
	want, _ := NewLedger(all)
	got, _ := NewLedger(folded)
	if got[0].Lost != float64(due) || got[0].Lost != want[0].Lost {
		t.Errorf("%g iterations were lost in gaps by the state, want %g", got[0].Lost, want[0].Lost)
	}
	if diff := got[1].Lost - want[1].Lost; want[1].Lost == 0 || diff > 1 || diff < -1 {
		t.Errorf("%.3f VU-seconds were planned by the state, want %.3f", got[1].Lost, want[1].Lost)
	}
}

func TestLifeSet(t *testing.T) {
	var s lifeSet
	numbers := rand.New(rand.NewPCG(3, 4)).Perm(500)
	for i, n := range numbers {
		if s.has(int64(n)) {
			t.Fatalf("%v has %d, which was not added", s, n)
		}
		if s = s.with(int64(n)); !s.has(int64(n)) || s.with(int64(n)).len() != int64(i+1) {
			t.Fatalf("%v after %d was added as number %d", s, n, i+1)
		}
	}
	if len(s) != 1 || s[0] != [2]int64{0, 499} {
		t.Errorf("got %v, want one range from 0 to 499", s)
	}
}

// manyLives is a driver of a run in which a thousand nodes take part, a hundred of which were lost.
func manyLives(tb testing.TB) *driver {
	tb.Helper()
	const nodes, lost = 1000, 100
	scenarios := historyScenarios()[:1]
	scenarios[0].Rate, scenarios[0].VULimit = 10000, nodes
	plan := share.Plan{Slots: nodes, Scenarios: []share.Range{{Max: nodes}}}
	capacities := make([]int, nodes)
	for i := range capacities {
		capacities[i] = 1
	}
	shares, err := share.Split(plan, capacities)
	if err != nil {
		tb.Fatal(err)
	}
	n := &Node{}
	n.inbox = newInbox(n)
	n.inbox.begin("r")
	d := &driver{n: n, id: "r", layout: plan, lives: map[int64]*Life{}, stints: map[int64][]Stint{}, known: DueCounts{}, died: map[int64]*Failure{},
		watch: newWatchlist(time.Second)}
	d.opts.Scenarios = scenarios
	d.last = Tick{Run: time.Minute, Wall: time.Now()}
	d.st.Anchor.Gen = 1
	for i := range nodes {
		number := int64(i + 1)
		stints := []Stint{{Epoch: 1, Share: shares[i]}}
		n.inbox.take(Report{Incarnation: number, Seq: 1, Stage: StageRunning, Ledger: []executor.Ledger{{Started: 100, Completed: 100, Reached: 30 * time.Second}}}, metric.Merge())
		if i < lost {
			d.lives[number] = &Life{Stints: stints, Gone: true, Proven: 31 * time.Second, Replaced: true, Until: 32 * time.Second}
			continue
		}
		d.st.Members = append(d.st.Members, Member{ID: fmt.Sprint(i), Incarnation: number})
		d.stints[number] = stints
	}
	return d
}

func BenchmarkLedgerOfThousandLives(b *testing.B) {
	d := manyLives(b)
	for b.Loop() {
		d.ledger(false)
	}
}

// The records of many incarnations that are over are summed up in etcd, and the ledger stays what it was.
func TestAccountsAreClosed(t *testing.T) {
	t.Parallel()
	n := hiveOf(t, &script{}, 10)[0]
	eventually(t, "it leads", func() bool { return n.leading.Load() != nil })
	d := manyLives(t)
	inbox := d.n.inbox
	d.st.Halt = &Halt{At: time.Minute} // so that the plan does not go on meanwhile
	d.l, d.n, d.born = n.leading.Load(), n.Node, time.Now().Add(-time.Minute)
	d.n.inbox.mu.Lock()
	d.n.inbox.begin(d.id)
	for _, c := range inbox.all() {
		d.n.inbox.take(c.Report, c.snapshot)
	}
	d.n.inbox.mu.Unlock()
	for number, life := range d.lives {
		if err := putJSON(t.Context(), n.etcd, n.keys.Life(d.id, number), life); err != nil {
			t.Fatal(err)
		}
	}
	if err := putJSON(t.Context(), n.etcd, n.keys.Marks(d.id, "old"), NodeMarks{Incarnation: 1}); err != nil {
		t.Fatal(err)
	}
	want, _ := d.ledger(true)
	for len(d.overForGood()) > maxUnfolded {
		if err := d.closeAccounts(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := d.ledger(true)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the ledger is %+v, want %+v", got, want)
	}
	lives, err := n.etcd.Get(t.Context(), n.keys.Lives(d.id), clientv3.WithPrefix())
	if err != nil || lives.Count > maxUnfolded+1 || len(d.lives) > maxUnfolded {
		t.Errorf("%d lives are in etcd and %d in memory, want at most %d (%v)", lives.Count, len(d.lives), maxUnfolded, err)
	}
	marks, err := n.etcd.Get(t.Context(), n.keys.AllMarks(d.id), clientv3.WithPrefix())
	if err != nil || marks.Count != 0 {
		t.Errorf("%d marks of incarnations that are over are kept (%v)", marks.Count, err)
	}
	next := &driver{n: d.n, id: d.id, lives: map[int64]*Life{}, keys: registry.NewMirror(n.etcd, n.keys.Run(d.id))}
	next.opts, next.st, next.stints, next.layout, next.watch = d.opts, d.st, d.stints, d.layout, d.watch
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = next.keys.Run(ctx) }()
	defer func() { cancel(); <-done }()
	if err := next.keys.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if err := next.readLives(ctx); err != nil {
		t.Fatal(err)
	}
	next.last = d.last
	if got, _ := next.ledger(true); !reflect.DeepEqual(got, want) {
		t.Errorf("the next leader's ledger is %+v, want %+v", got, want)
	}
}
