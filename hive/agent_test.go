package hive

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Answers that take longer than a first attempt are waited for: asked again and again, etcd would never be in time.
func TestPersistWaitsLonger(t *testing.T) {
	for _, tt := range []struct {
		takes, limit time.Duration
		tries        int
		works        bool
	}{
		{time.Second, time.Minute, 1, true},
		{3 * time.Second, time.Minute, 2, true},
		{20 * time.Second, 2 * time.Minute, 5, true},
		{20 * time.Second, 10 * time.Second, 3, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
			defer cancel()
			tries := 0
			err := persist(ctx, func(ctx context.Context) error {
				tries++
				pause(ctx, tt.takes)
				return ctx.Err()
			})
			if tries != tt.tries || (err == nil) != tt.works {
				t.Errorf("answers take %s, with %s for all: %d attempts, %v; want %d, and that it works: %t", tt.takes, tt.limit, tries, err, tt.tries, tt.works)
			}
		})
	}
}
