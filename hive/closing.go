package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// finalAfter is how long after it was proven gone a lost incarnation's last metrics are waited for before they
	// count as the last.
	finalAfter = 10 * time.Second
	// maxUnfolded is how many incarnations that are over are kept one by one.
	maxUnfolded = 50
	// maxKnown is how many counts of due iterations are remembered.
	maxKnown = 4096
)

// closedAccounts are the incarnations whose accounts are closed, and what became of their iterations by scenario. It is kept in
// the place of their lives, under the number 0, which no life has.
type closedAccounts struct {
	Lives lifeSet   `json:"lives"`
	Sums  []Settled `json:"sums"`
}

// closeAccounts sums up incarnations of which nothing more is to come, when there are many: their lives go from etcd, and
// their checkpoints from memory.
func (d *driver) closeAccounts(ctx context.Context) error {
	over := d.overForGood()
	if len(over) <= d.n.cfg.unfolded {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	next := closedAccounts{}
	key := d.n.keys.Life(d.id, 0)
	if _, err := getJSON(ctx, d.n.etcd, key, &next); err != nil { // an attempt before this one may have been written
		return fmt.Errorf("read the closed accounts: %w", err)
	}
	over = slices.DeleteFunc(over, next.Lives.has)
	over = over[:min(len(over), maxOps/2)]
	lives := make([]Life, 0, len(over))
	var ops []clientv3.Op
	for _, number := range over {
		lives = append(lives, d.lifeOf(number))
		next.Lives = next.Lives.with(number)
		ops = append(ops, clientv3.OpDelete(d.n.keys.Life(d.id, number)))
	}
	next.Sums = Plus(next.Sums, Settle(d.opts.Scenarios, lives))
	value, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("close accounts: %w", err)
	}
	stale, err := d.staleMarks(ctx, next.Lives)
	if err != nil {
		return err
	}
	ops = append(ops, stale[:min(len(stale), maxOps-len(ops)-1)]...)
	if _, err := d.l.write(ctx, "close accounts", nil, append(ops, clientv3.OpPut(key, string(value)))...); err != nil {
		return fmt.Errorf("close accounts: %w", err)
	}
	d.closed = next
	maps.DeleteFunc(d.lives, func(number int64, _ *Life) bool { return next.Lives.has(number) })
	d.n.inbox.fold(next.Lives)
	d.forget()
	return nil
}

// overForGood are the incarnations whose accounts can be closed, in order: they have ended, or are gone for so long that
// what they had reported has come, and others have what was theirs.
func (d *driver) overForGood() (over []int64) {
	for _, number := range slices.Sorted(maps.Keys(d.lives)) {
		life := d.lives[number]
		c := d.n.inbox.of(number)
		ended := c != nil && c.Stage >= StageEnded
		silent := life.Gone && d.at() > finalAfter && d.now()-life.Proven > finalAfter
		if (ended || silent) && (life.Replaced || !life.Gone) && !d.isMember(number) {
			over = append(over, number)
		}
	}
	return over
}

// lifeOf is what is known of an incarnation that has no share any more.
func (d *driver) lifeOf(number int64) Life {
	life := *d.lives[number]
	if c := d.n.inbox.of(number); c != nil {
		life.Ledgers, life.Final = c.Ledger, c.Stage >= StageEnded
	}
	return life
}

// staleMarks are the writes that delete how far lives might go whose accounts are closed.
func (d *driver) staleMarks(ctx context.Context, over lifeSet) (ops []clientv3.Op, err error) {
	resp, err := d.n.etcd.Get(ctx, d.n.keys.AllMarks(d.id), clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("read the marks: %w", err)
	}
	for _, kv := range resp.Kvs {
		var m NodeMarks
		if json.Unmarshal(kv.Value, &m) == nil && over.has(m.Incarnation) {
			ops = append(ops, clientv3.OpDelete(string(kv.Key)))
		}
	}
	return ops, nil
}

// forget drops what this leader remembers of incarnations that have no share any more.
func (d *driver) forget() {
	gone := func(number int64) bool { return !d.isMember(number) }
	maps.DeleteFunc(d.died, func(number int64, _ *Failure) bool { return gone(number) })
	maps.DeleteFunc(d.diedAt, func(number int64, _ time.Duration) bool { return gone(number) })
	maps.DeleteFunc(d.strained, func(number int64, _ bool) bool { return gone(number) })
	maps.DeleteFunc(d.silent, func(number int64, _ bool) bool { return gone(number) })
	if len(d.known) > maxKnown {
		clear(d.known)
	}
}

// readLives loads what an earlier leader recorded.
func (d *driver) readLives(ctx context.Context) error {
	kvs, _ := d.keys.All()
	for key, kv := range kvs {
		n, ok := strings.CutPrefix(key, d.n.keys.Lives(d.id))
		if !ok {
			continue
		}
		var number int64
		if _, err := fmt.Sscanf(n, "%d", &number); err != nil {
			continue
		}
		if number == 0 {
			if err := json.Unmarshal(kv.Value, &d.closed); err != nil {
				return fmt.Errorf("read the closed accounts: %w", err)
			}
			continue
		}
		life := &Life{}
		if json.Unmarshal(kv.Value, life) == nil && !d.isMember(number) {
			d.lives[number] = life
		}
	}
	maps.DeleteFunc(d.lives, func(number int64, _ *Life) bool { return d.closed.Lives.has(number) })
	if d.st.Epoch == 0 {
		return nil
	}
	if _, err := d.allocsOf(ctx, d.st.Epoch); err != nil {
		return err
	}
	d.beginStints()
	return nil
}
