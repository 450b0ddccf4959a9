package hive

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// plannedLead is how far ahead a planned epoch begins once all are ready for it, unless etcd is slow.
	plannedLead = 700 * time.Millisecond
	// lossLead is how far ahead an epoch begins that takes the share of a lost node; it doubles when it was too short.
	lossLead = 400 * time.Millisecond
	// leadTrips is how many round trips between hosts a change of owners takes, and by how many it begins later where they
	// are far apart: the proposal and the allocations before it, the answers and the commit are a write each, of two round
	// trips where neither end leads etcd, and each is heard of after half of one.
	leadTrips = 10
	// longestLead bounds both.
	longestLead = 5 * time.Second
	// agreementWrites is how many writes an agreement takes one after another: the beginning is named, marks are frozen,
	// promises given, the commit written; and as much again for what a node has to do in between.
	agreementWrites = 8
	// memberLead is how much longer all of these are for each member beyond leadMembers: every one has to read what is
	// proposed and to answer.
	memberLead  = time.Millisecond
	leadMembers = 100
	// holdPatience is how long after its beginning a proposal waits for those who do not answer.
	holdPatience = 3 * time.Second
	// holdFor is how long after its beginning those who promised wait for the end of a proposal. What is due then starts
	// late, but starts, as long as it and the veto together take less than the 250 ms that an arrival may be late. In a
	// hive of many they wait longer, as agreeing takes longer.
	holdFor = 150 * time.Millisecond
	// joinGather is how long a node that joined waits for others, so that several are dealt in at once.
	joinGather = time.Second
	// retryAfter is how long a planned change waits that came to nothing.
	retryAfter = 10 * time.Second
)

// peer is a living node as the leader sees it.
type peer struct {
	ID, Name, Boot   string
	Capacity, Weight int
	Draining         bool
	Barred           bool // it must not be dealt in (now)
}

// scene is all that decides what happens next to the owners of slots: what etcd holds and what is known of the nodes.
type scene struct {
	st      State
	policy  LossPolicy
	slots   int           // of the whole test
	now     time.Duration // on the run's clock
	at      time.Duration // on a clock of the leader that never stands still
	prepare time.Duration // how long nodes may initialise VUs for a planned change
	etcd    time.Duration // how long etcd takes for a write at the moment
	trip    time.Duration // how long a round trip to etcd's leader takes
	peers   map[string]peer
	lost    map[int64]bool    // incarnations that certainly send no load any more
	status  map[string]Status // by node id
	gains   map[int64]bool    // incarnations that get slots by the proposal
	vetoed  bool              // the proposal is
}

// agenda is what a leader remembers between two looks. A new leader begins with an empty one.
type agenda struct {
	present int           // the epoch that is committed
	epoch   int           // of the proposal that the next fields are about
	seen    time.Duration // when it was first seen as it stands
	from    time.Duration // its From then
	ahead   time.Duration // how far ahead that was
	lead    time.Duration // of the last proposal because of a loss
	hold    time.Duration // for how long the next proposal may hold load back, when that is longer than usual
	wish    string        // planned change that is wished for
	wished  time.Duration // since when
	futile  string        // wish that would change nothing
	blocked time.Duration // no planned change before
	overrun bool          // some node's clock came further in the pause than it should have
}

// verb says what the leader does about the owners of slots.
type verb int

const (
	rest     verb = iota // nothing
	propose              // a new epoch, in the place of a proposal that there may be
	setFrom              // name the beginning of the planned epoch that is proposed
	commit               // make the proposal the present epoch
	withdraw             // take the proposal back
	strike               // leave lost members out, and their slots a hole
)

func (v verb) String() string {
	return [...]string{"rest", "propose", "set from", "commit", "withdraw", "strike"}[v]
}

// move is what a leader does next.
type move struct {
	verb
	members []Member // of the new epoch; those that are new have no incarnation yet
	from    time.Duration
	why     string
	wish    string // key of the planned change
}

