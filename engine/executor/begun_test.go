package executor

import (
	"math"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"hive/engine/share"
)

func TestBegunByScenario(t *testing.T) {
	scenarios := []Scenario{
		{Executor: SharedIterations, VUs: 9, Iterations: 100},
		{Executor: ConstantVUs, VUs: 4},
		{Executor: PerVUIterations, VUs: 3, Iterations: 10},
	}
	if got := BegunSize(scenarios); got != 4 {
		t.Fatalf("%d numbers, want one for all and one for each of 3 VUs", got)
	}
	b := make(Begun, 4)
	b[0].Store(42)
	b[1].Store(1)
	b[2].Store(8)
	want := []Marks{{Limit: 42}, {Limit: math.MaxInt64}, {Limit: math.MaxInt64, Slots: map[int]int64{0: 0, 1: 7}}}
	if got := b.Marks(scenarios); !reflect.DeepEqual(got, want) {
		t.Errorf("marks %+v, want %+v", got, want)
	}
	if parts := b[:3].ByScenario(scenarios); parts[0] != nil || parts[2] != nil {
		t.Errorf("too little memory was taken apart: %v", parts)
	}
}

func TestLowerMarks(t *testing.T) {
	for name, tt := range map[string]struct{ m, begun, want Marks }{
		"shared":          {Marks{Limit: 50}, Marks{Limit: 42}, Marks{Limit: 42}},
		"never more":      {Marks{Limit: 40}, Marks{Limit: 42}, Marks{Limit: 40}},
		"of its own":      {Marks{Slots: map[int]int64{3: 9, 4: 2}}, Marks{Limit: math.MaxInt64, Slots: map[int]int64{3: 5, 4: 3, 5: 1}}, Marks{Slots: map[int]int64{3: 5, 4: 2}}},
		"not known":       {Marks{Slots: map[int]int64{3: 9, 4: 2}}, Marks{Slots: map[int]int64{3: 5}}, Marks{Slots: map[int]int64{3: 5, 4: 2}}},
		"nothing is kept": {Marks{Limit: 8}, Marks{Limit: math.MaxInt64}, Marks{Limit: 8}},
	} {
		if got := tt.m.Lower(tt.begun); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

// What is begun is written down before, and nothing else.
func TestBegunIsWrittenDownFirst(t *testing.T) {
	for name, text := range map[string]string{
		"shared":     `{"executor":"shared-iterations","vus":3,"iterations":20}`,
		"of its own": `{"executor":"per-vu-iterations","vus":3,"iterations":7}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := parse(t, text)
				kept := make(Begun, BegunSize([]Scenario{s}))
				f := newField(time.Second)
				written := func() (n int64) {
					m := kept.Marks([]Scenario{s})[0]
					for _, begun := range m.Slots {
						n += begun
					}
					if m.Slots == nil {
						n = m.Limit
					}
					return n
				}
				f.take = func(Iteration) time.Duration {
					f.mu.Lock()
					defer f.mu.Unlock()
					if got := written(); got < int64(len(f.starts)) {
						t.Errorf("%d have begun, and only %d are written down", len(f.starts), got)
					}
					return time.Second
				}
				ex, err := New(s, 0, Epoch{Number: 1, Share: share.Whole(Layout([]Scenario{s}))},
					Config{Pool: f, Events: f, Clock: NewClock(f.began), Begun: kept.ByScenario([]Scenario{s})})
				if err != nil {
					t.Fatal(err)
				}
				if err := ex.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if want, _ := s.PlannedIterations(); written() != want {
					t.Errorf("%d are written down, want %d", written(), want)
				}
			})
		})
	}
}

// Of a VU that came with iterations behind it, these have begun too; of one that another node has yet to let go, nobody
// knows how many.
func TestBegunElsewhere(t *testing.T) {
	s := parse(t, `{"executor":"per-vu-iterations","vus":3,"iterations":9}`)
	kept := make(Begun, BegunSize([]Scenario{s}))
	f := newField(time.Second)
	e := Epoch{Number: 2, From: time.Second, Share: share.Whole(Layout([]Scenario{s})), Work: []share.Work{{Next: map[int]int64{1: 4}}}, Awaits: share.NewSlots([]int{2})}
	if _, err := New(s, 0, e, Config{Pool: f, Events: f, Clock: NewClock(f.began), Marked: true, Begun: kept.ByScenario([]Scenario{s})}); err != nil {
		t.Fatal(err)
	}
	if got, want := kept.Marks([]Scenario{s})[0].Slots, map[int]int64{0: 0, 1: 4}; !reflect.DeepEqual(got, want) {
		t.Errorf("begun: %v, want %v", got, want)
	}
}
