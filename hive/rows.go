package hive

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/engine/executor"
	"hive/engine/share"
)

// rows is the leader's record of who has which iterations of the scenarios whose iterations are counted and not timed.
// It changes with each epoch.
type rows struct {
	Scenarios map[int]*rowsOf `json:"scenarios,omitempty"` // by index; shared-, per-vu-iterations and looping ones
}

// rowsOf is what rows says of one scenario.
type rowsOf struct {
	// Weights are the VUs of each owner in the first deal (shared-iterations).
	Weights []int `json:"weights,omitempty"`
	// Nodes are the rows by incarnation (shared-iterations).
	Nodes map[int64]row `json:"nodes,omitempty"`
	// Loose is what belongs to nobody, since nobody is there (shared-iterations).
	Loose []share.Piece `json:"loose,omitempty"`
	// Next is, for slots that came from lost nodes, the first iteration number that was certainly not begun, as long
	// as their owner's marks do not say more.
	Next map[int]int64 `json:"next,omitempty"`
}

// row is one incarnation's part of a shared-iterations scenario: Done that it may have begun before, then Pieces.
type row struct {
	Done   int64         `json:"done,omitempty"`
	Pieces []share.Piece `json:"pieces,omitempty"`
}

func lengthOf(pieces []share.Piece) (n int64) {
	for _, p := range pieces {
		n += p.To - p.From
	}
	return n
}

// after is what is left of a row once an incarnation may have begun limit iterations in all.
func (r row) after(limit int64) []share.Piece {
	skip := max(0, limit-r.Done)
	var left []share.Piece
	for _, p := range r.Pieces {
		n := min(skip, p.To-p.From)
		skip -= n
		if p.From+n < p.To {
			left = append(left, share.Piece{Owner: p.Owner, From: p.From + n, To: p.To})
		}
	}
	return left
}

// inOrder sorts pieces and joins those that touch.
func inOrder(pieces []share.Piece) (joined []share.Piece) {
	slices.SortFunc(pieces, func(a, b share.Piece) int { return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.From, b.From)) })
	for _, p := range pieces {
		if n := len(joined); n > 0 && joined[n-1].Owner == p.Owner && joined[n-1].To == p.From {
			joined[n-1].To = p.To
			continue
		}
		joined = append(joined, p)
	}
	return joined
}

// taker is a member of the next epoch, as far as one scenario goes.
type taker struct {
	life int64
	vus  int
}

// cut deals what is left of a shared-iterations scenario to the takers, in proportion to their VUs. limits are how many
// iterations each incarnation may have begun.
func (r *rowsOf) cut(limits map[int64]int64, takers []taker) *rowsOf {
	pool := slices.Clone(r.Loose)
	for life, own := range r.Nodes {
		pool = append(pool, own.after(limits[life])...)
	}
	pool = inOrder(pool)
	next := &rowsOf{Weights: r.Weights, Nodes: map[int64]row{}, Next: r.Next}
	weights, total := make([]int, len(takers)), 0
	for i, t := range takers {
		weights[i] = t.vus
		total += t.vus
	}
	if total == 0 {
		next.Loose = pool
		for _, t := range takers {
			next.Nodes[t.life] = row{Done: r.begun(t.life, limits)}
		}
		return next
	}
	for i, pieces := range share.Cut(pool, weights) {
		next.Nodes[takers[i].life] = row{Done: r.begun(takers[i].life, limits), Pieces: pieces}
	}
	return next
}

// begun is how many iterations an incarnation may have begun.
func (r *rowsOf) begun(life int64, limits map[int64]int64) int64 {
	own, ok := r.Nodes[life]
	if !ok {
		return 0
	}
	return min(max(own.Done, limits[life]), own.Done+lengthOf(own.Pieces))
}

// countedScenarios are the scenarios whose end depends on how many iterations were done.
func (d *driver) countedScenarios() map[int]bool {
	counted := map[int]bool{}
	for i, s := range d.opts.Scenarios {
		if s.Executor == executor.SharedIterations || s.Executor == executor.PerVUIterations {
			counted[i] = true
		}
	}
	return counted
}

// numbered says whether a scenario's VUs count their own iterations, so that a VU that moves has to go on.
func numbered(k executor.Kind) bool {
	switch k {
	case executor.PerVUIterations, executor.ConstantVUs, executor.RampingVUs, executor.ExternallyControlled:
		return true
	}
	return false
}

