package hive

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"hive/engine/executor"
)

// errRunOver ends the work for a run that is not under way any more.
var errRunOver = errors.New("the run is over")

// life is one incarnation: one engine of this node in the run, from its making
// until the leader has its last metrics. What it does follows from the run's
// state alone (see step); what takes long is done beside it and wakes it.
type life struct {
	t    *task
	inc  int64
	logs *logBuffer
	log  *slog.Logger  // the script's, which goes to the leader
	news chan struct{} // wakes Run
	kick chan struct{} // asks for a checkpoint now
	wg   sync.WaitGroup

	last *kept // of an earlier process: all there is; nil otherwise

	work     context.Context // of preparing and of setup(): ends when the run drains
	stopWork context.CancelFunc

	follower       // what only Run uses
	marks    marks // how far counted iterations may go
	mail     mail  // checkpoints on their way

	initial sync.Mutex // held while VUs are initialised: what comes next needs the engine of the first time

	mu       sync.Mutex         // guards what follows
	engine   Engine             // nil before it is made and after it was closed
	making   int                // the newest epoch whose VUs are being initialised, or are
	ready    int                // the newest epoch whose VUs are
	broken   *Failure           // why VUs could not be initialised
	letGo    context.CancelFunc // ends what goes on beside the engine
	running  bool               // Run of the engine goes on
	stopLoad context.CancelFunc
	over     chan struct{} // closed when no load is sent any more
	status   Status        // as it should be known
	changed  chan struct{} // closed when status changes
	stage    Stage
	failure  *Failure
	died     *Failure // why the engine ended by itself
	began    time.Time
	elapsed  time.Duration
	skew     StartSkew
	settle   bool      // the leader has everything there will be
	place    *place    // under which the engine may send load
	fence    time.Time // until when, as the engine was told last
	shut     *Shut     // the last time in which it might not; nil for none
	shuts    int       // how many of them there were
	handled  int64     // revision of the state that has been acted on
	retired  bool      // it is out of the run, and must not send anything
	arrived  []arrival // word from nodes that give slots
	objects  bool      // a veto is being written
}

func newLife(t *task, inc int64) *life {
	logs := &logBuffer{}
	l := &life{t: t, inc: inc, logs: logs, log: slog.New(logs.handler(t.n.info.Name)), news: make(chan struct{}, 1),
		kick: make(chan struct{}, 1), over: make(chan struct{}), changed: make(chan struct{}), place: t.n.place.Load(),
		status: Status{Node: t.n.info.ID, Incarnation: inc, Phase: NodePreparing}}
	l.work, l.stopWork = context.WithCancel(context.Background())
	logs.full = l.postNow
	return l
}

func (l *life) wake() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// postNow asks for a checkpoint at once.
func (l *life) postNow() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// Run acts on the run's state until ctx ends. When it returns, no load is sent,
// and the leader has been told, unless the node is to end as if killed.
func (l *life) Run(ctx context.Context) {
	defer l.wg.Wait()
	defer func() { l.release() }()
	defer l.stopWork()
	defer context.AfterFunc(ctx, l.stopWork)()
	posting, stopPosting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPosting()
	l.wg.Go(func() { l.post(posting) })
	l.wg.Go(func() { l.publish(ctx) })
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	for ctx.Err() == nil {
		st, rev := l.t.now()
		wait, err := l.step(ctx, st)
		if err == nil {
			l.mu.Lock()
			l.handled = rev
			l.mu.Unlock()
		} else if ctx.Err() == nil {
			l.t.n.log.Debug("this node cannot follow the run at the moment", "run", l.t.run, "reason", err)
			wait = etcdAgain
		}
		again.Reset(wait)
		select {
		case <-l.news:
		case <-again.C:
		case <-ctx.Done():
		}
	}
	l.farewell(ctx)
}

// farewell waits for the load to be over, and sends the last checkpoint once more.
func (l *life) farewell(ctx context.Context) {
	if l.isRunning() {
		<-l.over
	}
	if cause := context.Cause(ctx); errors.Is(cause, errCrash) || errors.Is(cause, errRunOver) {
		return
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye/2)
	defer cancel()
	for l.engineIs() != nil && !l.settled() && bye.Err() == nil {
		l.postNow()
		pause(bye, 20*time.Millisecond)
	}
}

func (l *life) engineIs() Engine {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.engine
}

func (l *life) isRunning() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running
}

// loading says whether load is being sent.
func (l *life) loading() bool { return l.isRunning() }

// settled says whether nothing more is to come and the leader has it all.
func (l *life) settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.running && l.settle
}

// release ends what goes on beside an engine.
func (l *life) release() {
	l.mu.Lock()
	letGo := l.letGo
	l.mu.Unlock()
	if letGo != nil {
		letGo()
	}
}

