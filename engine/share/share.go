// Package share says which part of a test is a node's own: which VU slots and which iterations. It is integers
// in, integers out; it knows nothing of scripts, clocks or peers.
//
// A Plan lays the VUs of a test's scenarios side by side in one row of slots 0..Slots-1 (the VU's id is its
// slot + 1). A Share names the slots of one node explicitly, because slots may move between nodes later, and
// carries for each scenario how many VUs every node has: from these few integers each node computes the same
// deal of iterations.
//
//	shares, err := share.Split(plan, []int{100, 100, 200}) // capacities of three nodes
//	for _, slot := range shares[2].Slots(0) { … }          // VUs of the first scenario on the third node
//	next := shares[2].Iterations(0)                        // its iterations: next.Next(), next.Next(), …
//
// A local run is the share that owns every slot (Whole).
package share

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Range is where a scenario's VUs lie in the row of slots: Max of them from Base on.
type Range struct {
	Base int `json:"base"`
	Max  int `json:"max"`
}

// Plan is the layout of a whole test.
type Plan struct {
	Slots     int     `json:"slots"`     // length of the row: the most VUs there are at once
	Scenarios []Range `json:"scenarios"` // in the order of the test's scenarios
}

// Validate reports ranges that do not lie within the row.
func (p Plan) Validate() error {
	if p.Slots < 0 {
		return fmt.Errorf("share: a plan of %d slots, want 0 or more", p.Slots)
	}
	for i, r := range p.Scenarios {
		if r.Base < 0 || r.Max < 0 || r.Max > p.Slots-r.Base {
			return fmt.Errorf("share: scenario %d takes %d slots from %d on, but the plan has %d", i, r.Max, r.Base, p.Slots)
		}
	}
	return nil
}

// Share is what one node owns of a test. The zero value owns nothing of a test without scenarios. It must not
// be changed once made; copies may share memory.
type Share struct {
	plan  Plan
	index int     // this node among all nodes
	slots Slots   // this node's slots, in the row of the whole test
	vus   [][]int // [scenario][node]: VUs
}

// Whole is the share that owns every slot: a local run. A plan that is not valid gives the zero share.
func Whole(plan Plan) Share {
	if plan.Validate() != nil {
		return Share{}
	}
	s := Share{plan: plan, vus: make([][]int, len(plan.Scenarios))}
	if plan.Slots > 0 {
		s.slots.runs = []run{{first: 0, n: plan.Slots, step: 1}}
	}
	for i, r := range plan.Scenarios {
		s.vus[i] = []int{r.Max}
	}
	return s
}

// Split deals the plan's slots to nodes in proportion to their capacities (in VUs) and returns the share of
// each. It fails with a *TooLargeError when the plan does not fit.
func Split(plan Plan, capacities []int) ([]Share, error) {
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	owners, err := Deal(capacities, plan.Slots)
	if err != nil {
		return nil, err
	}
	return Assign(plan, owners, len(capacities))
}

// Assign returns the shares of all nodes for given owners of the slots; -1 is a slot that nobody owns.
func Assign(plan Plan, owners []int, nodes int) ([]Share, error) {
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	if len(owners) != plan.Slots {
		return nil, fmt.Errorf("share: owners of %d slots given for a plan of %d", len(owners), plan.Slots)
	}
	for slot, owner := range owners {
		if owner < -1 || owner >= nodes {
			return nil, fmt.Errorf("share: slot %d is given to node %d of %d", slot, owner, nodes)
		}
	}
	shares := make([]Share, nodes)
	own := make([][]int, nodes)
	for slot, owner := range owners {
		if owner >= 0 {
			own[owner] = append(own[owner], slot)
		}
	}
	vus := countVUs(plan, owners, nodes)
	for i := range shares {
		shares[i] = Share{plan: plan, index: i, slots: NewSlots(own[i]), vus: vus}
	}
	return shares, nil
}

// countVUs counts each scenario's slots on each node.
func countVUs(plan Plan, owners []int, nodes int) [][]int {
	vus := make([][]int, len(plan.Scenarios))
	for i, r := range plan.Scenarios {
		vus[i] = make([]int, nodes)
		for _, owner := range owners[r.Base : r.Base+r.Max] {
			if owner >= 0 {
				vus[i][owner]++
			}
		}
	}
	return vus
}

// Plan returns the plan of the whole test.
func (s Share) Plan() Plan { return s.plan }

