package simulation

import (
	"strings"
	"testing"
	"time"

	"hive/engine/executor"
	"hive/engine/share"
	"hive/hive/hivetest"
)

// two are the records of two engines that share a test of 10 s evenly and do
// all that is theirs.
func two(t *testing.T) (*Record, []executor.Scenario) {
	t.Helper()
	_, scenarios, err := Load{Slots: 4, Rate: 10, For: 10 * time.Second}.Options()
	if err != nil {
		t.Fatal(err)
	}
	shares, err := share.Split(executor.Layout(scenarios), []int{2, 2})
	if err != nil {
		t.Fatal(err)
	}
	r := &Record{}
	for i, name := range []string{"a", "b"} {
		l := newLife(name, 2)
		l.clock, l.deadline = func() time.Duration { return 10 * time.Second }, time.Now().Add(time.Hour)
		l.take(executor.Epoch{Number: 1, Share: shares[i]}, 0)
		for n := range int64(50) {
			index := shares[i].Iterations(0).At(n)
			l.began(hivetest.Iteration{Index: index, Slot: -1, Due: time.Duration(index) * 100 * time.Millisecond, Epoch: 1})
		}
		r.add(l)
	}
	return r, scenarios
}

// Whatever breaks a promise is found, and nothing else.
func TestCheck(t *testing.T) {
	tests := []struct {
		name string
		do   func(a, b *life)
		want string
	}{
		{"nothing is wrong", func(a, b *life) {}, ""},
		{"an arrival twice", func(a, b *life) { b.begun = append(b.begun, a.begun[7]) }, "was begun on a"},
		{"an arrival not at all", func(a, b *life) { a.begun = append(a.begun[:3], a.begun[4:]...) }, "was not begun, though its owner a was there"},
		{"an arrival behind a fence", func(a, b *life) {
			due := a.begun[3].Due
			a.begun, a.holes = append(a.begun[:3], a.begun[4:]...), []hole{{due, due + 1}}
		}, ""},
		{"arrivals of an engine that ended", func(a, b *life) { a.begun = a.begun[:30]; a.end(a.begun[29].Due + 1) }, ""},
		{"an arrival of another epoch", func(a, b *life) { a.begun[5].Epoch = 2 }, "by epoch 2"},
		{"an arrival against a promise", func(a, b *life) {
			a.promise(executor.Epoch{Number: 2, From: a.begun[49].Due})
			it := a.begun[49]
			a.begun = a.begun[:49]
			a.began(it)
		}, "begun on a against its promise"},
		{"an arrival after a promise was taken back", func(a, b *life) {
			a.promise(executor.Epoch{Number: 2, From: a.begun[49].Due})
			a.withdraw(a.begun[49].Due)
			it := a.begun[49]
			a.begun = a.begun[:49]
			a.began(it)
		}, ""},
		{"a slot with two owners", func(a, b *life) {
			for slot := range a.held {
				b.capacity, b.held[slot] = 3, 4*time.Second
				return
			}
		}, "was owned by a and b from 4s"},
		{"more slots than there is room for", func(a, b *life) { a.capacity = 1 }, "node a owned 2 slots at 0s, and has room for 1"},
		{"an epoch that begins at two times", func(a, b *life) { b.taken[0].From = time.Second }, "epoch 1 begins at"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, scenarios := two(t)
			tt.do(r.lives[0], r.lives[1])
			rep := r.Check(scenarios, 10*time.Second)
			all := strings.Join(rep.Problems, "; ")
			if tt.want == "" && all != "" || !strings.Contains(all, tt.want) {
				t.Errorf("problems %q, want %q", all, tt.want)
			}
			if tt.want == "" && rep.Begun+rep.Gone+rep.Fenced != 100 {
				t.Errorf("got %+v, want 100 arrivals in all", rep)
			}
		})
	}
}
