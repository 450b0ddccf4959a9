package hive

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"hive/engine/share"
)

// realm is a hive in which nodes die, are cut off, come back, join and leave, acknowledgements and writes come late or
// are lost, and leaders change at any write. The leader is the real decision function and the real deal; nodes only
// keep their promises.
type realm struct {
	t      *testing.T
	rnd    *rand.Rand
	at     time.Duration // real time; the run's clock is the same
	slots  int
	policy LossPolicy
	layout share.Plan

	st     State // as etcd holds it
	rev    int
	allocs map[int]map[int64]Alloc
	status map[string]Status
	veto   int           // the proposal that is vetoed, as etcd holds it
	away   time.Duration // until when nobody leads
	ended  int           // proposals that were vetoed
	nodes  map[string]*realmNode
	agenda agenda
	watch  *watchlist
	calm   bool
	made   int
	log    []string
}

const realmTTL = 2 * time.Second

// realmNode is one process.
type realmNode struct {
	id, boot string
	capacity int
	draining bool
	life     int64 // 0: none
	killed   bool
	cut      time.Duration // until when it does not reach etcd
	leased   time.Duration // end of its lease
	open     bool          // its fence, as far as the state goes
	sees     time.Duration // when it looks at the state next
	epoch    int
	held     int // epoch of the proposal it promised for
	from     time.Duration
	until    time.Duration // when it ends the proposal
	epochs   []realmEpoch  // that it executes, in their order
}

// realmEpoch is what a node has from a moment on.
type realmEpoch struct {
	from  time.Duration
	slots []int
}

func (w *realm) say(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%7.2f ", w.at.Seconds())+fmt.Sprintf(format, args...))
}

func (w *realm) join(capacity int) {
	w.made++
	id := fmt.Sprintf("n%03d", w.made)
	w.nodes[id] = &realmNode{id: id, boot: fmt.Sprint("b", w.made), capacity: capacity, leased: w.at + realmTTL, open: true}
	w.say("%s joins with %d", id, capacity)
}

// recorded says whether etcd has the node's record.
func (w *realm) recorded(n *realmNode) bool { return n.leased > w.at }

func (n *realmNode) fenced(at time.Duration) bool { return at >= n.leased || !n.open }

// owns are the slots that the node would start work on now.
func (w *realm) owns(n *realmNode) []int {
	switch {
	case n.killed || n.life == 0 || n.fenced(w.at):
		return nil
	case n.held != 0 && w.at >= n.from:
		return nil
	}
	var own []int
	for _, e := range n.epochs {
		if w.at >= e.from {
			own = e.slots
		}
	}
	return own
}

func slotsOf(a Alloc) []int { return slices.AppendSeq([]int{}, a.Share.All().Values()) }

