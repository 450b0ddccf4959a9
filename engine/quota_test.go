package engine

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"hive/engine/executor"
	"hive/engine/share"
)

// quotaScenarios overlap, ramp, end and can be scaled.
func quotaScenarios() []executor.Scenario {
	return []executor.Scenario{
		{
			Name: "ramp", Executor: executor.RampingVUs, StartVUs: 1, GracefulRampDown: 2 * time.Second, GracefulStop: time.Second,
			Stages: []executor.Stage{{Duration: 10 * time.Second, Target: 40}, {Duration: 5 * time.Second, Target: 40}, {Target: 10}, {Duration: 9 * time.Second, Target: 0}},
		},
		{Name: "steady", Executor: executor.ConstantVUs, VUs: 13, Duration: 20 * time.Second, StartTime: 3 * time.Second},
		{Name: "rate", Executor: executor.ConstantArrivalRate, Rate: 5, TimeUnit: time.Second, Duration: 4 * time.Second, VULimit: 7, StartTime: 12 * time.Second},
		{Name: "reins", Executor: executor.ExternallyControlled, VUs: 3, VULimit: 9, Duration: 50 * time.Second},
	}
}

// At every moment of any run the parts of all nodes add up to the whole, and to no more while slots have no owner.
func TestQuotasAddUp(t *testing.T) {
	t.Parallel()
	scenarios := quotaScenarios()
	plan := executor.Layout(scenarios)
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		nodes, unowned := 1+random.IntN(6), random.IntN(2) == 0
		owners := make([]int, plan.Slots)
		for slot := range owners {
			owners[slot] = random.IntN(nodes)
			if unowned && random.IntN(5) == 0 {
				owners[slot] = -1
			}
		}
		shares, err := share.Assign(plan, owners, nodes)
		if err != nil {
			t.Fatal(err)
		}
		for at := -time.Second; at < 60*time.Second; at += 37 * time.Millisecond {
			sum := 0.0
			for _, s := range shares {
				q := quota{scenarios: scenarios, tenure: newTenure(s, true), scales: []scaled{{scenario: 3, vus: 9, at: 10 * time.Second}, {scenario: 3, vus: 0, at: 15 * time.Second}}}
				c, _, _ := q.tenure.at(at)
				sum += q.part(c, at)
			}
			if sum > 1+1e-12 || !unowned && math.Abs(sum-1) > 1e-12 {
				t.Fatalf("%d nodes at %v: the parts add up to %v", nodes, at, sum)
			}
		}
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	scenarios := quotaScenarios()
	for _, tt := range []struct {
		scenario int
		at       time.Duration
		want     int
	}{
		{0, -time.Millisecond, 0}, {0, 0, 1}, {0, 5 * time.Second, 20}, {0, 12 * time.Second, 40},
		{0, 16 * time.Second, 40}, // 30 were released a second ago
		{0, 18 * time.Second, 9},  // the drop is past its grace; a second ago there were 9
		{0, 24*time.Second + 900*time.Millisecond, 2},
		{0, 26 * time.Second, 0},
		{1, 2 * time.Second, 0}, {1, 3 * time.Second, 13}, {1, 23 * time.Second, 0},
		{2, 13 * time.Second, 7},
	} {
		if got := reach(&scenarios[tt.scenario], tt.at); got != tt.want {
			t.Errorf("%s at %v: %d VUs, want %d", scenarios[tt.scenario].Name, tt.at, got, tt.want)
		}
	}
}

// A node's rate changes at the moment at which an epoch begins, and while a promise is kept it is the smaller one.
func TestQuotaOfEpochs(t *testing.T) {
	t.Parallel()
	scenarios := []executor.Scenario{{Name: "s", Executor: executor.ConstantVUs, VUs: 10, Duration: time.Hour}}
	plan := executor.Layout(scenarios)
	of := func(weights ...int) executor.Epoch {
		shares, err := share.Split(plan, weights)
		if err != nil {
			t.Fatal(err)
		}
		return executor.Epoch{Share: shares[0]}
	}
	epoch := func(number int, from time.Duration, weights ...int) executor.Epoch {
		e := of(weights...)
		e.Number, e.From = number, from
		return e
	}
	start := time.Now().Add(-time.Minute)
	const times = 10 // of 100 a second: so many are not dealt out by turns
	q := quota{rps: 100 * times, scenarios: scenarios, tenure: newTenure(of(10, 10).Share, true)}
	rate := func(run time.Duration) float64 {
		r, until := q.rate(start.Add(run))
		if d := until.Sub(start.Add(run)); d <= 0 || d > quotaStep+time.Millisecond {
			t.Errorf("at %v the rate holds for %v", run, d)
		}
		return math.Round(r / times)
	}
	check := func(what string, run time.Duration, want float64) {
		t.Helper()
		if got := rate(run); got != want {
			t.Errorf("%s: %v a second at %v, want %v", what, got, run, want)
		}
	}
	if got, _ := q.rate(time.Now()); got != 100*times {
		t.Errorf("without a load: %v a second, want all: setup() runs on one node", got)
	}
	q.clock = executor.NewClock(start)
	q.tenure.begin(epoch(1, 0, 10, 10))
	check("first epoch", time.Second, 50)
	q.tenure.propose(epoch(2, 59*time.Second, 10, 30))
	check("promised, before", 58900*time.Millisecond, 50)
	check("promised", 59050*time.Millisecond, 20) // of 10 VUs: the floor or the ceiling of a quarter
	q.tenure.withdraw()
	check("withdrawn", 59050*time.Millisecond, 50)
	q.tenure.propose(epoch(3, 59*time.Second, 30, 10))
	check("promised to give nothing", 59050*time.Millisecond, 50)
	q.tenure.commit(epoch(3, 59*time.Second, 30, 10), 58*time.Second)
	check("before the epoch", 58900*time.Millisecond, 50)
	check("in the epoch", 59050*time.Millisecond, 80)
	q.tenure.commit(epoch(3, 0, 1, 99), time.Minute)
	check("an epoch that is known", 59050*time.Millisecond, 80)
}
