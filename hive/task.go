package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"hive/archive"
	"hive/registry"
)

// fetchAttempts is how often the archive is asked for when etcd is in trouble.
const fetchAttempts = 3

// task is one run on one node. It looks at the run's state whenever that
// changes, makes an engine whenever the leader gives this node a new
// incarnation, and does the run's duties.
type task struct {
	n     *Node
	run   string
	spec  Spec
	clock *runClock
	state *registry.Mirror
	log   *slog.Logger // of duties that no incarnation of this node does
	wg    sync.WaitGroup
	ctx   context.Context // of Run, for what a call of the API begins and leaves behind

	bareMu sync.Mutex // held while bare is made
	bare   Engine     // for duties, when there is no incarnation to do them; nil otherwise

	mu      sync.Mutex // guards what follows
	present ownState
	rev     int64   // of present; 0 before the first
	vetoed  int     // the last proposal that is known to be vetoed; 0 for none
	lives   []*life // in the order of their incarnations
	closed  bool    // no more lives are made
}

func newTask(n *Node, run string) *task {
	return &task{n: n, run: run, clock: newRunClock(n, run), log: n.log.With("run", run)}
}

// Run takes part until the run has finished or ctx ends. When it returns, no
// load is sent and the engines are closed.
func (t *task) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer t.close()
	defer cancel(errRunOver)
	t.ctx = ctx
	t.state = registry.NewMirror(t.n.etcd, t.n.keys.State(t.run)) // with the veto, which lies below it
	t.wg.Go(func() { _ = t.state.Run(ctx) })                      // ends with ctx and has nothing else to say
	if err := t.state.Wait(ctx); err != nil {
		return err
	}
	if err := t.readSpec(ctx); err != nil {
		return err
	}
	t.wg.Go(func() { t.clock.keep(ctx, t.wakeAll) })
	for _, s := range t.n.keepers() {
		t.wg.Go(func() { t.testify(ctx, s) })
	}
	t.recall(ctx)
	return t.follow(ctx)
}

func (t *task) readSpec(ctx context.Context) error {
	return persist(ctx, func(ctx context.Context) error {
		found, err := getJSON(ctx, t.n.etcd, t.n.keys.Spec(t.run), &t.spec)
		if err == nil && !found {
			return fmt.Errorf("run %s has no spec", t.run)
		}
		return err
	})
}

// close waits for everything the task began, and frees the engines.
func (t *task) close() {
	t.mu.Lock()
	t.closed = true
	lives := slices.Clone(t.lives)
	t.mu.Unlock()
	t.wg.Wait()
	for _, l := range lives {
		l.closeEngine()
	}
	t.bareMu.Lock()
	defer t.bareMu.Unlock()
	if t.bare != nil {
		t.closeEngine(t.bare)
		t.bare = nil
	}
}

func (t *task) closeEngine(e Engine) {
	if err := e.Close(); err != nil {
		t.n.log.Warn("the engine did not close cleanly", "run", t.run, "reason", err)
	}
}

