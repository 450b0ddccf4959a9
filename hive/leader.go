package hive

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/archive"
	"hive/election"
	"hive/registry"
)

const (
	// sweepEvery is how often the leader looks for archives that no run needs.
	sweepEvery = time.Minute
	// keptHubs is how many event streams of finished runs the leader keeps.
	keptHubs = 10
	// maxOps is how many operations a transaction is given; etcd takes 128.
	maxOps = 100
	// heldBytes is how much of etcd's database the results of runs that are over may take; the newest is kept however
	// large it is.
	heldBytes = 64 << 20
	// maxTxn is how many bytes it is given, beside what goes with it; etcd takes 1.5 MiB.
	maxTxn = 512 << 10
)

// leader is one term of leadership: it serves the queue, drives the run whose
// turn it is, and clears up. What it keeps in memory it can do without; the
// next leader has it again from etcd and from the nodes.
type leader struct {
	n     *Node
	fence election.Fence
	queue *registry.Mirror
	calm  calm

	mu      sync.Mutex // guards what follows
	hubs    map[string]*hub
	ended   []string // runs whose hubs are closed, oldest first
	places  map[string]int
	current *driver
	drove   string // id of the last run that was driven in this term
}

// queueEntry is the value of a queue key.
type queueEntry struct {
	Archive string   `json:"archive"`
	Stop    *Control `json:"stop,omitempty"` // asked for while it waits
}

func newLeader(n *Node, f election.Fence) *leader {
	return &leader{n: n, fence: f, queue: registry.NewMirror(n.etcd, n.keys.Queue()), hubs: map[string]*hub{}, places: map[string]int{}}
}