// look is a node acting on the state.
func (w *realm) look(n *realmNode) {
	n.sees = w.at + time.Duration(w.rnd.IntN(150))*time.Millisecond
	if n.killed || w.at < n.cut {
		return
	}
	if !w.recorded(n) { // under a new lease the fence opens when the state, read after that, says so
		n.leased, n.open = w.at+realmTTL, false
	}
	n.leased = w.at + realmTTL
	var m Member
	i := slices.IndexFunc(w.st.Members, func(m Member) bool { return m.ID == n.id && m.Boot == n.boot })
	member := i >= 0
	if member {
		m = w.st.Members[i]
	}
	p := w.st.Proposal
	if n.life == 0 {
		n.adopt(w, member, m, p)
		return
	}
	gone := slices.ContainsFunc(w.st.Gone, func(g Gone) bool { return g.Incarnation == n.life && g.Lost })
	if w.st.Epoch > n.epoch {
		a, ok := w.allocs[w.st.Epoch][n.life]
		if !ok || gone && !member || member && m.Incarnation != n.life {
			n.end()
			delete(w.status, n.id)
			return
		}
		if len(n.epochs) > 0 && w.st.From <= n.epochs[len(n.epochs)-1].from {
			w.fail("epoch %d begins at %s, not after the one before", w.st.Epoch, w.st.From)
		}
		n.epoch, n.held = w.st.Epoch, 0
		n.epochs = append(n.epochs, realmEpoch{w.st.From, slotsOf(a)})
	}
	n.open = n.open || member && m.Incarnation == n.life
	switch {
	case !member:
		n.end()
		delete(w.status, n.id)
		return
	case p != nil && p.Epoch > n.epoch:
		if p.From < 0 {
			n.held = 0
			w.put(n, Status{Epoch: p.Epoch, Phase: NodeReady})
			break
		}
		holds := n.held == p.Epoch && n.from == p.From
		if holds && w.at >= p.From+p.Hold && w.veto != p.Epoch {
			w.veto = p.Epoch
			w.ended++
			w.say("%s ends epoch %d", n.id, p.Epoch)
		}
		if w.veto == p.Epoch || !holds && w.at >= p.From { // what was due since may have been begun
			n.held = 0
			w.put(n, Status{Epoch: n.epoch, Phase: NodeRunning, Late: p.Epoch})
			break
		}
		n.held, n.from, n.until = p.Epoch, p.From, p.From+p.Hold
		w.put(n, Status{Epoch: p.Epoch, Phase: NodeHolding})
	default:
		n.held = 0
		w.put(n, Status{Epoch: n.epoch, Phase: NodeRunning})
	}
}

func (n *realmNode) end() { n.life, n.epochs, n.held, n.epoch, n.open = 0, nil, 0, 0, true }

func (n *realmNode) adopt(w *realm, member bool, m Member, p *Proposal) {
	if member {
		a := w.allocs[w.st.Epoch][m.Incarnation]
		n.life, n.epoch, n.epochs, n.open = m.Incarnation, w.st.Epoch, []realmEpoch{{w.st.From, slotsOf(a)}}, true
		w.put(n, Status{Epoch: n.epoch, Phase: NodeRunning})
		return
	}
	if p == nil {
		return
	}
	for _, m := range p.Members {
		if m.ID == n.id && m.Boot == n.boot {
			w.status[n.id] = Status{Incarnation: m.Incarnation, Epoch: p.Epoch, Phase: NodeReady}
		}
	}
}

func (w *realm) put(n *realmNode, s Status) {
	if !w.calm && w.rnd.IntN(4) == 0 {
		return // lost; it says so again when it looks next
	}
	s.Incarnation = n.life
	w.status[n.id] = s
}

// lead is one step of the leader.
func (w *realm) lead() {
	if w.at < w.away && !w.calm {
		return
	}
	there := func(m Member) bool {
		n := w.nodes[m.ID]
		return n != nil && n.boot == m.Boot && w.recorded(n)
	}
	watched := slices.Clone(w.st.Members)
	if p := w.st.Proposal; p != nil {
		for _, m := range p.Members {
			if !hasLife(watched, m.Incarnation) {
				watched = append(watched, m)
			}
		}
	}
	w.watch.note(w.at, watched, there, func(m Member) bool {
		n := w.nodes[m.ID]
		return n != nil && n.killed && w.rnd.IntN(2) == 0
	})
	s := scene{st: w.st, policy: w.policy, slots: w.slots, now: w.at, at: w.at, prepare: 5 * time.Second,
		peers: map[string]peer{}, lost: map[int64]bool{}, status: w.status, gains: map[int64]bool{}}
	for life := range w.watch.lost() {
		s.lost[life] = true
	}
	for id, n := range w.nodes {
		if w.recorded(n) {
			s.peers[id] = peer{ID: id, Name: id, Boot: n.boot, Capacity: n.capacity, Weight: n.capacity, Draining: n.draining}
		}
	}
	old := tenureOf(w.layout, w.allocs[w.st.Epoch], w.st.Members)
	if p := w.st.Proposal; p != nil {
		for life, a := range w.allocs[p.Epoch] {
			for _, slot := range slotsOf(a) {
				s.gains[life] = s.gains[life] || old[slot] != life
			}
		}
	}
	if p := w.st.Proposal; p != nil { // word of a veto may not have come
		s.vetoed = w.veto == p.Epoch && (w.calm || w.rnd.IntN(2) == 0)
	}
	m := decide(s, &w.agenda)
	if m.verb == rest {
		return
	}
	if !w.calm && w.rnd.IntN(6) == 0 { // the leader dies before the write
		w.newLeader("before " + m.String())
		return
	}
	w.do(m, s, old)
	if !w.calm && w.rnd.IntN(6) == 0 {
		w.newLeader("after " + m.String())
	}
}