// decide says what to do next in a run that is running. It reads nothing but its arguments, and changes only a.
func decide(s scene, a *agenda) move {
	if a.present != s.st.Epoch { // the last proposal had all that it took
		a.present, a.lead, a.hold, a.overrun = s.st.Epoch, 0, 0, false
	}
	p := s.st.Proposal
	if p != nil && (a.epoch != p.Epoch || a.from != p.From) {
		a.epoch, a.from, a.seen, a.ahead = p.Epoch, p.From, s.at, p.From-s.now
	}
	fallen := s.fallen()
	switch {
	case p != nil && s.forgotten(p):
		return move{verb: withdraw, why: "a node that had been given up is back"}
	case len(fallen) > 0 && s.policy == LossContinue:
		return s.leaveHole(fallen)
	case len(fallen) > 0 && (p == nil || p.From < 0 || s.within(p.Members, fallen)):
		return s.redealLoss(fallen, a)
	}
	if p != nil {
		return s.drive(p, a)
	}
	return s.plan(a)
}

// fallen are the members of the present epoch that are lost.
func (s scene) fallen() (lost []Member) {
	for _, m := range s.st.Members {
		if s.lost[m.Incarnation] {
			lost = append(lost, m)
		}
	}
	return lost
}

// forgotten says whether a member lives that the proposal knows nothing of: it was given up and came back. Nobody would
// ask it to let go.
func (s scene) forgotten(p *Proposal) bool {
	members, leaving := livesOf(p.Members), livesOf(p.Leaving)
	return slices.ContainsFunc(s.st.Members, func(m Member) bool {
		return !s.lost[m.Incarnation] && !members[m.Incarnation] && !leaving[m.Incarnation]
	})
}

// within says whether one of some is in members.
func (s scene) within(members, some []Member) bool {
	lives := livesOf(some)
	return slices.ContainsFunc(members, func(m Member) bool { return lives[m.Incarnation] })
}

// redealLoss deals the share of lost members to the members that live.
func (s scene) redealLoss(fallen []Member, a *agenda) move {
	if a.lead == 0 {
		a.lead = s.farther(lossLead)
	}
	var next []Member
	for _, m := range s.st.Members {
		if !s.lost[m.Incarnation] {
			next = append(next, s.refreshed(m))
		}
	}
	from := s.ahead(a.lead)
	if still, ok := s.standstill(); ok && !a.overrun {
		from = still
	}
	return move{verb: propose, members: next, from: from, why: "node " + nameList(fallen) + " lost"}
}

// farther is a lead for hosts that are as far apart, and as many, as these.
func (s scene) farther(lead time.Duration) time.Duration {
	return min(lead+leadTrips*s.trip, longestLead) + s.more()
}

// standstill is the first moment after a pause, if the run's clock stands in one or comes to it before an epoch could
// begin otherwise: up to there everything belongs to those who had it, and nothing is due while the nodes agree.
func (s scene) standstill() (from time.Duration, ok bool) {
	h := s.st.Halt
	if h == nil || s.now > h.At || s.ahead(s.farther(lossLead)) <= h.At {
		return 0, false
	}
	return max(h.At, s.st.From) + 1, true
}

// ahead is a moment at which the next epoch may begin: after the present one, which may itself have yet to begin.
func (s scene) ahead(lead time.Duration) time.Duration { return max(s.now+lead, s.st.From+lead/4) }

// leaveHole counts lost members out without dealing what they had.
func (s scene) leaveHole(fallen []Member) move {
	if p := s.st.Proposal; p != nil && s.within(p.Members, fallen) {
		return move{verb: withdraw, why: "node " + nameList(fallen) + " lost"}
	}
	return move{verb: strike, members: fallen}
}

// refreshed brings a member's weight up to date. One that is draining gets no more than it has.
func (s scene) refreshed(m Member) Member {
	p, ok := s.peers[m.ID]
	switch {
	case ok && p.Boot == m.Boot && p.Draining:
		m.Capacity, m.Weight = m.VUs, m.VUs
	case ok && p.Boot == m.Boot:
		m.Capacity, m.Weight = p.Capacity, cmp.Or(p.Weight, p.Capacity)
	}
	return m
}

