package simulation

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"hive/engine/executor"
	"hive/hive/hivetest"
)

// maxProblems is how many problems a report names.
const maxProblems = 20

// Report is what a check found.
type Report struct {
	Engines int
	Epochs  []int // that were executed, in order
	// Planned are the arrivals that were due; Begun are those that were begun, and
	// all others were due while their owner had ended or its fence was closed.
	Planned, Begun, Gone, Fenced int64
	// Unowned is how long slots had no owner, all slots together.
	Unowned time.Duration
	// Back are the promises that were taken back after the epoch that they were
	// made for should have begun: its end was not known in time.
	Back int
	// Problems are the promises that were broken; there should be none.
	Problems []string
}

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// Check holds a run against what is promised of it, from its beginning until a
// moment on its clock: every arrival is begun once, or was due while its owner
// was gone; nothing is begun against a promise; the VUs of other scenarios
// begin each of their iterations once; a slot has one owner at a time; and no
// node owns more than its capacity.
func (r *Record) Check(scenarios []executor.Scenario, until time.Duration) Report {
	var rep Report
	lives := r.all()
	for _, l := range lives {
		l.mu.Lock()
		defer l.mu.Unlock()
	}
	epochs := epochsOf(lives, &rep)
	for i, s := range scenarios {
		if s.Executor == executor.ConstantArrivalRate || s.Executor == executor.RampingArrivalRate {
			checkArrivals(&rep, lives, epochs, i, s, until)
		} else {
			checkLoops(&rep, lives, i)
		}
	}
	checkOwners(&rep, lives, executor.Layout(scenarios).Slots, until)
	checkCapacity(&rep, lives)
	for _, l := range lives {
		rep.Back += l.back
		for _, it := range l.broken {
			rep.problem("iteration %d of scenario %d, due at %s, was begun on %s against its promise", it.Index, it.Scenario, it.Due, l.node)
		}
	}
	return rep
}

// epoch is one with everybody who executed it.
type epoch struct {
	number  int
	from    time.Duration
	members map[*life]Taken
}

// epochsOf gathers the epochs, in order. Every engine must have the same
// beginning of each.
func epochsOf(lives []*life, rep *Report) []*epoch {
	byNumber := map[int]*epoch{}
	for _, l := range lives {
		if len(l.taken) > 0 {
			rep.Engines++
		}
		for _, t := range l.taken {
			e := byNumber[t.Number]
			if e == nil {
				e = &epoch{number: t.Number, from: t.From, members: map[*life]Taken{}}
				byNumber[t.Number] = e
			}
			if t.From != e.from {
				rep.problem("epoch %d begins at %s on %s and at %s elsewhere", t.Number, t.From, l.node, e.from)
			}
			e.members[l] = t
		}
	}
	rep.Epochs = slices.Sorted(maps.Keys(byNumber))
	var all []*epoch
	for _, n := range rep.Epochs {
		all = append(all, byNumber[n])
	}
	return all
}

// at is the epoch of a moment.
func at(epochs []*epoch, run time.Duration) *epoch {
	i := sort.Search(len(epochs), func(i int) bool { return epochs[i].from > run })
	return epochs[max(0, i-1)]
}

// checkArrivals goes through the arrivals of one scenario.
func checkArrivals(rep *Report, lives []*life, epochs []*epoch, i int, s executor.Scenario, until time.Duration) {
	if len(epochs) == 0 {
		return
	}
	due := s.ArrivalSchedule()
	by := map[int64]*life{}
	for _, l := range lives {
		for _, it := range l.begun {
			if it.Scenario != i {
				continue
			}
			if other := by[it.Index]; other != nil {
				rep.problem("scenario %s: arrival %d was begun on %s (engine %p) and on %s (engine %p)", s.Name, it.Index, other.node, other, l.node, l)
			}
			by[it.Index] = l
			if e := at(epochs, it.Due); it.Epoch != e.number {
				rep.problem("scenario %s: arrival %d, due at %s in epoch %d, was begun on %s by epoch %d", s.Name, it.Index, it.Due, e.number, l.node, it.Epoch)
			}
		}
	}
	first := map[*epoch]int64{}
	for index := int64(0); ; index++ {
		d, ok := due(index)
		d += s.StartTime
		if !ok || d >= until {
			return
		}
		rep.Planned++
		e := at(epochs, d)
		if _, begun := first[e]; !begun {
			first[e] = index
		}
		if by[index] != nil {
			rep.Begun++
			continue
		}
		rep.excuse(e, i, s, index, index-first[e], d)
	}
}

