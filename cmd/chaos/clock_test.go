package main

import (
	"strings"
	"testing"
)

// What would set the clock wrongly is refused before it is set.
func TestPerformJumpRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"1h"}, {"1h", "soon"}, {"ahead", "1s"}, {"1h", "0s"}, {"1h", "31s"}, {"1h", "-1s"}} {
		if err := performJump(args, strings.NewReader("")); err == nil {
			t.Errorf("performJump(%q) did it, want a refusal", args)
		}
	}
}