func (w *realm) newLeader(when string) {
	if w.rnd.IntN(2) == 0 {
		w.away = w.at + time.Duration(w.rnd.IntN(3000))*time.Millisecond
	}
	w.say("the leader goes %s, and nobody leads until %s", when, w.away)
	w.agenda, w.watch = agenda{}, newWatchlist(realmTTL)
}

// do is what the driver does about a move.
func (w *realm) do(m move, s scene, old tenure) {
	bury := func() {
		for _, o := range w.st.Members {
			if s.lost[o.Incarnation] && !slices.ContainsFunc(w.st.Gone, func(g Gone) bool { return g.Incarnation == o.Incarnation }) {
				w.st.Gone = append(w.st.Gone, Gone{Member: o, Lost: true})
			}
		}
	}
	w.rev++
	switch m.verb {
	case propose:
		next := slices.Clone(m.members)
		lives := w.st.Lives
		for i := range next {
			if next[i].Incarnation == 0 {
				lives++
				next[i].Incarnation = lives
			}
		}
		var living []Member
		for _, o := range w.st.Members {
			if !s.lost[o.Incarnation] {
				living = append(living, o)
			}
		}
		deal, err := redeal(w.layout, old, living, next, w.policy == LossContinue, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		if m.wish != "" && deal.Moved == 0 && sameWeights(living, deal) {
			w.agenda.futile = m.wish
			return
		}
		deal = deal.without(w.st.Members)
		w.st.Tried++
		w.st.Lives = lives
		_, allocs := deal.allocs(w.st.Tried)
		w.allocs[w.st.Tried] = map[int64]Alloc{}
		for _, a := range allocs {
			w.allocs[w.st.Tried][a.Incarnation] = a
		}
		bury()
		w.st.Proposal = &Proposal{Epoch: w.st.Tried, From: m.from, Members: deal.Members, Leaving: deal.Leavers, Why: m.why, Hold: w.agenda.holdOf(len(w.st.Members))}
		w.say("epoch %d proposed from %s: %s", w.st.Tried, m.from, m.why)
	case setFrom:
		p := *w.st.Proposal
		p.From = m.from
		w.st.Proposal = &p
		w.say("epoch %d from %s", p.Epoch, p.From)
	case withdraw:
		w.say("epoch %d withdrawn: %s", w.st.Proposal.Epoch, m.why)
		w.st.Proposal = nil
	case strike:
		for _, o := range m.members {
			if n := w.nodes[o.ID]; n != nil && n.boot == o.Boot && w.recorded(n) {
				return
			}
		}
		bury()
		w.st.Members = slices.DeleteFunc(slices.Clone(w.st.Members), func(o Member) bool { return hasLife(m.members, o.Incarnation) })
	case commit:
		p := w.st.Proposal
		if w.veto == p.Epoch {
			return // the write's condition does not hold
		}
		for _, o := range w.st.Members {
			n := w.nodes[o.ID]
			if s.lost[o.Incarnation] && !hasLife(p.Members, o.Incarnation) && n != nil && n.boot == o.Boot && w.recorded(n) {
				return // the write's condition does not hold
			}
		}
		bury()
		w.st.Epoch, w.st.From, w.st.Members, w.st.Proposal = p.Epoch, p.From, p.Members, nil
		w.st.Unowned = w.slots
		for _, o := range p.Members {
			w.st.Unowned -= o.VUs
		}
		w.say("epoch %d committed with %d members, %d slots unowned", p.Epoch, len(p.Members), w.st.Unowned)
	}
}

// check sees that no slot has two owners; whole says that each must have one.
func (w *realm) check(whole bool) {
	owner := map[int]string{}
	for _, id := range w.ids() {
		n := w.nodes[id]
		if owned := w.owns(n); len(owned) > n.capacity {
			w.fail("%s owns %d slots with a capacity of %d", id, len(owned), n.capacity)
		}
		for _, slot := range w.owns(n) {
			if other, taken := owner[slot]; taken {
				w.fail("slot %d is of %s and of %s", slot, other, id)
			}
			owner[slot] = id
		}
		// Whoever reaches etcd looks at it within 175 ms.
		if reached := max(n.until, n.cut); n.held != 0 && !n.killed && w.at > reached+200*time.Millisecond {
			w.fail("%s still holds its load back for epoch %d, from %s on", id, n.held, n.from)
		}
	}
	if whole && len(owner) != w.slots {
		w.fail("%d of %d slots have an owner in the end; state %+v", len(owner), w.slots, w.st)
	}
}

func (w *realm) fail(format string, args ...any) {
	for _, line := range w.log[max(0, len(w.log)-40):] {
		w.t.Log(line)
	}
	w.t.Fatalf(fmt.Sprintf("at %s: ", w.at)+format, args...)
}

func (w *realm) ids() []string { return slices.Sorted(maps.Keys(w.nodes)) }

// disturb does one thing to the hive, at times.
func (w *realm) disturb() {
	ids := w.ids()
	id := ids[w.rnd.IntN(len(ids))]
	n := w.nodes[id]
	switch w.rnd.IntN(5) {
	case 0:
		w.say("%s is killed", id)
		n.killed = true
	case 1:
		n.cut = w.at + time.Duration(w.rnd.IntN(6000))*time.Millisecond
		w.say("%s is cut off until %s", id, n.cut)
	case 2:
		w.join(1 + w.rnd.IntN(w.slots))
	case 3:
		n.draining = true
		w.say("%s drains", id)
	case 4: // the same node, another process
		if n.killed && !w.recorded(n) {
			w.made++
			w.nodes[id] = &realmNode{id: id, boot: fmt.Sprint("b", w.made), capacity: n.capacity, leased: w.at + realmTTL, open: true}
			w.say("%s starts again", id)
		}
	}
}

func TestSlotsHaveOneOwnerAtEveryInstant(t *testing.T) {
	t.Parallel()
	histories := 300
	if testing.Short() {
		histories = 50
	}
	ended := 0
	for seed := range histories {
		w := newRealm(t, uint64(seed))
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w.t = t
			w.live(60 * time.Second)
			w.calm = true
			for _, n := range w.nodes {
				n.draining, n.cut = false, min(n.cut, w.at)
			}
			w.join(w.slots)
			w.live(40 * time.Second)
			w.check(w.policy != LossContinue)
			if w.st.Proposal != nil {
				w.fail("epoch %d is still proposed", w.st.Proposal.Epoch)
			}
		})
		ended += w.ended
	}
	if ended < histories/10 {
		t.Errorf("%d proposals were vetoed in %d histories: too few to say anything", ended, histories)
	}
	t.Logf("%d proposals were vetoed", ended)
}

