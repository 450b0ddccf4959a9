package main

import "slices"

// didYouMean returns ` (did you mean "x"?)` for the candidate nearest to word, or "" when none is near.
func didYouMean(word string, candidates []string) string {
	slices.Sort(candidates)
	best, least := "", len(word)/3+1
	for _, c := range candidates {
		if d := editDistance(word, c); d <= least && (best == "" || d < least) {
			best, least = c, d
		}
	}
	if best == "" {
		return ""
	}
	return ` (did you mean "` + best + `"?)`
}

// editDistance counts the single-letter insertions, deletions and replacements that turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
