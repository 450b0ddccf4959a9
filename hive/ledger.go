package hive

import (
	"fmt"
	"math"
	"slices"
	"time"

	"hive/engine/executor"
	"hive/engine/share"
)

// Units in which scenarios are accounted.
const (
	UnitIterations = "iterations"
	UnitVUSeconds  = "vu-seconds"
)

// ScenarioLedger says what became of everything that one scenario planned. The classes sum to Planned:
// of iterations Completed + Interrupted + Dropped + Lost + Unknown + Cancelled + Pending, of VU-seconds
// Active + Lost + Handover + Cancelled + Pending.
type ScenarioLedger struct {
	Scenario    string             `json:"scenario"`
	Executor    string             `json:"executor"`
	Unit        string             `json:"unit"` // UnitIterations or UnitVUSeconds
	Planned     float64            `json:"planned"`
	Completed   float64            `json:"completed,omitempty"`
	Interrupted float64            `json:"interrupted,omitempty"`
	Dropped     map[string]float64 `json:"dropped,omitempty"`   // by reason
	Lost        float64            `json:"lost,omitempty"`      // never begun, since nobody was there to
	Unknown     float64            `json:"unknown,omitempty"`   // perhaps begun by a node that was lost, or cut off in a request
	Cancelled   float64            `json:"cancelled,omitempty"` // not begun when the run was stopped
	Active      float64            `json:"active,omitempty"`    // VU-seconds in which VUs looped
	Handover    float64            `json:"handover,omitempty"`  // VU-seconds in which VUs that had moved ran nowhere, before they did
	Pending     float64            `json:"pending,omitempty"`   // under way or still to come, while the run is not over
}

// sum adds up the classes.
func (l *ScenarioLedger) sum() float64 {
	sum := l.Completed + l.Interrupted + l.Lost + l.Unknown + l.Cancelled + l.Active + l.Handover + l.Pending
	for _, n := range l.Dropped {
		sum += n
	}
	return sum
}

// LedgerInput is what a run's ledger is computed from. All times are on the run's clock.
type LedgerInput struct {
	Scenarios []executor.Scenario
	// Lives are all incarnations that ever had a share of the run, in any order, but for those whose accounts are
	// closed: Settled is what became of these, by scenario.
	Lives   []Life
	Settled []Settled
	// Over says that no more is to come: what nobody accounts for is not pending.
	Over bool
	// Stopped says that the run was ended before its plan, at the moment StoppedAt.
	Stopped   bool
	StoppedAt time.Duration
	// Gaps are when nobody had any part of a scenario; Missed are by scenario how many iterations were due in others.
	Gaps   []Gap
	Missed []int64
	// Scales are the changes of externally-controlled scenarios, in order; ScaledBefore sums up older ones by the
	// scenarios' names.
	Scales       []Scale
	ScaledBefore map[string]ScaleSum
	// Loose is, by scenario, how many iterations belonged to nobody at the end, since nobody had room for them
	// (shared- and per-vu-iterations); it may be nil.
	Loose []int64
	// Known, when not nil, keeps what was counted for incarnations that are gone, for the next ledger of the same run.
	Known DueCounts
}

// Life is one incarnation's part in a run.
type Life struct {
	// Stints are in order; old ones may be left out.
	Stints []Stint `json:"stints,omitempty"`
	// Ledgers are from its newest report, by scenario; nil when it never reported.
	Ledgers []executor.Ledger `json:"ledgers,omitempty"`
	// Final says that nothing came after that report: its engine had ended.
	Final bool `json:"final,omitempty"`
	// Gone says that it sends no load any more, from Proven at the latest.
	Gone   bool          `json:"gone,omitempty"`
	Proven time.Duration `json:"proven,omitempty"`
	// Replaced says that what it had was dealt to others in an epoch that began at Until; otherwise nobody took it over.
	Replaced bool          `json:"replaced,omitempty"`
	Until    time.Duration `json:"until,omitempty"`
	// Counted is by scenario, for the executors that count iterations; it may be nil when Final.
	Counted []Counted `json:"counted,omitempty"`
}

// Stint is what an incarnation owned from a moment on, until its next stint began.
type Stint struct {
	Epoch int           `json:"epoch"`
	From  time.Duration `json:"from"`
	Share share.Share   `json:"share"`
}

