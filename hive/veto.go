package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// vetoTry bounds the first attempt to end a proposal, where hosts are near each other; each further one gets twice the
	// time of the one before, up to longestVetoTry. What is proposed while etcd has no leader hangs until its own deadline.
	vetoTry        = 400 * time.Millisecond
	longestVetoTry = 8 * vetoTry
	// vetoTurn is by how much, for each member, vetoes are spread over time: one is enough, and word of it is quicker than a
	// write of each of many. It is bounded by longestTurn.
	vetoTurn, longestTurn = 50 * time.Microsecond, 50 * time.Millisecond
)

// turn is how much longer than others this life waits before it ends a proposal.
func (l *life) turn() time.Duration {
	var members int
	if len(l.share.Plan().Scenarios) > 0 {
		members = len(l.share.Nodes(0))
	}
	return rand.N(min(time.Duration(members)*vetoTurn, longestTurn) + 1)
}

// boundHold ends a promise that is kept for longer than the proposal asks for: load is held back, and whoever was to
// commit may be gone. It says when to look again. What the veto comes to is found out beside the life's own steps, for
// word of a commit must not wait for it.
func (l *life) boundHold(ctx context.Context, p *Proposal) time.Duration {
	if p == nil || l.held != p.Epoch || l.out || !l.isRunning() || l.t.isVetoed(p.Epoch) {
		return idle
	}
	// The answer takes a round trip.
	if left := l.heldFrom + max(0, l.heldFor-l.t.n.trip()) - l.t.clock.Now(); left > 0 {
		return max(left, time.Millisecond)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.objects {
		l.objects = true
		epoch := l.held
		l.wg.Go(func() {
			l.object(ctx, epoch)
			l.mu.Lock()
			l.objects = false
			l.mu.Unlock()
			l.wake()
		})
	}
	return idle
}

// object tries to end a proposal until it is known how that ended. While etcd does not answer nothing is known, and the
// promise holds.
func (l *life) object(ctx context.Context, epoch int) {
	t := l.t
	for try := vetoTry; ctx.Err() == nil; try = min(2*try, longestVetoTry) {
		st, rev := t.now()
		if p := st.Proposal; p == nil || p.Epoch != epoch || t.isVetoed(epoch) {
			return // it has ended, and the state says how
		}
		one, cancel := context.WithTimeout(ctx, t.n.patience(try))
		vetoed, open, err := t.n.veto(one, t.run, Veto{Epoch: epoch, Node: t.n.info.Name, At: t.clock.Now()}, rev)
		cancel()
		switch {
		case err != nil:
			t.n.log.Debug("a proposal could not be ended", "run", t.run, "epoch", epoch, "reason", err)
			pause(ctx, againPause)
		case vetoed:
			t.n.log.Info("an epoch is given up: its end was not known in time", "run", t.run, "epoch", epoch)
			t.noteVeto(epoch)
			return
		default:
			pause(ctx, againPause) // word of its end, or of what else is new in the state, is on its way
			if !open {
				return
			}
		}
	}
}

// veto ends a proposal that is open in the state at a revision: one transaction wants the state to be as it was then, and
// there to be no veto. A commit changes the state and wants that there is no veto, so of the two only one can be. The
// answer says what is: vetoed, by whomever, or else whether the proposal is still open. Asking again is safe.
func (n *Node) veto(ctx context.Context, run string, v Veto, rev int64) (vetoed, open bool, err error) {
	value, err := json.Marshal(v)
	if err != nil {
		return false, false, fmt.Errorf("veto: %w", err)
	}
	state, key := n.keys.State(run), n.keys.Veto(run)
	var resp *clientv3.TxnResponse
	err = n.around("veto", func() error {
		resp, err = n.etcd.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(state), "=", rev), clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, string(value))).
			Else(clientv3.OpGet(state), clientv3.OpGet(key)).Commit()
		return err
	})
	if err != nil {
		return false, false, fmt.Errorf("veto epoch %d: %w", v.Epoch, err)
	}
	if resp.Succeeded {
		return true, false, nil
	}
	var st State
	var was Veto
	for i, into := range []any{&st, &was} {
		for _, kv := range resp.Responses[i].GetResponseRange().Kvs {
			if err := json.Unmarshal(kv.Value, into); err != nil {
				return false, false, fmt.Errorf("veto epoch %d: %w", v.Epoch, err)
			}
		}
	}
	vetoed = was.Epoch == v.Epoch
	return vetoed, !vetoed && st.Proposal != nil && st.Proposal.Epoch == v.Epoch, nil
}

// seeVeto takes over what the mirror of the state says of a veto.
func (t *task) seeVeto() {
	var v Veto
	if kv, ok := t.state.Get(t.n.keys.Veto(t.run)); ok && json.Unmarshal(kv.Value, &v) == nil {
		t.noteVeto(v.Epoch)
	}
}

// noteVeto notes that a proposal will never be committed. The number of an epoch is not used twice.
func (t *task) noteVeto(epoch int) {
	t.mu.Lock()
	fresh := epoch > t.vetoed
	t.vetoed = max(t.vetoed, epoch)
	t.mu.Unlock()
	if fresh {
		t.wakeAll()
	}
}

func (t *task) isVetoed(epoch int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.vetoed == epoch
}

// veto is what ended the proposal, if its members did.
func (d *driver) veto() (v Veto, ok bool) {
	kv, ok := d.keys.Get(d.n.keys.Veto(d.id))
	return v, ok && json.Unmarshal(kv.Value, &v) == nil
}

// tellVeto puts into the timeline that the members ended the proposal which another replaces.
func (d *driver) tellVeto() {
	p := d.st.Proposal
	v, ok := d.veto()
	if p == nil || !ok || v.Epoch != p.Epoch {
		return
	}
	d.note(TimelineEpoch, v.Node, fmt.Sprintf("epoch %d (%s) was given up by its members at %s: no word that it was agreed upon had come until %s after its beginning",
		p.Epoch, p.Why, seconds(v.At), (v.At-p.From).Round(time.Millisecond)), map[string]float64{"seconds": max(0, v.At-p.From).Seconds()})
}
