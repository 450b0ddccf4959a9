package isolate

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"hive/engine/executor"
	"hive/engine/metric"
	"hive/engine/options"
	"hive/hive"
)

// Config says how engines are isolated.
type Config struct {
	// Command starts a process that calls [Child]. Empty means this program with the word "engine".
	Command []string
	// Memory is how many bytes an engine may use before it is stopped. 0 means [DefaultMemory] when it is started;
	// negative means no limit.
	Memory int64
	// Log takes what there is to say of the processes themselves. Nil means that it is dropped.
	Log *slog.Logger

	title   string        // of a child in lists of processes; empty means its command
	silence time.Duration // after which a child counts as stalled; 0 means stallAfter
}

// stallAfter is how long a child may say nothing, or take for what takes no time.
const stallAfter = 10 * time.Second

// loggedOutput is how much of what a dead child printed goes to the log.
const loggedOutput = 8 << 10

// Factory makes engines that run in processes of their own, one process for each.
func Factory(cfg Config) hive.Factory {
	cfg.silence = cmp.Or(cfg.silence, stallAfter)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return func(ctx context.Context, job hive.Job) (hive.Engine, error) {
		cfg := cfg
		if err := cfg.complete(); err != nil {
			return nil, hive.Failf(hive.KindEngine, "%v", err)
		}
		scenarios, kept := keepRecord(cfg.Log, job)
		p, err := spawn(cfg, kept)
		if err != nil {
			return nil, errors.Join(hive.Failf(hive.KindEngine, "%v", err), kept.free())
		}
		cfg.Log.Info("an engine process was started", "run", job.Run, "pid", p.cmd.Process.Pid, "memory limit", limitText(cfg.Memory))
		c := newClient(cfg, p, job)
		c.scenarios, c.kept = scenarios, kept
		c.watch()
		if err := c.load(ctx, job); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return c, nil
	}
}

func limitText(bytes int64) string {
	if bytes == 0 {
		return "none"
	}
	return size(bytes)
}

// complete fills in what is worked out when an engine is made.
func (cfg *Config) complete() error {
	if cfg.Memory == 0 {
		cfg.Memory = DefaultMemory()
	}
	cfg.Memory = max(0, cfg.Memory)
	if len(cfg.Command) > 0 {
		return nil
	}
	own, err := ownProgram()
	if err != nil {
		return fmt.Errorf("find this program to start the engine process: %w", err)
	}
	cfg.Command, cfg.title = []string{own, "engine"}, os.Args[0]
	return nil
}

// client is the parent's end: an engine that runs elsewhere.
type client struct {
	cfg       Config
	job       slog.Handler // of the script's log
	process   *process
	out       *sender
	registry  *metric.Registry
	scenarios []executor.Scenario
	kept      *record // what the child has begun; nil without any, and once it was read
	traits    hive.Traits
	need      chan struct{}
	done      chan struct{}
	wg        sync.WaitGroup
	closing   sync.Once
	closed    error // of Close

	mu       sync.Mutex // guards what follows
	calls    map[uint64]chan<- frame
	lastID   uint64
	state    state // as heard last; Rest is never nil
	snapshot *metric.Snapshot
	begun    []executor.Marks // of a child that is gone, beyond what it has certainly begun nothing
	broken   error            // why done is closed
	gone     error            // the process has ended: what all calls return
}

func newClient(cfg Config, p *process, job hive.Job) *client {
	c := &client{
		cfg: cfg, job: slog.DiscardHandler, process: p, out: newSender(p.in), registry: metric.NewRegistry(),
		need: make(chan struct{}, 1), done: make(chan struct{}), calls: map[uint64]chan<- frame{},
		state: noState(), snapshot: new(metric.Snapshot),
	}
	if job.Log != nil {
		c.job = job.Log.Handler()
	}
	return c
}

// watch begins to listen to the child and to look after it.
func (c *client) watch() {
	c.wg.Go(c.read)
	c.wg.Go(func() { c.process.watch(c.cfg.silence) })
	c.wg.Go(c.process.watchMemory)
}

