package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"
)

// kase is one hive, one run on it, and what is done to them.
type kase struct {
	name      string
	load      load
	nodes     []int    // capacities
	net       bool     // in network namespaces
	weather   *weather // of a network with a switch of our own; nil for the kernel's bridge
	clock     bool     // sets the machine's wall clock
	ttl       time.Duration
	args      []string // further arguments of hive run
	faults    []fault
	exits     []int    // exit codes of hive run that are right; 0 when empty
	anyLosses bool     // faults that cost more than the default of --max-loss are meant to
	exact     bool     // no second may be off by more than 1%: only nodes without load are harmed
	traced    bool     // a process is traced, which not every machine allows
	tells     []string // kinds of entries that the timeline must have
	join      []string // further arguments of hive join
	trials    []trial  // runs that are done one after the other on the same hive, in the place of load and faults
}

// load is what the run sends.
type load struct {
	executor string
	seconds  int
	amount   int           // rate per second, VUs, or iterations (of each VU)
	vus      int           // where amount is something else
	sleep    time.Duration // of an iteration
	text     string        // the script, when it is not the usual one
	setup    time.Duration // that setup() takes, and teardown() with it; 0 for no setup()
}

func (k kase) describe() string {
	var parts []string
	if len(k.trials) > 0 {
		return fmt.Sprintf("%d runs one after the other on %d nodes", len(k.trials), len(k.nodes))
	}
	for _, f := range k.faults {
		parts = append(parts, fmt.Sprintf("%.1fs %s", f.at.Seconds(), f.what))
	}
	weather := ""
	if k.weather != nil {
		weather = fmt.Sprintf(" with %s", k.weather)
	}
	return fmt.Sprintf("%s %d for %ds, iterations of %s, %d nodes%s: %s", k.load.executor, k.load.amount, k.load.seconds, k.load.sleep, len(k.nodes), weather, strings.Join(parts, ", "))
}

// timed says that the number of iterations follows from rate and time.
func (l load) timed() bool { return strings.HasSuffix(l.executor, "arrival-rate") }

// script is the test: every iteration says who it is, and then takes its time.
func (l load) script() string {
	if l.text != "" {
		return l.text
	}
	sleep := ""
	if l.sleep > 0 {
		sleep = fmt.Sprintf("sleep(%g);", l.sleep.Seconds())
	}
	setup, teardown := "", ""
	if l.setup > 0 {
		setup = fmt.Sprintf("export function setup() { sleep(%g); return { n: 42 }; }", l.setup.Seconds())
		teardown = fmt.Sprintf("if (data.n !== 42) { throw new Error('no data of setup()'); } sleep(%g);", l.setup.Seconds())
	}
	return fmt.Sprintf(`import http from 'k6/http';
import exec from 'k6/execution';
import { sleep } from 'k6';
export const options = { discardResponseBodies: true, scenarios: { s: %s } };
export default function () {
  const s = exec.scenario, v = exec.vu;
  http.get(http.url`+"`${__ENV.TARGET}/hit?i=${s.iterationInTest}&vu=${v.idInTest}&n=${v.iterationInScenario}`"+`);
  %s
}
%s
export function teardown(data) { http.get(__ENV.TARGET + '/teardown'); %s }
`, l.scenario(), sleep, setup, teardown)
}

func (l load) scenario() string {
	end := fmt.Sprintf("gracefulStop: '%gs'", max(2, l.sleep.Seconds()+1))
	switch l.executor {
	case "constant-arrival-rate":
		return fmt.Sprintf("{ executor: '%s', rate: %d, timeUnit: '1s', duration: '%ds', preAllocatedVUs: %d, %s }", l.executor, l.amount, l.seconds, l.vus, end)
	case "ramping-arrival-rate":
		return fmt.Sprintf("{ executor: '%s', startRate: %d, timeUnit: '1s', stages: [{ duration: '%ds', target: %d }], preAllocatedVUs: %d, %s }", l.executor, l.amount/2, l.seconds, l.amount, l.vus, end)
	case "constant-vus":
		return fmt.Sprintf("{ executor: '%s', vus: %d, duration: '%ds', %s }", l.executor, l.amount, l.seconds, end)
	case "ramping-vus":
		return fmt.Sprintf("{ executor: '%s', startVUs: %d, stages: [{ duration: '%ds', target: %d }], gracefulRampDown: '1s', %s }", l.executor, l.amount/2, l.seconds, l.amount, end)
	case "externally-controlled":
		return fmt.Sprintf("{ executor: '%s', vus: %d, maxVUs: %d, duration: '%ds' }", l.executor, l.amount, l.vus, l.seconds)
	case "shared-iterations":
		return fmt.Sprintf("{ executor: '%s', vus: %d, iterations: %d, maxDuration: '%ds', %s }", l.executor, l.vus, l.amount, l.seconds, end)
	case "per-vu-iterations":
		return fmt.Sprintf("{ executor: '%s', vus: %d, iterations: %d, maxDuration: '%ds', %s }", l.executor, l.vus, l.amount, l.seconds, end)
	}
	panic("no such executor: " + l.executor)
}

