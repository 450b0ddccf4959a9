package registry

import (
	"testing"
	"time"
)

func TestTripsShortestOfTheLast(t *testing.T) {
	var tr trips
	if got := tr.shortest(); got != 0 {
		t.Errorf("without a call: %s, want 0", got)
	}
	for _, d := range []time.Duration{5, 40, 30, 900} {
		tr.add(d * time.Millisecond)
	}
	if got, want := tr.shortest(), 5*time.Millisecond; got != want {
		t.Errorf("the shortest is %s, want %s", got, want)
	}
	for range tripsKept {
		tr.add(200 * time.Millisecond)
	}
	if got, want := tr.shortest(), 200*time.Millisecond; got != want {
		t.Errorf("after %d longer ones the shortest is %s, want %s", tripsKept, got, want)
	}
}
