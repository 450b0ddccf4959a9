package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/archive"
	"hive/engine/metric"
	"hive/registry"
)

// ackWait is how long a node waits for the leader to have its last metrics
// before it reports that teardown has ended.
const ackWait = 5 * time.Second

// fetchAttempts is how often the archive is asked for when etcd is in trouble.
const fetchAttempts = 3

// task is one run on one node. It looks at the run's state whenever that
// changes and does what the phase asks of this node.
type task struct {
	a    *agent
	run  string
	logs *logBuffer
	log  *slog.Logger // of the run: goes to the leader
	spec Spec

	state *registry.Mirror
	kick  chan struct{} // asks for a checkpoint now
	wg    sync.WaitGroup

	loadMu sync.Mutex // held while the engine is made

	mu       sync.Mutex // guards what follows
	engine   Engine
	alloc    *Alloc
	stage    Stage
	failure  *Failure
	began    time.Time     // local instant of the start; zero before
	elapsed  time.Duration // of the load, once ended
	skew     StartSkew
	offsets  map[string]Offset // of other nodes' clocks, by node id
	active   bool              // load is being sent
	stopLoad context.CancelFunc
	seq      int64
	acked    Stage // of the last checkpoint that the leader has
	ackTerm  int64 // the term of that leader; 0 before the first
}

func newTask(a *agent, run string) *task {
	logs := &logBuffer{}
	t := &task{a: a, run: run, logs: logs, log: slog.New(logs.handler(a.self.Name)), kick: make(chan struct{}, 1), offsets: map[string]Offset{}}
	logs.full = t.postNow
	return t
}

// Run takes part until the run has finished or ctx ends. When it returns, no
// load is sent and the engine is closed.
func (t *task) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer t.close()
	defer cancel()
	t.state = registry.NewKeyMirror(t.a.n.etcd, t.a.n.keys.State(t.run))
	t.wg.Go(func() { _ = t.state.Run(ctx) }) // ends with ctx and has nothing else to say
	if err := t.state.Wait(ctx); err != nil {
		return err
	}
	if err := t.readSpec(ctx); err != nil {
		return err
	}
	return t.follow(ctx)
}

func (t *task) readSpec(ctx context.Context) error {
	return t.a.persist(ctx, func(ctx context.Context) error {
		found, err := getJSON(ctx, t.a.n.etcd, t.a.n.keys.Spec(t.run), &t.spec)
		if err == nil && !found {
			return fmt.Errorf("run %s has no spec", t.run)
		}
		return err
	})
}

// close waits for everything the task began, and frees the engine.
func (t *task) close() {
	t.wg.Wait()
	t.loadMu.Lock()
	defer t.loadMu.Unlock()
	t.mu.Lock()
	e := t.engine
	t.engine = nil
	t.mu.Unlock()
	if e != nil {
		if err := e.Close(); err != nil {
			t.a.n.log.Warn("the engine did not close cleanly", "run", t.run, "reason", err)
		}
	}
}

// steps are the things a node does at most once in a run.
type steps struct {
	post, prepare, setup, load, drain, teardown sync.Once
	work                                        context.Context // of prepare and setup; ends when the run drains
	stopWork                                    context.CancelFunc
	before                                      sync.WaitGroup // prepare and setup
	loadBegun                                   bool
	mode                                        StopMode // in which the load was last asked to stop
}

