package share_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"hive/engine/share"
)

var seeds = flag.Int("seeds", 3, "how many random histories of each kind are played")

func TestRedeal(t *testing.T) {
	const no = share.Nobody
	for _, tt := range []struct {
		name                        string
		owners, weights, capacities []int
		want                        []int
	}{
		{"nothing changed", []int{0, 1, 0, 1}, []int{5, 5}, []int{5, 5}, []int{0, 1, 0, 1}},
		{"one is left", []int{0, no, 0, no}, []int{5}, []int{5}, []int{0, 0, 0, 0}},
		{"a newcomer takes its quota", []int{0, 0, 0, 0}, []int{5, 5}, []int{5, 5}, []int{0, 1, 0, 1}},
		{"a drained node gives all", []int{0, 1, 0, 1}, []int{5, 0}, []int{5, 5}, []int{0, 0, 0, 0}},
		{"nobody had anything", []int{no, no, no, no, no, no}, []int{20, 10}, []int{20, 10}, []int{0, 0, 1, 0, 0, 1}},
		{"capacity is short", []int{0, no, 0, no, no}, []int{3, 1}, []int{3, 1}, []int{0, 1, 0, 0, no}},
		{"capacity shrinks", []int{0, 0, 0, 0}, []int{5}, []int{2}, []int{0, 0, no, no}},
		{"the full one stays at its capacity", []int{no, no, no, no, no, no}, []int{4, 4}, []int{2, 9}, []int{1, 0, 1, 1, 0, 1}},
		{"no nodes", []int{no, no}, nil, nil, []int{no, no}},
		{"no slots", nil, []int{1}, []int{1}, nil},
		{"nobody has any weight", []int{0, 1}, []int{0, 0}, []int{5, 5}, []int{no, no}},
		{"unknown owners are none", []int{7, -4}, []int{1}, []int{5}, []int{0, 0}},
		{"negative numbers are nothing", []int{0, 1}, []int{-1, 2}, []int{3, 3}, []int{1, 1}},
		{"a missing capacity is none", []int{0, 1}, []int{1, 1}, []int{2}, []int{0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := slices.Clone(tt.owners)
			got := share.Redeal(tt.owners, tt.weights, tt.capacities)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if !slices.Equal(tt.owners, before) {
				t.Errorf("the owners given were changed to %v", tt.owners)
			}
		})
	}
}

// A row without owners is dealt as in the first deal, so that a hive that was down as a whole is balanced again.
func TestRedealAfreshIsDeal(t *testing.T) {
	capacities := []int{100, 150, 200, 250, 300}
	want, err := share.Deal(capacities, 700)
	if err != nil {
		t.Fatal(err)
	}
	if got := share.Redeal(repeat(share.Nobody, 700), capacities, capacities); !slices.Equal(got, want) {
		t.Error("the row was dealt another way than by Deal")
	}
}

// hive is a hive that changes: what every node of it can carry, and who owns which slot.
type hive struct {
	rng                 *rand.Rand
	uneven, tight       bool
	weights, capacities []int
	owners              []int
}

func (h *hive) join() {
	w := 100
	if h.uneven {
		w = 50 + h.rng.IntN(900)
	}
	c := 1 << 30
	if h.tight {
		// On average the hive is short of capacity now and then.
		c = 1 + w*len(h.owners)/max(1, 400*len(h.weights))
	}
	h.weights, h.capacities = append(h.weights, w), append(h.capacities, c)
}

func (h *hive) lose(node int) {
	h.weights, h.capacities = slices.Delete(h.weights, node, node+1), slices.Delete(h.capacities, node, node+1)
	for slot, owner := range h.owners {
		switch {
		case owner == node:
			h.owners[slot] = share.Nobody
		case owner > node:
			h.owners[slot]--
		}
	}
}

func (h *hive) someone() int { return h.rng.IntN(len(h.weights)) }