// firstRows is who has what when the load begins.
func (d *driver) firstRows(ctx context.Context) (string, error) {
	allocs, err := d.allocsOf(ctx, d.st.Epoch)
	if err != nil {
		return "", err
	}
	d.beginStints()
	d.rows = &rows{Scenarios: map[int]*rowsOf{}}
	for i, s := range d.opts.Scenarios {
		switch {
		case s.Executor == executor.SharedIterations:
			r := &rowsOf{Nodes: map[int64]row{}}
			for _, m := range d.st.Members {
				sh := allocs[m.Incarnation].Share
				r.Weights = sh.Nodes(i)
				r.Nodes[m.Incarnation] = row{Pieces: firstPiece(sh.Index(), sh.Iterations(i).Before(s.Iterations))}
			}
			d.rows.Scenarios[i] = r
		case numbered(s.Executor):
			d.rows.Scenarios[i] = &rowsOf{}
		}
	}
	value, err := json.Marshal(d.rows)
	if err != nil {
		return "", fmt.Errorf("rows: %w", err)
	}
	return string(value), nil
}

func firstPiece(owner int, n int64) []share.Piece {
	if n == 0 {
		return nil
	}
	return []share.Piece{{Owner: owner, To: n}}
}

// readRows loads the record as an earlier leader left it.
func (d *driver) readRows(ctx context.Context) error {
	if d.rows != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	r := &rows{}
	if _, err := getJSON(ctx, d.n.etcd, d.n.keys.Rows(d.id), r); err != nil {
		return err
	}
	d.rows = r
	return nil
}

// marks reads how far every incarnation may go. Whoever holds does not raise its marks, so they stand until the
// proposal has ended.
func (d *driver) marks(ctx context.Context) (map[int64]NodeMarks, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	resp, err := d.n.etcd.Get(ctx, d.n.keys.AllMarks(d.id), clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("read the marks: %w", err)
	}
	all := map[int64]NodeMarks{}
	for _, kv := range resp.Kvs {
		var m NodeMarks
		if err := json.Unmarshal(kv.Value, &m); err != nil {
			return nil, fmt.Errorf("read the marks: %w", err)
		}
		all[m.Incarnation] = m
	}
	return all, nil
}

func (m NodeMarks) of(scenario int) executor.Marks {
	if scenario < len(m.Scenarios) {
		return m.Scenarios[scenario]
	}
	return executor.Marks{}
}

// moveWork says what the proposal does to counted iterations: it writes the work of every member, which counts once
// the state names the epoch, and returns the write of the record that belongs to the commit.
func (d *driver) moveWork(ctx context.Context, p *Proposal, next map[int64]Alloc) ([]clientv3.Op, error) {
	if err := d.readRows(ctx); err != nil {
		return nil, err
	}
	if len(d.rows.Scenarios) == 0 {
		return nil, nil
	}
	marks, err := d.marks(ctx)
	if err != nil {
		return nil, err
	}
	old, err := d.allocsOf(ctx, d.st.Epoch)
	if err != nil {
		return nil, err
	}
	owners, err := d.tenure(ctx)
	if err != nil {
		return nil, err
	}
	after := &rows{Scenarios: map[int]*rowsOf{}}
	work := map[int64][]share.Work{}
	for _, m := range p.Members {
		work[m.Incarnation] = make([]share.Work, len(d.opts.Scenarios))
	}
	for _, m := range p.Leaving {
		work[m.Incarnation] = make([]share.Work, len(d.opts.Scenarios))
	}
	for i, r := range d.rows.Scenarios {
		if d.opts.Scenarios[i].Executor == executor.SharedIterations {
			after.Scenarios[i] = d.moveShared(i, r, p, old, next, marks, work)
		} else {
			after.Scenarios[i] = d.moveNumbered(i, r, owners, p, next, marks, work)
		}
	}
	var ops []clientv3.Op
	for _, m := range slices.Concat(p.Members, p.Leaving) {
		value, err := json.Marshal(work[m.Incarnation])
		if err != nil {
			return nil, fmt.Errorf("work of node %s: %w", m.Name, err)
		}
		ops = append(ops, clientv3.OpPut(d.n.keys.Work(d.id, p.Epoch, m.ID), string(value)))
	}
	unchanged := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(d.n.keys.State(d.id)), "=", d.rev)}
	for batch := range slices.Chunk(ops, d.n.cfg.ops) {
		if _, err := d.l.write(ctx, "work", unchanged, batch...); err != nil {
			return nil, fmt.Errorf("write the work: %w", err)
		}
	}
	value, err := json.Marshal(after)
	if err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	d.nextRows = after
	return []clientv3.Op{clientv3.OpPut(d.n.keys.Rows(d.id), string(value))}, nil
}