// keepRecord makes the memory in which the job's engine writes down how far it has come with counted iterations; nil when
// there are none, or no such memory: more is then unknown of an engine that dies.
func keepRecord(log *slog.Logger, job hive.Job) ([]executor.Scenario, *record) {
	var opts options.Options
	if json.Unmarshal(job.Options, &opts) != nil {
		return nil, nil // the engine refuses them in words
	}
	n := executor.BegunSize(opts.Scenarios)
	if n == 0 {
		return nil, nil
	}
	kept, err := newRecord(n)
	if err != nil {
		log.Warn("what an engine has begun will not be known if it dies", "reason", err)
	}
	return opts.Scenarios, kept
}

// noState is what is known of an engine that has said nothing yet.
func noState() state { return state{Rest: &rest{Health: &hive.Health{}}} }

// read takes what the child says until it is gone, and then says why.
func (c *client) read() {
	r := bufio.NewReaderSize(c.process.out, 64<<10)
	var err error
	for {
		var f frame
		if f, err = readFrame(r); err != nil {
			break
		}
		c.process.alive.Store(true)
		if err = c.take(f); err != nil {
			break
		}
	}
	c.bury(err)
}

// bury ends everything that waits for the child, which cannot be understood any more, or is gone.
func (c *client) bury(err error) {
	p := c.process
	if p.leaving.Load() {
		<-p.exited
	} else {
		select {
		case <-p.exited:
		case <-time.After(leaveWait): // it closed its pipe, or wrote what is no frame, and lives on
			p.kill(fmt.Sprintf("the engine process was stopped: what it says is not understood: %v", err))
			<-p.exited
		}
	}
	c.out.close()
	_ = p.in.Close()  // closed before when it was told to leave
	_ = p.out.Close() // everything in it was read
	<-c.out.done
	c.readRecord()
	gone := p.why().failure()
	if p.leaving.Load() {
		gone = hive.Failf(hive.KindEngine, "the engine is closed")
	} else {
		c.tellDeath(gone)
		c.breakDown(gone)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = cmp.Or[error](c.broken, gone)
	for id, answer := range c.calls {
		close(answer)
		delete(c.calls, id)
	}
}

// readRecord keeps what the child, which is gone, had begun.
func (c *client) readRecord() {
	begun := c.kept.marks(c.scenarios)
	if err := c.kept.free(); err != nil {
		c.cfg.Log.Debug("memory shared with an engine process was not given back", "reason", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = begun
}

func (c *client) tellDeath(why *hive.Failure) {
	text := c.process.output.String()
	if len(text) > loggedOutput {
		text = text[:loggedOutput] + "…"
	}
	attrs := []any{"pid", c.process.cmd.Process.Pid, "reason", why.Message}
	if text != "" {
		attrs = append(attrs, "output", text)
	}
	c.cfg.Log.Error("an engine has died", attrs...)
}

// breakDown notes why the engine cannot go on; the first reason counts.
func (c *client) breakDown(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		c.broken = why
		close(c.done)
	}
}

// take acts on a frame.
func (c *client) take(f frame) error {
	switch {
	case f.Kind == reply:
		c.mu.Lock()
		answer := c.calls[f.ID]
		delete(c.calls, f.ID)
		c.mu.Unlock()
		if answer != nil {
			answer <- f
		}
		return nil
	case f.Kind != note:
		return fmt.Errorf("a frame of kind %q", f.Kind)
	}
	switch f.Method {
	case noteLog:
		r, err := decode[logRecord](f.Args)
		if err != nil {
			return err
		}
		_ = r.handle(context.Background(), c.job) // a line that cannot be kept is no fault of the engine
		return nil
	case noteState:
		return c.takeState(f.Args)
	case noteNeed:
		select {
		case c.need <- struct{}{}:
		default:
		}
		return nil
	case noteBroken:
		n, err := decode[brokenNote](f.Args)
		if err != nil {
			return err
		}
		c.breakDown(n.Error.err())
		return nil
	}
	return fmt.Errorf("a note of kind %q", f.Method)
}

// takeState keeps what the child says of its engine. A note without one only says that the child lives.
func (c *client) takeState(data json.RawMessage) error {
	if len(data) == 0 {
		return nil
	}
	s, err := decode[state](data)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.state.Rest
	if s.Rest == nil {
		s.Rest = before
	}
	if s.Rest.Health == nil {
		s.Rest.Health = before.Health
	}
	for _, d := range s.Rest.Metrics {
		if _, err := c.registry.Register(d.Name, d.Kind, d.Contains); err != nil {
			return err
		}
	}
	s.Rest.Metrics = nil
	c.state = s
	return nil
}

// send makes a request and returns where its answer comes; the channel is closed without one when the child is gone.
func (c *client) send(method string, args any, payload []byte) (id uint64, answer <-chan frame, err error) {
	data, err := encode(args)
	if err != nil {
		return 0, nil, err
	}
	ch := make(chan frame, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone != nil {
		return 0, nil, c.gone
	}
	c.lastID++
	if err := c.out.send(frame{head{Kind: request, ID: c.lastID, Method: method, Args: data}, payload}); err != nil {
		return 0, nil, err
	}
	c.calls[c.lastID] = ch
	return c.lastID, ch, nil
}

// tell makes a request that has no answer.
func (c *client) tell(method string, args any) {
	data, err := encode(args)
	if err != nil {
		return // numbers and lists of them can always be written
	}
	_ = c.out.send(frame{head{Kind: request, Method: method, Args: data}, nil})
}

// call makes a request and waits for its answer. When ctx ends, the child is told, and has as long as for any other
// answer to give up.
func (c *client) call(ctx context.Context, method string, args any, payload []byte) (frame, error) {
	id, answer, err := c.send(method, args, payload)
	if err != nil {
		return frame{}, err
	}
	select {
	case f, ok := <-answer:
		return c.result(f, ok)
	case <-ctx.Done():
	}
	_ = c.out.send(frame{head{Kind: cancel, ID: id}, nil}) // a head as short as this one always fits
	return c.await(answer)
}

// ask makes a request that takes no time, and waits for its answer.
func (c *client) ask(method string, args any) error {
	_, answer, err := c.send(method, args, nil)
	if err != nil {
		return err
	}
	_, err = c.await(answer)
	return err
}

// await waits for an answer that is due now. A child that does not give it is of no use any more.
func (c *client) await(answer <-chan frame) (frame, error) {
	late := time.NewTimer(c.cfg.silence)
	defer late.Stop()
	select {
	case f, ok := <-answer:
		return c.result(f, ok)
	case <-late.C:
	}
	c.process.kill(stalled(c.cfg.silence))
	f, ok := <-answer
	return c.result(f, ok)
}

// result is what an answer says.
func (c *client) result(f frame, ok bool) (frame, error) {
	if ok {
		return f, f.Error.err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return frame{}, c.gone
}

func (c *client) load(ctx context.Context, job hive.Job) error {
	archive := job.Archive
	job.Archive, job.Log = nil, nil
	f, err := c.call(ctx, methodLoad, loadArgs{Version: hive.Version, Job: job}, archive)
	if err != nil {
		return err
	}
	r, err := decode[loadResult](f.Args)
	c.traits = r.Traits
	return err
}

// Close closes the engine and ends its process. It may be called again, and on an engine whose process has died.
func (c *client) Close() error {
	c.closing.Do(func() {
		c.closed = c.ask(methodClose, nil)
		c.mu.Lock()
		gone := c.gone
		c.mu.Unlock()
		if gone != nil {
			c.closed = nil // nothing is left to be closed, and Err says why
		}
		c.process.leave()
		c.wg.Wait()
	})
	return c.closed
}
