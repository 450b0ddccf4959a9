package share_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hive/engine/share"
)

// counts deals n slots and counts each owner's.
func counts(t *testing.T, capacities []int, n int) []int {
	t.Helper()
	owners, err := share.Deal(capacities, n)
	if err != nil {
		t.Fatalf("Deal(%v, %d): %v", capacities, n, err)
	}
	got := make([]int, len(capacities))
	for _, o := range owners {
		got[o]++
	}
	return got
}

func repeat(v, n int) []int { return slices.Repeat([]int{v}, n) }

func TestDeal(t *testing.T) {
	for _, tt := range []struct {
		name       string
		capacities []int
		n          int
		want       []int
	}{
		{"ten on three equal nodes", []int{1000, 1000, 1000}, 10, []int{4, 3, 3}},
		{"seven nodes of 100 to 400", []int{100, 150, 200, 250, 300, 350, 400}, 175, []int{10, 15, 20, 25, 30, 35, 40}},
		{"exactly full", []int{7, 1, 3}, 11, []int{7, 1, 3}},
		{"no capacity, no slot", []int{0, 5, 0}, 3, []int{0, 3, 0}},
		{"fewer slots than nodes", repeat(100, 100), 50, append(repeat(1, 50), repeat(0, 50)...)},
		{"nothing to deal", []int{1, 2}, 0, []int{0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := counts(t, tt.capacities, tt.n); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestDealTooLarge(t *testing.T) {
	_, err := share.Deal([]int{100, 50}, 151)
	var tooLarge *share.TooLargeError
	if !errors.As(err, &tooLarge) {
		t.Fatalf("got %v, want a TooLargeError", err)
	}
	want := "share: the test needs 151 VUs, but the 2 nodes have a capacity of 150 together (1 short)"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if _, err := share.Deal([]int{100, -1}, 1); err == nil {
		t.Error("a negative capacity was accepted")
	}
}

func TestDealerWithoutWeight(t *testing.T) {
	for _, weights := range [][]int{nil, {0}, {0, -3}} {
		if got := share.NewDealer(weights).Next(); got != -1 {
			t.Errorf("weights %v: got owner %d, want -1", weights, got)
		}
	}
}

// Every prefix of the deal gives each node the floor or the ceiling of its quota, and never more than its
// capacity while the capacities suffice.
func TestDealerKeepsQuota(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 400), 1, 40).Draw(t, "weights")
		total := 0
		for _, w := range weights {
			total += w
		}
		if total == 0 {
			t.Skip("nobody to deal to")
		}
		d := share.NewDealer(weights)
		had := make([]int, len(weights))
		for k := 1; k <= min(2*total, 3000); k++ {
			had[d.Next()]++
			for i, w := range weights {
				floor, ceiling := k*w/total, (k*w+total-1)/total
				if had[i] < floor || had[i] > ceiling {
					t.Fatalf("after %d units node %d has %d, want %d or %d (weights %v)", k, i, had[i], floor, ceiling, weights)
				}
				if k <= total && had[i] > w {
					t.Fatalf("after %d units node %d has %d, over its capacity %d", k, i, had[i], w)
				}
			}
		}
	})
}

