package hive

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ackWait is how long a node waits for the leader to have its last metrics
// before it reports that teardown has ended.
const ackWait = 5 * time.Second

// duties are the calls that one node does for all, each at most once.
type duties struct {
	setup, teardown sync.Once
}

// serve does the duty that the state gives this node.
func (t *task) serve(ctx context.Context, d *duties, st State) {
	if st.Duty != t.n.info.ID {
		return
	}
	switch {
	case st.Phase == Setup:
		d.setup.Do(func() { t.wg.Go(func() { t.setup(ctx) }) })
	case st.Phase == Teardown && st.Teardown:
		d.teardown.Do(func() { t.wg.Go(func() { t.teardown(ctx) }) })
	}
}

// newest is this node's last life whose engine is there; nil without one.
func (t *task) newest() (*life, Engine) {
	lives := t.all()
	for i := len(lives) - 1; i >= 0; i-- {
		if e := lives[i].engineIs(); e != nil {
			return lives[i], e
		}
	}
	return nil, nil
}

// setup runs the script's setup(), if this node is the first to begin it.
func (t *task) setup(ctx context.Context) {
	l, e := t.newest()
	if e == nil {
		return
	}
	work, stop := l.untilDrained(ctx)
	defer stop()
	key := t.n.keys.Setup(t.run)
	duty, mine := t.begin(work, key)
	if !mine {
		return
	}
	start := time.Now()
	data, err := e.Setup(work)
	if ctx.Err() != nil {
		return // the leader finds the start without an end
	}
	duty.Took = time.Since(start)
	duty.Done, duty.Failure = true, inDuty("setup()", err).on(t.n.info.Name)
	if err == nil {
		duty.Data, err = t.storeSetup(ctx, key, data)
		if err != nil {
			duty.Failure = AsFailure(err).on(t.n.info.Name)
		}
	}
	t.endDuty(ctx, key, duty)
}

// inDuty is a call's error as a failure, which says what the engine was at when it ended.
func inDuty(call string, err error) *Failure {
	f := AsFailure(err)
	if f == nil || !f.Kind.engineDied() {
		return f
	}
	told := *f
	told.Message = call + " was under way and is not run again: " + f.Message
	return &told
}

func (t *task) storeSetup(ctx context.Context, key string, data json.RawMessage) (*Chunks, error) {
	if data == nil {
		data = json.RawMessage("null")
	}
	var c Chunks
	err := persist(ctx, func(context.Context) (err error) {
		c, err = putChunks(ctx, func(ctx context.Context, key, value string, opts ...clientv3.OpOption) error {
			return t.n.around("setup data", func() error {
				_, err := t.n.etcd.Put(ctx, key, value, opts...)
				return err
			})
		}, key, data)
		return err
	})
	return &c, err
}

// begin writes the start marker of a duty; mine is false when somebody has
// begun it already, or ctx ended first. The node must be in the hive.
func (t *task) begin(ctx context.Context, key string) (d Duty, mine bool) {
	d = Duty{Node: t.n.info.ID, Boot: t.n.boot}
	err := persist(ctx, func(ctx context.Context) error {
		p := t.n.place.Load()
		if p == nil {
			return errNotIn
		}
		value, err := json.Marshal(d)
		if err != nil {
			return err
		}
		var resp *clientv3.TxnResponse
		err = t.n.around("begin duty", func() (err error) {
			resp, err = t.n.etcd.Txn(ctx).
				If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0),
					clientv3.Compare(clientv3.CreateRevision(t.n.keys.Nodes()+d.Node), "=", p.rev)).
				Then(clientv3.OpPut(key, string(value))).Else(clientv3.OpGet(key)).Commit()
			return err
		})
		if err != nil {
			return err
		}
		kvs := elseKVs(resp)
		if mine = resp.Succeeded; !mine && len(kvs) == 0 {
			return errNotIn // it is the record that does not fit
		}
		if len(kvs) == 1 {
			mine = string(kvs[0].Value) == string(value) // an attempt whose answer was lost
		}
		return nil
	})
	return d, mine && err == nil
}

func (t *task) endDuty(ctx context.Context, key string, d Duty) {
	err := persist(ctx, func(ctx context.Context) error {
		return t.n.around("end duty", func() error { return putJSON(ctx, t.n.etcd, key, d) })
	})
	if err != nil {
		t.n.log.Error("the end of setup or teardown could not be written", "run", t.run, "reason", err)
	}
}

// teardown runs the script's teardown(), if this node is the first to begin it.
func (t *task) teardown(ctx context.Context) {
	l, e, err := t.forDuty(ctx)
	if err != nil {
		t.n.log.Error("teardown cannot run on this node", "run", t.run, "reason", err)
		return
	}
	data, err := t.setupData(ctx)
	if err != nil {
		return // ctx has ended
	}
	key := t.n.keys.Teardown(t.run)
	duty, mine := t.begin(ctx, key)
	if !mine {
		return
	}
	start := time.Now()
	err = e.Teardown(ctx, data)
	duty.Done, duty.Took, duty.Failure = true, time.Since(start), inDuty("teardown()", err).on(t.n.info.Name)
	if l != nil {
		l.reach(StageTornDown)
		l.awaitAck(ctx)
	}
	t.endDuty(ctx, key, duty)
}

// handleSummary lets this node's engine make the summary. When it returns, the
// leader has what the script logged in it.
func (t *task) handleSummary(ctx context.Context, st State, data []byte) (map[string][]byte, bool, error) {
	l, e, err := t.forDuty(ctx)
	if err != nil {
		return nil, false, err
	}
	files, ran, err := e.HandleSummary(ctx, data)
	if l != nil {
		l.awaitAck(ctx)
	}
	return files, ran, err
}

// forDuty is the engine for a duty: that of the newest life, when its load is
// over, or one that is made for it. For teardown and the summary any will do.
func (t *task) forDuty(ctx context.Context) (*life, Engine, error) {
	if l, e := t.newest(); e != nil {
		return l, e, l.untilOver(ctx)
	}
	t.bareMu.Lock()
	defer t.bareMu.Unlock()
	if t.bare != nil {
		return nil, t.bare, nil
	}
	alloc, err := t.anyAlloc(ctx)
	if err != nil {
		return nil, nil, err
	}
	e, err := t.make(ctx, alloc, t.log)
	if err != nil {
		return nil, nil, err
	}
	t.mu.Lock()
	closed := t.closed
	t.mu.Unlock()
	if closed {
		t.closeEngine(e)
		return nil, nil, errors.New("the run is over on this node")
	}
	t.bare = e
	t.wg.Go(func() { t.n.keepOpen(t.ctx, e) })
	return nil, e, nil
}

// anyAlloc reads the run's newest allocation. The present epoch has none when nobody has a share in it, as after an outage
// of the whole hive.
func (t *task) anyAlloc(ctx context.Context) (*Alloc, error) {
	var alloc Alloc
	err := persist(ctx, func(ctx context.Context) error {
		resp, err := t.n.etcd.Get(ctx, t.n.keys.Allocs(t.run), clientv3.WithPrefix(), clientv3.WithLimit(1),
			clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend))
		if err != nil {
			return err
		}
		if len(resp.Kvs) == 0 {
			return errors.New("there is no allocation")
		}
		return json.Unmarshal(resp.Kvs[0].Value, &alloc)
	})
	return &alloc, err
}

// elseKVs are the keys that a transaction read whose conditions did not hold.
func elseKVs(resp *clientv3.TxnResponse) []*mvccpb.KeyValue {
	if resp.Succeeded {
		return nil
	}
	return resp.Responses[0].GetResponseRange().Kvs
}
