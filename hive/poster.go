package hive

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"hive/engine/metric"
)

// postTry bounds one checkpoint on its way.
const postTry = 2 * time.Second

// ErrNoLeader says that no node leads the hive at the moment.
var ErrNoLeader = errors.New("the hive has no leader at the moment")

// Ack is a node's answer to a checkpoint.
type Ack struct {
	Term int64 `json:"term"` // of its leadership; 0 when it does not lead
}

// mail is what a life sends to the leader and to its deputy, and keeps on disk.
type mail struct {
	epoch atomic.Int64 // the engine executes

	mu       sync.Mutex // guards what follows, and is held while a letter is written
	seq      int64
	letter   *letter
	snapshot *metric.Snapshot // the last one; nil before the first
	report   Report           // that goes with it

	ackMu   sync.Mutex // guards what follows
	acked   Stage      // of the last letter that the leader has
	final   bool       // that letter was the last one
	ackTerm int64      // the term of that leader; 0 before the first
}

// letter is one checkpoint, encoded.
type letter struct {
	seq     int64
	stage   Stage
	final   bool  // nothing comes after it but log lines
	lastLog int64 // number of the last log line in it; 0 for none
	made    time.Time
	body    []byte
}

// post sends checkpoints to whoever leads and to the deputy, and keeps them,
// until ctx ends. Since they are cumulative, one that is lost is healed by the
// next. Each goes its own way: one that hangs does not hold up the others.
func (l *life) post(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { l.postToDeputy(ctx) })
	if l.last == nil {
		wg.Go(func() { l.keepOnDisk(ctx) })
	}
	tick := time.NewTicker(l.t.n.cfg.Timing.Checkpoint)
	defer tick.Stop()
	for {
		_, leaderChanged := l.t.n.currentLeader()
		kick := l.kick
		if err := l.postOnce(ctx); err != nil && ctx.Err() == nil {
			l.t.n.log.Debug("a checkpoint did not reach the leader", "run", l.t.run, "reason", err)
			kick = nil // a flood of log lines kicks without end: the next tick tries again
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-kick:
		case <-leaderChanged:
		}
	}
}

// postOnce sends one checkpoint to the leader, unless it has all there is.
func (l *life) postOnce(ctx context.Context) error {
	url, term, ok := l.t.n.leaderURL()
	if !ok {
		return ErrNoLeader
	}
	if l.delivered(term) {
		return nil
	}
	letter, err := l.write(true)
	if err != nil {
		return err
	}
	ack, err := l.send(ctx, url, letter)
	if err != nil {
		return err
	}
	l.logs.ack(letter.lastLog)
	m := &l.mail
	m.ackMu.Lock()
	m.acked, m.ackTerm, m.final = letter.stage, ack.Term, letter.final
	m.ackMu.Unlock()
	settled := letter.final && len(l.logs.pending()) == 0
	l.mu.Lock()
	l.settle = settled
	l.mu.Unlock()
	return nil
}

func (l *life) send(ctx context.Context, url string, letter *letter) (ack Ack, err error) {
	ctx, cancel := context.WithTimeout(ctx, postTry)
	defer cancel()
	err = l.t.n.calls.send(ctx, "POST", url+"/api/v1/runs/"+l.t.run+"/checkpoint", letter.body, &ack)
	return ack, err
}

// delivered says that the leader of term has all there will be. A new leader
// is told everything that is kept.
func (l *life) delivered(term int64) bool {
	l.mu.Lock()
	stage := l.stage
	l.mu.Unlock()
	m := &l.mail
	m.ackMu.Lock()
	fresh := m.ackTerm != 0 && m.ackTerm != term
	if fresh {
		m.acked, m.ackTerm, m.final = StagePreparing, term, false
	}
	done := m.final && m.acked >= stage && m.ackTerm == term
	m.ackMu.Unlock()
	if fresh {
		l.logs.reset()
	}
	return done && len(l.logs.pending()) == 0
}