// Run leads until ctx ends.
func (l *leader) Run(ctx context.Context) error {
	defer l.closeHubs()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = l.queue.Run(ctx) }) // ends with ctx and has nothing else to say
	if err := errors.Join(l.queue.Wait(ctx), l.n.nodes.Wait(ctx), l.n.candidates.Wait(ctx)); err != nil {
		return err
	}
	wg.Go(func() { l.keepLine(ctx) })
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	done := make(chan struct{})
	driving := ""
	for {
		changed := l.queue.Changed()
		line := l.line(ctx)
		if driving == "" && len(line) > 0 {
			driving = line[0]
			wg.Go(func() {
				l.drive(ctx, line[0])
				select {
				case done <- struct{}{}:
				case <-ctx.Done():
				}
			})
		}
		select {
		case <-changed:
		case <-done:
			driving = ""
			l.tidy(ctx)
		case <-sweep.C:
			l.tidy(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// line returns the runs in the order of submission, after dropping those that
// were stopped while they waited, and tells each its place.
func (l *leader) line(ctx context.Context) []string {
	kvs, _ := l.queue.All()
	keys := slices.SortedFunc(maps.Keys(kvs), func(a, b string) int { return cmp.Compare(kvs[a].CreateRev, kvs[b].CreateRev) })
	var ids []string
	for _, key := range keys {
		id := strings.TrimPrefix(key, l.n.keys.Queue())
		if l.over(id) {
			continue // finished, and the mirror has yet to see it
		}
		var e queueEntry
		if json.Unmarshal(kvs[key].Value, &e) == nil && e.Stop != nil && len(ids) > 0 {
			l.dismiss(ctx, id, e.Stop)
			continue
		}
		l.place(id, len(ids))
		ids = append(ids, id)
	}
	return ids
}

// over says whether the run was finished in this term.
func (l *leader) over(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.ended, id)
}

// place tells a waiting run how many are before it.
func (l *leader) place(id string, n int) {
	h := l.hub(id)
	l.mu.Lock()
	was, known := l.places[id]
	l.places[id] = n
	l.mu.Unlock()
	if n > 0 && (!known || was != n) {
		h.publish(EventState, StateEvent{Run: id, Phase: Queued, Position: n})
	}
}

// dismiss finishes a run that was stopped before its turn came.
func (l *leader) dismiss(ctx context.Context, id string, c *Control) {
	f := Failf(c.Kind, "stopped by %s while it waited for its turn", orDefault(c.By, "a client"))
	err := l.finish(ctx, id, State{Phase: Queued, Times: map[Phase]time.Time{}}, 0, &Result{Run: id, Failure: f, Verdict: f.Kind.Verdict()})
	if err != nil && ctx.Err() == nil {
		l.n.log.Warn("a stopped run could not be taken from the queue", "run", id, "reason", err)
	}
}

// drive takes a run to its end, whatever etcd does meanwhile.
func (l *leader) drive(ctx context.Context, id string) {
	for ctx.Err() == nil {
		d := newDriver(l, id)
		l.mu.Lock()
		l.current = d
		l.mu.Unlock()
		err := d.Run(ctx)
		l.mu.Lock()
		l.current = nil
		l.mu.Unlock()
		if err == nil || errors.Is(err, election.ErrDeposed) {
			return
		}
		if ctx.Err() == nil {
			l.n.log.Warn("a run is taken up again", "run", id, "reason", err)
			pause(ctx, time.Second)
		}
	}
}

// write is how a leader writes: guarded by its election key and by conds. name names the write for tests.
func (l *leader) write(ctx context.Context, name string, conds []clientv3.Cmp, ops ...clientv3.Op) (resp *clientv3.TxnResponse, err error) {
	err = l.n.around(name, func() (err error) {
		resp, err = l.fence.TxnIf(ctx, conds, ops...)
		return err
	})
	l.n.noteFull(err)
	return resp, err
}

// inBatches cuts writes into transactions of at most so many operations, and of a length that etcd takes.
func inBatches(ops []clientv3.Op, most int) (batches [][]clientv3.Op) {
	first, size := 0, 0
	for i, op := range ops {
		if size += len(op.KeyBytes()) + len(op.ValueBytes()); i > first && (i-first == most || size > maxTxn) {
			batches = append(batches, ops[first:i])
			first, size = i, len(op.KeyBytes())+len(op.ValueBytes())
		}
	}
	return append(batches, ops[first:])
}

// putter is write for one key, as those who store in chunks want it.
func (l *leader) putter(name string) func(ctx context.Context, key, value string, opts ...clientv3.OpOption) error {
	return func(ctx context.Context, key, value string, opts ...clientv3.OpOption) error {
		_, err := l.write(ctx, name, nil, clientv3.OpPut(key, value, opts...))
		return err
	}
}

// finish writes the result of a run and takes it from the queue. stateRev
// guards the state; 0 means that there is none yet.
func (l *leader) finish(ctx context.Context, id string, st State, stateRev int64, res *Result) error {
	k := l.n.keys
	now := time.Now().UTC()
	st.Phase, st.Verdict, st.Failure = Finished, res.Verdict, res.Failure
	st.Times = maps.Clone(st.Times)
	st.Times[Finished] = now
	data, err := json.Marshal(res)
	if err != nil {
		return fmt.Errorf("result: %w", err)
	}
	chunks, err := putChunks(ctx, l.putter("result"), k.Result(id), data)
	if err != nil {
		return err
	}
	meta, err := json.Marshal(chunks)
	if err != nil {
		return fmt.Errorf("result: %w", err)
	}
	state, roster, err := encodeState(st)
	if err != nil {
		return err
	}
	var spec Spec
	if _, err := getJSON(ctx, l.n.etcd, k.Spec(id), &spec); err != nil {
		return err
	}
	ops := []clientv3.Op{
		clientv3.OpPut(k.Result(id), string(meta)),
		clientv3.OpPut(k.State(id), state),
		clientv3.OpPut(k.Roster(id), roster),
		clientv3.OpDelete(k.Queued(id)),
		clientv3.OpDelete(k.Ref(spec.Archive, id)),
		clientv3.OpDelete(k.Allocs(id), clientv3.WithPrefix()),
		clientv3.OpDelete(k.Works(id), clientv3.WithPrefix()),
		clientv3.OpDelete(k.Rows(id)),
		clientv3.OpDelete(k.Veto(id)),
		clientv3.OpDelete(k.Lives(id), clientv3.WithPrefix()),
		clientv3.OpDelete(k.AllMarks(id), clientv3.WithPrefix()),
		clientv3.OpDelete(k.Tick(id)),
		clientv3.OpDelete(k.Statuses(id), clientv3.WithPrefix()),
		clientv3.OpDelete(k.Controls(id), clientv3.WithPrefix()),
		clientv3.OpDelete(k.Setup(id), clientv3.WithPrefix()),
		clientv3.OpDelete(k.Teardown(id), clientv3.WithPrefix()),
	}
	if stateRev != 0 {
		ops = append(ops, clientv3.OpDelete(k.Active()))
	}
	if _, err := l.write(ctx, "finish", []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(k.State(id)), "=", stateRev)}, ops...); err != nil {
		return err
	}
	l.retire(id, StateEvent{Run: id, Phase: Finished, Verdict: res.Verdict, Failure: res.Failure})
	return nil
}