// Counted is how far an incarnation was allowed to go with counted iterations of one scenario.
type Counted struct {
	Marks executor.Marks `json:"marks"`
	// Row is how many iterations of a shared-iterations scenario were its own in all since it took part.
	Row int64 `json:"row,omitempty"`
	// Begins are the numbers at which slots (from the scenario's base) of a per-vu-iterations scenario began here;
	// 0 when not listed.
	Begins map[int]int64 `json:"begins,omitempty"`
}

// Gap is a time in which nobody had any part of a scenario. It must not cover a time for which a life that was not
// replaced, or not yet, still accounts.
type Gap struct {
	Scenario int           `json:"scenario"`
	From     time.Duration `json:"from"`
	Until    time.Duration `json:"until"`
}

// DueCounts remembers how many iterations were due where, so that they need not be counted each time.
type DueCounts map[dueCount]int64

// dueCount names a count: the iterations of a scenario that were one node's own in an epoch and due in a time.
type dueCount struct {
	epoch, scenario, node int
	from, until           time.Duration
}

// never is a time that does not come.
const never time.Duration = math.MaxInt64

// NewLedger accounts for everything that the scenarios planned, and says in words what did not add up.
//
// Each class is counted for itself. An incarnation that is gone without a final report may have begun what it had in
// flight, what was due between its last report and its proven end, or, of counted iterations, what its marks allowed:
// that is unknown, and so is what a node had begun whose lease ran out in the middle of a request. What was due from its
// end until others took over is lost. What is then left of the plan is pending while the run is not over, cancelled when it
// was stopped early, and otherwise unknown, with a warning. Of what was due before the stop nothing is cancelled that a life
// of which too little is known may have begun.
func NewLedger(in LedgerInput) (ledger []ScenarioLedger, warnings []string) {
	b := &books{LedgerInput: in, deals: deals{}}
	for i, s := range in.Scenarios {
		a := &account{books: b, index: i, scenario: s}
		a.Scenario, a.Executor = s.Name, string(s.Executor)
		if _, counted := s.PlannedIterations(); counted {
			a.iterations()
		} else {
			a.vuSeconds()
		}
		ledger = append(ledger, a.ScenarioLedger)
	}
	return ledger, b.warnings
}

// Loss is the part of the plan, from 0 to 1, that was not sent, or nobody knows, since nodes were lost or VUs moved: lost,
// unknown and handover, over all scenarios that count iterations, or over all that count VU-seconds, whichever is more.
func Loss(ledger []ScenarioLedger) float64 {
	planned, missing := map[string]float64{}, map[string]float64{}
	for _, l := range ledger {
		planned[l.Unit] += l.Planned
		missing[l.Unit] += l.Lost + l.Unknown + l.Handover
	}
	most := 0.0
	for unit, n := range missing {
		if n > 0 {
			most = max(most, n/max(n, planned[unit]))
		}
	}
	return most
}

// books are what the accounts of all scenarios have in common.
type books struct {
	LedgerInput
	deals    deals
	warnings []string
}

// deals are the iterations of every node, by epoch and scenario.
type deals map[[2]int][]*share.Sequence

// stop is when the run was stopped, or never.
func (b *books) stop() time.Duration {
	if b.Stopped {
		return b.StoppedAt
	}
	return never
}

// now is the latest moment that anything here speaks of.
func (b *books) now() time.Duration {
	var now time.Duration
	for _, life := range b.Lives {
		now = max(now, life.Proven)
		for _, l := range life.Ledgers {
			now = max(now, l.Reached)
		}
	}
	return now
}

// silent reports that a life ended, or the run did, without its final report.
func (b *books) silent(life Life) bool { return !life.Final && (life.Gone || b.Over) }

// end is when a life's share passed to others, or never.
func (life Life) end() time.Duration {
	if life.Replaced {
		return life.Until
	}
	return never
}

// account is one scenario's ledger under way.
type account struct {
	*books
	ScenarioLedger
	index    int
	scenario executor.Scenario
}

func (a *account) warn(format string, args ...any) {
	a.warnings = append(a.warnings, fmt.Sprintf("scenario %s: ", a.Scenario)+fmt.Sprintf(format, args...))
}

// last is what a life reported of the scenario last.
func (a *account) last(life Life) executor.Ledger {
	if a.index < len(life.Ledgers) {
		return life.Ledgers[a.index]
	}
	return executor.Ledger{}
}

