package election

import (
	"slices"
	"testing"
	"time"
)

// A failover is over within the short tries; calls that take longer than these come through by and by.
func TestTriesGrowAndAreBounded(t *testing.T) {
	var n tries
	var got []time.Duration
	for range 20 {
		got = append(got, n.next())
	}
	want := []time.Duration{try, try, try, 2 * try, 4 * try, 8 * try, 8 * try}
	if !slices.Equal(got[:len(want)], want) || slices.Max(got) != longestTry {
		t.Errorf("tries of %v, want them to begin with %v and to go on with %s", got, want, longestTry)
	}
}
