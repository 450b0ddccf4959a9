package hive

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"hive/engine/executor"
	"hive/engine/share"
)

// Plan is how a test is dealt out, for people to read before it starts.
type Plan struct {
	Name      string         `json:"name"` // of the script
	Epoch     int            `json:"epoch"`
	VUs       int            `json:"vus"`      // the most there are at once
	Capacity  int            `json:"capacity"` // of the nodes together; 0 when it is no limit
	Duration  time.Duration  `json:"duration"` // with graceful stops; the longest time there is when open-ended
	Scenarios []PlanScenario `json:"scenarios"`
	Nodes     []PlanNode     `json:"nodes"`
	Warnings  []string       `json:"warnings,omitempty"`
}

// PlanScenario is one scenario of a plan.
type PlanScenario struct {
	Name     string  `json:"name"`
	Executor string  `json:"executor"`
	VUs      int     `json:"vus"`            // at most
	Rate     float64 `json:"rate,omitempty"` // iterations per second at the peak, of arrival-rate executors
	Nodes    []int   `json:"nodes"`          // VUs of each node, in the order of Plan.Nodes
	Text     string  `json:"text"`
}

// PlanNode is one node's part in a plan.
type PlanNode struct {
	ID       string  `json:"id"`
	Name     string  `json:"name"`
	Capacity int     `json:"capacity"`
	VUs      int     `json:"vus"`            // at most
	Rate     float64 `json:"rate,omitempty"` // iterations per second at the peak
}

// Deal deals the scenarios' VUs to the members in proportion to their
// capacity. Members that get nothing are left out of the plan and of the
// shares, which lie in the same order. A test that is larger than the members
// together is refused with the numbers.
func Deal(name string, scenarios []executor.Scenario, members []Member) (Plan, []Member, []share.Share, error) {
	layout := executor.Layout(scenarios)
	capacities := make([]int, len(members))
	total := 0
	for i, m := range members {
		capacities[i] = m.Capacity
		total += m.Capacity
	}
	if len(members) == 0 {
		return Plan{}, nil, nil, Failf(KindCapacity, "the hive has no node with capacity: %s needed", plural(layout.Slots, "VU is", "VUs are"))
	}
	owners, err := share.Deal(capacities, layout.Slots)
	if err != nil {
		return Plan{}, nil, nil, Failf(KindCapacity, "the test is larger than the hive: it needs %s, and %s %d together (%s)",
			plural(layout.Slots, "VU", "VUs"), plural(len(members), "node carries", "nodes carry"), total, capacityList(members))
	}
	counts := make([]int, len(members))
	for _, o := range owners {
		counts[o]++
	}
	var used []Member
	for i, m := range members {
		if m.VUs = counts[i]; m.VUs > 0 {
			used = append(used, m)
		}
	}
	if len(used) == 0 {
		used = members[:1]
	}
	// Nodes without a slot do not change the deal of the others.
	capacities = capacities[:0]
	for _, m := range used {
		capacities = append(capacities, m.Capacity)
	}
	shares, err := share.Assign(layout, renumber(owners), len(used))
	if err != nil {
		return Plan{}, nil, nil, Failf(KindConfig, "deal the test: %v", err)
	}
	plan := newPlan(name, scenarios, layout, used, shares)
	plan.Capacity = total
	return plan, used, shares, nil
}

// renumber turns owners into indexes of those who own something, in order.
func renumber(owners []int) []int {
	present := slices.Compact(slices.Sorted(slices.Values(owners)))
	out := make([]int, len(owners))
	for i, o := range owners {
		out[i], _ = slices.BinarySearch(present, o)
	}
	return out
}

// WholePlan is the plan of a test that one machine runs alone, with the share
// given (a part, when an execution segment picks one).
func WholePlan(name, node string, scenarios []executor.Scenario, s share.Share) Plan {
	m := Member{Name: node, VUs: s.All().Len()}
	return newPlan(name, scenarios, executor.Layout(scenarios), []Member{m}, []share.Share{s})
}

