package js

import (
	"fmt"
	"slices"
)

// Stage is the part of a test's life in which script code runs. It decides
// which functions a script may call; see [VU.NotIn].
type Stage uint8

// The stages, in the order in which a test passes through them.
const (
	StageInit     Stage = iota // top-level code, once per VU
	StageSetup                 // setup(), once per test
	StageVU                    // iterations
	StageTeardown              // teardown(), once per test
	StageSummary               // handleSummary(), once per test
)

// String names the stage as a script's author would.
func (s Stage) String() string {
	switch s {
	case StageInit:
		return "the init context"
	case StageSetup:
		return "setup()"
	case StageVU:
		return "VU code"
	case StageTeardown:
		return "teardown()"
	case StageSummary:
		return "handleSummary()"
	default:
		return fmt.Sprintf("stage %d", uint8(s))
	}
}

// NotIn panics with a GoError when the VU is in one of the stages. what names
// the function that the script called, for instance "check()".
func (vu *VU) NotIn(what string, stages ...Stage) {
	if slices.Contains(stages, vu.stage) {
		Throw(vu.rt, fmt.Errorf("%s cannot be used in %s", what, vu.stage))
	}
}

// OnlyInInit panics with a GoError unless the VU is in the init stage.
func (vu *VU) OnlyInInit(what string) {
	if vu.stage != StageInit {
		Throw(vu.rt, fmt.Errorf("%s can only be used in the init context, not in %s", what, vu.stage))
	}
}
