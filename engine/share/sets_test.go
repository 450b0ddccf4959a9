package share_test

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hive/engine/share"
)

// slots draws a set and the numbers that are in it.
func slots(t *rapid.T, label string) (share.Slots, []int) {
	numbers := rapid.SliceOfDistinct(rapid.IntRange(0, 60), rapid.ID[int]).Draw(t, label)
	slices.Sort(numbers)
	return share.NewSlots(numbers), numbers
}

func TestSlotSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, inA := slots(t, "a")
		b, inB := slots(t, "b")
		var minus, union []int
		for slot := range 61 {
			x, y := slices.Contains(inA, slot), slices.Contains(inB, slot)
			if a.Has(slot) != x {
				t.Fatalf("Has(%d) is %v, want %v", slot, !x, x)
			}
			if x && !y {
				minus = append(minus, slot)
			}
			if x || y {
				union = append(union, slot)
			}
		}
		if a.Has(-1) || a.Has(61) {
			t.Fatal("a slot outside the set is in it")
		}
		if got := slices.Collect(a.Minus(b).Values()); !slices.Equal(got, minus) {
			t.Fatalf("Minus: got %v, want %v", got, minus)
		}
		if got := slices.Collect(a.Union(b).Values()); !slices.Equal(got, union) {
			t.Fatalf("Union: got %v, want %v", got, union)
		}
		if got, want := a.Equal(b), slices.Equal(inA, inB); got != want {
			t.Fatalf("Equal: got %v, want %v", got, want)
		}
	})
}

func TestSlotsEqualHoweverWritten(t *testing.T) {
	var a, b share.Slots
	for s, text := range map[*share.Slots]string{&a: `[[0,3]]`, &b: `[[0,1],[2,2],[3,3]]`} {
		if err := json.Unmarshal([]byte(text), s); err != nil {
			t.Fatal(err)
		}
	}
	if !a.Equal(b) {
		t.Error("the same slots written in another way differ")
	}
}

// Each share has the slots that Assign was told are its.
func TestAssign(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, nodes := rapid.IntRange(0, 80).Draw(t, "slots"), rapid.IntRange(1, 6).Draw(t, "nodes")
		plan := share.Plan{Slots: n, Scenarios: []share.Range{{Base: n / 4, Max: n / 2}}}
		want := rapid.SliceOfN(rapid.IntRange(share.Nobody, nodes-1), n, n).Draw(t, "owners")
		shares, err := share.Assign(plan, want, nodes)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range shares {
			var own []int
			for slot, owner := range want {
				if owner == i {
					own = append(own, slot)
				}
			}
			if got := slices.Collect(s.All().Values()); !slices.Equal(got, own) || s.Empty() != (len(own) == 0) {
				t.Fatalf("share %d has %v (empty: %v), want %v", i, got, s.Empty(), own)
			}
		}
	})
}

func TestWorkValidate(t *testing.T) {
	r := share.Range{Base: 3, Max: 4}
	for _, tt := range []struct {
		name, work string
		ok         bool
	}{
		{"nothing", `{}`, true},
		{"pieces", `{"weights":[3,1],"pieces":[{"owner":0,"from":5,"to":9},{"owner":1,"from":5,"to":9},{"owner":0,"from":9,"to":9}],"whole":true}`, true},
		{"none left", `{"weights":[3,1],"whole":true}`, true},
		{"next", `{"next":{"0":4,"3":0}}`, true},
		{"too many VUs", `{"weights":[3,2]}`, false},
		{"a negative weight", `{"weights":[3,-1]}`, false},
		{"pieces beside others", `{"weights":[4],"pieces":[{"owner":0,"from":0,"to":1}]}`, false},
		{"an unknown owner", `{"weights":[4],"pieces":[{"owner":1,"from":0,"to":1}],"whole":true}`, false},
		{"an owner without VUs", `{"weights":[4,0],"pieces":[{"owner":1,"from":0,"to":1}],"whole":true}`, false},
		{"backwards", `{"weights":[4],"pieces":[{"owner":0,"from":2,"to":1}],"whole":true}`, false},
		{"twice the same", `{"weights":[4],"pieces":[{"owner":0,"from":0,"to":9},{"owner":0,"from":1,"to":2},{"owner":0,"from":8,"to":10}],"whole":true}`, false},
		{"a slot of another scenario", `{"next":{"4":0}}`, false},
		{"a negative number", `{"next":{"1":-1}}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w share.Work
			if err := json.Unmarshal([]byte(tt.work), &w); err != nil {
				t.Fatal(err)
			}
			if err := w.Validate(r); (err == nil) != tt.ok {
				t.Errorf("got %v, want it accepted: %v", err, tt.ok)
			}
		})
	}
}