func arrivals(seconds, rate, vus int, sleep time.Duration) load {
	return load{executor: "constant-arrival-rate", seconds: seconds, amount: rate, vus: vus, sleep: sleep}
}

// shortCases are the ones that every change has to pass.
func shortCases() []kase {
	ms := time.Millisecond
	cases := []kase{
		{name: "kill", load: arrivals(18, 200, 60, 10*ms), nodes: []int{100, 100, 100},
			faults: []fault{kill(4*time.Second, 1), restart(9*time.Second, 1)}, anyLosses: true},
		{name: "leaders", load: arrivals(24, 200, 60, 10*ms), nodes: []int{0, 0, 0, 100, 100}, exact: true,
			faults: []fault{killLeader(4 * time.Second), restartDead(8 * time.Second), killLeader(13 * time.Second), restartDead(17 * time.Second)}},
		{name: "drain-and-join", load: load{executor: "constant-vus", seconds: 18, amount: 30, sleep: 100 * ms}, nodes: []int{100, 100, 100},
			faults: []fault{join(4*time.Second, 100), drain(9*time.Second, 1)}},
		{name: "shared", load: load{executor: "shared-iterations", seconds: 60, amount: 6000, vus: 30, sleep: 50 * ms}, nodes: []int{100, 100, 100},
			faults: []fault{kill(3*time.Second, 2)}, anyLosses: true},
		{name: "per-vu", load: load{executor: "per-vu-iterations", seconds: 60, amount: 4, vus: 30, sleep: 3 * time.Second}, nodes: []int{100, 100, 100},
			faults: []fault{kill(4*time.Second, 1)}, anyLosses: true},
		{name: "stopped", load: arrivals(22, 200, 60, 10*ms), nodes: []int{100, 100, 100}, anyLosses: true, tells: []string{"stalled"},
			faults: []fault{freeze(3*time.Second, 1, 2*time.Second), freeze(9*time.Second, 2, 8*time.Second)}},
		{name: "engine", load: load{executor: "ramping-vus", seconds: 16, amount: 30, sleep: 100 * ms}, nodes: []int{100, 100, 100}, anyLosses: true,
			faults: []fault{killEngine(4*time.Second, 1)}},
		{name: "pause", load: load{executor: "externally-controlled", seconds: 14, amount: 10, vus: 30, sleep: 100 * ms}, nodes: []int{100, 100},
			faults: []fault{tell(3*time.Second, "scale", "--vus", "30"), tell(6*time.Second, "pause"), tell(9*time.Second, "resume")}},
		{name: "client", load: arrivals(12, 200, 60, 10*ms), nodes: []int{100, 100}, faults: []fault{killClient(3 * time.Second)}},
		{name: "outage", load: arrivals(40, 100, 30, 10*ms), nodes: []int{100, 100, 100}, anyLosses: true,
			faults: []fault{killAll(5 * time.Second), restartDead(9 * time.Second)}},
		{name: "partition", load: arrivals(30, 200, 60, 10*ms), nodes: []int{100, 100, 100, 100}, net: true, anyLosses: true,
			faults: []fault{cut(4*time.Second, 3, 10*time.Second)}},
		{name: "one-way", load: arrivals(30, 200, 60, 10*ms), nodes: []int{100, 100, 100, 100}, net: true, anyLosses: true,
			faults: []fault{mute(4*time.Second, 3, 10*time.Second)}},
	}
	cases = append(cases, engineCases()...)
	cases = append(cases, kase{name: "delay", load: arrivals(14, 200, 60, 10*ms), nodes: []int{100, 100, 100}, net: true, anyLosses: true,
		weather: &weather{delay: 20 * ms, jitter: 5 * ms}, faults: []fault{kill(4*time.Second, 1)}})
	for i := range cases {
		cases[i].ttl = 3 * time.Second
	}
	return append(cases, shortEtcdCases()...)
}

// longCases are fixed too, and take too long for every change.
func longCases() []kase {
	var kills []fault
	for i := range 20 {
		at := time.Duration(4+8*i) * time.Second
		kills = append(kills, killLeader(at), restartDead(at+3*time.Second))
	}
	return append(longEtcdCases(), []kase{
		{name: "twenty-leaders", ttl: 3 * time.Second, load: arrivals(170, 200, 60, 10*time.Millisecond), nodes: []int{0, 0, 0, 100, 100}, exact: true, faults: kills},
		longEngineCase(), derateCase(),
	}...)
}

// weathers are those that random cases draw from.
var weathers = [...]weather{
	{},
	{delay: 5 * time.Millisecond, jitter: 2 * time.Millisecond, loss: 0.01},
	{delay: 20 * time.Millisecond, jitter: 5 * time.Millisecond},
	{delay: 50 * time.Millisecond, jitter: 5 * time.Millisecond},
}

