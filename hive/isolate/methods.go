package isolate

import (
	"encoding/json"
	"fmt"
	"time"

	"hive/engine/executor"
	"hive/engine/share"
	"hive/hive"
)

// The methods of requests are those of hive.Engine, and the factory.
const (
	methodLoad          = "load" // payload: the archive
	methodInit          = "init"
	methodSetup         = "setup" // payload of the reply: what setup returned
	methodRun           = "run"   // payload: what setup returned
	methodWarm          = "warm"
	methodPropose       = "propose"
	methodCommit        = "commit"
	methodWithdraw      = "withdraw"
	methodReceive       = "receive"
	methodAllow         = "allow"
	methodPauseAt       = "pauseAt"
	methodResumeAt      = "resumeAt"
	methodAdjust        = "adjust"
	methodScaleAt       = "scaleAt"
	methodExtend        = "extend"
	methodStop          = "stop"
	methodTeardown      = "teardown"      // payload: what setup returned
	methodHandleSummary = "handleSummary" // payload: the data; of the reply: the files, one after the other
	methodSnapshot      = "snapshot"      // payload of the reply: metric.Snapshot in its binary form
	methodClose         = "close"
)

// The methods of notes.
const (
	noteLog    = "log"    // logRecord
	noteState  = "state"  // state
	noteNeed   = "need"   // the engine wants marks; a state came before
	noteBroken = "broken" // brokenNote: the engine says that it cannot go on
)

type loadArgs struct {
	Version string   `json:"version"` // of the parent: both must be the same program
	Job     hive.Job `json:"job"`     // without archive and log
}

type loadResult struct {
	Traits hive.Traits `json:"traits"`
}

type runArgs struct {
	Start instant        `json:"start"`
	Epoch executor.Epoch `json:"epoch"`
}

type warmArgs struct {
	Share share.Share `json:"share"`
}

type scaleArgs struct {
	Scenario string        `json:"scenario"`
	VUs      int           `json:"vus"`
	Run      time.Duration `json:"run"`
}

type summaryResult struct {
	Ran   bool          `json:"ran"`
	Files []summaryFile `json:"files,omitempty"`
}

type summaryFile struct {
	Name string `json:"name"`
	Size int    `json:"size"`
}

type brokenNote struct {
	Error *wireError `json:"error"`
}

// state is how an engine fares. The counters come often; the rest, which takes longer to find out, less so, and is nil
// in between.
type state struct {
	Ledger   []executor.Ledger   `json:"ledger"`
	Released []executor.Handover `json:"released,omitempty"`
	Rest     *rest               `json:"rest,omitempty"`
}

type rest struct {
	Progress hive.Progress    `json:"progress"`
	Marks    []executor.Marks `json:"marks,omitempty"`
	Marked   bool             `json:"marked,omitempty"` // as failed, by the script
	Reason   string           `json:"reason,omitempty"`
	Health   *hive.Health     `json:"health,omitempty"`  // nil when it is the same as before
	Metrics  []hive.MetricDef `json:"metrics,omitempty"` // all definitions, when there are new ones
}

// encode writes the arguments or results of a frame.
func encode(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("engine process: %w", err)
	}
	return data, nil
}

// sendNote sends what was not asked for.
func sendNote(to *sender, method string, v any, payload []byte) error {
	args, err := encode(v)
	if err != nil {
		return err
	}
	return to.send(frame{head{Kind: note, Method: method, Args: args}, payload})
}

// decode reads arguments or results.
func decode[T any](data json.RawMessage) (v T, err error) {
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("engine process: %w", err)
	}
	return v, nil
}
