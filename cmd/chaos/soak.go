package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"hive/hive"
)

// soak is a hive that is used for a long time while nodes come and go, and measured: nothing of it may grow for ever.
type soak struct {
	*performance
	chance *rand.Rand
	gauges *gauges
	runs   int // that have ended
	bad    []string
}

const (
	// soakNodes are the nodes of a soak. The first two are never harmed, so that what leaks in an agent or a leader shows.
	soakNodes, soakSpared = 5, 2
	// soakLook is how often everything is measured.
	soakLook = 3 * time.Second
	// soakRun is how long each of many runs takes.
	soakRun = 8 * time.Second
)

// soakStretches are what a soak consists of: one long run, and then many short ones.
func soakStretches(length time.Duration) []stretch {
	return []stretch{{name: "one-run", length: length / 2, run: length / 2}, {name: "many-runs", length: length / 2, run: soakRun}}
}

// stretch is a time in which runs of one length follow each other.
type stretch struct {
	name        string
	length, run time.Duration
}

// soakScript makes many series: groups, names, tags, submetrics and metrics of its own.
func soakScript(seconds int) string {
	return fmt.Sprintf(`import http from 'k6/http';
import exec from 'k6/execution';
import { check, group, sleep } from 'k6';
import { Counter, Trend } from 'k6/metrics';
export const options = { discardResponseBodies: true, scenarios: {
  rate: { executor: 'constant-arrival-rate', rate: 60, timeUnit: '1s', duration: '%[1]ds', preAllocatedVUs: 30, gracefulStop: '2s', exec: 'rate' },
  loop: { executor: 'constant-vus', vus: 10, duration: '%[1]ds', gracefulStop: '2s', exec: 'loop' },
}, thresholds: { 'http_req_duration{name:page1}': ['p(95)<60000'], 'took{shape:s1}': ['p(99)<60000'], 'group_duration{group:::g1}': ['p(90)<60000'] } };
const things = new Counter('things'), took = new Trend('took', true);
export function rate() {
  const s = exec.scenario, v = exec.vu, i = s.iterationInTest;
  group('g' + i %% 5, () => {
    const r = http.get(`+"`${__ENV.TARGET}/hit?i=${i}&vu=${v.idInTest}&n=${v.iterationInScenario}`"+`, { tags: { name: 'page' + i %% 40, kind: 'k' + i %% 3 } });
    check(r, { ['status ' + i %% 10]: (r) => r.status === 204 });
    took.add(r.timings.duration, { shape: 's' + i %% 20 });
    things.add(1, { shape: 's' + i %% 20 });
  });
}
export function loop() {
  console.log('VU', exec.vu.idInTest, 'is at', exec.scenario.iterationInInstance);
  sleep(1);
}
export function teardown() { http.get(__ENV.TARGET + '/teardown'); }
`, seconds)
}

// playSoak soaks one stretch and says whether nothing grew.
func playSoak(ctx context.Context, c config, st stretch, seed uint64) bool {
	began := time.Now()
	fmt.Printf("=== soak %s: %d nodes for %s, runs of %s, seed %d\n", st.name, soakNodes, st.length, st.run, seed)
	s, err := newSoak(c, st, seed)
	if err == nil {
		defer s.swarm.close()
		defer s.target.close()
		err = s.endure(ctx, st)
	}
	if ctx.Err() != nil {
		return false
	}
	var problems []string
	if err != nil {
		problems = append(problems, err.Error())
	}
	if s != nil {
		problems = append(problems, s.bad...)
		for _, line := range s.gauges.table() {
			fmt.Printf("    %s\n", line)
		}
		problems = append(problems, s.gauges.judge()...)
	}
	for _, p := range problems {
		fmt.Printf("    WRONG: %s\n", p)
	}
	word := "ok"
	if len(problems) > 0 {
		word = "FAILED"
	} else if err := os.RemoveAll(s.dir); err != nil {
		fmt.Printf("    %v\n", err)
	}
	fmt.Printf("--- %s soak %s (%.0fs)\n", word, st.name, time.Since(began).Seconds())
	return len(problems) == 0
}

func newSoak(c config, st stretch, seed uint64) (*soak, error) {
	dir := filepath.Join(c.keep, "soak-"+st.name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return nil, err
	}
	bin, err := filepath.Abs(c.bin)
	if err != nil {
		return nil, err
	}
	t, err := newTarget("127.0.0.1")
	if err != nil {
		return nil, err
	}
	k := kase{name: "soak-" + st.name, ttl: 3 * time.Second, nodes: make([]int, soakNodes)}
	p := &performance{kase: k, dir: dir, target: t, swarm: &swarm{bin: bin, dir: dir, ttl: k.ttl}}
	return &soak{performance: p, chance: rand.New(rand.NewPCG(seed, 0)), gauges: newGauges()}, nil
}