// Index is this node's number among all nodes, from 0.
func (s Share) Index() int { return s.index }

// All returns every slot of this node in the row of the whole test.
func (s Share) All() Slots { return s.slots }

// Base is the first slot of a scenario in the row of the whole test.
func (s Share) Base(scenario int) int { return s.plan.Scenarios[scenario].Base }

// Max is the number of VUs that a scenario has in the whole test.
func (s Share) Max(scenario int) int { return s.plan.Scenarios[scenario].Max }

// Slots returns this node's slots of a scenario, counted from the scenario's base, ascending.
func (s Share) Slots(scenario int) []int {
	r := s.plan.Scenarios[scenario]
	var own []int
	for slot := range s.slots.Values() {
		if slot >= r.Base && slot < r.Base+r.Max {
			own = append(own, slot-r.Base)
		}
	}
	return own
}

// VUs returns how many VUs of a scenario this node has.
func (s Share) VUs(scenario int) int { return s.vus[scenario][s.index] }

// Nodes returns how many VUs of a scenario each node has. It must not be changed.
func (s Share) Nodes(scenario int) []int { return s.vus[scenario] }

// Complete reports whether this node has every VU of a scenario.
func (s Share) Complete(scenario int) bool { return s.VUs(scenario) == s.Max(scenario) }

// Iterations returns this node's iterations of a scenario: dealt like slots, with the scenario's VUs on each
// node as weights. A node without VUs of the scenario gets an empty sequence.
func (s Share) Iterations(scenario int) *Sequence {
	return NewSequence(s.vus[scenario], s.index)
}

// First reports whether this node owns slot 0, which exactly one node of a hive does.
func (s Share) First() bool {
	for slot := range s.slots.Values() {
		return slot == 0
	}
	return false
}

// shareJSON is the form in which a share is stored.
type shareJSON struct {
	Plan  Plan    `json:"plan"`
	Index int     `json:"index"`
	Slots Slots   `json:"slots"`
	VUs   [][]int `json:"vus"`
}

// MarshalJSON writes the plan, the node's number, its slots as progressions and every node's VUs.
func (s Share) MarshalJSON() ([]byte, error) {
	return json.Marshal(shareJSON{Plan: s.plan, Index: s.index, Slots: s.slots, VUs: s.vus})
}

// UnmarshalJSON reads what MarshalJSON wrote and refuses what contradicts itself.
func (s *Share) UnmarshalJSON(data []byte) error {
	var in shareJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("share: %w", err)
	}
	read := Share{plan: in.Plan, index: in.Index, slots: in.Slots, vus: in.VUs}
	if err := read.validate(); err != nil {
		return err
	}
	*s = read
	return nil
}

func (s Share) validate() error {
	if err := s.plan.Validate(); err != nil {
		return err
	}
	if s.slots.end() > s.plan.Slots {
		return fmt.Errorf("share: slot %d is beyond the plan's %d", s.slots.end()-1, s.plan.Slots)
	}
	if len(s.vus) != len(s.plan.Scenarios) {
		return fmt.Errorf("share: VU counts of %d scenarios for a plan of %d", len(s.vus), len(s.plan.Scenarios))
	}
	for i, counts := range s.vus {
		if s.index < 0 || s.index >= len(counts) || len(counts) != len(s.vus[0]) {
			return fmt.Errorf("share: scenario %d: node %d of %d", i, s.index, len(counts))
		}
		sum := 0
		for _, n := range counts {
			if n < 0 || n > s.plan.Scenarios[i].Max-sum {
				return fmt.Errorf("share: scenario %d: the nodes' VUs %v are not a deal of %d", i, counts, s.plan.Scenarios[i].Max)
			}
			sum += n
		}
		r := s.plan.Scenarios[i]
		if own := s.slots.within(r.Base, r.Base+r.Max); own != counts[s.index] {
			return fmt.Errorf("share: scenario %d: node %d has %d slots, but its count says %d", i, s.index, own, counts[s.index])
		}
	}
	return nil
}

// Equal reports whether two shares are the same.
func (s Share) Equal(o Share) bool {
	return s.plan.Slots == o.plan.Slots && slices.Equal(s.plan.Scenarios, o.plan.Scenarios) && s.index == o.index &&
		s.slots.Equal(o.slots) && slices.EqualFunc(s.vus, o.vus, slices.Equal[[]int])
}

// Empty reports that this node owns no slot.
func (s Share) Empty() bool { return len(s.slots.runs) == 0 }
