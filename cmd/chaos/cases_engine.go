package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"hive/hive"
)

const (
	exitScript, exitHive, exitInconclusive, exitSetupTimeout, exitTeardownTimeout = 107, 255, 98, 100, 101
	// engineMemory is what engines may use in the trials.
	engineMemory = "400MiB"
)

// harm is a script with a scenario of the given load, whose parts are given.
func harm(l load, options, init, body, rest string) string {
	return fmt.Sprintf(`import http from 'k6/http';
import exec from 'k6/execution';
import { sleep } from 'k6';
export const options = { discardResponseBodies: true, %s scenarios: { s: %s } };
const hit = () => http.get(http.url`+"`${__ENV.TARGET}/hit?i=${exec.scenario.iterationInTest}&vu=${exec.vu.idInTest}&n=${exec.vu.iterationInScenario}`"+`);
%s
export default function () { hit(); %s }
%s
`, options, l.scenario(), init, body, rest)
}

// gentle is the load of trials.
func gentle(seconds int) load { return arrivals(seconds, 60, 12, 10*time.Millisecond) }

// stricken is a trial whose script does something from its 60th iteration on.
func stricken(name, init, body string, codes []int, words ...string) trial {
	l := gentle(8)
	return trial{name: name, load: l, script: harm(l, "", init, "if (exec.scenario.iterationInTest > 60) {"+body+"}", ""), codes: codes, words: words}
}

func goodTrial() trial {
	l := gentle(3)
	return trial{name: "good", load: l, script: harm(l, "", "", "sleep(0.01)", ""), codes: []int{0}}
}

// memoryTrials eat memory without bound. With a limit the engines are stopped, and the run with them, for all nodes run
// the same script.
func memoryTrials() []trial {
	anyhow := []int{0, exitHive, exitInconclusive, exitScript} // a slow machine does not come to its limit in time
	over := []int{exitHive, exitInconclusive}                  // the latter when the plan was over before the last engine was stopped
	return []trial{
		stricken("buffers", "const kept = [];", "for (;;) { const b = new Uint8Array(32 << 20); b.fill(1); kept.push(b); }", over, "more than --engine-memory "),
		stricken("strings", "let s = 'x'.repeat(1000);", "for (;;) { s = s + s + 'y'; }", over, "more than --engine-memory "),
		stricken("arrays", "const kept = [];", "for (;;) { kept.push(new Array(100000).fill(kept.length)); }", anyhow),
		stricken("bodies", "const kept = [];", "for (let i = 0; i < 200; i++) { kept.push('z'.repeat(1 << 20) + i); }", anyhow),
		stricken("log of large lines", "", "console.log('x'.repeat(60 << 20));", anyhow),
		{name: "init", load: gentle(4), script: harm(gentle(4), "", "if (__VU > 0) { const kept = []; for (;;) { const b = new Uint8Array(32 << 20); b.fill(1); kept.push(b); } }", "", ""),
			codes: over, words: []string{"more than --engine-memory ", "node n"}},
	}
}

// spinTrials never end by themselves.
func spinTrials() []trial {
	l := gentle(4)
	spin := "while (true) {}"
	regexp := `/^(a+)+\1b$/.test('a'.repeat(40));`
	one := func(name, options, body, rest string, code int, words ...string) trial {
		return trial{name: name, load: l, script: harm(l, options, "", body, rest), codes: []int{code}, words: words}
	}
	return []trial{
		one("spin in setup", "setupTimeout: '2s',", "", "export function setup() { "+spin+" }", exitSetupTimeout, "setup() took longer than its timeout of 2s", "node n"),
		one("spin in default", "", spin, "", 0),
		one("spin in teardown", "teardownTimeout: '2s',", "", "export function teardown() { "+spin+" }", exitTeardownTimeout, "teardown() took longer than its timeout of 2s", "node n"),
		one("regexp in setup", "setupTimeout: '2s',", "", "export function setup() { "+regexp+" }", exitSetupTimeout, "cannot be interrupted", "node n"),
		one("regexp in default", "", regexp, "", exitScript, "cannot be interrupted", "node n"),
		one("regexp in teardown", "teardownTimeout: '2s',", "", "export function teardown() { "+regexp+" }", exitTeardownTimeout, "cannot be interrupted", "node n"),
		one("recursion", "", "const f = (n) => f(n + 1) + 1; f(0);", "", 0),
		one("log", "", "for (let i = 0; i < 20000; i++) console.log('line ' + i);", "", 0),
	}
}

