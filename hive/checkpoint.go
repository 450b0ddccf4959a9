package hive

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
)

// Stage is how far the sender of a checkpoint has come.
type Stage int

const (
	StagePreparing Stage = iota
	StageRunning
	StageEnded    // its load is over; the metrics are complete but for teardown's
	StageTornDown // and teardown() has run on it
)

// Report is the head of a checkpoint: what a node says of its share beside
// the metrics. All of it is cumulative, so that one lost is healed by the next.
type Report struct {
	Node        string    `json:"node"`
	Incarnation int64     `json:"incarnation"`
	Seq         int64     `json:"seq"`
	Stage       Stage     `json:"stage"`
	Progress    Progress  `json:"progress"`
	Elapsed     int64     `json:"elapsed"` // nanoseconds since the start on this node; frozen when ended
	Failure     *Failure  `json:"failure,omitempty"`
	Marked      *Failure  `json:"marked,omitempty"` // exec.test.fail()
	Logs        []LogLine `json:"logs,omitempty"`   // that the leader has not acknowledged
	Start       StartSkew `json:"start"`
	Clock       ClockSkew `json:"clock"`
	Health      Health    `json:"health"`
	Worst       Health    `json:"worst"` // each figure by itself, while it sent load
	// At is when on the run's clock this was so.
	At time.Duration `json:"at,omitempty"`
	// Epoch is the newest epoch that the engine executes.
	Epoch int `json:"epoch,omitempty"`
	// Shut is the last time in which the node had no lease and sent nothing.
	Shut *Shut `json:"shut,omitempty"`
	// Ledger is what became of the iterations here, by scenario.
	Ledger []executor.Ledger `json:"ledger,omitempty"`
	// Folded are incarnations that are over and whose checkpoints this one sums up; a leader passes it on to its deputy.
	Folded lifeSet `json:"folded,omitempty"`
}

// StartSkew is how exactly a node began its load.
type StartSkew struct {
	Late   time.Duration `json:"late"`   // how long after the common instant the engine was started; 0 when in time
	Offset time.Duration `json:"offset"` // of the leader's clock against the node's
	RTT    time.Duration `json:"rtt"`    // the offset is right within half of it
}

// ClockSkew is how far a node's copy of the run's clock is from the run's, and
// how its wall clock fares, which the load does not go by.
type ClockSkew struct {
	Off   time.Duration `json:"off,omitempty"`   // as measured last, without what has been corrected since
	Worst time.Duration `json:"worst,omitempty"` // the most there was, for certain
	Set   time.Duration `json:"set,omitempty"`   // how far the wall clock has been set ahead since the node started
	Ahead time.Duration `json:"ahead,omitempty"` // how far it was ahead of the leader's when they were compared last
}

// LogLine is one message of a script's console or of an engine.
type LogLine struct {
	Node string `json:"node,omitempty"` // name
	Seq  int64  `json:"seq"`            // counts the lines of one life of a node in a run, from 1
	// Incarnation is that life; a line is the same as another with the same Incarnation and Seq.
	Incarnation int64          `json:"incarnation,omitempty"`
	Time        time.Time      `json:"time"`
	Level       slog.Level     `json:"level"`
	Message     string         `json:"message"`
	Attrs       map[string]any `json:"attrs,omitempty"`
}

// A checkpoint on the wire:
//
//	4 bytes  length of the head, big endian
//	n bytes  head: Report as JSON
//	rest     metric.Snapshot in its binary form; may be empty

func encodeCheckpoint(r Report, s *metric.Snapshot) ([]byte, error) {
	head, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode checkpoint: %w", err)
	}
	var body []byte
	if s != nil {
		if body, err = s.MarshalBinary(); err != nil {
			return nil, fmt.Errorf("encode checkpoint: %w", err)
		}
	}
	out := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(head)+len(body)), uint32(len(head)))
	return append(append(out, head...), body...), nil
}

func decodeCheckpoint(data []byte) (r Report, s *metric.Snapshot, err error) {
	if len(data) < 4 {
		return r, nil, fmt.Errorf("checkpoint of %d bytes: want at least 4", len(data))
	}
	n := binary.BigEndian.Uint32(data)
	data = data[4:]
	if uint64(n) > uint64(len(data)) {
		return r, nil, fmt.Errorf("checkpoint: head of %d bytes in a body of %d", n, len(data))
	}
	if err := json.Unmarshal(data[:n], &r); err != nil {
		return r, nil, fmt.Errorf("checkpoint: head: %w", err)
	}
	s = new(metric.Snapshot)
	if len(data) > int(n) {
		if err := s.UnmarshalBinary(data[n:]); err != nil {
			return r, nil, fmt.Errorf("checkpoint: metrics: %w", err)
		}
	}
	return r, s, nil
}