// histories are the ways in which hives change. Each is one step.
var histories = map[string]func(h *hive, step, most int){
	"anything": func(h *hive, _, most int) {
		switch what := h.rng.IntN(5); {
		case what < 2 && len(h.weights) < 2*most:
			h.join()
		case what == 2 && len(h.weights) > 1:
			h.lose(h.someone())
		case what == 3:
			h.weights[h.someone()] = 20 + h.rng.IntN(900) // derated, or not any more
		default:
			h.weights[h.someone()] = 0 // a drain
		}
	},
	"one dies, one joins": func(h *hive, step, _ int) {
		if step%2 == 0 {
			h.lose(h.someone())
		} else {
			h.join()
		}
	},
	"all are replaced in turn": func(h *hive, step, _ int) {
		if step%2 == 0 {
			h.join()
		} else {
			h.lose(0)
		}
	},
	"down to two and up again": func(h *hive, step, most int) {
		if step/(most-2)%2 == 0 {
			h.lose(h.someone())
		} else {
			h.join()
		}
	},
	"half at once": func(h *hive, step, most int) {
		for range most / 2 {
			if step%2 == 0 {
				h.lose(h.someone())
			} else {
				h.join()
			}
		}
	},
}

// Over any history every slot has one owner, counts are within one of the quota and never above the capacity, no more
// moves than must, and every prefix stays within 8 of the quota, unless capacity was short before: who comes then can
// only take the slots that lie free.
func TestRedealHistories(t *testing.T) {
	for name, change := range histories {
		for _, nodes := range []int{4, 12, 40} {
			for seed := range *seeds {
				kind := seed % 3
				t.Run(fmt.Sprintf("%s/%d nodes/seed %d", name, nodes, seed), func(t *testing.T) {
					t.Parallel()
					h := &hive{rng: rand.New(rand.NewPCG(uint64(seed), uint64(nodes))), uneven: kind > 0, tight: kind == 2}
					h.owners = repeat(share.Nobody, 30+h.rng.IntN(60*nodes))
					for range nodes {
						h.join()
					}
					short := false
					for step := range 120 {
						if step > 0 {
							change(h, step-1, nodes)
						}
						before := h.owners
						h.owners = share.Redeal(before, h.weights, h.capacities)
						if err := judge(before, h.owners, h.weights, h.capacities); err != nil {
							t.Fatalf("step %d, weights %v, capacities %v: %v", step, h.weights, h.capacities, err)
						}
						short = short || slices.Contains(h.owners, share.Nobody)
						quotas, _ := fairShares(len(h.owners), h.weights, h.capacities)
						if off := unevenness(h.owners, quotas); !short && off > 8 {
							t.Fatalf("step %d, weights %v, capacities %v: a prefix is %.2f off, want at most 8", step, h.weights, h.capacities, off)
						}
					}
				})
			}
		}
	}
}

// judge checks what Redeal promises, by other arithmetic than its own.
func judge(before, after, weights, capacities []int) error {
	quotas, n := fairShares(len(after), weights, capacities)
	had, have, moved, free := make([]int, len(weights)), make([]int, len(weights)), 0, 0
	for slot, owner := range after {
		if before[slot] >= 0 {
			had[before[slot]]++
		}
		switch {
		case owner < 0:
			free++
			continue
		case owner != before[slot]:
			moved++
		}
		have[owner]++
	}
	if free != len(after)-n {
		return fmt.Errorf("%d slots have no owner, want %d", free, len(after)-n)
	}
	least, ceilings, keepers := n, 0, 0 // what must move: all that is not kept
	for i, q := range quotas {
		whole := math.Floor(q + 1e-9)
		odd := q-whole > 1e-9
		if float64(have[i]) < whole || float64(have[i]) > whole+1 || !odd && float64(have[i]) != whole || have[i] > max(0, capacities[i]) {
			return fmt.Errorf("node %d has %d slots, want the floor or ceiling of %g (capacity %d)", i, have[i], q, capacities[i])
		}
		ceilings += have[i] - int(whole)
		least -= min(had[i], int(whole))
		if odd && had[i] > int(whole) {
			keepers++
		}
	}
	if least -= min(ceilings, keepers); moved != least {
		return fmt.Errorf("%d slots moved, want %d", moved, least)
	}
	return nil
}

