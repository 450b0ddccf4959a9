package executor

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Describe says in a line what the scenario does, as k6 lists it before a run.
func (s Scenario) Describe() string {
	notes := s.notes()
	if s.Exec != defaultExec {
		notes = append(notes, "exec: "+s.Exec)
	}
	if s.StartTime > 0 {
		notes = append(notes, "startTime: "+s.StartTime.String())
	}
	if s.GracefulStop > 0 {
		notes = append(notes, "gracefulStop: "+s.GracefulStop.String())
	}
	if len(notes) == 0 {
		return s.work()
	}
	return s.work() + " (" + strings.Join(notes, ", ") + ")"
}

// work is the sentence without the notes in parentheses.
func (s Scenario) work() string {
	switch s.Executor {
	case SharedIterations:
		return fmt.Sprintf("%d iterations shared among %d VUs", s.Iterations, s.VUs)
	case PerVUIterations:
		return fmt.Sprintf("%d iterations for each of %d VUs", s.Iterations, s.VUs)
	case ConstantVUs:
		return fmt.Sprintf("%d looping VUs for %v", s.VUs, s.Duration)
	case RampingVUs:
		return fmt.Sprintf("Up to %d looping VUs for %v over %d stages", s.MaxVUs(), s.Regular(), len(s.Stages))
	case ConstantArrivalRate:
		return fmt.Sprintf("%.2f iterations/s for %v", s.PeakRate(), s.Duration)
	case RampingArrivalRate:
		return fmt.Sprintf("Up to %.2f iterations/s for %v over %d stages", s.PeakRate(), s.Regular(), len(s.Stages))
	}
	length := "infinite"
	if s.Duration > 0 {
		length = s.Duration.String()
	}
	return fmt.Sprintf("Externally controlled execution with %d VUs, %d max VUs, %s duration", s.VUs, s.VULimit, length)
}

func (s Scenario) notes() []string {
	switch s.Executor {
	case SharedIterations, PerVUIterations:
		return []string{"maxDuration: " + s.MaxDuration.String()}
	case RampingVUs:
		return []string{"gracefulRampDown: " + s.GracefulRampDown.String()}
	case ConstantArrivalRate, RampingArrivalRate:
		if s.VULimit > s.PreAllocatedVUs {
			return []string{fmt.Sprintf("maxVUs: %d-%d", s.PreAllocatedVUs, s.VULimit)}
		}
		return []string{fmt.Sprintf("maxVUs: %d", s.PreAllocatedVUs)}
	}
	return nil
}

// TotalDuration is when the last of the scenarios has ended at the latest.
func TotalDuration(scenarios []Scenario) time.Duration {
	var end time.Duration
	for _, s := range scenarios {
		end = max(end, s.End())
	}
	return end
}

// clock writes a time in tenths of seconds, padded so that it does not grow up to the given length: "00m07.5s"
// of "10m".
func clock(d, length time.Duration) string {
	tenths := int64(d.Round(100*time.Millisecond) / (100 * time.Millisecond))
	sec, tenth := tenths/10, tenths%10
	switch {
	case length >= time.Hour:
		return fmt.Sprintf("%0*dh%02dm%02d.%ds", digits(int64(length/time.Hour)), sec/3600, sec/60%60, sec%60, tenth)
	case length >= time.Minute:
		return fmt.Sprintf("%02dm%02d.%ds", sec/60, sec%60, tenth)
	case length >= 10*time.Second:
		return fmt.Sprintf("%02d.%ds", sec, tenth)
	}
	return fmt.Sprintf("%d.%ds", sec, tenth)
}

// counted writes "03/10": n padded to the width of total.
func counted(n, total int64) string {
	return fmt.Sprintf("%0*d/%d", digits(total), n, total)
}

// rated writes a rate padded to the width of the highest one.
func rated(rate, peak float64) string {
	whole := digits(int64(math.Min(peak, math.MaxInt64/2)))
	return fmt.Sprintf("%0*.2f iters/s", whole+3, rate)
}

func digits(n int64) int { return len(fmt.Sprint(n)) }