// iterations accounts for a scenario whose iterations can be counted beforehand.
func (a *account) iterations() {
	planned, _ := a.scenario.PlannedIterations()
	a.Unit, a.Planned = UnitIterations, float64(planned)
	timed := a.scenario.ArrivalSchedule() != nil
	a.livesIterations()
	s := a.settled()
	a.Completed += float64(s.Completed)
	a.Interrupted += float64(s.Interrupted)
	a.Lost += float64(s.Lost)
	a.Unknown += float64(s.Unknown)
	a.drop(s.Dropped)
	if timed {
		a.gaps()
	}
	a.balance(timed)
}

// livesIterations adds up what became of the iterations of all lives.
func (a *account) livesIterations() {
	timed := a.scenario.ArrivalSchedule() != nil
	for _, life := range a.Lives {
		l := a.last(life)
		a.Completed += float64(l.Completed)
		a.Interrupted += float64(l.Interrupted)
		a.Unknown += float64(l.Doubtful)
		a.Lost += float64(l.Lost)
		if timed {
			a.Lost -= float64(min(l.Lost, a.afterwards(life, l.Reached)))
		}
		a.drop(l.Dropped)
		switch {
		case life.Final:
			a.Unknown += float64(l.InFlight()) // an engine that broke down
			if timed && life.Gone {
				a.Lost += float64(a.own(life, l.Reached, min(life.end(), a.stop())))
			}
		case !a.silent(life):
		case timed:
			a.silentArrivals(life, l)
		default:
			a.Unknown += float64(a.begun(life, l))
		}
	}
}

func (a *account) drop(dropped map[string]int64) {
	for reason, n := range dropped {
		if a.Dropped == nil {
			a.Dropped = map[string]float64{}
		}
		a.Dropped[reason] += float64(n)
	}
}

// silentArrivals accounts for what a life with an arrival rate did not report.
func (a *account) silentArrivals(life Life, l executor.Ledger) {
	end := life.end()
	gone := min(end, a.stop()) // if nothing says that it was gone before
	if life.Gone {
		gone = min(end, life.Proven)
	}
	gone = max(gone, l.Reached)
	until := min(end, a.stop())
	if !a.Over && !life.Replaced {
		until = min(until, a.now()) // others may yet take it over
	}
	a.Unknown += float64(l.InFlight() + a.own(life, l.Reached, gone))
	a.Lost += float64(a.own(life, gone, until))
}

// afterwards is how many iterations a life that was lost counts as its own that were due after others had taken over: one
// that stood still for longer than its lease did not hear of that, and counts all that it could not begin.
func (a *account) afterwards(life Life, reached time.Duration) int64 {
	if !life.Gone || !life.Replaced || reached <= life.Until {
		return 0
	}
	return a.own(life, life.Until, reached)
}

// own is how many of a life's own iterations were due from one moment until another.
func (a *account) own(life Life, from, until time.Duration) (n int64) {
	for k, stint := range life.Stints {
		next := never
		if k+1 < len(life.Stints) {
			next = life.Stints[k+1].From
		}
		if lo, hi := max(from, stint.From), min(until, next); lo < hi {
			n += a.ownIn(stint, lo, hi, life.Replaced)
		}
	}
	return n
}

// ownIn is the same within one stint; settled says that the same will be asked again.
func (a *account) ownIn(stint Stint, from, until time.Duration, settled bool) int64 {
	if a.index >= len(stint.Share.Plan().Scenarios) || stint.Share.VUs(a.index) == 0 {
		return 0
	}
	key := dueCount{epoch: stint.Epoch, scenario: a.index, node: stint.Share.Index(), from: from, until: until}
	if n, ok := a.Known[key]; ok {
		return n
	}
	// The epoch's deal begins with the first iteration that is due in it.
	first := a.scenario.DueBefore(stint.From)
	s := a.deal(stint)
	n := s.Before(a.scenario.DueBefore(until)-first) - s.Before(a.scenario.DueBefore(from)-first)
	if settled && a.Known != nil {
		a.Known[key] = n
	}
	return n
}

// deal returns a node's iterations in an epoch. All nodes' are dealt in one go, since nodes tend to die together.
func (a *account) deal(stint Stint) *share.Sequence {
	key := [2]int{stint.Epoch, a.index}
	if a.deals[key] == nil {
		a.deals[key] = share.Sequences(stint.Share.Nodes(a.index))
	}
	return a.deals[key][stint.Share.Index()]
}

// gaps counts as lost what was due while nobody had any part of the scenario.
func (a *account) gaps() {
	if a.index < len(a.Missed) {
		a.Lost += float64(a.Missed[a.index])
	}
	for _, g := range a.Gaps {
		until := min(g.Until, a.stop())
		if g.Scenario == a.index && g.From < until {
			a.Lost += float64(a.scenario.DueBefore(until) - a.scenario.DueBefore(g.From))
		}
	}
}

