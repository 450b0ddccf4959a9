package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/hive"
	"hive/hive/simulation"
)

// scene is one simulation.
type scene struct {
	config
	ctx    context.Context
	n      int
	dir    string
	store  *child
	chiefs []*child // the first one leads
	swarm  *simulation.Swarm
	see    *simulation.Observer
	calls  *hive.Client
	run    string
	load   simulation.Load
	state  hive.State
}

// one simulates a hive of n nodes.
func one(ctx context.Context, c config, n int) (err error) {
	s := &scene{config: c, ctx: ctx, n: n, load: simulation.Load{Slots: c.slots * n, Rate: c.rate, For: 24 * time.Hour}}
	if s.dir, err = os.MkdirTemp("", "scale-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.found(); err != nil {
		return err
	}
	fmt.Printf("\n%d nodes, etcd of %d, leases of %s, checkpoints each %s, %d slots, %d arrivals/s\n\n", n, c.members, c.ttl, c.report, s.load.Slots, c.rate)
	fmt.Println("| step | s | etcd requests | to etcd | from etcd | etcd CPU s | leader CPU s |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, step := range s.steps() {
		if err := s.measure(step.name, step.do); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if step.after != nil {
			if err := step.after(); err != nil {
				return fmt.Errorf("after %s: %w", step.name, err)
			}
		}
	}
	return s.check()
}

// found starts the etcd and the nodes that lead.
func (s *scene) found() (err error) {
	if s.store, err = start("store", "-dir", s.dir, "-members", strconv.Itoa(s.members)); err != nil {
		return err
	}
	if s.see, err = simulation.NewObserver(s.store.Endpoints); err != nil {
		return err
	}
	for i := range 2 {
		chief, err := start("chief", "-name", fmt.Sprintf("chief-%d", i+1), "-etcd", strings.Join(s.store.Endpoints, ","), "-ttl", s.ttl.String(), fmt.Sprintf("-verbose=%t", s.verbose))
		if err != nil {
			return err
		}
		s.chiefs = append(s.chiefs, chief)
		if _, err := s.see.AwaitLeader(s.ctx, ""); err != nil {
			return err
		}
	}
	if s.calls, err = hive.NewClient(s.chiefs[1].URL, ""); err != nil {
		return err
	}
	s.swarm = simulation.NewSwarm(simulation.Config{Endpoints: s.store.Endpoints, Dir: filepath.Join(s.dir, "nodes"), Capacity: 2 * s.slots, TTL: s.ttl,
		Timing: hive.Timing{Checkpoint: s.report}})
	return nil
}

func (s *scene) close() (err error) {
	if s.calls != nil {
		s.calls.Close()
	}
	if s.swarm != nil {
		err = s.swarm.Close()
	}
	for _, c := range s.chiefs {
		c.stop()
	}
	if s.see != nil {
		err = errors.Join(err, s.see.Close())
	}
	if s.store != nil {
		s.store.stop()
	}
	return err
}

// step is one thing that happens to the hive; it is over when the whole hive
// has got over it.
type step struct {
	name  string
	do    func(ctx context.Context) error
	after func() error // beside the measurement
}

func (s *scene) steps() []step {
	tenth := max(1, s.n/10)
	victims := func() []*simulation.Node { return s.swarm.Nodes()[s.n-tenth:] }
	return []step{
		{"nodes register", s.join(tenth), nil},
		{"run is dealt and begins", s.begin, s.tellSizes},
		{fmt.Sprintf("nothing happens for %s", s.quiet), s.rest, s.tellCosts},
		{fmt.Sprintf("%d nodes crash", tenth), func(ctx context.Context) error {
			began, ended := time.Now(), make(chan error, 1)
			go func() { ended <- s.swarm.Crash(victims()...) }() // which has more to wait for than the hive has
			err := s.dealt(ctx, began, s.n-tenth)
			return errors.Join(err, <-ended)
		}, nil},
		{"they return", func(ctx context.Context) error {
			began := time.Now()
			if err := s.swarm.Launch(ctx, victims()...); err != nil {
				return err
			}
			return s.dealt(ctx, began, s.n)
		}, nil},
		{fmt.Sprintf("%d nodes lose etcd", tenth), func(ctx context.Context) error {
			began := time.Now()
			s.swarm.Cut(victims()...)
			return s.dealt(ctx, began, s.n-tenth)
		}, nil},
		{"they return", func(ctx context.Context) error {
			began := time.Now()
			s.swarm.Mend(victims()...)
			return s.dealt(ctx, began, s.n)
		}, nil},
		{"leader is killed", s.killLeader, s.tellCosts},
		{"run is stopped, result is there", s.end, nil},
	}
}

