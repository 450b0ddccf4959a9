package hive

import (
	"context"
	"encoding/json"
	"maps"

	"hive/engine/executor"
	"hive/registry"
)

// arrival is word of slots that another life has let go.
type arrival struct {
	slots []executor.Handover
	// ended says that the life is over, and with it all that it had; marks is how far it may have come.
	ended bool
	from  int64 // its incarnation
	marks []executor.Marks
}

// await begins to look out for slots that other nodes have yet to let go, and
// forgets those that have become another node's concern.
func (l *life) await(ctx context.Context, a *Alloc) {
	maps.DeleteFunc(l.coming, func(slot int, _ Gain) bool { return !a.Share.All().Has(slot) })
	for _, g := range a.Gains {
		for slot := range g.Slots.Values() {
			l.coming[slot] = g
		}
		if l.taking[g.Incarnation] == nil && g.Slots.Len() > 0 {
			ctx, cancel := context.WithCancel(ctx)
			l.taking[g.Incarnation] = cancel
			l.wg.Go(func() { l.take(ctx, g) })
		}
	}
}

// take watches the status of a node that gives slots, until it has ended or
// ctx has. A status that is not there any more says that the node's lease is
// over, and its load with it.
func (l *life) take(ctx context.Context, g Gain) {
	n := l.t.n
	key := n.keys.Status(l.t.run, g.Node)
	m := registry.NewKeyMirror(n.etcd, key)
	l.wg.Go(func() { _ = m.Run(ctx) }) // ends with ctx and has nothing else to say
	if m.Wait(ctx) != nil {
		return
	}
	for ctx.Err() == nil {
		more := m.Changed()
		var s Status
		kv, there := m.Get(key)
		if there && json.Unmarshal(kv.Value, &s) != nil {
			there = false
		}
		here := there && s.Incarnation == g.Incarnation
		ended := !there || s.Incarnation > g.Incarnation || here && (s.Phase == NodeEnded || s.Phase == NodeFailed)
		got := arrival{from: g.Incarnation, ended: ended}
		if here {
			got.slots = s.Released
		}
		if ended {
			got.marks = l.marksOf(ctx, g)
		}
		l.mu.Lock()
		l.arrived = append(l.arrived, got)
		l.mu.Unlock()
		l.wake()
		if ended {
			return
		}
		select {
		case <-more:
		case <-ctx.Done():
		}
	}
}

// marksOf reads how far a life may have come with counted iterations.
func (l *life) marksOf(ctx context.Context, g Gain) []executor.Marks {
	var m NodeMarks
	err := persist(ctx, func(ctx context.Context) error {
		_, err := getJSON(ctx, l.t.n.etcd, l.t.n.keys.Marks(l.t.run, g.Node), &m)
		return err
	})
	if err != nil || m.Incarnation != g.Incarnation {
		return nil
	}
	return m.Scenarios
}

// receive gives the engine the slots that have arrived.
func (l *life) receive(e Engine) {
	l.mu.Lock()
	arrived := l.arrived
	l.arrived = nil
	l.mu.Unlock()
	var got []executor.Handover
	for _, a := range arrived {
		for _, h := range a.slots {
			if g, ok := l.coming[h.Slot]; ok && g.Incarnation == a.from {
				got = append(got, h)
				delete(l.coming, h.Slot)
			}
		}
		if !a.ended {
			continue
		}
		for slot, g := range l.coming {
			if g.Incarnation == a.from {
				got = append(got, executor.Handover{Slot: slot, Next: l.beyond(a.marks, slot), Lost: true})
				delete(l.coming, slot)
			}
		}
		delete(l.taking, a.from)
	}
	if len(got) > 0 {
		e.Receive(got)
	}
}

// beyond is the first iteration number of a slot's VU that marks say was not begun.
func (l *life) beyond(all []executor.Marks, slot int) (next int64) {
	for i, r := range l.share.Plan().Scenarios {
		if i < len(all) && r.Base <= slot && slot < r.Base+r.Max {
			next = max(next, all[i].Limit, all[i].Slots[slot-r.Base])
		}
	}
	return next
}