// endure runs tests one after the other and harms the hive meanwhile, until the time is over.
func (s *soak) endure(ctx context.Context, st stretch) error {
	for range soakNodes {
		if _, err := s.swarm.add(ctx, 100); err != nil {
			return err
		}
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	probe, err := newProbe(s.swarm)
	if err != nil {
		return err
	}
	defer probe.close()
	end := time.Now().Add(st.length)
	over, stop := context.WithCancel(ctx)
	beside := make(chan error, 2)
	go func() { beside <- s.churn(over, end) }()
	go func() { beside <- s.measure(over, probe) }()
	err = s.runAll(ctx, st, end)
	stop()
	return errors.Join(err, <-beside, <-beside)
}

// runAll runs tests until the time is over.
func (s *soak) runAll(ctx context.Context, st stretch, end time.Time) error {
	script := filepath.Join(s.dir, "script.js")
	for ctx.Err() == nil && time.Until(end) > st.run/2 {
		length := min(st.run, time.Until(end))
		if err := os.WriteFile(script, []byte(soakScript(int(length.Seconds()))), 0o600); err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, 2*length+2*time.Minute)
		c := s.swarm.command(limited, "run", "--quiet", "-e", "TARGET="+s.target.url, script)
		out, err := c.CombinedOutput()
		cancel()
		if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
			return err
		}
		s.runs++
		if code := c.ProcessState.ExitCode(); code != 0 && code != 98 {
			s.bad = append(s.bad, fmt.Sprintf("run %d ended with code %d: %s", s.runs, code, lastLine(out)))
		}
	}
	s.note("%d runs", s.runs)
	return nil
}

// churn does something to the hive every few seconds until the time is over.
func (s *soak) churn(ctx context.Context, end time.Time) error {
	for ctx.Err() == nil && time.Until(end) > 10*time.Second {
		n := s.swarm.node[soakSpared+s.chance.IntN(soakNodes-soakSpared)]
		var err error
		switch s.chance.IntN(5) {
		case 0, 1:
			err = errors.Join(n.kill(), wait(ctx, s.moment()), s.swarm.start(ctx, n))
		case 2:
			err = s.tell(ctx, "drain", n.name)
			if err == nil {
				select {
				case <-n.exited:
					err = s.swarm.start(ctx, n)
				case <-time.After(time.Minute):
					err = fmt.Errorf("node %s was drained a minute ago and still there", n.name)
				case <-ctx.Done():
				}
			}
		default:
			s.pause(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("churn at node %s: %w", n.name, err)
		}
		if wait(ctx, s.moment()) != nil {
			return nil
		}
	}
	return nil
}

// moment is between one and three seconds.
func (s *soak) moment() time.Duration {
	return time.Second + time.Duration(s.chance.IntN(2000))*time.Millisecond
}

// pause halts the run for a moment, if there is one whose load is running.
func (s *soak) pause(ctx context.Context) {
	run := s.underway(ctx)
	if run == nil {
		return
	}
	_ = s.try(ctx, "pause", run.ID) // it may have ended meanwhile, which is no failure
	for wait(ctx, time.Second) == nil {
		if run = s.underway(ctx); run == nil || run.Paused == nil {
			return
		}
		_ = s.try(ctx, "resume", run.ID)
	}
}

// try gives a command to the hive, which has ten seconds for it.
func (s *soak) try(ctx context.Context, command ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return s.swarm.command(ctx, command...).Run()
}

// underway is the run whose load is running; nil when there is none, or nobody says.
func (s *soak) underway(ctx context.Context) *hive.RunInfo {
	c, err := s.swarm.client()
	if err != nil {
		return nil
	}
	defer c.Close()
	runs, err := c.Runs(ctx)
	if err != nil {
		return nil
	}
	for _, r := range runs {
		if r.Phase == hive.Running {
			return &r
		}
	}
	return nil
}

// measure looks at everything again and again until ctx ends.
func (s *soak) measure(ctx context.Context, p *probe) error {
	for wait(ctx, soakLook) == nil {
		p.look(ctx, s.gauges)
	}
	return nil
}

func lastLine(out []byte) string {
	const most = 300
	return string(out[max(0, len(out)-most):])
}
