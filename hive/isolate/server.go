package isolate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"hive/engine/executor"
	"hive/hive"
)

// ErrOrphaned says that the parent went away without closing the engine.
var ErrOrphaned = errors.New("isolate: the process that started this one is gone")

// Serve executes the requests that come from in on an engine that factory makes, and answers to out, until in ends. It
// returns nil when the engine was closed before, and ErrOrphaned otherwise: the engine may then still be at work, and
// nobody can stop it any more, so that the process has to end at once. Cancelling ctx ends what the engine does.
func Serve(ctx context.Context, in io.Reader, out io.Writer, factory hive.Factory) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &server{factory: factory, out: newSender(out), running: map[uint64]context.CancelFunc{}, control: make(chan frame, 64)}
	s.reporter = newReporter(s.out)
	s.wg.Go(func() { s.reporter.run(ctx) })
	s.wg.Go(func() {
		for f := range s.control {
			s.answer(ctx, f)
		}
	})
	err := s.read(ctx, in)
	stop()
	close(s.control)
	if !s.isClosed() {
		s.out.close()
		return errors.Join(ErrOrphaned, err)
	}
	s.wg.Wait()
	s.out.close()
	<-s.out.done
	return err
}

// server is the child's end.
type server struct {
	factory  hive.Factory
	out      *sender
	reporter *reporter
	control  chan frame // requests that are executed one after the other
	wg       sync.WaitGroup

	mu      sync.Mutex // guards what follows
	engine  hive.Engine
	running map[uint64]context.CancelFunc // requests that can be given up
	closed  bool
}

// read takes requests until there are none any more.
func (s *server) read(ctx context.Context, in io.Reader) error {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		f, err := readFrame(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		s.take(ctx, f)
	}
}

// take begins the execution of a request.
func (s *server) take(ctx context.Context, f frame) {
	switch {
	case f.Kind == cancel:
		s.mu.Lock()
		giveUp := s.running[f.ID]
		s.mu.Unlock()
		if giveUp != nil {
			giveUp()
		}
	case f.Method == methodExtend:
		s.answer(ctx, f) // at once, whatever else is under way
	case takesLong(f.Method):
		ctx, giveUp := context.WithCancel(ctx)
		s.mu.Lock()
		s.running[f.ID] = giveUp
		s.mu.Unlock()
		s.wg.Go(func() {
			defer giveUp()
			s.answer(ctx, f)
			s.mu.Lock()
			delete(s.running, f.ID)
			s.mu.Unlock()
		})
	default:
		s.control <- f
	}
}

// takesLong says whether others need not wait for a request. Those that do not take long are executed in order.
func takesLong(method string) bool {
	switch method {
	case methodLoad, methodInit, methodSetup, methodRun, methodWarm, methodTeardown, methodHandleSummary, methodSnapshot, methodClose:
		return true
	}
	return false
}

// runsScript says whether a request is over when the script is.
func runsScript(method string) bool { return takesLong(method) && method != methodSnapshot }

// answer executes a request, says how the engine fares after it, and replies.
func (s *server) answer(ctx context.Context, f frame) {
	result, payload, err := s.execute(ctx, f)
	out := frame{head{Kind: reply, ID: f.ID, Error: toWire(err)}, payload}
	if result != nil {
		if out.Args, err = encode(result); err != nil {
			out.Error = toWire(err)
		}
	}
	if f.Method != methodExtend {
		s.reporter.report(true)
	}
	if f.ID == 0 {
		return
	}
	send := s.out.send
	if runsScript(f.Method) {
		send = s.out.sendAtLeisure // the lines that the script logged come before
	}
	if err := send(out); err != nil {
		// What does not fit in a frame cannot be sent; that it does not can.
		_ = send(frame{head{Kind: reply, ID: f.ID, Error: toWire(err)}, nil})
	}
}

