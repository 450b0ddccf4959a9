package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/engine/executor"
)

const (
	// marksEvery is how often marks are written at most that no engine waits for.
	marksEvery = 250 * time.Millisecond
	// marksTry bounds one attempt to write them.
	marksTry = time.Second
	// marksAgain is between two attempts.
	marksAgain = 50 * time.Millisecond
)

// marks are how far the engine of a life may go with counted iterations. They
// are raised in etcd first and with the engine after that, so that what lies
// beyond them in etcd was never begun.
type marks struct {
	mu      sync.Mutex // held while they are written
	allowed []executor.Marks
	rev     int64 // of the key as last known; 0 when it is not there
	known   bool  // rev is known
	epoch   int   // in which they were written last
	frozen  bool  // a promise holds: they stay as they are
	final   bool  // the engine is gone: the same, for ever
}

// errMarks says that the marks were written, or the record replaced, by
// somebody else than was thought.
var errMarks = errors.New("the marks in etcd are not those that were written last")

// raise gives the engine what it asks for, unless a promise holds.
func (l *life) raise(ctx context.Context, e Engine, epoch int) error {
	m := &l.marks
	m.mu.Lock()
	defer m.mu.Unlock()
	want := higher(e.Marks(), m.allowed)
	if m.frozen || m.final || reflect.DeepEqual(want, m.allowed) {
		return nil
	}
	if counted(want) || counted(m.allowed) {
		if err := l.writeMarks(ctx, epoch, want); err != nil {
			return err
		}
	}
	m.allowed = want
	e.Allow(want)
	return nil
}

// lowerMarks says of an engine that is gone beyond what it has begun nothing, so that others can. Marks that a promise
// holds stay as they are: they may have been acted on. Where the engine does not know, or etcd does not answer before the
// node counts as lost, what the marks allow is unknown.
func (l *life) lowerMarks(ctx context.Context, e Engine) {
	begun := e.Begun()
	m := &l.marks
	m.mu.Lock()
	defer m.mu.Unlock()
	if begun == nil || m.final {
		return
	}
	m.final = true
	if m.frozen || len(begun) != len(m.allowed) {
		return
	}
	lowered := slices.Clone(m.allowed)
	for i := range lowered {
		lowered[i] = lowered[i].Lower(begun[i])
	}
	if m.known && reflect.DeepEqual(lowered, m.allowed) {
		return // what is not known may be an attempt to raise them whose answer was lost
	}
	ctx, cancel := context.WithTimeout(ctx, l.t.n.cfg.LeaseTTL)
	defer cancel()
	err := l.writeMarks(ctx, m.epoch, lowered)
	for err != nil && ctx.Err() == nil { // an etcd that does not answer cannot be told of the death either
		pause(ctx, marksAgain)
		err = l.writeMarks(ctx, m.epoch, lowered)
	}
	if err != nil {
		l.t.n.log.Warn("what a dead engine has not begun is not known to the hive", "run", l.t.run, "reason", err)
		return
	}
	m.allowed = lowered
}

// higher is what is asked for, and nowhere less than what is allowed: an engine
// that has not heard of that yet may by now be content with less.
func higher(asked, allowed []executor.Marks) []executor.Marks {
	all := slices.Clone(asked)
	for i := range min(len(all), len(allowed)) {
		all[i].Limit = max(all[i].Limit, allowed[i].Limit)
		if len(allowed[i].Slots) == 0 {
			continue
		}
		slots := maps.Clone(allowed[i].Slots)
		for slot, limit := range all[i].Slots {
			slots[slot] = max(slots[slot], limit)
		}
		all[i].Slots = slots
	}
	return all
}

// freeze keeps the marks as they are in etcd. They are written once more, so
// that an attempt to raise them that is still on its way comes to nothing.
func (l *life) freeze(ctx context.Context, epoch int) error {
	m := &l.marks
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.frozen {
		return nil
	}
	if counted(m.allowed) {
		if err := l.writeMarks(ctx, epoch, m.allowed); err != nil {
			return err
		}
	}
	m.frozen = true
	return nil
}

func (l *life) thaw() {
	l.marks.mu.Lock()
	defer l.marks.mu.Unlock()
	l.marks.frozen = false
}

// counted says whether there is any mark at all: iterations of arrival-rate
// executors are bound to times and have none.
func counted(all []executor.Marks) bool {
	for _, m := range all {
		if m.Limit != 0 || len(m.Slots) > 0 {
			return true
		}
	}
	return false
}

// writeMarks writes marks under the condition that nothing else was written
// since, and that the node's record is that of its present lease; l.marks.mu is
// held.
func (l *life) writeMarks(ctx context.Context, epoch int, all []executor.Marks) error {
	ctx, cancel := context.WithTimeout(ctx, l.t.n.patience(marksTry))
	defer cancel()
	m, n := &l.marks, l.t.n
	p := n.place.Load()
	if p == nil {
		return errNotIn
	}
	key := n.keys.Marks(l.t.run, n.info.ID)
	value, err := json.Marshal(NodeMarks{Incarnation: l.inc, Epoch: epoch, Scenarios: all})
	if err != nil {
		return fmt.Errorf("write marks: %w", err)
	}
	if !m.known {
		resp, err := n.etcd.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("read marks: %w", err)
		}
		m.rev, m.known = 0, true
		if len(resp.Kvs) > 0 {
			m.rev = resp.Kvs[0].ModRevision
		}
	}
	m.known = false // until the answer says so
	resp, err := n.etcd.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", m.rev),
			clientv3.Compare(clientv3.CreateRevision(n.keys.Nodes()+n.info.ID), "=", p.rev)).
		Then(clientv3.OpPut(key, string(value))).Commit()
	if err != nil {
		return fmt.Errorf("write marks: %w", err)
	}
	if !resp.Succeeded {
		return errMarks
	}
	m.rev, m.known, m.epoch = resp.Header.Revision, true, epoch
	return nil
}

// keepMarks raises the marks whenever the engine asks, until ctx ends.
func (l *life) keepMarks(ctx context.Context, e Engine, epoch func() int) {
	tick := time.NewTicker(marksEvery)
	defer tick.Stop()
	for {
		if err := l.raise(ctx, e, epoch()); err != nil && ctx.Err() == nil {
			l.t.n.log.Debug("marks could not be raised", "run", l.t.run, "reason", err)
			pause(ctx, marksAgain)
		}
		select {
		case <-e.NeedMarks():
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