// follow acts on the state until the run has finished.
func (t *task) follow(ctx context.Context) error {
	var s steps
	s.work, s.stopWork = context.WithCancel(ctx)
	defer s.stopWork()
	for {
		changed := t.state.Changed()
		if kv, ok := t.state.Get(t.a.n.keys.State(t.run)); ok {
			var st State
			if err := json.Unmarshal(kv.Value, &st); err != nil {
				return fmt.Errorf("read the state of run %s: %w", t.run, err)
			}
			if st.Phase == Finished {
				return nil
			}
			t.act(ctx, &s, st)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *task) act(ctx context.Context, s *steps, st State) {
	me := t.a.self
	m, member := st.member(me.ID)
	member = member && m.Incarnation == me.Incarnation
	onDuty := st.Duty == me.ID
	if member {
		s.post.Do(func() { t.wg.Go(func() { t.post(ctx) }) })
	}
	switch {
	case st.Phase == Preparing && member:
		s.prepare.Do(func() {
			s.before.Add(1)
			t.wg.Go(func() { defer s.before.Done(); t.prepare(s.work, st) })
		})
	case st.Phase == Setup && onDuty:
		s.setup.Do(func() {
			s.before.Add(1)
			t.wg.Go(func() { defer s.before.Done(); t.setup(ctx, s.work) })
		})
	case st.Phase == Running && member:
		s.load.Do(func() {
			s.loadBegun = true
			loadCtx := t.beginLoad(ctx)
			t.wg.Go(func() { t.load(loadCtx, st) })
		})
	case st.Phase == Draining || st.Phase == Teardown:
		if member {
			t.drain(s, st.Stop)
		}
		if st.Phase == Teardown && onDuty && st.Teardown {
			s.teardown.Do(func() { t.wg.Go(func() { s.before.Wait(); t.teardown(ctx, st) }) })
		}
	}
}

// drain ends whatever this node does before teardown.
func (t *task) drain(s *steps, mode StopMode) {
	s.stopWork()
	if s.loadBegun {
		if mode != s.mode && mode != "" {
			s.mode = mode
			t.stop(mode)
		}
		return
	}
	s.drain.Do(func() {
		t.wg.Go(func() { s.before.Wait(); t.ended(0, nil) })
	})
}

// stop ends the load.
func (t *task) stop(mode StopMode) {
	t.mu.Lock()
	cancel, e := t.stopLoad, t.engine
	t.mu.Unlock()
	if mode == StopGraceful && e != nil {
		e.Stop()
		return
	}
	cancel()
}

// ensure makes the engine if there is none yet. A node without an allocation
// borrows another one's: for teardown and the summary any will do.
func (t *task) ensure(ctx context.Context, st State) (Engine, error) {
	t.loadMu.Lock()
	defer t.loadMu.Unlock()
	t.mu.Lock()
	e := t.engine
	t.mu.Unlock()
	if e != nil {
		return e, nil
	}
	alloc, err := t.readAlloc(ctx, st)
	if err != nil {
		return nil, err
	}
	data, err := t.fetch(ctx)
	if err != nil {
		return nil, err
	}
	e, err = t.a.n.cfg.Factory(ctx, Job{Run: t.run, Archive: data, Options: t.spec.Options, Flags: t.spec.Flags, Share: alloc.Share, Log: t.log})
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.engine, t.alloc = e, alloc
	t.mu.Unlock()
	return e, nil
}

// fetch reads the archive; its digest is checked on the way.
func (t *task) fetch(ctx context.Context) (data []byte, err error) {
	for range fetchAttempts {
		data, err = archive.Fetch(ctx, t.a.n.etcd, t.a.n.keys.Root(), t.spec.Archive)
		if err == nil || errors.Is(err, archive.ErrNotStored) || ctx.Err() != nil {
			break
		}
		pause(ctx, 200*time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch the archive: %w", err)
	}
	return data, nil
}

func (t *task) readAlloc(ctx context.Context, st State) (*Alloc, error) {
	node := t.a.self.ID
	if _, ok := st.member(node); !ok && len(st.Members) > 0 {
		node = st.Members[0].ID
	}
	var alloc Alloc
	err := t.a.persist(ctx, func(ctx context.Context) error {
		found, err := getJSON(ctx, t.a.n.etcd, t.a.n.keys.Alloc(t.run, node), &alloc)
		if err == nil && !found {
			return errors.New("this node has no allocation")
		}
		return err
	})
	return &alloc, err
}

// prepare makes the engine and initialises its VUs, and says so.
func (t *task) prepare(ctx context.Context, st State) {
	status := Status{Node: t.a.self.ID, Incarnation: t.a.self.Incarnation, Epoch: st.Epoch, Phase: NodePreparing}
	t.report(ctx, status)
	e, err := t.ensure(ctx, st)
	if err == nil {
		err = e.Init(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		status.Phase, status.Failure = NodeFailed, AsFailure(err).on(t.a.self.Name)
		t.report(ctx, status)
		return
	}
	t.measureLeader(ctx)
	status.Phase, status.Traits, status.Metrics = NodeReady, e.Traits(), customMetrics(e.Registry())
	t.report(ctx, status)
}

// report writes the node's status; without etcd there is nobody to tell.
func (t *task) report(ctx context.Context, s Status) {
	if err := t.a.put(ctx, t.a.n.keys.Status(t.run, t.a.self.ID), s); err != nil && ctx.Err() == nil {
		t.a.n.log.Warn("this node's status in the run could not be written", "run", t.run, "reason", err)
	}
}

// measureLeader takes the offset of the present leader's clock, in case it
// cannot be asked when it has named the start.
func (t *task) measureLeader(ctx context.Context) {
	if l, _ := t.a.n.currentLeader(); l.Value != "" {
		_, _ = t.measure(ctx, l.Value) // it is measured again at the start
	}
}

// measure takes the offset of a node's clock against this one's, or returns
// the last one taken.
func (t *task) measure(ctx context.Context, node string) (Offset, error) {
	if node == t.a.self.ID {
		return Offset{}, nil
	}
	var o Offset
	err := errors.New("it is not in the hive")
	if r, ok := t.a.n.find(node); ok {
		ctx, cancel := context.WithTimeout(ctx, etcdTry)
		defer cancel()
		o, err = t.a.n.clock.Measure(ctx, func(ctx context.Context) (Instant, error) {
			var c ClockInfo
			err := t.a.n.calls.call(ctx, "GET", r.Address+"/api/v1/clock", nil, &c)
			return c.Now, err
		})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.offsets[node] = o
		return o, nil
	}
	if o, ok := t.offsets[node]; ok {
		return o, nil
	}
	return Offset{}, fmt.Errorf("the clock of node %s: %w", node, err)
}

// setup runs the script's setup(), if this node is the first to begin it. work
// ends when the run is stopped, ctx when this node leaves it.
func (t *task) setup(ctx, work context.Context) {
	key := t.a.n.keys.Setup(t.run)
	duty, mine := t.begin(work, key)
	t.mu.Lock()
	e := t.engine
	t.mu.Unlock()
	if !mine || e == nil {
		return
	}
	start := time.Now()
	data, err := e.Setup(work)
	if ctx.Err() != nil {
		return // the leader finds the start without an end
	}
	duty.Took = time.Since(start)
	duty.Done, duty.Failure = true, AsFailure(err).on(t.a.self.Name)
	if err == nil {
		duty.Data, err = t.storeSetup(ctx, key, data)
		if err != nil {
			duty.Failure = AsFailure(err).on(t.a.self.Name)
		}
	}
	t.endDuty(ctx, key, duty)
}

func (t *task) storeSetup(ctx context.Context, key string, data json.RawMessage) (*Chunks, error) {
	if data == nil {
		data = json.RawMessage("null")
	}
	var c Chunks
	err := t.a.persist(ctx, func(context.Context) (err error) {
		c, err = putChunks(ctx, func(ctx context.Context, key, value string, opts ...clientv3.OpOption) error {
			_, err := t.a.n.etcd.Put(ctx, key, value, opts...)
			return err
		}, key, data)
		return err
	})
	return &c, err
}

// begin writes the start marker of a duty; mine is false when somebody has
// begun it already, or this node is not in the hive any more.
func (t *task) begin(ctx context.Context, key string) (d Duty, mine bool) {
	self := t.a.self
	d = Duty{Node: self.ID, Incarnation: self.Incarnation}
	value, err := json.Marshal(d)
	if err != nil {
		return d, false
	}
	err = t.a.persist(ctx, func(ctx context.Context) error {
		resp, err := t.a.n.etcd.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0),
				clientv3.Compare(clientv3.CreateRevision(t.a.n.keys.Nodes()+self.ID), "=", self.Incarnation)).
			Then(clientv3.OpPut(key, string(value))).Else(clientv3.OpGet(key)).Commit()
		if err != nil {
			return err
		}
		mine = resp.Succeeded
		if kvs := elseKVs(resp); len(kvs) == 1 {
			mine = string(kvs[0].Value) == string(value) // an attempt whose answer was lost
		}
		return nil
	})
	return d, mine && err == nil
}

func (t *task) endDuty(ctx context.Context, key string, d Duty) {
	err := t.a.persist(ctx, func(ctx context.Context) error { return putJSON(ctx, t.a.n.etcd, key, d) })
	if err != nil {
		t.a.n.log.Error("the end of setup or teardown could not be written", "run", t.run, "reason", err)
	}
}

// beginLoad makes the context of the load.
func (t *task) beginLoad(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopLoad, t.active = cancel, true
	return ctx
}

// load runs this node's share from the common instant on.
func (t *task) load(ctx context.Context, st State) {
	t.mu.Lock()
	e := t.engine
	cancel := t.stopLoad
	t.mu.Unlock()
	defer cancel()
	if e == nil {
		t.ended(0, Failf(KindInternal, "the load was to start before this node was ready").on(t.a.self.Name))
		return
	}
	data, err := t.setupData(ctx)
	var o Offset
	if err == nil {
		o, err = t.measure(ctx, st.Clock)
	}
	if err != nil {
		t.ended(0, t.unlessStopped(ctx, AsFailure(err)))
		return
	}
	at := t.a.n.clock.Time(st.Start - Instant(o.Delta))
	late := max(0, time.Since(at))
	t.mu.Lock()
	t.stage, t.began, t.skew = StageRunning, at, StartSkew{Late: late, Offset: o.Delta, RTT: o.RTT}
	t.mu.Unlock()
	err = e.Run(ctx, at, data)
	t.ended(time.Since(at), t.unlessStopped(ctx, AsFailure(err)))
}

// unlessStopped drops the failure of a load that was told to end.
func (t *task) unlessStopped(ctx context.Context, f *Failure) *Failure {
	if f == nil || ctx.Err() != nil && (f.Kind == KindInterrupted || f.Kind == KindInternal) {
		return nil
	}
	return f.on(t.a.self.Name)
}

// setupData reads what setup() returned; null without one.
func (t *task) setupData(ctx context.Context) (json.RawMessage, error) {
	key := t.a.n.keys.Setup(t.run)
	var data json.RawMessage
	err := t.a.persist(ctx, func(ctx context.Context) error {
		var d Duty
		found, err := getJSON(ctx, t.a.n.etcd, key, &d)
		if err != nil || !found || d.Data == nil {
			return err
		}
		data, err = getChunks(ctx, t.a.n.etcd, key, *d.Data)
		return err
	})
	return data, err
}

// ended notes that this node sends no load any more.
func (t *task) ended(elapsed time.Duration, f *Failure) {
	t.mu.Lock()
	t.stage, t.elapsed, t.active = max(t.stage, StageEnded), max(0, elapsed), false
	if t.failure == nil {
		t.failure = f
	}
	t.mu.Unlock()
	t.postNow()
}

func (t *task) loading() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.active
}

// teardown runs the script's teardown(), if this node is the first to begin it.
func (t *task) teardown(ctx context.Context, st State) {
	e, err := t.ensure(ctx, st)
	if err != nil {
		t.a.n.log.Error("teardown cannot run on this node", "run", t.run, "reason", err)
		t.log.Error("teardown cannot run: " + err.Error())
		return
	}
	data, err := t.setupData(ctx)
	if err != nil {
		return // ctx has ended
	}
	duty, mine := t.begin(ctx, t.a.n.keys.Teardown(t.run))
	if !mine {
		return
	}
	start := time.Now()
	err = e.Teardown(ctx, data)
	duty.Done, duty.Took, duty.Failure = true, time.Since(start), AsFailure(err).on(t.a.self.Name)
	t.mu.Lock()
	t.stage = StageTornDown
	t.mu.Unlock()
	t.awaitAck(ctx)
	t.endDuty(ctx, t.a.n.keys.Teardown(t.run), duty)
}

// handleSummary lets this node's engine make the summary. When it returns, the
// leader has what the script logged in it.
func (t *task) handleSummary(ctx context.Context, st State, data []byte) (map[string][]byte, bool, error) {
	e, err := t.ensure(ctx, st)
	if err != nil {
		return nil, false, err
	}
	files, ran, err := e.HandleSummary(ctx, data)
	t.awaitAck(ctx)
	return files, ran, err
}

// snapshot is the engine's metrics, nil without an engine.
func (t *task) snapshot() *metric.Snapshot {
	t.mu.Lock()
	e := t.engine
	t.mu.Unlock()
	if e == nil {
		return nil
	}
	return e.Snapshot()
}

// elseKVs are the keys that a transaction read whose conditions did not hold.
func elseKVs(resp *clientv3.TxnResponse) []*mvccpb.KeyValue {
	if resp.Succeeded {
		return nil
	}
	return resp.Responses[0].GetResponseRange().Kvs
}
