package share

import "math/bits"

// Cut cuts a row of pieces into stretches that follow each other, one for each weight and in proportion to it: every
// position goes to exactly one, and each gets the floor or the ceiling of its quota. A weight of 0 or less gets
// nothing; when there is no other, nobody gets anything.
func Cut(pieces []Piece, weights []int) [][]Piece {
	total := 0
	for _, w := range weights {
		total += max(w, 0)
	}
	out := make([][]Piece, len(weights))
	if total == 0 {
		return out
	}
	row, length := pieces, Length(pieces)
	upTo, begin := 0, int64(0)
	for i, w := range weights {
		upTo += max(w, 0)
		hi, lo := bits.Mul64(uint64(length), uint64(upTo))
		end, _ := bits.Div64(hi, lo, uint64(total)) // at most length, as upTo is at most total
		out[i], row = split(row, int64(end)-begin)
		begin = int64(end)
	}
	return out
}

// Length is how many positions pieces have together.
func Length(pieces []Piece) int64 {
	var n int64
	for _, p := range pieces {
		n += max(0, p.To-p.From)
	}
	return n
}

// split takes the first n positions off a row.
func split(row []Piece, n int64) (first, rest []Piece) {
	for len(row) > 0 && n > 0 {
		p := row[0]
		have := max(0, p.To-p.From)
		if have > n {
			first = append(first, Piece{Owner: p.Owner, From: p.From, To: p.From + n})
			p.From += n
			return first, append([]Piece{p}, row[1:]...)
		}
		if have > 0 {
			first = append(first, p)
		}
		n -= have
		row = row[1:]
	}
	return first, row
}
