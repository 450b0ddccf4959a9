package executor

import (
	"errors"
	"fmt"
	"time"
)

// Limits of what a scenario may ask for.
const (
	minDuration = time.Second
	maxVUs      = 100_000_000
	maxRate     = 1_000_000_000              // iterations per timeUnit
	maxTime     = 100 * 365 * 24 * time.Hour // of a stage, a duration or a start time
)

// Validate reports everything in the scenario that makes no sense, as joined *Errors.
func (s Scenario) Validate() error {
	c := check{scenario: s.Name}
	c.that(s.Exec != "", "exec", "found \"\", want the name of an exported function")
	c.time("startTime", s.StartTime, 0)
	c.time("gracefulStop", s.GracefulStop, 0)
	switch s.Executor {
	case SharedIterations:
		c.iterations(s)
		c.that(s.Iterations >= int64(s.VUs), "iterations", "found %d, want at least as many as vus (%d)", s.Iterations, s.VUs)
	case PerVUIterations:
		c.iterations(s)
	case ConstantVUs:
		c.vus("vus", s.VUs, 1)
		c.duration(s)
	case RampingVUs:
		c.vus("startVUs", s.StartVUs, 0)
		c.stages(s, maxVUs)
		c.time("gracefulRampDown", s.GracefulRampDown, 0)
		c.that(s.MaxVUs() > 0, "stages", "no VU would ever run, want startVUs or a target above 0")
	case ConstantArrivalRate:
		c.that(s.gave("rate"), "rate", "missing, want the number of iterations per timeUnit, e.g. 100")
		c.that(!s.gave("rate") || s.Rate > 0 && s.Rate <= maxRate, "rate", "found %d, want 1 to %d", s.Rate, int64(maxRate))
		c.duration(s)
		c.pool(s)
	case RampingArrivalRate:
		c.that(s.StartRate >= 0 && s.StartRate <= maxRate, "startRate", "found %d, want 0 to %d", s.StartRate, int64(maxRate))
		c.stages(s, maxRate)
		c.pool(s)
	case ExternallyControlled:
		c.that(!s.gave("gracefulStop"), "gracefulStop", "not supported by externally-controlled: its iterations are interrupted at the end")
		c.vus("vus", s.VUs, 0)
		c.vus("maxVUs", s.VULimit, 1)
		c.that(s.VULimit >= s.VUs, "maxVUs", "found %d, want at least vus (%d)", s.VULimit, s.VUs)
		c.that(s.gave("duration"), "duration", "missing, want e.g. \"10m\", or 0 for no end")
		c.time("duration", s.Duration, 0)
	}
	return errors.Join(c.errs...)
}

// check gathers the faults of one scenario.
type check struct {
	scenario string
	errs     []error
}

func (c *check) that(ok bool, field, format string, args ...any) {
	if !ok {
		c.errs = append(c.errs, &Error{Scenario: c.scenario, Field: field, Err: fmt.Errorf(format, args...)})
	}
}

func (c *check) time(field string, d, least time.Duration) {
	c.that(d >= least && d <= maxTime, field, "found %v, want at least %v", d, least)
}

func (c *check) vus(field string, n, least int) {
	c.that(n >= least && n <= maxVUs, field, "found %d, want %d to %d", n, least, maxVUs)
}

func (c *check) duration(s Scenario) {
	if c.that(s.gave("duration"), "duration", "missing, want e.g. \"30s\""); s.gave("duration") {
		c.time("duration", s.Duration, minDuration)
	}
}

func (c *check) iterations(s Scenario) {
	c.vus("vus", s.VUs, 1)
	c.that(s.Iterations > 0, "iterations", "found %d, want 1 or more", s.Iterations)
	c.time("maxDuration", s.MaxDuration, minDuration)
}

func (c *check) stages(s Scenario, most int64) {
	c.that(len(s.Stages) > 0, "stages", "missing, want %s", wantStages)
	for i, st := range s.Stages {
		c.time(fmt.Sprintf("stages[%d].duration", i), st.Duration, 0)
		c.that(st.Target >= 0 && st.Target <= most, fmt.Sprintf("stages[%d].target", i), "found %d, want 0 to %d", st.Target, most)
	}
	c.time("stages", sumStages(s.Stages), 0)
}

func (c *check) pool(s Scenario) {
	c.that(s.TimeUnit > 0, "timeUnit", "found %v, want more than 0", s.TimeUnit)
	c.that(s.gave("preAllocatedVUs"), "preAllocatedVUs", "missing, want the number of VUs to initialise before the start, e.g. 50")
	c.vus("preAllocatedVUs", s.PreAllocatedVUs, 0)
	c.that(s.VULimit >= s.PreAllocatedVUs && s.VULimit <= maxVUs, "maxVUs", "found %d, want at least preAllocatedVUs (%d), at most %d", s.VULimit, s.PreAllocatedVUs, maxVUs)
	c.that(!s.gave("preAllocatedVUs") || s.VULimit > 0, "maxVUs", "found 0, want at least 1 VU to run the iterations")
}