// A proposal that its members ended is made anew: with more time, unless another leader had made it, and with more
// patience, once there is no more time to be given.
func TestVetoedProposalIsMadeAnew(t *testing.T) {
	a, b := Member{ID: "a", Boot: "a", Incarnation: 1, VUs: 1}, Member{ID: "b", Boot: "b", Incarnation: 2, VUs: 1}
	const from = time.Minute
	for _, c := range []struct {
		name       string
		seen, lead time.Duration // before its beginning, and of the proposal before it
		want, hold time.Duration // of the next one
	}{
		{"its leader was too slow", lossLead, 0, 2 * lossLead, 0},
		{"its leader is gone", -time.Second, 0, lossLead, 0},
		{"etcd is slow beyond measure", longestLead, longestLead, longestLead, 2 * holdFor},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := scene{st: State{Epoch: 1, Members: []Member{a, b}, Proposal: &Proposal{Epoch: 2, From: from, Members: []Member{a}}}, now: from - c.seen, lost: map[int64]bool{2: true},
				peers: map[string]peer{"a": {ID: "a", Boot: "a", Capacity: 2}}, status: map[string]Status{}}
			memory := agenda{present: 1, lead: c.lead}
			decide(s, &memory) // sees the proposal
			s.now, s.vetoed = max(s.now, from+holdFor), true
			s.status["a"] = Status{Incarnation: 1, Epoch: 2, Phase: NodeHolding} // and has not heard that nobody holds any more
			if got := decide(s, &memory); got.verb != propose || got.from != s.now+c.want || memory.hold != c.hold {
				t.Errorf("%s from %s, held for %s: want a proposal from %s, held for %s", got.verb, got.from, memory.hold, s.now+c.want, c.hold)
			}
		})
	}
	s := scene{st: State{Epoch: 1, Members: []Member{a}, Proposal: &Proposal{Epoch: 2, From: from, Members: []Member{a, b}}}, now: from - plannedLead, lost: map[int64]bool{}, gains: map[int64]bool{2: true},
		peers: map[string]peer{"a": {ID: "a", Boot: "a", Capacity: 2}, "b": {ID: "b", Boot: "b", Capacity: 2}}, status: map[string]Status{}}
	var memory agenda
	decide(s, &memory)
	s.now, s.vetoed = from+holdFor, true
	if got := decide(s, &memory); got.verb != propose || got.from >= 0 || len(got.members) != 2 {
		t.Errorf("a planned change: %s of %d members from %s, want a proposal that waits for its VUs", got.verb, len(got.members), got.from)
	}
	if got := decide(s, &agenda{present: 1, lead: longestLead}); got.verb != withdraw {
		t.Errorf("a planned change that had all the time there is: %s, want to leave it for a while", got.verb)
	}
	s.st.Proposal, s.vetoed = &Proposal{Epoch: 3, From: -1, Members: []Member{a, b}}, false
	s.status["b"] = Status{Incarnation: 2, Epoch: 3, Phase: NodeReady}
	if got := decide(s, &memory); got.verb != setFrom || got.from != s.now+2*plannedLead {
		t.Errorf("a planned change, once it is ready: %s, from %s, want it to begin at %s", got.verb, got.from, s.now+2*plannedLead)
	}
}