// measure does a step and prints what it took.
func (s *scene) measure(name string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(s.ctx, s.patience, fmt.Errorf("it took longer than %s", s.patience))
	defer cancel()
	before, err := gauge(s.store, s.chiefs[0])
	if err != nil {
		return err
	}
	lead := s.chiefs[0]
	if err := do(ctx); err != nil {
		return err
	}
	took := time.Since(before.at)
	after, err := gauge(s.store, s.chiefs[0])
	if err != nil {
		return err
	}
	c := after.minus(before)
	leadCPU := fmt.Sprintf("%.2f", c.leadCPU)
	if lead != s.chiefs[0] {
		leadCPU = "-"
	}
	fmt.Printf("| %s | %.2f | %.0f | %s | %s | %.2f | %s |\n", name, took.Seconds(), c.requests, bytes(c.in), bytes(c.out), c.storeCPU, leadCPU)
	return nil
}

// join starts the nodes; those that are to go and return come last.
func (s *scene) join(tenth int) func(context.Context) error {
	return func(ctx context.Context) error {
		for left := s.n - tenth; left > 0; left -= s.wave {
			if err := s.swarm.Start(ctx, min(left, s.wave), false); err != nil {
				return err
			}
		}
		if err := s.swarm.Start(ctx, tenth, true); err != nil {
			return err
		}
		return s.see.AwaitNodes(ctx, s.n+len(s.chiefs))
	}
}

// begin submits the test and waits until every engine executes.
func (s *scene) begin(ctx context.Context) error {
	opts, _, err := s.load.Options()
	if err != nil {
		return err
	}
	info, err := s.calls.Submit(ctx, []byte("counters need no script"), hive.Submission{Name: "scale.js", Options: opts})
	if err != nil {
		return err
	}
	s.run = info.ID
	began := time.Now()
	for _, phase := range []hive.Phase{hive.Preparing, hive.Running} {
		st, err := s.see.AwaitState(ctx, s.run, func(st hive.State) bool {
			return st.Phase == phase || st.Phase == hive.Running || st.Phase == hive.Finished
		})
		if err != nil {
			return err
		}
		if st.Phase == hive.Finished {
			return fmt.Errorf("the run ended: %w", st.Failure)
		}
		fmt.Printf("| … %s | %.2f | | | | | |\n", phase, time.Since(began).Seconds())
	}
	return s.dealt(ctx, began, s.n)
}

// dealt waits until the present epoch has so many members, and all of them have
// taken it over.
func (s *scene) dealt(ctx context.Context, began time.Time, members int) (err error) {
	s.state, err = s.see.AwaitState(ctx, s.run, func(st hive.State) bool {
		return st.Phase != hive.Running || st.Proposal == nil && len(st.Members) == members
	})
	if err != nil {
		return err
	}
	if s.state.Phase != hive.Running {
		return fmt.Errorf("the run is %s: %+v", s.state.Phase, s.state.Failure)
	}
	fmt.Printf("| … epoch %d of %d members is committed | %.2f | | | | | |\n", s.state.Epoch, members, time.Since(began).Seconds())
	for {
		engines, _ := s.swarm.Record().Taken(s.state.Epoch)
		if engines >= members {
			return nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d engines took epoch %d over: %w", engines, members, s.state.Epoch, context.Cause(ctx))
		}
	}
}

