package executor

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"hive/engine/share"
)

// pair is a node whose VUs move to another one.
type pair struct {
	t           *testing.T
	s           Scenario
	plan        share.Plan
	began       time.Time
	clock       *Clock
	giver       Executor
	taker       Executor
	kill        context.CancelFunc // of the giver
	gave, taken chan error
}

// newPair starts two VUs' scenario with all of it on one node.
func newPair(t *testing.T, text string, take, initTime time.Duration) *pair {
	s := parse(t, text)
	p := &pair{t: t, s: s, plan: Layout([]Scenario{s}), began: time.Now(), gave: make(chan error, 1), taken: make(chan error, 1)}
	p.clock = NewClock(p.began)
	ctx, kill := context.WithCancel(t.Context())
	p.kill = kill
	p.giver = p.start(ctx, 0, newField(take), p.gave)
	f := newField(take)
	f.initTime = initTime
	p.taker = p.start(t.Context(), 1, f, p.taken)
	return p
}

func (p *pair) start(ctx context.Context, node int, f *field, done chan error) Executor {
	ex, err := New(p.s, 0, Epoch{Number: 1, Share: p.shares(0, 0)[node]}, Config{Pool: f, Events: f, Clock: p.clock, Marked: true})
	if err != nil {
		p.t.Fatal(err)
	}
	ex.Allow(Marks{Limit: 1000})
	go func() { done <- ex.Run(ctx) }()
	return ex
}

// shares are the two nodes' when they own the slots so.
func (p *pair) shares(owners ...int) []share.Share {
	shares, err := share.Assign(p.plan, owners, 2)
	if err != nil {
		p.t.Fatal(err)
	}
	return shares
}