func newPlan(name string, scenarios []executor.Scenario, layout share.Plan, members []Member, shares []share.Share) Plan {
	p := Plan{Name: name, Epoch: 1, VUs: layout.Slots}
	for i, s := range scenarios {
		ps := PlanScenario{Name: s.Name, Executor: string(s.Executor), VUs: s.MaxVUs(), Rate: s.PeakRate(), Text: s.Describe()}
		for _, sh := range shares {
			ps.Nodes = append(ps.Nodes, sh.VUs(i))
		}
		p.Scenarios = append(p.Scenarios, ps)
		p.Duration = max(p.Duration, s.End())
		p.Warnings = append(p.Warnings, poolWarning(ps)...)
	}
	for k, m := range members {
		p.Nodes = append(p.Nodes, PlanNode{ID: m.ID, Name: m.Name, Capacity: m.Capacity, VUs: m.VUs, Rate: nodeRate(scenarios, p.Scenarios, k)})
	}
	return p
}

// nodeRate is the most that node k starts per second: the sum of the peaks of
// the scenarios that may run at the same time.
func nodeRate(scenarios []executor.Scenario, plans []PlanScenario, k int) float64 {
	var peak float64
	for _, at := range scenarios {
		var sum float64
		for i, s := range scenarios {
			if plans[i].VUs > 0 && s.StartTime <= at.StartTime && at.StartTime < s.End() {
				sum += plans[i].Rate * float64(plans[i].Nodes[k]) / float64(plans[i].VUs)
			}
		}
		peak = max(peak, sum)
	}
	return peak
}

// poolWarning tells of arrival-rate pools that are spread too thin: a node
// with one or two VUs drops iterations that a shared pool would have started.
func poolWarning(s PlanScenario) []string {
	if s.Rate == 0 || len(s.Nodes) < 2 {
		return nil
	}
	thin := 0
	for _, n := range s.Nodes {
		if n > 0 && n <= 2 {
			thin++
		}
	}
	if thin == 0 {
		return nil
	}
	return []string{fmt.Sprintf("scenario %s: %d of %d nodes have a pool of one or two VUs for arriving iterations; such pools drop more iterations than one shared pool: raise preAllocatedVUs and maxVUs, or use fewer nodes",
		s.Name, thin, len(s.Nodes))}
}

func durationText(d time.Duration) string {
	if d == 0 || d == math.MaxInt64 {
		return "infinite"
	}
	return d.String()
}

func capacityList(members []Member) string {
	sorted := slices.SortedFunc(slices.Values(members), func(a, b Member) int { return cmp.Compare(b.Capacity, a.Capacity) })
	var parts []string
	for i, m := range sorted {
		if i == 10 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", m.Name, m.Capacity))
	}
	return strings.Join(parts, ", ")
}

// Write prints the plan: what each scenario does, and in a hive what each node
// gets.
func (p Plan) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "scenarios: %d, %d max VUs, %s max duration (incl. graceful stop):\n", len(p.Scenarios), p.VUs, durationText(p.Duration))
	for _, s := range p.Scenarios {
		fmt.Fprintf(&b, "         * %s: %s\n", s.Name, s.Text)
	}
	if len(p.Nodes) > 0 && p.Nodes[0].ID != "" {
		fmt.Fprintf(&b, "    nodes: %d of the hive, %d VUs of capacity %d\n", len(p.Nodes), p.VUs, p.Capacity)
		for _, n := range p.Nodes {
			fmt.Fprintf(&b, "         * %s: %d of %d VUs", n.Name, n.VUs, n.Capacity)
			if n.Rate > 0 {
				fmt.Fprintf(&b, ", up to %.2f iterations/s", n.Rate)
			}
			b.WriteByte('\n')
		}
	}
	for _, warning := range p.Warnings {
		fmt.Fprintf(&b, "  warning: %s\n", warning)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func vusText(vus, most, nodes int) string {
	return fmt.Sprintf("%d/%d VUs on %s", vus, most, plural(nodes, "node", "nodes"))
}