// execute is one request: what it results in, as JSON and in bytes.
func (s *server) execute(ctx context.Context, f frame) (result any, payload []byte, err error) {
	if f.Method == methodLoad {
		result, err = s.load(ctx, f)
		return result, nil, err
	}
	e := s.get()
	if e == nil {
		if f.Method == methodClose {
			s.setClosed()
			return nil, nil, nil
		}
		return nil, nil, fmt.Errorf("%s before there is an engine", f.Method)
	}
	switch f.Method {
	case methodInit:
		return nil, nil, e.Init(ctx)
	case methodSetup:
		payload, err = e.Setup(ctx)
		return nil, payload, err
	case methodRun:
		return nil, nil, with(f, func(a runArgs) error { return e.Run(ctx, a.Start.time(), a.Epoch, f.Payload) })
	case methodWarm:
		return nil, nil, with(f, func(a warmArgs) error { return e.Warm(ctx, a.Share) })
	case methodTeardown:
		return nil, nil, e.Teardown(ctx, f.Payload)
	case methodHandleSummary:
		return handleSummary(ctx, e, f.Payload)
	case methodSnapshot:
		payload, err = e.Snapshot().MarshalBinary()
		return nil, payload, err
	case methodClose:
		s.reporter.end()
		err := e.Close()
		s.setClosed()
		return nil, nil, err
	}
	return nil, nil, controlEngine(e, f)
}

// controlEngine executes a request that takes no time.
func controlEngine(e hive.Engine, f frame) error {
	switch f.Method {
	case methodPropose:
		return with(f, e.Propose)
	case methodCommit:
		return with(f, e.Commit)
	case methodWithdraw:
		e.Withdraw()
	case methodReceive:
		return with(f, func(slots []executor.Handover) error { e.Receive(slots); return nil })
	case methodAllow:
		return with(f, func(marks []executor.Marks) error { e.Allow(marks); return nil })
	case methodPauseAt:
		return with(f, func(run time.Duration) error { e.PauseAt(run); return nil })
	case methodResumeAt:
		return with(f, func(at instant) error { e.ResumeAt(at.time()); return nil })
	case methodAdjust:
		return with(f, func(d time.Duration) error { e.Adjust(d); return nil })
	case methodScaleAt:
		return with(f, func(a scaleArgs) error { return e.ScaleAt(a.Scenario, a.VUs, a.Run) })
	case methodExtend:
		return with(f, func(d deadline) error { e.Extend(d.time()); return nil })
	case methodStop:
		e.Stop()
	default:
		return fmt.Errorf("unknown request %q", f.Method)
	}
	return nil
}

// with gives a request's arguments to do.
func with[T any](f frame, do func(T) error) error {
	args, err := decode[T](f.Args)
	if err != nil {
		return err
	}
	return do(args)
}

func (s *server) load(ctx context.Context, f frame) (any, error) {
	args, err := decode[loadArgs](f.Args)
	if err != nil {
		return nil, err
	}
	if args.Version != hive.Version {
		return nil, hive.Failf(hive.KindEngine, "the engine process is of version %s, its node of version %s: restart the node", hive.Version, args.Version)
	}
	if s.get() != nil {
		return nil, errors.New("there is an engine already")
	}
	job := args.Job
	job.Archive, job.Log = f.Payload, slog.New(&logHandler{to: &logSender{to: s.out}})
	e, err := s.factory(ctx, job)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.engine = e
	s.mu.Unlock()
	s.reporter.begin(e)
	s.wg.Go(func() { s.watch(e) })
	return loadResult{e.Traits()}, nil
}

// watch passes on that the engine has broken down.
func (s *server) watch(e hive.Engine) {
	select {
	case <-e.Done():
		_ = sendNote(s.out, noteBroken, brokenNote{toWire(e.Err())}, nil) // a text always fits
	case <-s.reporter.ended:
	}
}

func handleSummary(ctx context.Context, e hive.Engine, data []byte) (any, []byte, error) {
	files, ran, err := e.HandleSummary(ctx, data)
	result := summaryResult{Ran: ran}
	var payload []byte
	for _, name := range slices.Sorted(maps.Keys(files)) {
		result.Files = append(result.Files, summaryFile{name, len(files[name])})
		payload = append(payload, files[name]...)
	}
	return result, payload, err
}

func (s *server) get() hive.Engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine
}

func (s *server) setClosed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
