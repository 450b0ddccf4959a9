package isolate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/share"
	"hive/hive"
)

// The methods of hive.Engine. What decides something waits for the child's word; what only tells it something does not,
// so that a child that hangs cannot hold its node up; what asks is answered from what was heard last.

// snapshotWait is how long a snapshot may take before the one before is given.
const snapshotWait = 2 * time.Second

func (c *client) Init(ctx context.Context) error {
	_, err := c.call(ctx, methodInit, nil, nil)
	return err
}

func (c *client) Setup(ctx context.Context) (json.RawMessage, error) {
	f, err := c.call(ctx, methodSetup, nil, nil)
	return f.Payload, err
}

func (c *client) Run(ctx context.Context, start time.Time, e executor.Epoch, setup json.RawMessage) error {
	_, err := c.call(ctx, methodRun, runArgs{instantOf(start), e}, setup)
	return err
}

func (c *client) Warm(ctx context.Context, s share.Share) error {
	_, err := c.call(ctx, methodWarm, warmArgs{s}, nil)
	return err
}

func (c *client) Teardown(ctx context.Context, setup json.RawMessage) error {
	_, err := c.call(ctx, methodTeardown, nil, setup)
	return err
}

func (c *client) HandleSummary(ctx context.Context, data []byte) (map[string][]byte, bool, error) {
	f, err := c.call(ctx, methodHandleSummary, nil, data)
	if f.Args == nil {
		return nil, false, err
	}
	r, decodeErr := decode[summaryResult](f.Args)
	if decodeErr != nil {
		return nil, false, decodeErr
	}
	files, splitErr := split(r.Files, f.Payload)
	if splitErr != nil {
		return nil, false, splitErr
	}
	return files, r.Ran, err
}

// split takes files apart that came one after the other.
func split(names []summaryFile, data []byte) (map[string][]byte, error) {
	if names == nil {
		return nil, nil
	}
	files := map[string][]byte{}
	for _, n := range names {
		if n.Size < 0 || n.Size > len(data) {
			return nil, fmt.Errorf("engine process: the file %s of %d bytes is not in the %d that came", n.Name, n.Size, len(data))
		}
		files[n.Name], data = slices.Clip(data[:n.Size]), data[n.Size:]
	}
	return files, nil
}

func (c *client) Propose(e executor.Epoch) error { return c.ask(methodPropose, e) }
func (c *client) Commit(e executor.Epoch) error  { return c.ask(methodCommit, e) }

func (c *client) ScaleAt(scenario string, vus int, run time.Duration) error {
	return c.ask(methodScaleAt, scaleArgs{scenario, vus, run})
}

func (c *client) Withdraw()                         { c.tell(methodWithdraw, nil) }
func (c *client) Receive(slots []executor.Handover) { c.tell(methodReceive, slots) }
func (c *client) Allow(marks []executor.Marks)      { c.tell(methodAllow, marks) }
func (c *client) PauseAt(run time.Duration)         { c.tell(methodPauseAt, run) }
func (c *client) ResumeAt(at time.Time)             { c.tell(methodResumeAt, instantOf(at)) }
func (c *client) Adjust(d time.Duration)            { c.tell(methodAdjust, d) }
func (c *client) Extend(until time.Time)            { c.tell(methodExtend, deadlineOf(until)) }
func (c *client) Stop()                             { c.tell(methodStop, nil) }

func (c *client) NeedMarks() <-chan struct{} { return c.need }
func (c *client) Done() <-chan struct{}      { return c.done }
func (c *client) Traits() hive.Traits        { return c.traits }
func (c *client) Registry() *metric.Registry { return c.registry }

// Begun is nothing before the child is gone.
func (c *client) Begun() []executor.Marks {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun
}

func (c *client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

// heard is the engine's state as the child told it last. It is read only.
func (c *client) heard() state {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *client) Ledger() []executor.Ledger     { return c.heard().Ledger }
func (c *client) Released() []executor.Handover { return c.heard().Released }
func (c *client) Progress() hive.Progress       { return c.heard().Rest.Progress }
func (c *client) Marks() []executor.Marks       { return c.heard().Rest.Marks }

// Health is as the child told it last, with its memory and the limit as they are watched here:
// a child that collects garbage all the time hardly comes to speak.
func (c *client) Health() hive.Health {
	h := *c.heard().Rest.Health
	if h != (hive.Health{}) {
		h.Memory, h.MemoryMax = max(h.Memory, c.process.resident.Load()), c.cfg.Memory
	}
	return h
}

func (c *client) MarkedFailed() (string, bool) {
	r := c.heard().Rest
	return r.Reason, r.Marked
}

// Snapshot asks the child, and gives what it said last when it is gone or does not answer soon.
func (c *client) Snapshot() *metric.Snapshot {
	s, err := c.fetchSnapshot()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.snapshot = s
	}
	return c.snapshot
}

func (c *client) fetchSnapshot() (*metric.Snapshot, error) {
	id, answer, err := c.send(methodSnapshot, nil, nil)
	if err != nil {
		return nil, err
	}
	late := time.NewTimer(snapshotWait)
	defer late.Stop()
	select {
	case f, ok := <-answer:
		if f, err = c.result(f, ok); err != nil {
			return nil, err
		}
		s := new(metric.Snapshot)
		return s, s.UnmarshalBinary(f.Payload)
	case <-late.C:
		c.mu.Lock()
		delete(c.calls, id)
		c.mu.Unlock()
		return nil, context.DeadlineExceeded
	}
}