// deathTrials harm an engine from outside.
func deathTrials() []trial {
	l := arrivals(9, 100, 30, 10*time.Millisecond)
	plain := harm(l, "", "", "sleep(0.01)", "export function teardown() { http.get(__ENV.TARGET + '/teardown'); }")
	lossy := []int{0, exitInconclusive}
	running := func(name string, words []string, faults ...fault) trial {
		return trial{name: name, load: l, script: plain, faults: faults, codes: lossy, words: words}
	}
	short := gentle(3)
	slow := "const until = Date.now() + 3000; while (Date.now() < until) sleep(0.05);"
	return []trial{
		running("segmentation fault", []string{"the engine of node n1 ended", "SIGSEGV"}, signalEngine(3*time.Second, 1, syscall.SIGSEGV)),
		running("killed", []string{"the engine of node n2 ended", "signal 9"}, signalEngine(3*time.Second, 2, syscall.SIGKILL)),
		running("aborted runtime", []string{"the engine of node n1 ended"}, signalEngine(3*time.Second, 1, syscall.SIGABRT)),
		running("stopped shortly", nil, freezeEngine(3*time.Second, 1, 3*time.Second)),
		running("orphan", []string{"node n2 lost"}, orphan(3*time.Second, 2)),
		{name: "killed while preparing", load: short, phase: hive.Preparing, codes: []int{0},
			script: harm(short, "", "{ const until = Date.now() + 300; while (Date.now() < until) {} }", "", ""), faults: []fault{signalEngine(500*time.Millisecond, 1, syscall.SIGKILL)},
			words: []string{"n1", "before the load began", "signal 9"}},
		{name: "killed in setup", load: short, phase: hive.Setup, codes: []int{exitHive},
			script: harm(short, "", "", "", "export function setup() { "+slow+" }"), faults: []fault{signalAllEngines(time.Second)}, words: []string{"setup()"}},
		{name: "killed in teardown", load: short, phase: hive.Teardown, codes: []int{exitHive},
			script: harm(short, "", "", "", "export function teardown() { "+slow+" }"), faults: []fault{signalAllEngines(time.Second)}, words: []string{"teardown()"}},
		{name: "killed in handleSummary", load: short, phase: hive.Teardown, codes: []int{0},
			script: harm(short, "", "", "", "export function handleSummary() { "+slow+" }"), faults: []fault{signalAllEngines(time.Second)}, words: []string{"handleSummary"}},
	}
}

// signalAllEngines kills the engines of all nodes at once: whichever is on duty is among them.
func signalAllEngines(at time.Duration) fault {
	return simple(at, "SIGKILL to all engines", func(_ context.Context, p *performance) error {
		killed := 0
		for _, n := range p.swarm.node {
			for _, pid := range n.engines() {
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					killed++
				}
			}
		}
		if killed == 0 {
			return errors.New("there is no engine")
		}
		return nil
	})
}

// engineCases are the quick ones: each way in which an engine ends, once.
func engineCases() []kase {
	death, memory := deathTrials(), memoryTrials()
	return []kase{{name: "engines", nodes: []int{100, 100, 100}, join: []string{"--engine-memory", engineMemory},
		trials: []trial{memory[0], death[0], death[4]}}}
}

// longEngineCase has them all, and the engine that says nothing for so long that it counts as dead.
func longEngineCase() kase {
	l := arrivals(22, 100, 30, 10*time.Millisecond)
	stalled := trial{name: "stopped for long", load: l, script: harm(l, "", "", "sleep(0.01)", ""), codes: []int{0, exitInconclusive},
		faults: []fault{freezeEngine(3*time.Second, 1, 14*time.Second)}, words: []string{"the engine of node n1 ended", "has not answered for 10s"}}
	k := kase{name: "all-engines", ttl: 3 * time.Second, nodes: []int{100, 100, 100}, join: []string{"--engine-memory", engineMemory}}
	for _, group := range [][]trial{memoryTrials(), spinTrials(), deathTrials(), {stalled}} {
		k.trials = append(append(k.trials, group...), goodTrial())
	}
	for i := range k.trials {
		k.trials[i].name = strings.ReplaceAll(k.trials[i].name, " ", "-")
	}
	return k
}

// derateCase slows one engine of three down, by stopping it for a good part of the time.
func derateCase() kase {
	return kase{name: "derate", ttl: 3 * time.Second, nodes: []int{100, 100, 100}, load: arrivals(90, 90, 60, 10*time.Millisecond), args: []string{"--derate"}, anyLosses: true,
		faults: []fault{slowEngine(5*time.Second, 1, 20*time.Second)}}
}

// slowEngine stops the engine of node i for 80 ms of each 140.
func slowEngine(at time.Duration, i int, d time.Duration) fault {
	return fault{at: at, what: fmt.Sprintf("slow engine of n%d for %s", i, d), harms: true, do: func(ctx context.Context, p *performance) (time.Time, error) {
		pids := p.swarm.node[i].engines()
		send := func(s syscall.Signal) error {
			for _, pid := range pids {
				if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
					return err
				}
			}
			return nil
		}
		for end := time.Now().Add(d); time.Now().Before(end); {
			if err := errors.Join(send(syscall.SIGSTOP), wait(ctx, 80*time.Millisecond), send(syscall.SIGCONT), wait(ctx, 60*time.Millisecond)); err != nil {
				return time.Now(), err
			}
		}
		return time.Now(), nil
	}}
}