func (l *life) closeEngine() {
	l.release()
	l.mu.Lock()
	e := l.engine
	l.engine = nil
	l.mu.Unlock()
	if e != nil {
		l.t.closeEngine(e)
	}
}

// warm sees to it that the VUs of an epoch are initialised, and says whether
// they are. The first time the engine is made.
func (l *life) warm(a *Alloc) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.making >= a.Epoch || l.broken != nil || l.died != nil {
		return l.ready >= a.Epoch
	}
	l.making = a.Epoch
	l.wg.Go(func() { l.initialise(a) })
	return false
}

// initialise is what warm does beside the life's own steps. A test that is
// dealt anew while the engine is being made still has one engine.
func (l *life) initialise(a *Alloc) {
	l.initial.Lock()
	defer l.initial.Unlock()
	ctx := l.work
	l.mu.Lock()
	e, over := l.engine, l.broken != nil || l.died != nil || l.ready >= a.Epoch
	l.mu.Unlock()
	if over || ctx.Err() != nil {
		return
	}
	var err error
	if e != nil {
		if !a.Share.Empty() {
			err = e.Warm(ctx, a.Share)
		}
	} else if e, err = l.t.make(ctx, a, l.log); err == nil {
		l.adopt(e)
		err = e.Init(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	if err != nil {
		l.broken = AsFailure(err).on(l.t.n.info.Name)
	} else {
		l.ready = max(l.ready, a.Epoch)
	}
	l.mu.Unlock()
	l.wake()
}

// adopt takes an engine that was made: its fence is kept open from now on, and
// its death is noticed.
func (l *life) adopt(e Engine) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.work))
	l.mu.Lock()
	l.engine, l.letGo = e, cancel
	l.mu.Unlock()
	l.wg.Go(func() { l.keepFence(ctx, e) })
	l.wg.Go(func() {
		select {
		case <-e.Done():
			l.diedOf(ctx, e, e.Err())
		case <-ctx.Done():
		}
	})
}

// diedOf notes that the engine ended by itself, after what it has certainly not begun.
func (l *life) diedOf(ctx context.Context, e Engine, err error) {
	l.lowerMarks(context.WithoutCancel(ctx), e)
	if err == nil {
		err = errors.New("the engine ended by itself")
	}
	f := AsFailure(err).on(l.t.n.info.Name)
	if f.Kind == KindInternal {
		f.Kind = KindEngine
	}
	l.mu.Lock()
	if l.died == nil && l.stage < StageEnded {
		l.died = f
	}
	l.mu.Unlock()
	l.wake()
}

// load runs the engine from an epoch on.
func (l *life) load(ctx context.Context, e Engine, epoch executor.Epoch, data []byte) {
	start, o := l.t.clock.start()
	late := max(0, l.t.clock.Now()-epoch.From)
	ctx, cancel := context.WithCancel(ctx)
	l.mu.Lock()
	l.running, l.stopLoad, l.stage, l.began = true, cancel, StageRunning, start
	l.skew = StartSkew{Late: late, Offset: o.Delta, RTT: o.RTT}
	l.mu.Unlock()
	l.wg.Go(func() {
		defer cancel()
		err := e.Run(ctx, start, epoch, data)
		l.ended(l.t.clock.Now(), l.unlessStopped(ctx, e, err))
	})
}

// unlessStopped drops the failure of a load that was told to end, and of an
// engine that died, which is told elsewhere.
func (l *life) unlessStopped(ctx context.Context, e Engine, err error) *Failure {
	f := AsFailure(err)
	if f == nil || ctx.Err() != nil && (f.Kind == KindInterrupted || f.Kind == KindInternal) {
		return nil
	}
	select {
	case <-e.Done():
		l.diedOf(ctx, e, e.Err())
		return nil
	default:
	}
	if f.Kind.engineDied() {
		l.diedOf(ctx, e, err)
		return nil
	}
	return f.on(l.t.n.info.Name)
}

// ended notes that no load is sent any more.
func (l *life) ended(elapsed time.Duration, f *Failure) {
	l.mu.Lock()
	if l.stage < StageEnded && l.died == nil {
		l.stage, l.elapsed, l.failure = StageEnded, max(0, elapsed), f
	}
	l.running = false
	select {
	case <-l.over:
	default:
		close(l.over)
	}
	l.mu.Unlock()
	l.postNow()
	l.wake()
}

// reach notes a later stage.
func (l *life) reach(s Stage) {
	l.mu.Lock()
	l.stage = max(l.stage, s)
	l.mu.Unlock()
	l.postNow()
}

// untilDrained derives a context that ends also when the run drains.
func (l *life) untilDrained(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.work, cancel)
	return ctx, func() { stop(); cancel() }
}

// untilOver waits for the load to be over.
func (l *life) untilOver(ctx context.Context) error {
	select {
	case <-l.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