// randomCase draws a case; with clock its faults may set the wall clock.
func randomCase(r *rand.Rand, number int, clock bool) kase {
	sleeps := []time.Duration{10 * time.Millisecond, 10 * time.Millisecond, 3 * time.Second, 60 * time.Second}
	k := kase{name: fmt.Sprintf("random-%d", number), ttl: time.Duration(2+r.IntN(4)) * time.Second, anyLosses: true}
	k.load.sleep = sleeps[r.IntN(len(sleeps))]
	k.load.seconds = 30 + r.IntN(60)
	k.load.vus = 30 + r.IntN(60)
	k.load.executor = []string{"constant-arrival-rate", "ramping-arrival-rate", "constant-vus", "ramping-vus", "externally-controlled",
		"shared-iterations", "per-vu-iterations"}[r.IntN(7)]
	if strings.HasSuffix(k.load.executor, "-iterations") && k.load.sleep < time.Second {
		k.load.vus = 4 + r.IntN(4) // or the iterations are over before anything happens
	}
	perVU := max(1, int(float64(k.load.seconds)/(k.load.sleep.Seconds()+0.02))) // as many as a VU can do
	switch {
	case k.load.timed():
		k.load.amount = max(1, min(300, k.load.vus*perVU/k.load.seconds*8/10))
	case k.load.executor == "shared-iterations":
		k.load.amount = min(20000, k.load.vus*perVU/2)
	case k.load.executor == "per-vu-iterations":
		k.load.amount = min(5000, max(1, perVU/2))
	default:
		k.load.amount = k.load.vus
	}
	for range 3 + r.IntN(3) {
		k.nodes = append(k.nodes, 100)
	}
	if r.IntN(3) == 0 {
		k.nodes[0] = 0
	}
	k.net, k.clock = r.IntN(2) == 0 && canNetwork(), clock
	if k.net && r.IntN(3) > 0 {
		w := weathers[r.IntN(len(weathers))]
		k.weather = &w
	}
	k.faults = randomFaults(r, k)
	return k
}

// randomFaults draws a schedule in which a majority of the first three nodes, which hold etcd, lives at any time.
func randomFaults(r *rand.Rand, k kase) []fault {
	var all []fault
	at := 3 * time.Second
	for at < time.Duration(k.load.seconds-8)*time.Second {
		i := r.IntN(len(k.nodes))
		long := time.Duration(500+r.IntN(9000)) * time.Millisecond
		again := at + long
		if f, ok := randomNetworkFault(r, k, at, i, long); ok {
			all = append(all, f)
			at = max(again, at+flapping) + time.Duration(6+r.IntN(8))*time.Second
			continue
		}
		switch n := r.IntN(14); {
		case n == 0:
			all = append(all, kill(at, i), restart(again, i))
		case n == 1:
			all = append(all, killLeader(at), restartDead(again))
		case n == 2:
			all = append(all, freeze(at, i, long))
		case n == 3:
			all = append(all, killEngine(at, i))
		case n == 4 && k.net:
			all = append(all, cut(at, i, long))
		case n == 5 && k.net:
			all = append(all, mute(at, i, long))
		case n == 6:
			all = append(all, freezeEngine(at, i, min(long, 5*time.Second)))
		case n == 7 && len(all) == 0:
			all = append(all, killAll(at), restartDead(again))
		case n == 8:
			all = append(all, freezeMembers(at, 2, min(long, 4*time.Second)))
		case n == 9:
			all = append(all, freezeRole(at, []role{hiveLeader, etcdLeader, etcdFollower}[r.IntN(3)], long))
		case n == 10 && canTrace():
			all = append(all, slowDisk(at, []role{etcdFollower, etcdLeader, everybody}[r.IntN(3)], time.Duration(100+r.IntN(900))*time.Millisecond, long))
		case n == 11:
			all = append(all, endEngine(at, i, syscall.SIGSEGV))
		case n == 12:
			all = append(all, slowEngine(at, i, long))
		default:
			all = append(all, tell(at, "pause"), tell(again, "resume"))
		}
		at = again + time.Duration(6+r.IntN(8))*time.Second
	}
	return all
}

// randomNetworkFault draws a fault that needs a switch or the leave to set the clock, in every other case that has one.
func randomNetworkFault(r *rand.Rand, k kase, at time.Duration, i int, long time.Duration) (fault, bool) {
	other := (i + 1 + r.IntN(len(k.nodes)-1)) % len(k.nodes)
	switch n := r.IntN(20); {
	case k.clock && n < 3:
		return jump(at, []time.Duration{time.Hour, -time.Hour, 3 * time.Second, -3 * time.Second}[r.IntN(4)], min(long, 6*time.Second)), true
	case k.weather == nil || n >= 12:
		return fault{}, false
	default:
		return []fault{silence(at, i, long), deafen(at, i, long), seclude(at, i, long), secludeLeader(at, long), secludeRaft(at, long),
			part(at, i, other, long), partOne(at, i, other, long), noEtcd(at, i, long), noAPI(at, i, long), flap(at, i, flapping)}[r.IntN(10)], true
	}
}

// flapping is how long links go down and up.
const flapping = 10 * time.Second
