package hive

import "encoding/json"

// wordOf is a status as it was read last: each is decoded once for each change.
type wordOf struct {
	Status
	rev int64 // of its key
}

// statusOf is the last word of a node, whatever life it is of.
func (d *driver) statusOf(id string) (Status, bool) {
	kv, ok := d.keys.Get(d.n.keys.Status(d.id, id))
	if !ok {
		delete(d.words, id)
		return Status{}, false
	}
	s, known := d.words[id]
	if !known || s.rev != kv.ModRev {
		s = wordOf{rev: kv.ModRev}
		if json.Unmarshal(kv.Value, &s.Status) != nil {
			s.Status = Status{} // which is of no life
		}
		d.words[id] = s
	}
	return s.Status, true
}

// memberIndex finds members by their nodes' ids and by their lives.
type memberIndex struct {
	of    []Member // that it was made of
	ids   map[string]int
	lives map[int64]int
}

// index is that of the present members; it is made anew when these are others.
func (d *driver) index() *memberIndex {
	now := d.st.Members
	if x := &d.members; x.ids == nil || len(x.of) != len(now) || len(now) > 0 && &x.of[0] != &now[0] {
		*x = memberIndex{of: now, ids: make(map[string]int, len(now)), lives: make(map[int64]int, len(now))}
		for i, m := range now {
			x.ids[m.ID], x.lives[m.Incarnation] = i, i
		}
	}
	return &d.members
}

// memberOf finds a present member by its node's id.
func (d *driver) memberOf(id string) (Member, bool) {
	i, ok := d.index().ids[id]
	if !ok {
		return Member{}, false
	}
	return d.st.Members[i], true
}

// isMember says whether an incarnation is a present member.
func (d *driver) isMember(life int64) bool {
	_, ok := d.index().lives[life]
	return ok
}

// livesOf are the incarnations of members.
func livesOf(members []Member) map[int64]bool {
	lives := make(map[int64]bool, len(members))
	for _, m := range members {
		lives[m.Incarnation] = true
	}
	return lives
}