// The shares of a split cover every slot once, agree on everything, and deal each iteration to one node.
func TestSplitCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacities := rapid.SliceOfN(rapid.IntRange(0, 60), 1, 12).Draw(t, "capacities")
		sum := 0
		for _, c := range capacities {
			sum += c
		}
		plan := share.Plan{Slots: rapid.IntRange(0, sum).Draw(t, "slots")}
		for range rapid.IntRange(0, 3).Draw(t, "scenarios") {
			base := rapid.IntRange(0, plan.Slots).Draw(t, "base")
			plan.Scenarios = append(plan.Scenarios, share.Range{Base: base, Max: rapid.IntRange(0, plan.Slots-base).Draw(t, "max")})
		}
		shares, err := share.Split(plan, capacities)
		if err != nil {
			t.Fatal(err)
		}
		first := 0
		var all []int
		for _, s := range shares {
			all = append(all, slices.Collect(s.All().Values())...)
			if s.First() {
				first++
			}
		}
		slices.Sort(all)
		if len(all) != plan.Slots || plan.Slots > 0 && (all[0] != 0 || all[len(all)-1] != plan.Slots-1 || len(slices.Compact(all)) != plan.Slots) {
			t.Fatalf("slots are not covered once each: %v", all)
		}
		if want := min(1, plan.Slots); first != want {
			t.Fatalf("%d nodes own slot 0, want %d", first, want)
		}
		for i, r := range plan.Scenarios {
			checkScenario(t, shares, i, r)
		}
	})
}

func checkScenario(t *rapid.T, shares []share.Share, i int, r share.Range) {
	vus := 0
	const n = 100
	dealt := make([]int, n)
	for _, s := range shares {
		if got := len(s.Slots(i)); got != s.VUs(i) {
			t.Fatalf("node %d has %d slots of scenario %d, but counts %d", s.Index(), got, i, s.VUs(i))
		}
		vus += s.VUs(i)
		seq, below := s.Iterations(i), int64(0)
		if seq.Empty() != (s.VUs(i) == 0) {
			t.Fatalf("node %d: %d VUs, sequence empty: %v", s.Index(), s.VUs(i), seq.Empty())
		}
		for k := int64(0); !seq.Empty(); k++ {
			number := seq.Next()
			if number != seq.At(k) {
				t.Fatalf("Next %d and At(%d) %d differ", number, k, seq.At(k))
			}
			if number >= n {
				break
			}
			dealt[number]++
			below++
		}
		if got := seq.Before(n); got != below {
			t.Fatalf("Before(%d) is %d, want %d", n, got, below)
		}
	}
	if vus != r.Max {
		t.Fatalf("scenario %d has %d VUs, want %d", i, vus, r.Max)
	}
	for number, owners := range dealt {
		if r.Max > 0 && owners != 1 {
			t.Fatalf("iteration %d has %d owners", number, owners)
		}
	}
}

