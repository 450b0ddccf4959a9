package options

import (
	"strings"

	"github.com/xrash/smetrics"
)

// Nearest returns the name that a misspelt one probably means, or "" when it is like none of them: the one with the least
// Levenshtein distance, letters of both cases being the same, of those in which it is a third of the word, and one, at most.
func Nearest(word string, names []string) string {
	best, least := "", 1+len(word)/3
	for _, n := range names {
		if d := smetrics.WagnerFischer(strings.ToLower(word), strings.ToLower(n), 1, 1, 1); d <= least {
			best, least = n, d-1
		}
	}
	return best
}
