package main

import (
	"fmt"
	"time"
)

// networkCases need a network with a switch of our own: delays, losses, and partitions in any direction.
func networkCases() []kase {
	ms, s := time.Millisecond, time.Second
	clear, near, far := &weather{}, &weather{delay: 20 * ms, jitter: 5 * ms}, &weather{delay: 100 * ms, jitter: 5 * ms}
	three, four := []int{100, 100, 100}, []int{100, 100, 100, 100}
	shared := load{executor: "shared-iterations", seconds: 90, amount: 6000, vus: 30, sleep: 50 * ms}
	var cases []kase
	for _, w := range []*weather{near, far} {
		name := fmt.Sprintf("delay-%dms-", w.delay.Milliseconds())
		cases = append(cases,
			kase{name: name + "kill", weather: w, load: arrivals(24, 200, 60, 10*ms), nodes: three, anyLosses: true,
				faults: []fault{kill(4*s, 1), restart(12*s, 1)}},
			kase{name: name + "leader", weather: w, load: arrivals(24, 200, 60, 10*ms), nodes: three, anyLosses: true,
				faults: []fault{killLeader(4 * s), restartDead(12 * s)}},
			kase{name: name + "partition", weather: w, load: arrivals(34, 200, 60, 10*ms), nodes: four, anyLosses: true,
				faults: []fault{cut(4*s, 3, 10*s)}},
			kase{name: name + "join", weather: w, load: arrivals(24, 200, 60, 10*ms), nodes: three,
				faults: []fault{join(4*s, 100), drain(13*s, 1)}},
			kase{name: name + "shared", weather: w, load: shared, nodes: three, anyLosses: true,
				faults: []fault{kill(3*s, 2)}},
		)
	}
	rain := &weather{delay: 5 * ms, jitter: 2 * ms, loss: 0.01}
	cases = append(cases,
		kase{name: "loss-kill", weather: rain, load: arrivals(24, 200, 60, 10*ms), nodes: three, anyLosses: true,
			faults: []fault{kill(4*s, 1), restart(12*s, 1)}},
		kase{name: "loss-join", weather: rain, load: arrivals(24, 200, 60, 10*ms), nodes: three,
			faults: []fault{join(4*s, 100), drain(13*s, 1)}},
		kase{name: "loss-shared", weather: rain, load: shared, nodes: three, anyLosses: true,
			faults: []fault{kill(3*s, 2)}},
		kase{name: "silenced", weather: clear, load: arrivals(30, 200, 60, 10*ms), nodes: four, anyLosses: true,
			faults: []fault{silence(4*s, 3, 10*s)}},
		kase{name: "deaf", weather: clear, load: arrivals(30, 200, 60, 10*ms), nodes: four, anyLosses: true,
			faults: []fault{deafen(4*s, 3, 10*s)}},
		kase{name: "deaf-member", weather: clear, load: arrivals(30, 200, 60, 10*ms), nodes: three, anyLosses: true,
			faults: []fault{deafen(4*s, 1, 10*s)}},
		kase{name: "silenced-first", weather: clear, load: arrivals(30, 200, 60, 10*ms), nodes: three, anyLosses: true,
			faults: []fault{silence(4*s, 0, 10*s)}},
		kase{name: "parted", weather: clear, load: arrivals(30, 200, 60, 10*ms), nodes: three, anyLosses: true,
			faults: []fault{part(4*s, 0, 1, 10*s)}},
		kase{name: "parted-followers", weather: clear, load: arrivals(30, 200, 60, 10*ms), nodes: three, anyLosses: true,
			faults: []fault{part(4*s, 1, 2, 10*s)}},
		kase{name: "parted-one-way", weather: clear, load: arrivals(30, 200, 60, 10*ms), nodes: three, anyLosses: true,
			faults: []fault{partOne(4*s, 0, 1, 10*s)}},
		kase{name: "flapping", weather: clear, load: arrivals(34, 200, 60, 10*ms), nodes: four, anyLosses: true,
			faults: []fault{flap(4*s, 1, 10*s)}},
		kase{name: "flapping-leader", weather: clear, load: arrivals(34, 200, 60, 10*ms), nodes: three, anyLosses: true,
			faults: []fault{flap(4*s, 0, 10*s)}},
		kase{name: "leader-secluded", weather: clear, load: arrivals(34, 200, 60, 10*ms), nodes: three, anyLosses: true,
			faults: []fault{secludeLeader(4*s, 10*s)}},
		kase{name: "etcd-leader-secluded", weather: clear, load: arrivals(34, 200, 60, 10*ms), nodes: three, anyLosses: true,
			faults: []fault{secludeRaft(4*s, 10*s)}},
		kase{name: "cut-off", weather: clear, load: arrivals(34, 200, 60, 10*ms), nodes: three, anyLosses: true,
			faults: []fault{cut(4*s, 1, 10*s)}},
		kase{name: "no-etcd", weather: clear, load: arrivals(30, 200, 60, 10*ms), nodes: four, anyLosses: true,
			faults: []fault{noEtcd(4*s, 3, 10*s)}},
		kase{name: "no-etcd-member", weather: clear, load: arrivals(30, 200, 60, 10*ms), nodes: three, anyLosses: true,
			faults: []fault{noEtcd(4*s, 1, 10*s)}},
		kase{name: "no-api", weather: clear, load: arrivals(30, 200, 60, 10*ms), nodes: four,
			faults: []fault{noAPI(4*s, 3, 10*s)}},
		kase{name: "no-api-at-the-end", weather: clear, load: arrivals(16, 200, 60, 10*ms), nodes: three,
			faults: []fault{noAPI(12*s, 1, 10*s)}},
	)
	for i := range cases {
		cases[i].net, cases[i].ttl = true, 3*s
		if cases[i].weather == far {
			cases[i].ttl = 5 * s // a lease has to be as long as some twenty round trips
		}
	}
	return cases
}