// postToDeputy sends every checkpoint to the node that leads next as well.
func (l *life) postToDeputy(ctx context.Context) {
	tick := time.NewTicker(l.t.n.cfg.Timing.Checkpoint)
	defer tick.Stop()
	var to string
	var seq int64
	var final bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		id, ok := l.t.n.deputy()
		r, found := l.t.n.find(id)
		if !ok || !found {
			continue
		}
		if id != to {
			to, seq, final = id, 0, false
		}
		letter, err := l.write(final)
		if err != nil || letter.seq == seq {
			continue
		}
		if _, err := l.send(ctx, r.Address, letter); err == nil {
			seq, final = letter.seq, letter.final
		}
	}
}

// keepOnDisk keeps the newest checkpoint in the data directory.
func (l *life) keepOnDisk(ctx context.Context) {
	s := l.t.n.store()
	if s.dir == "" {
		return
	}
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	var seq int64
	var said complaint
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		letter, err := l.write(false)
		if err == nil && letter.seq != seq {
			err = s.write(l.t.run, l.inc, letter.body)
			seq = letter.seq
		}
		if err != nil && said.due(err) {
			l.t.n.log.Warn("a checkpoint could not be kept", "run", l.t.run, "reason", err)
		}
	}
}

// write makes the next checkpoint, or returns the last one if that will do:
// when it need not be fresh and is hardly older than the interval between two,
// or when nothing can have changed.
func (l *life) write(fresh bool) (*letter, error) {
	m := &l.mail
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.last != nil {
		r := l.last.Report
		return &letter{seq: r.Seq, stage: r.Stage, final: true, body: l.last.body}, nil
	}
	if m.letter != nil && !fresh && (m.letter.final || time.Since(m.letter.made) < l.t.n.cfg.Timing.Checkpoint*3/2) {
		return m.letter, nil
	}
	logs := l.logs.pending()
	r, e := l.nextReport()
	r.Logs = logs
	if e != nil {
		m.snapshot = e.Snapshot()
	}
	m.seq++
	r.Seq = m.seq
	body, err := encodeCheckpoint(r, m.snapshot)
	if err != nil {
		return nil, err
	}
	m.letter = &letter{seq: r.Seq, stage: r.Stage, body: body, made: time.Now(), final: r.Stage >= StageEnded || l.isDead()}
	if n := len(logs); n > 0 {
		m.letter.lastLog = logs[n-1].Seq
	}
	return m.letter, nil
}

// isDead says whether the engine died and nothing more is to be had from it.
func (l *life) isDead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.died != nil && !l.running
}

// nextReport makes the head of the next checkpoint. It is made before the
// snapshot is taken, so that a report of the end is never with metrics from
// before it. Of an engine that is closed the last report is repeated.
func (l *life) nextReport() (Report, Engine) {
	m := &l.mail
	l.mu.Lock()
	e := l.engine
	r := Report{Node: l.t.n.info.ID, Incarnation: l.inc, Stage: l.stage, Failure: l.failure, Start: l.skew, Elapsed: int64(l.elapsed), Shut: l.shut}
	l.mu.Unlock()
	r.At, r.Epoch, r.Clock = l.t.clock.Now(), int(m.epoch.Load()), l.t.clock.skew()
	if r.Stage == StageRunning {
		r.Elapsed = int64(max(0, r.At))
	}
	if e == nil {
		was := m.report
		r.Progress, r.Ledger, r.Health, r.Worst, r.Marked, r.At = was.Progress, was.Ledger, was.Health, was.Worst, was.Marked, was.At
		return r, nil
	}
	r.Ledger, r.Progress, r.Health, r.Worst = e.Ledger(), e.Progress(), e.Health(), m.report.Worst
	if r.Stage == StageRunning {
		r.Worst = r.Worst.Worst(r.Health)
	}
	if reason, failed := e.MarkedFailed(); failed {
		r.Marked = markedFailure(reason).on(l.t.n.info.Name)
	}
	m.report = r
	return r, e
}

// awaitAck waits a while for the leader to have the last checkpoint.
func (l *life) awaitAck(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	for ctx.Err() == nil {
		if err := l.postOnce(ctx); err == nil {
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
}