// A node that heard of a proposal too late is asked again at once, with more time.
func TestLateNodeIsAskedAgain(t *testing.T) {
	a, b := Member{ID: "a", Boot: "a", Incarnation: 1, VUs: 1}, Member{ID: "b", Boot: "b", Incarnation: 2, VUs: 1}
	for name, lost := range map[string]bool{"after a loss": true, "in a planned change": false} {
		t.Run(name, func(t *testing.T) {
			p := &Proposal{Epoch: 2, From: time.Second, Members: []Member{a, b}, Why: "join of b"}
			s := scene{st: State{Epoch: 1, Members: []Member{a}, Proposal: p}, now: time.Second, at: time.Second, lost: map[int64]bool{},
				peers:  map[string]peer{"a": {ID: "a", Boot: "a", Capacity: 2}, "b": {ID: "b", Boot: "b", Capacity: 2}},
				status: map[string]Status{"a": {Incarnation: 1, Epoch: 1, Phase: NodeRunning, Late: 2}}}
			lead := plannedLead
			if lost {
				s.st.Members, p.Members, s.lost[2], lead = []Member{a, b}, []Member{a}, true, lossLead
			}
			got := decide(s, &agenda{})
			if got.verb != propose || got.from != time.Second+2*lead || len(got.members) != len(p.Members) {
				t.Errorf("got %s of %d members from %s, want a proposal from %s", got.verb, len(got.members), got.from, time.Second+2*lead)
			}
			s.status["a"] = Status{Incarnation: 1, Epoch: 1, Phase: NodeRunning}
			if got := decide(s, &agenda{}); got.verb != rest {
				t.Errorf("a node that has said nothing yet: got %s, want to wait", got.verb)
			}
		})
	}
}