// fairShares shares n slots out by weight; who is full leaves the rest to the others. It returns how many are had.
func fairShares(n int, weights, capacities []int) (quotas []float64, had int) {
	quotas = make([]float64, len(weights))
	full := make([]bool, len(weights))
	for {
		left, total := n, 0
		for i, w := range weights {
			if full[i] {
				left -= capacities[i]
			} else {
				total += w
			}
		}
		again := false
		for i, w := range weights {
			if full[i] || w == 0 {
				continue
			}
			quotas[i] = float64(left) * float64(w) / float64(total)
			if quotas[i] >= float64(capacities[i]) {
				quotas[i], full[i], again = float64(capacities[i]), true, true
			}
		}
		if !again {
			if total == 0 {
				return quotas, n - left
			}
			return quotas, n
		}
	}
}

// unevenness is how far any node is from its quota of any prefix, at most.
func unevenness(owners []int, quotas []float64) float64 {
	most, n := 0.0, float64(len(owners))
	have := make([]int, len(quotas))
	for slot, owner := range owners {
		if owner < 0 {
			continue
		}
		short := quotas[owner]*float64(slot)/n - float64(have[owner])
		have[owner]++
		over := float64(have[owner]) - quotas[owner]*float64(slot+1)/n
		most = max(most, short, over)
	}
	return most
}

// The first deal, and the deal of iterations, are within one unit on every prefix, whatever the weights.
func TestFirstDealPrefixes(t *testing.T) {
	for seed := range 20 {
		rng := rand.New(rand.NewPCG(uint64(seed), 3))
		weights, total := make([]int, 1+rng.IntN(60)), 0
		for i := range weights {
			weights[i] = rng.IntN(500)
			total += weights[i]
		}
		n := rng.IntN(total + 1)
		quotas, _ := fairShares(n, weights, weights)
		owners := share.Redeal(repeat(share.Nobody, n), weights, weights)
		if off := unevenness(owners, quotas); off > 1 {
			t.Errorf("seed %d: slots: a prefix is %.3f off, want at most 1", seed, off)
		}
		dealt := make([]int, 2*total)
		for owner, seq := range share.Sequences(weights) {
			for k := int64(0); !seq.Empty() && seq.At(k) < int64(len(dealt)); k++ {
				dealt[seq.At(k)] = owner
			}
		}
		quotas, _ = fairShares(len(dealt), weights, repeat(1<<30, len(weights)))
		if off := unevenness(dealt, quotas); off > 1 {
			t.Errorf("seed %d: iterations: a prefix is %.3f off, want at most 1", seed, off)
		}
	}
}

func TestSequencesAreEachOwnersSequence(t *testing.T) {
	weights := []int{3, 0, 5, 1}
	for owner, seq := range share.Sequences(weights) {
		one := share.NewSequence(weights, owner)
		for k := range int64(30) {
			if got, want := seq.At(k), one.At(k); got != want {
				t.Fatalf("owner %d: number %d is %d, want %d", owner, k, got, want)
			}
		}
	}
	if got := share.Sequences([]int{0}); len(got) != 1 || !got[0].Empty() {
		t.Errorf("without weight: got %v, want one empty sequence", got)
	}
}

func BenchmarkRedeal(b *testing.B) {
	const slots, nodes = 100_000, 1000
	weights := make([]int, nodes)
	for i := range weights {
		weights[i] = 100 + i%7*50
	}
	capacities := repeat(1_000_000, nodes)
	dealt := share.Redeal(repeat(share.Nobody, slots), weights, capacities)
	lose := func(one, of int) []int {
		owners := slices.Clone(dealt)
		for slot, owner := range owners {
			if owner%of < one {
				owners[slot] = share.Nobody
			}
		}
		return owners
	}
	left := func(one, of int) []int {
		w := slices.Clone(weights)
		for i := range w {
			if i%of < one {
				w[i] = 0
			}
		}
		return w
	}
	for _, bm := range []struct {
		name            string
		owners, weights []int
	}{
		{"afresh", repeat(share.Nobody, slots), weights},
		{"one dies", lose(1, nodes), left(1, nodes)},
		{"a tenth dies", lose(1, 10), left(1, 10)},
		{"half die", lose(1, 2), left(1, 2)},
		{"half join", share.Redeal(dealt, left(1, 2), capacities), weights},
		{"one joins", share.Redeal(dealt, left(1, nodes), capacities), weights},
	} {
		b.Run(bm.name, func(b *testing.B) {
			for b.Loop() {
				share.Redeal(bm.owners, bm.weights, capacities)
			}
		})
	}
}
