package executor

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// deaf is a field whose VUs do not hear that they are interrupted.
type deaf struct{ *field }

func (d deaf) Get(ctx context.Context, scenario, slot int) (VU, error) {
	vu, err := d.field.Get(ctx, scenario, slot)
	return deafVU{vu}, err
}

type deafVU struct{ VU }

func (d deafVU) Iterate(ctx context.Context, it Iteration) error {
	return d.VU.Iterate(context.WithoutCancel(ctx), it)
}

func TestIterationsThatCannotBeInterrupted(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		stop       time.Duration // when everything is interrupted; 0 for never
		took       time.Duration
	}{
		{"loop", `{"executor":"constant-vus","vus":2,"duration":"5s","gracefulStop":"1s"}`, 0, 6*time.Second + stuckAtEnd},
		{"arrivals", `{"executor":"constant-arrival-rate","rate":2,"duration":"5s","preAllocatedVUs":2,"gracefulStop":"1s"}`, 0, 6*time.Second + stuckAtEnd},
		{"counted", `{"executor":"per-vu-iterations","vus":2,"iterations":1,"maxDuration":"5s","gracefulStop":"1s"}`, 0, 6*time.Second + stuckAtEnd},
		{"interrupted", `{"executor":"constant-vus","vus":2,"duration":"5s"}`, 2 * time.Second, 2*time.Second + StuckAfter},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newField(time.Hour)
				s := parse(t, tt.text)
				ex, err := New(s, 0, whole(s), Config{Pool: deaf{f}, Events: f, Clock: NewClock(f.began)})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.stop > 0 {
					time.AfterFunc(tt.stop, cancel)
				}
				err = ex.Run(ctx)
				wantTook(t, time.Since(f.began), tt.took)
				if err == nil || !strings.Contains(err.Error(), "2 of its iterations did not end") {
					t.Errorf("got %v, want an error that says how many did not end", err)
				}
				if l := ex.Ledger(); l.Started != 2 || l.Interrupted != 2 || l.Completed != 0 {
					t.Errorf("%+v, want both counted as interrupted", l)
				}
				time.Sleep(2 * time.Hour) // they end at last
				if l := ex.Ledger(); l.Interrupted != 2 || l.Completed != 0 {
					t.Errorf("%+v, want them counted once", l)
				}
			})
		})
	}
}