// drive brings a proposal to its end.
func (s scene) drive(p *Proposal, a *agenda) move {
	planned := !s.becauseOfLoss(p)
	switch {
	case planned && s.brokenNewcomer(p):
		a.blocked = s.at + joinGather
		return move{verb: withdraw, why: "a node that was to gain slots is gone or failed"}
	case p.From < 0 && s.allReady(p):
		return move{verb: setFrom, from: s.ahead(max(s.plannedLead(), a.lead))}
	case p.From < 0 && s.at-a.seen > s.prepare:
		a.blocked = s.at + retryAfter
		return move{verb: withdraw, why: fmt.Sprintf("not ready within %s", s.prepare)}
	case p.From < 0:
		return move{}
	case s.vetoed && planned && s.leadOf(a, planned) >= s.longestLead():
		a.blocked = s.at + retryAfter
		return move{verb: withdraw, why: "not all nodes agreed in time"}
	case s.vetoed:
		a.postpone(s, planned)
		if !planned {
			return s.redealLoss(s.fallen(), a)
		}
		return move{verb: propose, members: p.Members, from: -1, why: p.Why} // who gains may have let go of its new VUs
	case s.allHold(p):
		return move{verb: commit}
	case s.refused(p):
		a.overrun = s.st.Halt != nil
		a.postpone(s, planned)
		if !planned {
			return s.redealLoss(s.fallen(), a)
		}
		return move{verb: propose, members: p.Members, from: s.ahead(a.lead), why: p.Why}
	case s.at-a.seen <= max(a.ahead, s.leadOf(a, planned))+holdPatience+s.more():
		return move{}
	case planned:
		a.blocked = s.at + retryAfter
		return move{verb: withdraw, why: "not all nodes agreed in time"}
	}
	a.lead = min(2*s.leadOf(a, false), s.longestLead())
	return s.redealLoss(s.fallen(), a)
}

// postpone lets the next proposal begin further ahead than the last one, for which the time was too short. One that was
// vetoed and could not begin any further ahead may hold load back for longer the next time, so that a very slow etcd
// comes to an agreement, too; a veto of what another leader had proposed says nothing about the time that it takes.
func (a *agenda) postpone(s scene, planned bool) {
	last := s.leadOf(a, planned)
	switch {
	case s.vetoed && a.ahead <= 0:
		return
	case s.vetoed && last >= s.longestLead():
		a.hold = min(2*max(a.hold, holdFor), holdPatience)
	}
	a.lead = min(2*last, s.longestLead())
}

// leadOf is how far ahead the last proposal of a kind began.
func (s scene) leadOf(a *agenda, planned bool) time.Duration {
	if planned {
		return max(a.lead, s.farther(plannedLead))
	}
	return cmp.Or(a.lead, s.farther(lossLead))
}

// more is how much longer it takes to agree in a hive of many.
func (s scene) more() time.Duration { return more(len(s.st.Members)) }

func more(members int) time.Duration {
	return time.Duration(max(0, members-leadMembers)) * memberLead
}

// holdOf is how long after its beginning members wait for the end of the next proposal.
func (a *agenda) holdOf(members int) time.Duration { return max(a.hold, holdFor) + more(members) }

// longestLead bounds how far ahead an epoch begins.
func (s scene) longestLead() time.Duration { return longestLead + s.more() }

// plannedLead is how far ahead an epoch begins that is planned: those who send load have to hear of it in time, and to
// promise to let go, and the commit has to be written. A planned change is never urgent, and a commit that comes late
// leaves a hole in everybody's load.
func (s scene) plannedLead() time.Duration {
	if len(s.st.Members) == 0 {
		return s.farther(lossLead)
	}
	return min(max(s.farther(plannedLead), agreementWrites*s.etcd), s.longestLead())
}

// becauseOfLoss says whether members are lost that the proposal leaves out.
func (s scene) becauseOfLoss(p *Proposal) bool {
	proposed := livesOf(p.Members)
	return slices.ContainsFunc(s.fallen(), func(m Member) bool { return !proposed[m.Incarnation] })
}

// brokenNewcomer says whether a node that was to be dealt in is gone, or cannot be.
func (s scene) brokenNewcomer(p *Proposal) bool {
	members := livesOf(s.st.Members)
	return slices.ContainsFunc(p.Members, func(m Member) bool {
		if n, ok := s.peers[m.ID]; s.lost[m.Incarnation] || !members[m.Incarnation] && (!ok || n.Boot != m.Boot) {
			return true
		}
		st, ok := s.said(m)
		return ok && st.Epoch == p.Epoch && st.Phase == NodeFailed
	})
}

// said is the last word of an incarnation.
func (s scene) said(m Member) (Status, bool) {
	st, ok := s.status[m.ID]
	return st, ok && st.Incarnation == m.Incarnation
}

