package http

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := newPace(10), time.Now()
		for range 21 {
			if err := p.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(began); got != 2*time.Second {
			t.Errorf("21 calls at 10 a second took %v, want 2s", got)
		}
		time.Sleep(time.Minute)
		began = time.Now()
		p.wait(t.Context())
		p.wait(t.Context())
		if got := time.Since(began); got != 100*time.Millisecond {
			t.Errorf("after a pause two calls took %v, want 100ms: none are saved up", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := p.wait(ctx); err == nil {
			t.Error("waiting went on when its context had ended")
		}
	})
}
