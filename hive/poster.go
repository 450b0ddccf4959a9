package hive

import (
	"context"
	"errors"
	"time"
)

// postTry bounds one checkpoint on its way to the leader.
const postTry = 5 * time.Second

// ErrNoLeader says that no node leads the hive at the moment.
var ErrNoLeader = errors.New("the hive has no leader at the moment")

// Ack is the leader's answer to a checkpoint.
type Ack struct {
	Term int64 `json:"term"`
}

// postNow asks for a checkpoint at once.
func (t *task) postNow() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// post sends checkpoints to whoever leads, one an interval, until ctx ends.
// Since they are cumulative, one that is lost is healed by the next. After the
// end of the load it goes on until the leader has the last one, and begins
// again when the leader changes or something is logged.
func (t *task) post(ctx context.Context) {
	tick := time.NewTicker(t.a.n.cfg.Timing.Checkpoint)
	defer tick.Stop()
	for {
		_, leaderChanged := t.a.n.currentLeader()
		kick := t.kick
		if err := t.postOnce(ctx); err != nil && ctx.Err() == nil {
			t.a.n.log.Debug("a checkpoint did not reach the leader", "run", t.run, "reason", err)
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

func (t *task) postOnce(ctx context.Context) error {
	url, term, ok := t.a.n.leaderURL()
	if !ok {
		return ErrNoLeader
	}
	if t.delivered(term) {
		return nil
	}
	r := t.nextReport()
	body, err := encodeCheckpoint(r, t.snapshot())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, postTry)
	defer cancel()
	var ack Ack
	if err := t.a.n.calls.send(ctx, "POST", url+"/api/v1/runs/"+t.run+"/checkpoint", body, &ack); err != nil {
		return err
	}
	if n := len(r.Logs); n > 0 {
		t.logs.ack(r.Logs[n-1].Seq)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acked, t.ackTerm = r.Stage, ack.Term
	return nil
}

// delivered says that the leader of term has all there will be. A new leader
// is told everything that is kept.
func (t *task) delivered(term int64) bool {
	t.mu.Lock()
	fresh := t.ackTerm != 0 && t.ackTerm != term
	if fresh {
		t.acked, t.ackTerm = StagePreparing, term
	}
	done := t.stage >= StageEnded && t.acked >= t.stage && t.ackTerm == term
	t.mu.Unlock()
	if fresh {
		t.logs.reset()
	}
	return done && len(t.logs.pending()) == 0
}

// nextReport makes the head of the next checkpoint. It is made before the
// snapshot is taken, so that a report of the end is never with metrics from
// before it.
func (t *task) nextReport() Report {
	logs := t.logs.pending()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seq++
	r := Report{Node: t.a.self.ID, Incarnation: t.a.self.Incarnation, Seq: t.seq, Stage: t.stage,
		Failure: t.failure, Logs: logs, Start: t.skew, Elapsed: int64(t.elapsed)}
	if t.stage == StageRunning {
		r.Elapsed = int64(max(0, time.Since(t.began)))
	}
	if t.engine != nil {
		r.Progress = t.engine.Progress()
		if reason, failed := t.engine.MarkedFailed(); failed {
			r.Marked = markedFailure(reason).on(t.a.self.Name)
		}
	}
	return r
}

// awaitAck waits a while for the leader to have the last checkpoint.
func (t *task) awaitAck(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	for ctx.Err() == nil {
		if err := t.postOnce(ctx); err == nil {
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
}