// retire ends a run's event stream, and forgets the oldest of those that
// ended. Doing it twice does no harm.
func (l *leader) retire(id string, last StateEvent) {
	if l.over(id) {
		return
	}
	h := l.hub(id)
	h.publish(EventResult, last)
	h.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, id)
	delete(l.places, id)
	if len(l.ended) > keptHubs {
		delete(l.hubs, l.ended[0])
		l.ended = slices.Delete(l.ended, 0, 1)
	}
}

// hub is the event stream of a run, made when it is first asked for.
func (l *leader) hub(id string) *hub {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.hubs[id]
	if h == nil {
		h = newHub(l.fence.Term())
		l.hubs[id] = h
	}
	return h
}

// stream is the event stream of a run if there is one.
func (l *leader) stream(id string) *hub {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hubs[id]
}

// closeHubs sends those who listen away; they find the next leader.
func (l *leader) closeHubs() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.hubs {
		h.close()
	}
}

// tidy deletes archives that no run needs and the records of the oldest runs.
func (l *leader) tidy(ctx context.Context) {
	err := errors.Join(l.dropBlobs(ctx), l.dropRuns(ctx))
	if err != nil && ctx.Err() == nil {
		l.n.log.Warn("clearing up in etcd", "reason", err)
	}
}

// dropBlobs deletes archives without a reference. The transaction sees to it
// that none is added meanwhile.
func (l *leader) dropBlobs(ctx context.Context) error {
	k := l.n.keys
	resp, err := l.n.etcd.Get(ctx, k.Blobs(), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return fmt.Errorf("list archives: %w", err)
	}
	digests := map[string]bool{}
	for _, kv := range resp.Kvs {
		digest, _, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), k.Blobs()), "/")
		digests[digest] = true
	}
	for digest := range digests {
		unused := clientv3.Compare(clientv3.CreateRevision(k.RefsOf(digest)).WithPrefix(), "=", 0)
		_, err := l.write(ctx, "drop archive", []clientv3.Cmp{unused}, archive.Deletion(k.Root(), digest))
		if err != nil && !errors.Is(err, election.ErrConflict) {
			return fmt.Errorf("delete archive %s: %w", short(digest), err)
		}
	}
	return nil
}

// dropRuns deletes the records of the oldest finished runs.
func (l *leader) dropRuns(ctx context.Context) error {
	ids, err := l.n.runIDs(ctx)
	if err != nil {
		return err
	}
	old, err := l.tooMany(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids[:old] {
		waiting := clientv3.Compare(clientv3.CreateRevision(l.n.keys.Queued(id)), "=", 0)
		_, err := l.write(ctx, "drop run", []clientv3.Cmp{waiting}, clientv3.OpDelete(l.n.keys.Run(id), clientv3.WithPrefix()))
		if err != nil && !errors.Is(err, election.ErrConflict) {
			return fmt.Errorf("delete the record of run %s: %w", id, err)
		}
	}
	return nil
}

// tooMany is how many of the runs, the oldest, are to be dropped: those past the number that is held, and those before
// that whose results are too large together.
func (l *leader) tooMany(ctx context.Context, ids []string) (int, error) {
	old := max(0, len(ids)-l.n.cfg.Timing.HoldRuns)
	sum := 0
	for i := len(ids) - 1; i >= old; i-- {
		var c Chunks
		if _, err := getJSON(ctx, l.n.etcd, l.n.keys.Result(ids[i]), &c); err != nil {
			return 0, fmt.Errorf("size of the result of run %s: %w", ids[i], err)
		}
		if sum += c.Size; sum > l.n.cfg.Timing.HoldBytes && i < len(ids)-1 {
			return i + 1, nil
		}
	}
	return old, nil
}

// runIDs lists the runs that etcd knows, in the order of submission.
func (n *Node) runIDs(ctx context.Context) ([]string, error) {
	resp, err := n.etcd.Get(ctx, n.keys.Runs(), clientv3.WithPrefix(), clientv3.WithKeysOnly(),
		clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend))
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var ids []string
	for _, kv := range resp.Kvs {
		if id, ok := strings.CutSuffix(strings.TrimPrefix(string(kv.Key), n.keys.Runs()), "/spec"); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
