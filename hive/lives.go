package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/engine/executor"
)

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
	batches := inBatches(ops, max(1, d.n.cfg.ops/2))
	for _, batch := range batches[:len(batches)-1] { // the rest goes with the state
		if _, err := d.l.write(ctx, "lives", nil, batch...); err != nil {
			return nil, err
		}
	}
	return batches[len(batches)-1], nil
}

// ledger accounts for everything that the run planned. over says that no more is to come.
func (d *driver) ledger(over bool) ([]ScenarioLedger, []string) {
	in := LedgerInput{Scenarios: d.opts.Scenarios, Over: over, Stopped: d.st.Stopped, StoppedAt: d.st.StoppedAt,
		Gaps: d.gapsUntil(over), Missed: d.st.Missed, Scales: d.st.Scaled, ScaledBefore: d.st.ScaledBefore,
		Settled: d.closed.Sums, Known: d.known}
	if over {
		in.Loose = d.loose()
	}
	fallen := d.fallen()
	for number := range d.lives {
		if !d.isMember(number) && !d.closed.Lives.has(number) {
			in.Lives = append(in.Lives, d.lifeOf(number))
		}
	}
	for _, m := range d.st.Members {
		in.Lives = append(in.Lives, d.memberLife(m, over, fallen[m.Incarnation] != ""))
	}
	return NewLedger(in)
}

// gapsUntil are the gaps with an end: those that go on end now, or with the plan when no more is to come.
func (d *driver) gapsUntil(over bool) []Gap {
	gaps := slices.Clone(d.st.Gaps)
	for i := range gaps {
		switch {
		case gaps[i].Until >= 0:
		case over:
			gaps[i].Until = max(d.now(), d.planEnd())
		default:
			gaps[i].Until = d.now()
		}
	}
	return gaps
}

// memberLife is the part that a member has in the run.
func (d *driver) memberLife(m Member, over, lost bool) Life {
	life := Life{Stints: d.stints[m.Incarnation]}
	if c := d.n.inbox.of(m.Incarnation); c != nil {
		life.Ledgers, life.Final = c.Ledger, c.Stage >= StageEnded
	}
	if !life.Gone && (lost || over && !life.Final) { // or it never reported its end
		life.Gone, life.Proven = true, d.provenAt(m)
	}
	return life
}

// loose is by scenario how many counted iterations belong to nobody, for want of room.
func (d *driver) loose() []int64 {
	if d.rows == nil || d.policy().OnNodeLoss == LossContinue {
		return nil // what nobody has there is counted with who had it
	}
	loose := make([]int64, len(d.opts.Scenarios))
	owners := tenureOf(d.layout, d.allocs[d.st.Epoch], d.st.Members)
	for i, r := range d.rows.Scenarios {
		s := d.opts.Scenarios[i]
		loose[i] = lengthOf(r.Loose)
		if s.Executor != executor.PerVUIterations {
			continue
		}
		for slot := range d.layout.Scenarios[i].Max {
			if owners[d.layout.Scenarios[i].Base+slot] == 0 {
				loose[i] += max(0, s.Iterations-r.Next[slot])
			}
		}
	}
	return loose
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