// allReady says whether all that gain slots have initialised their VUs.
func (s scene) allReady(p *Proposal) bool {
	return !slices.ContainsFunc(p.Members, func(m Member) bool {
		st, ok := s.said(m)
		ready := ok && st.Epoch == p.Epoch && (st.Phase == NodeReady || st.Ready) || ok && st.Phase == NodeEnded
		return s.gains[m.Incarnation] && !ready
	})
}

// allHold says whether every member of the present epoch has promised to let go, or sends no load any more.
func (s scene) allHold(p *Proposal) bool {
	return !slices.ContainsFunc(s.st.Members, func(m Member) bool {
		st, ok := s.said(m)
		holds := ok && (st.Epoch == p.Epoch && st.Phase == NodeHolding || st.Phase == NodeEnded || st.Phase == NodeFailed)
		return !s.lost[m.Incarnation] && !holds
	})
}

// refused says whether a member heard of the proposal too late to promise anything.
func (s scene) refused(p *Proposal) bool {
	return slices.ContainsFunc(s.st.Members, func(m Member) bool {
		st, ok := s.said(m)
		return ok && st.Late == p.Epoch && !s.lost[m.Incarnation]
	})
}

// plan proposes what nobody's loss asks for: to deal nodes in, to let nodes go, to change weights, to find owners
// for slots that have none.
func (s scene) plan(a *agenda) move {
	next, reasons, urgent := s.wishes()
	wish := strings.Join(reasons, "; ")
	if wish == "" {
		a.wish, a.futile = "", ""
		return move{}
	}
	if wish != a.wish {
		if a.wish == "" {
			a.wished = s.at
		}
		a.wish = wish
	}
	if wish == a.futile || s.at < a.blocked || s.now < s.st.From || !urgent && s.at-a.wished < joinGather {
		return move{}
	}
	return move{verb: propose, members: next, from: -1, why: wish, wish: wish}
}

// wishes are the members as they should be, and why that is not so; urgent ones do not wait for others.
func (s scene) wishes() (next []Member, reasons []string, urgent bool) {
	var leaving, joining, derated []Member
	room := 0
	for _, m := range s.st.Members {
		p, ok := s.peers[m.ID]
		if ok && p.Boot == m.Boot && p.Draining {
			leaving = append(leaving, m)
			continue
		}
		r := s.refreshed(m)
		if ok && p.Boot == m.Boot && r.Weight != m.Weight {
			derated = append(derated, m)
		}
		room += max(0, r.Capacity-m.VUs)
		next = append(next, r)
	}
	in := make(map[string]bool, len(s.st.Members))
	for _, m := range s.st.Members {
		in[m.ID] = true
	}
	for _, id := range slices.Sorted(maps.Keys(s.peers)) {
		p := s.peers[id]
		if in[id] || p.Capacity <= 0 || p.Draining || p.Barred {
			continue
		}
		m := Member{ID: p.ID, Name: p.Name, Boot: p.Boot, Capacity: p.Capacity, Weight: cmp.Or(p.Weight, p.Capacity)}
		joining, next = append(joining, m), append(next, m)
	}
	if len(leaving) > 0 && len(next) > 0 {
		reasons, urgent = append(reasons, "drain of "+nameList(leaving)), true
	}
	if len(next) == 0 {
		return nil, nil, false // nobody is there to take anything
	}
	if len(s.st.Members) == 0 {
		urgent = true // nobody sends anything
	}
	if len(derated) > 0 {
		reasons, urgent = append(reasons, "new weight of "+nameList(derated)), true
	}
	if len(joining) > 0 {
		reasons = append(reasons, "join of "+nameList(joining))
	}
	if s.st.Unowned > 0 && room > 0 && s.policy != LossContinue {
		reasons = append(reasons, fmt.Sprintf("room for some of %d slots without an owner", s.st.Unowned))
	}
	return next, reasons, urgent
}

// nameList names members for people: the first few, and how many there are more.
func nameList(members []Member) string {
	var names []string
	for i, m := range members {
		if i == 5 && len(members) > 6 {
			names = append(names, fmt.Sprintf("%d more", len(members)-i))
			break
		}
		names = append(names, orDefault(m.Name, m.ID))
	}
	return strings.Join(names, ", ")
}
