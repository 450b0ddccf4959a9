package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// finalAfter is how long after it was proven gone a lost incarnation's last metrics are waited for before they count
// as the last.
const finalAfter = 10 * time.Second

// beginStints notes what every member owns from the present epoch on.
func (d *driver) beginStints() {
	allocs := d.allocs[d.st.Epoch]
	for _, m := range d.st.Members {
		a, ok := allocs[m.Incarnation]
		if !ok {
			continue
		}
		stints := d.stints[m.Incarnation]
		if n := len(stints); n > 0 && stints[n-1].Epoch == d.st.Epoch {
			continue
		}
		stints = append(slices.Clone(stints), Stint{Epoch: d.st.Epoch, From: d.st.From, Share: a.Share})
		d.stints[m.Incarnation] = stints[max(0, len(stints)-keptStints):]
	}
}

// recordLives makes the writes that keep what incarnations had which have no share any more; replaced says that
// others have it from until on.
func (d *driver) recordLives(ctx context.Context, outs []Member, until time.Duration, replaced bool) (ops []clientv3.Op, err error) {
	if len(outs) == 0 {
		return nil, nil
	}
	fallen := d.fallen()
	counted, err := d.countedOf(ctx, outs)
	if err != nil {
		return nil, err
	}
	for _, m := range outs {
		life := &Life{Stints: d.stints[m.Incarnation], Replaced: replaced, Until: until, Counted: counted[m.Incarnation]}
		if fallen[m.Incarnation] != "" {
			life.Gone, life.Proven = true, d.provenAt(m)
		}
		value, err := json.Marshal(life)
		if err != nil {
			return nil, fmt.Errorf("the life of node %s: %w", m.Name, err)
		}
		d.lives[m.Incarnation] = life
		ops = append(ops, clientv3.OpPut(d.n.keys.Life(d.id, m.Incarnation), string(value)))
	}
	for len(ops) > maxOps/2 { // the rest goes with the state
		batch := ops[:maxOps/2]
		if _, err := d.l.write(ctx, "lives", nil, batch...); err != nil {
			return nil, err
		}
		ops = ops[len(batch):]
	}
	return ops, nil
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
		life := &Life{}
		if _, err := fmt.Sscanf(n, "%d", &number); err == nil && json.Unmarshal(kv.Value, life) == nil && !hasLife(d.st.Members, number) {
			d.lives[number] = life
		}
	}
	if d.st.Epoch == 0 {
		return nil
	}
	if _, err := d.allocsOf(ctx, d.st.Epoch); err != nil {
		return err
	}
	d.beginStints()
	return nil
}

// settleGone folds incarnations of which nothing more is to come, when there are many.
func (d *driver) settleGone() {
	var over []int64
	for _, c := range d.n.inbox.all() {
		life, gone := d.lives[c.Incarnation]
		if !gone || hasLife(d.st.Members, c.Incarnation) {
			continue
		}
		if c.Stage >= StageEnded || life.Gone && d.now()-life.Proven > finalAfter {
			over = append(over, c.Incarnation)
		}
	}
	if len(over) <= maxUnfolded {
		return
	}
	for _, number := range over {
		if c := d.n.inbox.of(number); c != nil && c.Stage >= StageEnded {
			d.lives[number] = &Life{Final: true} // its own ledger says it all
		}
	}
	d.n.inbox.fold(over)
}

// maxUnfolded is how many checkpoints of incarnations that are over are kept one by one.
const maxUnfolded = 50

// ledger accounts for everything that the run planned. over says that no more is to come.
func (d *driver) ledger(over bool) ([]ScenarioLedger, []string) {
	in := LedgerInput{Scenarios: d.opts.Scenarios, Over: over, Stopped: d.st.Stopped, StoppedAt: d.st.StoppedAt, Scales: d.st.Scaled}
	now := d.now()
	for _, g := range d.st.Gaps {
		if g.Until < 0 {
			g.Until = now
			if over {
				g.Until = max(now, d.planEnd())
			}
		}
		in.Gaps = append(in.Gaps, g)
	}
	fallen := d.fallen()
	seen := map[int64]bool{}
	for _, c := range d.n.inbox.all() {
		seen[c.Incarnation] = true
		life := Life{Stints: d.stints[c.Incarnation]}
		if known := d.lives[c.Incarnation]; known != nil {
			life = *known
		}
		life.Ledgers, life.Final = c.Ledger, c.Stage >= StageEnded
		if over && !life.Final && !life.Gone {
			life.Gone, life.Proven = true, now // it never reported its end
		}
		if fallen[c.Incarnation] != "" && !life.Gone {
			if m, ok := d.memberOf(c.Incarnation); ok {
				life.Gone, life.Proven = true, d.provenAt(m)
			}
		}
		in.Lives = append(in.Lives, life)
	}
	if f := d.n.inbox.sum(); f != nil {
		for i, number := range f.Lives {
			seen[number] = true
			life := Life{Final: true} // an earlier leader may have recorded more
			if known := d.lives[number]; known != nil {
				life = *known
			}
			life.Ledgers = f.Ledgers[i]
			in.Lives = append(in.Lives, life)
		}
	}
	for number, life := range d.lives {
		if !seen[number] {
			in.Lives = append(in.Lives, *life)
		}
	}
	for _, m := range d.st.Members {
		if !seen[m.Incarnation] && d.lives[m.Incarnation] == nil {
			life := Life{Stints: d.stints[m.Incarnation], Gone: over || fallen[m.Incarnation] != ""}
			if life.Gone {
				life.Proven = d.provenAt(m)
			}
			in.Lives = append(in.Lives, life)
		}
	}
	return NewLedger(in)
}

func (d *driver) memberOf(life int64) (Member, bool) {
	i := slices.IndexFunc(d.st.Members, func(m Member) bool { return m.Incarnation == life })
	if i < 0 {
		return Member{}, false
	}
	return d.st.Members[i], true
}

// markGaps opens a gap for every scenario that nobody has any part of by the allocations given, and closes the others.
func (d *driver) markGaps(s *State, from time.Duration, next map[int64]Alloc) {
	if next == nil {
		next = d.allocs[s.Epoch]
	}
	s.Gaps = slices.Clone(s.Gaps)
	for i := range d.opts.Scenarios {
		vus := 0
		for _, m := range s.Members {
			if a, ok := next[m.Incarnation]; ok {
				vus += a.Share.VUs(i)
			}
		}
		open := slices.IndexFunc(s.Gaps, func(g Gap) bool { return g.Scenario == i && g.Until < 0 })
		switch {
		case vus == 0 && open < 0:
			s.Gaps = append(s.Gaps, Gap{Scenario: i, From: from, Until: -1})
		case vus > 0 && open >= 0:
			s.Gaps[open].Until = from
		}
	}
}