// begun is how many counted iterations a silent life may have begun without reporting their end.
func (a *account) begun(life Life, l executor.Ledger) int64 {
	ended := l.Completed + l.Interrupted + l.Doubtful
	for _, n := range l.Dropped {
		ended += n
	}
	return max(l.InFlight(), a.used(life)-ended)
}

// used is how many counted iterations a life's marks allowed it to begin.
func (a *account) used(life Life) (n int64) {
	if a.index >= len(life.Counted) {
		return 0
	}
	c := life.Counted[a.index]
	switch {
	case life.Final:
		return a.last(life).Started
	case a.scenario.Executor == executor.SharedIterations:
		return min(c.Marks.Limit, c.Row)
	}
	for slot, mark := range c.Marks.Slots {
		n += max(0, min(mark, a.scenario.Iterations)-c.Begins[slot])
	}
	return n
}

// left is how many counted iterations a life could no longer begin and nobody took over.
func (a *account) left(life Life) (n int64) {
	if life.Replaced || a.index >= len(life.Counted) || len(life.Stints) == 0 {
		return 0
	}
	c, sh := life.Counted[a.index], life.Stints[len(life.Stints)-1].Share
	if a.scenario.Executor == executor.SharedIterations {
		return max(0, c.Row-a.used(life))
	}
	if a.index >= len(sh.Plan().Scenarios) {
		return 0
	}
	for _, slot := range sh.Slots(a.index) {
		n += max(0, a.scenario.Iterations-max(c.Marks.Slots[slot], c.Begins[slot]))
	}
	return n
}

// balance makes the classes sum to the plan.
func (a *account) balance(timed bool) {
	rest := a.Planned - a.sum()
	switch {
	case rest < 0:
		a.correct(-rest, timed)
	case !a.Over:
		a.Pending = rest
	case a.Stopped:
		unseen := min(rest, a.unseen(timed))
		a.Unknown += unseen
		a.Cancelled = rest - unseen
	case rest > 0:
		// What certainly nobody began is lost; it is counted last, as it may be reported as dropped too.
		lost := min(rest, float64(a.notBegun(timed)))
		a.Lost += lost
		if rest -= lost; rest > 0 {
			a.Unknown += rest
			a.warn("nobody accounts for %.0f of its %.0f iterations: they count as unknown", rest, a.Planned)
		}
	}
}

// unseen is how many iterations were due before the stop that nobody accounts for, where a life may have begun them of which
// it is not known any more what it owned before its first stint: leaders have died since that knew.
func (a *account) unseen(timed bool) float64 {
	blind := func(life Life) bool {
		return a.silent(life) && len(life.Stints) > 0 && a.last(life).Reached < life.Stints[0].From
	}
	if !timed || !slices.ContainsFunc(a.Lives, blind) {
		return 0
	}
	return max(0, float64(a.scenario.DueBefore(a.stop()))-a.sum())
}

// notBegun is how many iterations had an owner that ended before they could begin, or no owner.
func (a *account) notBegun(timed bool) (n int64) {
	n = a.settled().NotBegun
	if a.index < len(a.Loose) {
		n += a.Loose[a.index]
	}
	for _, life := range a.Lives {
		switch {
		case timed && life.Final && !life.Gone:
			n += a.own(life, a.last(life).Reached, life.end())
		case !timed && (life.Gone || a.silent(life)):
			n += a.left(life)
		}
	}
	return n
}

// correct takes back what is accounted for twice. Marks allow more than was begun, so that unknown ones are too many
// is nothing strange where iterations are counted; anything else is. Where they are timed, what may have been sent stays
// unknown for as long as something else can be taken back.
func (a *account) correct(excess float64, timed bool) {
	lost := 0.0
	if timed {
		lost = min(excess, a.Lost)
	}
	unknown := min(excess-lost, a.Unknown)
	lost += min(excess-lost-unknown, a.Lost-lost)
	a.Unknown -= unknown
	a.Lost -= lost
	if timed && unknown > 0 || lost > 0 {
		a.warn("%.0f iterations that counted as lost or unknown were accounted for by others", unknown+lost)
	}
	if beyond := excess - unknown - lost; beyond > 0 {
		a.warn("%.0f iterations are accounted for beyond the %.0f that were planned", beyond, a.Planned)
	}
}
