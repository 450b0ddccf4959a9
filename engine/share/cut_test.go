package share_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hive/engine/share"
)

func TestCut(t *testing.T) {
	row := []share.Piece{{Owner: 2, From: 10, To: 14}, {Owner: 0, From: 0, To: 6}}
	for _, tt := range []struct {
		name    string
		pieces  []share.Piece
		weights []int
		want    [][]share.Piece
	}{
		{"one takes all", row, []int{7}, [][]share.Piece{row}},
		{"halves go across a border", row, []int{1, 1}, [][]share.Piece{
			{{Owner: 2, From: 10, To: 14}, {Owner: 0, From: 0, To: 1}}, {{Owner: 0, From: 1, To: 6}}}},
		{"no weight, nothing", row, []int{0, 1, -3}, [][]share.Piece{nil, row, nil}},
		{"nobody has weight", row, []int{0, 0}, [][]share.Piece{nil, nil}},
		{"nobody is there", row, nil, [][]share.Piece{}},
		{"fewer positions than takers", []share.Piece{{From: 3, To: 4}}, []int{1, 1}, [][]share.Piece{nil, {{From: 3, To: 4}}}},
		{"empty pieces vanish", []share.Piece{{From: 3, To: 3}, {From: 5, To: 4}, {From: 0, To: 2}}, []int{1}, [][]share.Piece{{{From: 0, To: 2}}}},
		{"nothing to cut", nil, []int{1, 2}, [][]share.Piece{nil, nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := slices.Clone(tt.pieces)
			got := share.Cut(tt.pieces, tt.weights)
			if !slices.EqualFunc(got, tt.want, slices.Equal[[]share.Piece]) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if !slices.Equal(tt.pieces, before) {
				t.Errorf("the pieces given were changed to %v", tt.pieces)
			}
		})
	}
}

// The stretches put together are the row, and each is the floor or the ceiling of its quota.
func TestCutCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var row []share.Piece
		for owner := range rapid.IntRange(0, 12).Draw(t, "pieces") {
			from := rapid.Int64Range(0, 1<<50).Draw(t, "from")
			row = append(row, share.Piece{Owner: owner, From: from, To: from + rapid.Int64Range(0, 1<<40).Draw(t, "length")})
		}
		weights := rapid.SliceOfN(rapid.IntRange(0, 1000), 1, 20).Draw(t, "weights")
		total := 0
		for _, w := range weights {
			total += w
		}
		var joined []share.Piece
		for i, stretch := range share.Cut(row, weights) {
			quota := float64(share.Length(row)) * float64(weights[i]) / float64(max(1, total))
			if got := float64(share.Length(stretch)); got < quota-1.01 || got > quota+1.01 {
				t.Fatalf("weight %d of %d: got %g positions of %d", weights[i], total, got, share.Length(row))
			}
			for _, p := range stretch {
				if k := len(joined) - 1; k >= 0 && joined[k].Owner == p.Owner && joined[k].To == p.From {
					joined[k].To = p.To
				} else {
					joined = append(joined, p)
				}
			}
		}
		want := slices.DeleteFunc(slices.Clone(row), func(p share.Piece) bool { return p.From == p.To })
		if total == 0 {
			want = nil
		}
		if !slices.Equal(joined, want) {
			t.Fatalf("the stretches make %v, want %v", joined, want)
		}
	})
}

func ExampleCut() {
	rest := []share.Piece{{Owner: 1, From: 40, To: 100}} // what a node that is gone had not begun
	for _, stretch := range share.Cut(rest, []int{10, 20}) {
		fmt.Println(stretch)
	}
	// Output:
	// [{1 40 60}]
	// [{1 60 100}]
}