func (s *scene) rest(ctx context.Context) error {
	select {
	case <-time.After(s.quiet):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tellSizes prints how large the run's keys are.
func (s *scene) tellSizes() error {
	ctx, cancel := context.WithTimeout(s.ctx, s.patience)
	defer cancel()
	get := func(key string) (sizes []int, err error) {
		resp, err := s.see.Client().Get(ctx, key, clientv3.WithPrefix())
		if err != nil {
			return nil, err
		}
		for _, kv := range resp.Kvs {
			sizes = append(sizes, len(kv.Value))
		}
		return sizes, nil
	}
	k := s.see.Keys()
	for _, part := range []struct{ name, key string }{{"state", k.State(s.run)}, {"roster", k.Roster(s.run)}, {"allocations", k.Allocs(s.run)}, {"statuses", k.Statuses(s.run)},
		{"node records", k.Nodes()}, {"candidates", k.Leader()}, {"everything of the run", k.Run(s.run)}} {
		sizes, err := get(part.key)
		if err != nil {
			return err
		}
		sum, most := 0, 0
		for _, n := range sizes {
			sum, most = sum+n, max(most, n)
		}
		fmt.Printf("| … %s: %d keys, %s, the largest %s | | | | | | |\n", part.name, len(sizes), bytes(float64(sum)), bytes(float64(most)))
	}
	return nil
}

// tellCosts prints what a hive costs at which nothing happens.
func (s *scene) tellCosts() error {
	before, err := gauge(s.store, s.chiefs[0])
	if err != nil {
		return err
	}
	if err := s.rest(s.ctx); err != nil {
		return err
	}
	after, err := gauge(s.store, s.chiefs[0])
	if err != nil {
		return err
	}
	held, err := take(s.store)
	if err != nil {
		return err
	}
	c, t := after.minus(before), after.at.Sub(before.at).Seconds()
	fmt.Printf("| … etcd: %.0f requests/s, of them %.0f renewals, %s/s in, %s/s out, %.2f cores, %s, database %s, %.0f watches | | | | | | |\n",
		c.requests/t, c.renewals/t, bytes(c.in/t), bytes(c.out/t), c.storeCPU/t, bytes(memory(s.store.pid())), bytes(held.db), held.watchers)
	lead := s.chiefs[0].pid()
	fmt.Printf("| … leader: %.2f cores, %s, %d files, reads %s/s; all nodes: %s, %d files | | | | | | |\n",
		c.leadCPU/t, bytes(memory(lead)), files(lead), bytes(c.leadRead/t), bytes(memory(os.Getpid())), files(os.Getpid()))
	return nil
}

// killLeader kills the node that leads and waits for the next one to have
// taken the run over.
func (s *scene) killLeader(ctx context.Context) error {
	began := time.Now()
	was := s.chiefs[0]
	was.kill()
	s.chiefs = s.chiefs[1:]
	id, err := s.see.AwaitLeader(ctx, was.ID)
	if err != nil {
		return err
	}
	fmt.Printf("| … another leads | %.2f | | | | | |\n", time.Since(began).Seconds())
	s.state, err = s.see.AwaitState(ctx, s.run, func(st hive.State) bool { return st.Anchor.Node == id })
	return err
}

// end stops the run.
func (s *scene) end(ctx context.Context) (err error) {
	if err := s.calls.Stop(ctx, s.run, hive.StopRequest{Mode: hive.StopGraceful}); err != nil {
		return err
	}
	s.state, err = s.see.AwaitState(ctx, s.run, func(st hive.State) bool { return st.Phase == hive.Finished })
	return err
}

// check holds the run against the engines' record.
func (s *scene) check() error {
	_, scenarios, err := s.load.Options()
	if err != nil {
		return err
	}
	rep := s.swarm.Record().Check(scenarios, s.state.StoppedAt)
	fmt.Printf("\n%d engines in epochs %v: of %d arrivals %d were begun, %d were due on nodes that were gone, %d behind a closed fence; slots had no owner for %.1f slot-seconds of %.0f\n",
		rep.Engines, rep.Epochs, rep.Planned, rep.Begun, rep.Gone, rep.Fenced, rep.Unowned.Seconds(), float64(s.load.Slots)*s.state.StoppedAt.Seconds())
	var errs []error
	for _, p := range slices.Compact(rep.Problems) {
		errs = append(errs, errors.New(p))
	}
	return errors.Join(errs...)
}