// clockCases set the wall clock of the machine, and are left out unless that was asked for.
func clockCases() []kase {
	ms, s := time.Millisecond, time.Second
	three := []int{100, 100, 100}
	var cases []kase
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		name := "clock" + map[bool]string{true: "-back-", false: "-ahead-"}[by < 0]
		cases = append(cases,
			kase{name: name + "arrivals", load: arrivals(18, 200, 60, 10*ms), nodes: three, exact: true, faults: []fault{jump(4*s, by, 6*s)}},
			kase{name: name + "per-vu", load: load{executor: "per-vu-iterations", seconds: 60, amount: 5, vus: 30, sleep: 3 * s}, nodes: three,
				faults: []fault{jump(4*s, by, 6*s)}},
			kase{name: name + "setup", load: load{executor: "constant-vus", seconds: 12, amount: 30, sleep: 100 * ms, setup: 2 * s}, nodes: three,
				faults: []fault{jump(3*s, by, 4*s), jump(10*s, by, 8*s)}},
			kase{name: name + "kill", load: arrivals(20, 200, 60, 10*ms), nodes: three, anyLosses: true,
				faults: []fault{jump(3*s, by, 12*s), kill(5*s, 1), restart(9*s, 1)}},
			kase{name: name + "outage", load: arrivals(40, 100, 30, 10*ms), nodes: three, anyLosses: true,
				faults: []fault{killAll(5 * s), meanwhile(jump(7*s, by, 10*s)), restartDead(9 * s)}},
			kase{name: name + "freeze", load: arrivals(40, 100, 30, 10*ms), nodes: three, anyLosses: true, args: []string{"--on-outage", "freeze"},
				faults: []fault{killAll(5 * s), meanwhile(jump(7*s, by, 10*s)), restartDead(9 * s)}},
		)
	}
	for i := range cases {
		cases[i].clock, cases[i].ttl = true, 3*s
	}
	return cases
}