// moveShared cuts what is left of a shared-iterations scenario anew when the VUs of any node change.
func (d *driver) moveShared(i int, r *rowsOf, p *Proposal, old, next map[int64]Alloc, marks map[int64]NodeMarks, work map[int64][]share.Work) *rowsOf {
	same := len(p.Members) == len(d.st.Members) && len(r.Loose) == 0
	for _, m := range p.Members {
		was, ok := old[m.Incarnation]
		same = same && ok && d.isMember(m.Incarnation) && was.Share.VUs(i) == next[m.Incarnation].Share.VUs(i)
	}
	if same {
		return r
	}
	limits := map[int64]int64{}
	for life := range r.Nodes {
		limits[life] = marks[life].of(i).Limit
	}
	var takers []taker
	for _, m := range p.Members {
		takers = append(takers, taker{m.Incarnation, next[m.Incarnation].Share.VUs(i)})
	}
	after := r.cut(limits, takers)
	for life := range work {
		work[life][i] = share.Work{Weights: r.Weights, Whole: true, Pieces: after.Nodes[life].Pieces}
	}
	return after
}

// moveNumbered says where the VUs of slots go on that come from lost nodes.
func (d *driver) moveNumbered(i int, r *rowsOf, owners tenure, p *Proposal, next map[int64]Alloc, marks map[int64]NodeMarks, work map[int64][]share.Work) *rowsOf {
	after := &rowsOf{Next: map[int]int64{}}
	area := d.layout.Scenarios[i]
	fallen := d.fallen()
	mark := func(life int64, slot int) int64 {
		m := marks[life].of(i)
		return max(m.Limit, m.Slots[slot])
	}
	holder := map[int]int64{}
	for _, m := range p.Members {
		for slot := range next[m.Incarnation].Share.All().Values() {
			if slot >= area.Base && slot < area.Base+area.Max {
				holder[slot-area.Base] = m.Incarnation
			}
		}
	}
	for slot := range area.Max {
		was := owners[area.Base+slot]
		from := max(r.Next[slot], 0)
		lost := was == 0 || fallen[was] != ""
		if was != 0 && (lost || mark(was, slot) >= from) {
			from = max(from, mark(was, slot))
		}
		taken := holder[slot]
		switch {
		case from == 0:
		case taken == 0 || lost:
			after.Next[slot] = from
		case taken != was:
			after.Next[slot] = from // if its new owner is lost before it was told how far the old one had come
		case r.Next[slot] > mark(was, slot):
			after.Next[slot] = r.Next[slot] // its owner has not come that far
		}
		if lost && taken != 0 && from > 0 {
			w := &work[taken][i]
			if w.Next == nil {
				w.Next = map[int]int64{}
			}
			w.Next[slot] = from
		}
	}
	return after
}

// nothingLoose says whether no counted iterations wait for an owner.
func (d *driver) nothingLoose() bool {
	if d.rows == nil {
		return false
	}
	for i, r := range d.rows.Scenarios {
		if len(r.Loose) > 0 && d.now() < d.opts.Scenarios[i].End() {
			return false
		}
	}
	return d.st.Unowned == 0 || len(d.living()) > 0
}

// countedOf is how far incarnations that leave may have gone, for the ledger.
func (d *driver) countedOf(ctx context.Context, outs []Member) (map[int64][]Counted, error) {
	if err := d.readRows(ctx); err != nil || len(d.rows.Scenarios) == 0 {
		return nil, err
	}
	marks, err := d.marks(ctx)
	if err != nil {
		return nil, err
	}
	all := map[int64][]Counted{}
	for _, m := range outs {
		counted := make([]Counted, len(d.opts.Scenarios))
		for i, r := range d.rows.Scenarios {
			own := r.Nodes[m.Incarnation]
			counted[i] = Counted{Marks: marks[m.Incarnation].of(i), Row: own.Done + lengthOf(own.Pieces), Begins: maps.Clone(r.Next)}
		}
		all[m.Incarnation] = counted
	}
	return all, nil
}