// follow acts on the state until the run has finished.
func (t *task) follow(ctx context.Context) error {
	var d duties
	for {
		changed := t.state.Changed()
		t.seeVeto()
		if kv, ok := t.state.Get(t.n.keys.State(t.run)); ok {
			var st State
			if err := json.Unmarshal(kv.Value, &st); err != nil {
				return fmt.Errorf("read the state of run %s: %w", t.run, err)
			}
			if st.Phase == Finished {
				for _, s := range t.n.keepers() {
					s.drop(t.run)
				}
				return nil
			}
			if own, err := t.ownPart(ctx, st, kv.ModRev); err == nil {
				t.see(ctx, own, kv.ModRev)
				t.serve(ctx, &d, st)
			} else if ctx.Err() == nil {
				t.n.log.Debug("what this node is to do in the run is not known yet", "run", t.run, "reason", err)
				pause(ctx, etcdAgain/4)
				continue
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// see takes a state over, and makes the lives that it names and that are not
// there yet.
func (t *task) see(ctx context.Context, st ownState, rev int64) {
	t.clock.see(st.State)
	t.mu.Lock()
	t.present, t.rev = st, rev
	t.mu.Unlock()
	for _, inc := range t.named(st) {
		if t.life(inc) == nil && st.Phase != Draining && st.Phase != Teardown {
			t.bear(ctx, inc)
		}
	}
	t.wakeAll()
}

// named are the incarnations of this process that the state knows as members
// of its epoch or of the proposed one, in order.
func (t *task) named(st ownState) (incs []int64) {
	if st.now != nil && t.has(st, st.now.Incarnation) {
		incs = append(incs, st.now.Incarnation)
	}
	if a := st.next; a != nil && a.Member && a.Boot == t.n.boot && !slices.Contains(incs, a.Incarnation) {
		incs = append(incs, a.Incarnation)
	}
	slices.Sort(incs)
	return incs
}

// has says whether an incarnation is this process, and a member of the present epoch.
func (t *task) has(st ownState, inc int64) bool {
	a := st.now
	return a != nil && a.Member && a.Boot == t.n.boot && a.Incarnation == inc && !slices.Contains(st.Struck, inc)
}

// bear begins a life.
func (t *task) bear(ctx context.Context, inc int64) *life {
	l := newLife(t, inc)
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return l
	}
	t.lives = append(t.lives, l)
	t.mu.Unlock()
	t.wg.Go(func() { l.Run(ctx) })
	return l
}

func (t *task) life(inc int64) *life {
	for _, l := range t.all() {
		if l.inc == inc {
			return l
		}
	}
	return nil
}

// all are the lives of this node in the run, earlier ones first.
func (t *task) all() []*life {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lives)
}

// now is the state as last seen, and its revision.
func (t *task) now() (ownState, int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.present, t.rev
}

func (t *task) wakeAll() {
	for _, l := range t.all() {
		l.wake()
	}
}

// loading says whether this node sends load.
func (t *task) loading() bool {
	return slices.ContainsFunc(t.all(), (*life).loading)
}

// free says whether the run has nothing left for this node, and the leader
// everything from it.
func (t *task) free() bool {
	st, _ := t.now()
	return len(t.named(st)) == 0 && !slices.ContainsFunc(t.all(), func(l *life) bool { return !l.settled() })
}

// recall takes up what earlier processes of this node had not delivered of the run.
func (t *task) recall(ctx context.Context) {
	for _, kept := range t.n.store().read(t.run) {
		l := newLife(t, kept.Incarnation)
		l.last = kept
		t.mu.Lock()
		t.lives = append(t.lives, l)
		t.mu.Unlock()
		t.wg.Go(func() { l.post(ctx) })
	}
}

// fetch reads the archive; its digest is checked on the way.
func (t *task) fetch(ctx context.Context) (data []byte, err error) {
	for range fetchAttempts {
		data, err = archive.Fetch(ctx, t.n.etcd, t.n.keys.Root(), t.spec.Archive)
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

// make makes an engine for an allocation.
func (t *task) make(ctx context.Context, a *Alloc, log *slog.Logger) (Engine, error) {
	data, err := t.fetch(ctx)
	if err != nil {
		return nil, err
	}
	return t.n.cfg.Factory(ctx, Job{Run: t.run, Node: t.n.info.Name, Archive: data, Options: t.spec.Options, Flags: t.spec.Flags,
		Share: a.Share, Fenced: true, Marked: true, Log: log})
}

// setupData reads what setup() returned; null without one.
func (t *task) setupData(ctx context.Context) (json.RawMessage, error) {
	key := t.n.keys.Setup(t.run)
	var data json.RawMessage
	err := persist(ctx, func(ctx context.Context) error {
		var d Duty
		found, err := getJSON(ctx, t.n.etcd, key, &d)
		if err != nil || !found || d.Data == nil {
			return err
		}
		data, err = getChunks(ctx, t.n.etcd, key, *d.Data)
		return err
	})
	return data, err
}