// The slower etcd is, the farther ahead a planned epoch begins: its commit must not come late.
func TestPlannedEpochsAllowForEtcd(t *testing.T) {
	a := Member{ID: "a", Boot: "a", Incarnation: 1, VUs: 1}
	for etcd, lead := range map[time.Duration]time.Duration{
		0: plannedLead, 10 * time.Millisecond: plannedLead, 200 * time.Millisecond: agreementWrites * 200 * time.Millisecond, time.Minute: longestLead,
	} {
		p := &Proposal{Epoch: 2, From: -1, Members: []Member{a}, Why: "new weight of a"}
		s := scene{st: State{Epoch: 1, Members: []Member{a}, Proposal: p}, now: time.Second, at: time.Second, etcd: etcd, lost: map[int64]bool{},
			peers: map[string]peer{"a": {ID: "a", Boot: "a", Capacity: 2}}, status: map[string]Status{}}
		var memory agenda
		got := decide(s, &memory)
		if got.verb != setFrom || got.from != time.Second+lead {
			t.Errorf("with %s a write: %s, from %s, want it to begin at %s", etcd, got.verb, got.from, time.Second+lead)
		}
		p.From = got.from
		decide(s, &memory) // sees the beginning
		s.at += lead + holdPatience
		if got := decide(s, &memory); got.verb != rest {
			t.Errorf("with %s a write: %s before the patience is over, want to wait", etcd, got.verb)
		}
	}
}

func newRealm(t *testing.T, seed uint64) *realm {
	w := &realm{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), allocs: map[int]map[int64]Alloc{}, status: map[string]Status{},
		nodes: map[string]*realmNode{}, watch: newWatchlist(realmTTL)}
	w.slots = 1 + w.rnd.IntN(30)
	w.policy = LossRebalance
	if seed%5 == 4 {
		w.policy = LossContinue
	}
	w.layout = share.Plan{Slots: w.slots, Scenarios: []share.Range{{Max: w.slots}}}
	var members []Member
	for range 1 + w.rnd.IntN(6) {
		w.join(w.slots)
	}
	for _, id := range w.ids() {
		n := w.nodes[id]
		w.st.Lives++
		members = append(members, Member{ID: id, Name: id, Boot: n.boot, Incarnation: w.st.Lives, Capacity: n.capacity, Weight: n.capacity})
	}
	slices.SortFunc(members, func(a, b Member) int { return int(a.Incarnation - b.Incarnation) })
	deal, err := redeal(w.layout, make(tenure, w.slots), nil, members, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, allocs := deal.allocs(1)
	w.allocs[1] = map[int64]Alloc{}
	for _, a := range allocs {
		w.allocs[1][a.Incarnation] = a
	}
	w.st.Phase, w.st.Epoch, w.st.Tried, w.st.Members = Running, 1, 1, deal.Members
	return w
}

// live lets time pass.
func (w *realm) live(d time.Duration) {
	const tick = 25 * time.Millisecond
	for end := w.at + d; w.at < end; w.at += tick {
		for _, id := range w.ids() {
			n := w.nodes[id]
			if w.at >= n.sees {
				w.look(n)
			}
			if !w.recorded(n) {
				delete(w.status, id) // it lay under the lease
			}
		}
		w.check(false)
		if int(w.at/tick)%4 == 0 {
			w.lead()
		}
		if !w.calm && w.rnd.IntN(40) == 0 {
			w.disturb()
		}
		w.check(false)
	}
}