func TestIterationsFollowVUs(t *testing.T) {
	plan := share.Plan{Slots: 3, Scenarios: []share.Range{{Base: 0, Max: 3}}}
	shares, err := share.Split(plan, []int{2, 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]int64{{0, 1, 3, 4}, {2, 5, 8, 11}} {
		seq := shares[i].Iterations(0)
		var got []int64
		for range want {
			got = append(got, seq.Next())
		}
		if !slices.Equal(got, want) {
			t.Errorf("node %d: got %v, want %v", i, got, want)
		}
	}
}

func TestWhole(t *testing.T) {
	s := share.Whole(share.Plan{Slots: 5, Scenarios: []share.Range{{Base: 2, Max: 3}}})
	if got, want := s.Slots(0), []int{0, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("slots: got %v, want %v", got, want)
	}
	if !s.Complete(0) || !s.First() {
		t.Error("the whole is not complete")
	}
	seq := s.Iterations(0)
	for want := range int64(5) {
		if got := seq.Next(); got != want {
			t.Errorf("iteration: got %d, want %d", got, want)
		}
	}
}

func TestFromSegment(t *testing.T) {
	plan := share.Plan{Slots: 10, Scenarios: []share.Range{{Base: 0, Max: 10}}}
	for _, tt := range []struct {
		segment, sequence string
		want              []int
	}{
		{"", "", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"0:1", "", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"1/3", "0,1/3,2/3,1", []int{0, 3, 6, 9}},
		{"1/3:2/3", "0,1/3,2/3,1", []int{1, 4, 7}},
		{"2/3:1", "0,1/3,2/3,1", []int{2, 5, 8}},
		{"50%:1", "", []int{1, 3, 5, 7, 9}},
		{"0:0.5", "0, 0.5, 3/4, 1", []int{0, 2, 4, 6, 8}},
	} {
		s, err := share.FromSegment(plan, tt.segment, tt.sequence)
		if err != nil {
			t.Errorf("%q of %q: %v", tt.segment, tt.sequence, err)
			continue
		}
		if got := s.Slots(0); !slices.Equal(got, tt.want) {
			t.Errorf("%q of %q: got %v, want %v", tt.segment, tt.sequence, got, tt.want)
		}
	}
	for _, bad := range [][2]string{
		{"x", ""}, {"2:3", ""}, {"1/2:1/3", ""}, {"0:1/3", "0,1/2,1"}, {"1/2", "0,1/2"}, {"1/2", "1/2,0,1"},
		{"1e-99999999:1", ""}, {"0:0.123456789012345", ""}, {"-1/2", ""}, {"1/0", ""}, {"1/2", "0,,1"},
	} {
		if _, err := share.FromSegment(plan, bad[0], bad[1]); err == nil {
			t.Errorf("segment %q of %q was accepted", bad[0], bad[1])
		}
	}
}

func TestJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := share.Plan{Slots: rapid.IntRange(0, 200).Draw(t, "slots")}
		plan.Scenarios = []share.Range{{Base: plan.Slots / 3, Max: plan.Slots / 2}, {Base: 0, Max: plan.Slots}}
		nodes := rapid.IntRange(1, 5).Draw(t, "nodes")
		owners := rapid.SliceOfN(rapid.IntRange(-1, nodes-1), plan.Slots, plan.Slots).Draw(t, "owners")
		shares, err := share.Assign(plan, owners, nodes)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range shares {
			data, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			var got share.Share
			if err := json.Unmarshal(data, &got); err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			if !got.Equal(s) {
				t.Fatalf("%s came back as another share", data)
			}
		}
	})
}

func TestJSONIsSmall(t *testing.T) {
	plan := share.Plan{Slots: 10000, Scenarios: []share.Range{{Base: 0, Max: 10000}}}
	for name, capacities := range map[string][]int{"equal": repeat(100, 100), "one": {10000}} {
		shares, err := share.Split(plan, capacities)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(shares[0])
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 600 {
			t.Errorf("%s: the share takes %d bytes", name, len(data))
		}
	}
}

func FuzzShareJSON(f *testing.F) {
	s, _ := json.Marshal(share.Whole(share.Plan{Slots: 5, Scenarios: []share.Range{{Base: 2, Max: 3}}}))
	f.Add(s)
	f.Add([]byte(`{"plan":{"slots":9,"scenarios":[{"base":0,"max":9}]},"index":1,"slots":[[1,7,3]],"vus":[[6,3]]}`))
	f.Add([]byte(`{"plan":{"slots":-1}}`))
	f.Add([]byte(`{"slots":[[5,1]],"vus":[[1],[2,3]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s share.Share
		if json.Unmarshal(data, &s) != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back share.Share
		if err := json.Unmarshal(again, &back); err != nil || !back.Equal(s) {
			t.Fatalf("%s came back as another share: %v", again, err)
		}
	})
}

func ExampleSplit() {
	plan := share.Plan{Slots: 10, Scenarios: []share.Range{{Base: 0, Max: 10}}}
	shares, _ := share.Split(plan, []int{50, 50, 50})
	for _, s := range shares {
		data, _ := json.Marshal(s.All())
		fmt.Println(s.VUs(0), string(data))
	}
	// Output:
	// 4 [[0,9,3]]
	// 3 [[1,7,3]]
	// 3 [[2,8,3]]
}

func BenchmarkDealer(b *testing.B) {
	d := share.NewDealer(slices.Collect(func(yield func(int) bool) {
		for i := range 100 {
			yield(100 + i)
		}
	}))
	b.ReportAllocs()
	for b.Loop() {
		d.Next()
	}
}