// excuse finds out why the n-th arrival of an epoch was not begun.
func (r *Report) excuse(e *epoch, i int, s executor.Scenario, index, n int64, due time.Duration) {
	for l, t := range e.members {
		if own := t.Share.Iterations(i); own.Before(n+1) == own.Before(n) {
			continue
		}
		switch {
		case l.over && due >= l.reached:
			r.Gone++
		case slices.ContainsFunc(l.holes, func(h hole) bool { return h.from <= due && due < h.to }):
			r.Fenced++
		default:
			r.problem("scenario %s: arrival %d, due at %s in epoch %d, was not begun, though its owner %s was there", s.Name, index, due, e.number, l.node)
		}
		return
	}
	// Its owner ended between its promise and the commit of this epoch.
	r.Gone++
	if n := len(e.members); n == 0 {
		r.problem("scenario %s: arrival %d, due at %s, has an epoch without members", s.Name, index, due)
	}
}

// checkLoops goes through the iterations of a scenario whose VUs number them.
func checkLoops(rep *Report, lives []*life, i int) {
	type one struct {
		slot  int
		index int64
	}
	by := map[one]*life{}
	for _, l := range lives {
		for _, it := range l.begun {
			if it.Scenario != i {
				continue
			}
			key := one{it.Slot, it.Index}
			if other := by[key]; other != nil {
				rep.problem("iteration %d of slot %d was begun on %s and on %s", it.Index, it.Slot, other.node, l.node)
			}
			by[key] = l
			if !l.owned(it) {
				rep.problem("slot %d began iteration %d at %s on %s, which did not own it then", it.Slot, it.Index, it.Due, l.node)
			}
		}
	}
}

// owned says whether an iteration was due in a spell of its slot; l.mu is held.
func (l *life) owned(it hivetest.Iteration) bool {
	if from, has := l.held[it.Slot]; has && from <= it.Due {
		return true
	}
	return slices.ContainsFunc(l.spells, func(s spell) bool { return s.slot == it.Slot && s.from <= it.Due && it.Due < s.to })
}

// checkOwners looks for slots with two owners at once, and measures how long
// they had none.
func checkOwners(rep *Report, lives []*life, slots int, until time.Duration) {
	bySlot := make([][]spell, slots)
	for _, l := range lives {
		for _, s := range l.all(until) {
			bySlot[s.slot] = append(bySlot[s.slot], s)
		}
	}
	for slot, spells := range bySlot {
		slices.SortFunc(spells, func(a, b spell) int { return int(a.from - b.from) })
		var covered time.Duration
		var last spell
		for _, s := range spells {
			if last.life != nil && s.from < last.to {
				rep.problem("slot %d was owned by %s and %s from %s to %s", slot, last.life.node, s.life.node, s.from, min(s.to, last.to))
			}
			rep.Unowned += max(0, min(s.from, until)-covered)
			covered = max(covered, s.to)
			last = s
		}
		rep.Unowned += max(0, until-covered)
	}
}

// all are the spells of a life, those that go on included; l.mu is held.
func (l *life) all(until time.Duration) []spell {
	all := slices.Clone(l.spells)
	for slot, from := range l.held {
		if from < until {
			all = append(all, spell{life: l, slot: slot, from: from, to: until})
		}
	}
	return all
}

// checkCapacity looks for moments at which a node owned more slots than it has
// room for.
func checkCapacity(rep *Report, lives []*life) {
	type change struct {
		at time.Duration
		by int
	}
	changes := map[string][]change{}
	room := map[string]int{}
	for _, l := range lives {
		room[l.node] = l.capacity
		for _, s := range l.all(1 << 62) {
			changes[l.node] = append(changes[l.node], change{s.from, 1}, change{s.to, -1})
		}
	}
	for node, list := range changes {
		slices.SortFunc(list, func(a, b change) int {
			if a.at != b.at {
				return int(a.at - b.at)
			}
			return a.by - b.by // who lets go comes first
		})
		owned := 0
		for _, c := range list {
			if owned += c.by; owned > room[node] {
				rep.problem("node %s owned %d slots at %s, and has room for %d", node, owned, c.at, room[node])
				break
			}
		}
	}
}
