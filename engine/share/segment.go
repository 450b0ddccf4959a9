package share

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// maxParts bounds how finely segments may divide a test.
const maxParts = 1_000_000_000

// FromSegment is the share of one k6 execution segment: "a:b", or "b" for "0:b", each number a fraction (1/3),
// a percentage (25%) or a decimal between 0 and 1. The sequence lists the borders of all segments, "0,1/4,1/2,1",
// of which the segment must be one part; without a sequence it is the segment and what lies beside it. An
// empty segment is the whole.
func FromSegment(plan Plan, segment, sequence string) (Share, error) {
	if err := plan.Validate(); err != nil {
		return Share{}, err
	}
	borders, index, err := parseSegments(segment, sequence)
	if err != nil {
		return Share{}, err
	}
	if len(borders) == 2 {
		return Whole(plan), nil
	}
	weights, err := partWeights(borders)
	if err != nil {
		return Share{}, err
	}
	owners := make([]int, plan.Slots)
	for i, d := 0, NewDealer(weights); i < len(owners); i++ {
		owners[i] = d.Next()
	}
	shares, err := Assign(plan, owners, len(weights))
	if err != nil {
		return Share{}, err
	}
	return shares[index], nil
}

// parseSegments returns the borders of all segments and which of the parts between them is meant.
func parseSegments(segment, sequence string) ([]*big.Rat, int, error) {
	zero, one := new(big.Rat), big.NewRat(1, 1)
	from, to := zero, one
	if segment != "" {
		a, b, both := strings.Cut(segment, ":")
		if !both {
			a, b = "0", segment
		}
		var err error
		if from, err = parsePart(a); err != nil {
			return nil, 0, fmt.Errorf("share: segment %q: %w", segment, err)
		}
		if to, err = parsePart(b); err != nil {
			return nil, 0, fmt.Errorf("share: segment %q: %w", segment, err)
		}
		if from.Cmp(to) >= 0 {
			return nil, 0, fmt.Errorf("share: segment %q: begins at or after its end", segment)
		}
	}
	borders := []*big.Rat{zero, from, to, one}
	if sequence != "" {
		borders = nil
		for part := range strings.SplitSeq(sequence, ",") {
			r, err := parsePart(part)
			if err != nil {
				return nil, 0, fmt.Errorf("share: segment sequence %q: %w", sequence, err)
			}
			if k := len(borders); k > 0 && borders[k-1].Cmp(r) >= 0 {
				return nil, 0, fmt.Errorf("share: segment sequence %q: want ascending numbers", sequence)
			}
			borders = append(borders, r)
		}
		if len(borders) < 2 || borders[0].Sign() != 0 || borders[len(borders)-1].Cmp(one) != 0 {
			return nil, 0, fmt.Errorf("share: segment sequence %q: want it to go from 0 to 1, e.g. 0,1/3,2/3,1", sequence)
		}
	}
	borders = slices.CompactFunc(borders, func(a, b *big.Rat) bool { return a.Cmp(b) == 0 })
	for i := range len(borders) - 1 {
		if borders[i].Cmp(from) == 0 && borders[i+1].Cmp(to) == 0 {
			return borders, i, nil
		}
	}
	return nil, 0, fmt.Errorf("share: segment %q is not one of the parts of the sequence %q", segment, sequence)
}

// parsePart reads a number between 0 and 1.
func parsePart(s string) (*big.Rat, error) {
	s = strings.TrimSpace(s)
	number, percent := strings.CutSuffix(s, "%")
	// An exponent could ask for a number of a billion digits, and nobody writes one here.
	if len(number) > 40 || strings.ContainsAny(number, "eEpP_xX") {
		return nil, fmt.Errorf("found %q, want a number between 0 and 1 like 1/3, 25%% or 0.25", s)
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return nil, fmt.Errorf("found %q, want a number between 0 and 1 like 1/3, 25%% or 0.25", s)
	}
	if percent {
		r.Mul(r, big.NewRat(1, 100))
	}
	if r.Sign() < 0 || r.Cmp(big.NewRat(1, 1)) > 0 {
		return nil, fmt.Errorf("found %q, want a number between 0 and 1", s)
	}
	return r, nil
}

// partWeights expresses the parts between borders in units of their least common denominator.
func partWeights(borders []*big.Rat) ([]int, error) {
	lcd := big.NewInt(1)
	for _, b := range borders {
		d := b.Denom()
		g := new(big.Int).GCD(nil, nil, lcd, d)
		lcd.Mul(lcd, new(big.Int).Div(d, g))
		if !lcd.IsInt64() || lcd.Int64() > maxParts {
			return nil, fmt.Errorf("share: segments finer than one in %d parts are not supported; use fractions like 1/3", maxParts)
		}
	}
	weights := make([]int, len(borders)-1)
	for i := range weights {
		w := new(big.Rat).Sub(borders[i+1], borders[i])
		w.Mul(w, new(big.Rat).SetInt(lcd))
		weights[i] = int(w.Num().Int64())
	}
	return weights, nil
}