// Where hosts are far apart a change of owners begins later by what its messages take, and not beyond all bounds.
func TestLeadGrowsWithTheDistanceOfHosts(t *testing.T) {
	a, b := Member{ID: "a", Boot: "x", Incarnation: 1, VUs: 5, Capacity: 10}, Member{ID: "b", Boot: "y", Incarnation: 2, VUs: 5, Capacity: 10}
	for _, c := range []struct{ trip, loss, planned time.Duration }{
		{0, lossLead, plannedLead},
		{200 * time.Millisecond, lossLead + 2*time.Second, plannedLead + 2*time.Second},
		{time.Minute, longestLead, longestLead},
	} {
		s := scene{st: State{Members: []Member{a, b}, Epoch: 1, Tried: 1}, trip: c.trip, now: time.Minute, slots: 10, peers: map[string]peer{}, lost: map[int64]bool{2: true}, status: map[string]Status{}}
		m := decide(s, &agenda{})
		if m.verb != propose || m.from != s.now+c.loss {
			t.Errorf("after a loss, %s apart: %s from %s on, want propose from %s on", c.trip, m.verb, m.from, s.now+c.loss)
		}
		s.lost, s.st.Proposal = map[int64]bool{}, &Proposal{Epoch: 2, From: -1, Members: []Member{a, b}}
		m = decide(s, &agenda{})
		if m.verb != setFrom || m.from != s.now+c.planned {
			t.Errorf("planned, %s apart: %s from %s on, want set from %s on", c.trip, m.verb, m.from, s.now+c.planned)
		}
	}
}

// What a node had that is lost in a pause passes on where the clock stands: nothing is due while the others agree.
func TestLossInAPauseBeginsWhereTheClockStands(t *testing.T) {
	a, b := Member{ID: "a", Boot: "x", Incarnation: 1, VUs: 5, Capacity: 10}, Member{ID: "b", Boot: "y", Incarnation: 2, VUs: 5, Capacity: 10}
	const halt = 5 * time.Second
	at := func(now, from time.Duration) scene {
		return scene{st: State{Epoch: 1, From: from, Members: []Member{a, b}, Halt: &Halt{At: halt}}, now: now, at: time.Minute,
			lost: map[int64]bool{2: true}, peers: map[string]peer{"a": {ID: "a", Boot: "x", Capacity: 10}}, status: map[string]Status{}}
	}
	for _, c := range []struct {
		what            string
		now, from, want time.Duration
	}{
		{"in the pause", halt, 0, halt + 1},
		{"just before it", halt - lossLead/2, 0, halt + 1},
		{"long before it", halt - 2*lossLead, 0, halt - lossLead},
		{"in the pause, an epoch being about to begin after it", halt, halt + plannedLead, halt + plannedLead + 1},
		{"on a clock that did not stop in time", halt + time.Millisecond, 0, halt + time.Millisecond + lossLead},
	} {
		s := at(c.now, c.from)
		if got := decide(s, &agenda{}); got.verb != propose || got.from != c.want {
			t.Errorf("%s: %s from %s, want a proposal from %s", c.what, got.verb, got.from, c.want)
		}
	}
	s, memory := at(halt, 0), agenda{}
	s.st.Proposal = &Proposal{Epoch: 2, From: halt + 1, Members: []Member{a}}
	s.status["a"] = Status{Incarnation: 1, Epoch: 1, Phase: NodeRunning, Late: 2}
	if got := decide(s, &memory); got.verb != propose || got.from <= halt+lossLead {
		t.Errorf("a member's clock came further: %s from %s, want a proposal that lies ahead", got.verb, got.from)
	}
}
