package executor

import (
	"cmp"
	"slices"

	"hive/engine/share"
)

// Layout gives every scenario its range of slots. Scenarios that overlap in time, from their start to their
// last possible iteration's end, lie side by side; others reuse slots, and with them VUs. The result depends
// on nothing but the scenarios.
func Layout(scenarios []Scenario) share.Plan {
	var best share.Plan
	for i, order := range layoutOrders() {
		if p := fit(scenarios, order); i == 0 || p.Slots < best.Slots {
			best = p
		}
	}
	return best
}

// layoutOrders are the orders in which scenarios are tried to be placed. The best packing is hard to find;
// the best of these is good.
func layoutOrders() []func(a, b Scenario) int {
	return []func(a, b Scenario) int{
		func(a, b Scenario) int { return 0 },
		func(a, b Scenario) int { return cmp.Compare(b.MaxVUs(), a.MaxVUs()) },
		func(a, b Scenario) int { return cmp.Compare(b.End(), a.End()) },
		func(a, b Scenario) int { return cmp.Compare(b.End()-b.StartTime, a.End()-a.StartTime) },
	}
}

// fit places scenarios in the given order, each at the lowest base where it meets no other at the same time.
func fit(scenarios []Scenario, order func(a, b Scenario) int) share.Plan {
	turns := make([]int, len(scenarios))
	for i := range turns {
		turns[i] = i
	}
	slices.SortStableFunc(turns, func(i, j int) int { return order(scenarios[i], scenarios[j]) })

	plan := share.Plan{Scenarios: make([]share.Range, len(scenarios))}
	var placed []int
	for _, i := range turns {
		s := scenarios[i]
		var taken []share.Range
		for _, j := range placed {
			if o := scenarios[j]; s.StartTime < o.End() && o.StartTime < s.End() {
				taken = append(taken, plan.Scenarios[j])
			}
		}
		r := share.Range{Base: lowestBase(taken, s.MaxVUs()), Max: s.MaxVUs()}
		plan.Scenarios[i] = r
		plan.Slots = max(plan.Slots, r.Base+r.Max)
		placed = append(placed, i)
	}
	return plan
}

// lowestBase finds the first gap of n slots between taken ranges.
func lowestBase(taken []share.Range, n int) int {
	slices.SortFunc(taken, func(a, b share.Range) int { return cmp.Compare(a.Base, b.Base) })
	base := 0
	for _, r := range taken {
		if r.Base-base >= n {
			break
		}
		base = max(base, r.Base+r.Max)
	}
	return base
}