// move commits an epoch on both nodes, half a second ahead of its beginning. All that a node gains is awaited.
func (p *pair) move(number int, from time.Duration, owners ...int) {
	p.until(from - 500*time.Millisecond)
	shares := p.shares(owners...)
	giving := Epoch{Number: number, From: from, Share: shares[0], Awaits: shares[0].All()}
	taking := Epoch{Number: number, From: from, Share: shares[1], Awaits: shares[1].All()}
	for _, err := range []error{p.giver.Propose(giving), p.taker.Propose(taking), p.giver.Commit(giving), p.taker.Commit(taking)} {
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// until lets time pass up to a moment after the start.
func (p *pair) until(at time.Duration) {
	if d := time.Until(p.began.Add(at)); d > 0 {
		time.Sleep(d)
	}
}

// toPass is how long after its end at the giver the taker hears of it.
const toPass = 250 * time.Millisecond

// pass lets one node have what the other has let go. It looks between the moments at which anything happens.
func (p *pair) pass(giver, taker Executor, slots int) {
	const look = 5 * time.Millisecond
	for at := look; at < 30*time.Second; at += 2 * look {
		p.until(at)
		if gone := giver.Released(); len(gone) == slots {
			p.until(at + toPass - look)
			taker.Receive(gone)
			return
		}
	}
}

// end waits for both, and returns what they counted.
func (p *pair) end() (giver, taker Ledger) {
	for _, done := range []chan error{p.gave, p.taken} {
		if err := <-done; err != nil {
			p.t.Error(err)
		}
	}
	p.kill()
	return p.giver.Ledger(), p.taker.Ledger()
}

// wantTime holds times against what they were to be.
func wantTime(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6 {
		t.Errorf("%s for %g s, want %g", what, got, want)
	}
}

// A VU that moves is at work at its giver until its last iteration has ended there, as far as the plan wants it. From then
// on it is handed over, if it runs at its taker at all; everything else is in no class, and so lost.
func TestTimeOfMovingVUs(t *testing.T) {
	const (
		constant = `{"executor":"constant-vus","vus":2,"duration":"10s"}`
		from     = 3500 * time.Millisecond
	)
	for _, tt := range []struct {
		name           string
		text           string
		take, initTime time.Duration
		owners         []int
		act            func(p *pair)
		giver          float64 // VU-seconds
		taker          float64
		handover       float64
	}{
		{name: "short iterations", text: constant, take: time.Second, owners: []int{1, 1}, giver: 2 * 4, taker: 2 * 5.75, handover: 2 * 0.25},
		{name: "long ones", text: constant, take: 3 * time.Second, owners: []int{1, 1}, giver: 2 * 6, taker: 2 * 3.75, handover: 2 * 0.25},
		{name: "one VU stays", text: constant, take: 3 * time.Second, owners: []int{0, 1}, giver: 10 + 6, taker: 3.75, handover: 0.25},
		{name: "long ones of a scenario without a gracefulStop", text: `{"executor":"externally-controlled","vus":2,"maxVUs":2,"duration":"10s"}`,
			take: 3 * time.Second, owners: []int{1, 1}, giver: 2 * 6, taker: 2 * 3.75, handover: 2 * 0.25},
		{name: "the scenario ends before the iterations", text: constant, take: 20 * time.Second, owners: []int{1, 1}, giver: 20},
		{name: "they are cut", text: `{"executor":"constant-vus","vus":2,"duration":"10s","gracefulStop":"2s"}`, take: time.Minute, owners: []int{1, 1},
			giver: 2 * 5.5, taker: 2 * 4.25, handover: 2 * 0.25},
		{name: "the taker makes its VUs late", text: constant, take: time.Second, initTime: 2 * time.Second, owners: []int{1, 1},
			giver: 2 * 4, taker: 2 * 3.75, handover: 2 * 2.25},
		{name: "the taker never makes them", text: constant, take: time.Second, initTime: time.Hour, owners: []int{1, 1}, giver: 2 * 4},
		{name: "the giver dies in their last iterations", text: constant, take: 3 * time.Second, owners: []int{1, 1}, act: func(p *pair) {
			p.until(5 * time.Second)
			p.kill()
			p.until(5200 * time.Millisecond)
			p.taker.Receive([]Handover{{Slot: 0, Next: 9, Lost: true}, {Slot: 1, Next: 9, Lost: true}})
		}, giver: 2 * 5, taker: 2 * 4.8},
		{name: "a ramp goes down meanwhile", take: 3 * time.Second, owners: []int{1, 1},
			text:  `{"executor":"ramping-vus","startVUs":2,"stages":[{"duration":"5s","target":2},{"duration":"0s","target":1},{"duration":"5s","target":1}]}`,
			giver: 6 + 5, taker: 3.75, handover: 0.25},
		{name: "a ramp goes down and up", take: 3 * time.Second, owners: []int{1, 1},
			text: `{"executor":"ramping-vus","startVUs":2,"stages":[{"duration":"4s","target":2},{"duration":"0s","target":1},{"duration":"1s","target":1},
				{"duration":"0s","target":2},{"duration":"5s","target":2}]}`,
			giver: 6 + 5, taker: 2 * 3.75, handover: 2 * 0.25},
		{name: "scaled down meanwhile", take: 3 * time.Second, owners: []int{0, 1},
			text: `{"executor":"externally-controlled","vus":2,"maxVUs":2,"duration":"10s"}`, act: func(p *pair) {
				for _, ex := range []Executor{p.giver, p.taker} {
					if err := ex.(Controller).ScaleAt(1, 5*time.Second); err != nil {
						p.t.Error(err)
					}
				}
			}, giver: 10 + 5},
		{name: "a pause meanwhile", text: constant, take: 3 * time.Second, owners: []int{1, 1}, act: func(p *pair) {
			p.clock.PauseAt(4 * time.Second)
			p.until(5 * time.Second)
			p.clock.ResumeAt(p.began.Add(8 * time.Second)) // they end at 6 s, when the run's clock stands at 4 s
		}, giver: 2 * 4, taker: 2 * 6},
		{name: "the run is stopped meanwhile", text: constant, take: 3 * time.Second, owners: []int{0, 1}, act: func(p *pair) {
			p.until(5 * time.Second)
			p.giver.Stop()
			p.taker.Stop()
		}, giver: 5 + 5},
		{name: "they come back before they have ended", text: constant, take: 3 * time.Second, owners: []int{0, 1}, act: func(p *pair) {
			p.move(3, 5*time.Second, 0, 0)
		}, giver: 20},
		{name: "they come back after", text: constant, take: time.Second, owners: []int{0, 1}, act: func(p *pair) {
			p.move(3, 5*time.Second, 0, 0)
			p.pass(p.taker, p.giver, 1)
		}, giver: 10 + 4 + 4.5, taker: 1, handover: 2 * 0.25},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, tt.text, tt.take, tt.initTime)
				p.move(2, from, tt.owners...)
				if tt.owners[0] == 1 {
					p.until(from + 300*time.Millisecond)
					p.giver.Stop() // it has no share any more
				}
				passed := make(chan struct{})
				go func() {
					defer close(passed)
					p.pass(p.giver, p.taker, tt.owners[0]+tt.owners[1])
				}()
				if tt.act != nil {
					tt.act(p)
				}
				giver, taker := p.end()
				<-passed
				wantTime(t, "active at the giver", giver.Active, tt.giver)
				wantTime(t, "active at the taker", taker.Active, tt.taker)
				wantTime(t, "handed over", giver.Handover+taker.Handover, tt.handover)
			})
		})
	}
}

// A VU that is held for a change which comes to nothing was at work as long as its iteration went on.
func TestTimeOfVUsThatWereHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, `{"executor":"constant-vus","vus":2,"duration":"10s"}`, 3*time.Second, 0)
		p.until(3 * time.Second)
		if err := p.giver.Propose(Epoch{Number: 2, From: 3500 * time.Millisecond, Share: p.shares(1, 1)[0]}); err != nil {
			t.Fatal(err)
		}
		p.until(5 * time.Second)
		synctest.Wait()
		wantTime(t, "active while they are held", p.giver.Ledger().Active, 2*5)
		p.giver.Withdraw()
		p.until(10 * time.Second)
		p.taker.Stop()
		giver, _ := p.end()
		wantTime(t, "active", giver.Active, 2*10)
	})
}
