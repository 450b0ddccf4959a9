package main

import (
	"fmt"
	"slices"

	"hive/engine/options"
)

// didYouMean returns ` (did you mean "x"?)` for the candidate nearest to word, or "" when none is near.
func didYouMean(word string, candidates []string) string {
	best := options.Nearest(word, slices.Sorted(slices.Values(candidates)))
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}
