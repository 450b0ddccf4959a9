package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"hive/engine/executor"
	"hive/engine/options"
	"hive/engine/share"
	"hive/hive"
)

func (a *app) runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run a test on this machine, or on a hive with --remote",
		ArgsUsage: "FILE",
		Description: "FILE is a script, a URL, an archive, or - for a script on standard input.\n" +
			"Options come, each above the one before, from the configuration file, the script, the environment and the command line.\n" +
			"The first Ctrl-C ends the test, the second leaves at once.",
		Flags: join(scriptCommandFlags(true), outcomeFlags(), hiveFlags(false), []cli.Flag{
			&cli.BoolFlag{Name: "detach", Usage: "with --remote: print the run's id and leave; `hive attach` follows it"},
		}, policyFlags()),
		Action: a.run,
	}
}

func (a *app) run(c *cli.Context) error {
	remote := c.String("remote")
	if c.Bool("detach") && remote == "" {
		return usageError("--detach needs --remote: a local run ends with this process")
	}
	if remote == "" && slices.Contains(c.FlagNames(), "remote") {
		return usageError("--remote is empty: name a node of the hive, host:port or a URL, or leave the flag out to run here")
	}
	policy, err := parsePolicy(c, a.lookup)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(c.Context, func() { a.leaveRun(remote) })
	defer stop()
	ctx, unwatch := a.boundMemory(ctx)
	defer unwatch()
	s, err := a.open(ctx, c)
	if err != nil {
		return failureOr(ctx, interruptedError(ctx, err))
	}
	j, err := a.job(c, s, policy)
	if err != nil {
		return err
	}
	d := a.display(c)
	d.quiet = d.quiet || c.Bool("detach") // the id alone is for scripts to read
	d.Header(execution(remote), c.Args().First(), describeOutputs(j.Outputs))
	if remote == "" {
		err = a.runLocal(ctx, c, j, d)
	} else {
		err = a.runRemote(ctx, c, j, d)
	}
	if c.Bool("linger") || (s.config.linger && !c.IsSet("linger")) {
		a.linger(ctx)
	}
	return err
}

// job is a test with everything that was decided about running it.
type job struct {
	Name    string // of the script, as the user wrote it
	Script  *hive.Script
	Options options.Options
	Outputs []outputSpec // of a local run
	Flags   hive.Flags
	Log     *slog.Logger
}

// job is everything that the command line, the environment and the script say about this run.
func (a *app) job(c *cli.Context, s script, policy hive.Policy) (job, error) {
	if err := checkSupported(s.options, c.String("remote") != ""); err != nil {
		return job{}, err
	}
	flags := hive.Flags{
		Policy:       policy,
		NoThresholds: c.Bool("no-thresholds"),
		SummaryMode:  c.String("summary-mode"),
		NoColor:      !colorAllowed(c.Bool("no-color"), a.lookup),
		StdoutTTY:    a.screen.out.tty,
		StderrTTY:    a.screen.err.tty,
		Detached:     c.Bool("detach"),
		NewSummary:   c.Bool("new-machine-readable-summary"),
	}
	if flags.NewSummary {
		flags.Script = s.Text()
	}
	if err := s.Check(s.options, flags); err != nil {
		return job{}, err
	}
	specs, err := outputs(c, s.config, s.lookup)
	if err != nil {
		return job{}, err
	}
	if len(specs) > 0 && c.String("remote") != "" {
		return job{}, usageError("--out %s writes the samples of a local run; a hive merges its nodes' metrics instead: leave it out with --remote", specs[0].Type)
	}
	return job{
		Name:    s.entry,
		Script:  s.Script,
		Options: s.options,
		Outputs: specs,
		Flags:   flags,
		Log:     a.logs.Logger,
	}, nil
}

// runLocal runs the job here. Ctrl-C interrupts the iterations; teardown() and the summary still follow.
func (a *app) runLocal(ctx context.Context, c *cli.Context, j job, d *display) error {
	part, err := localShare(j.Options)
	if err != nil {
		return err
	}
	d.Plan(hive.WholePlan(j.Name, "", j.Options.Scenarios, part))
	sinks := &sinks{}
	cfg := hive.EngineConfig{Options: j.Options, Share: part, Log: j.Log}
	if len(j.Outputs) > 0 {
		cfg.Raw = sinks.Add
	}
	engine, err := j.Script.Engine(cfg)
	if err != nil {
		return interruptedError(ctx, err)
	}
	if err := sinks.start(j, engine.Registry(), a.lookup, a.screen.out); err != nil {
		return errors.Join(err, engine.Close())
	}
	local := &hive.Local{Name: j.Name, Options: j.Options, Flags: j.Flags, Engine: engine, Share: part, Phase: d.Phase, Warn: func(s string) { j.Log.Warn(s) }}
	stop := d.Follow(engine.Progress)
	r := local.Run(ctx, context.WithoutCancel(ctx))
	stop()
	if err := errors.Join(engine.Close(), sinks.Stop()); err != nil {
		j.Log.Error(err.Error())
	}
	return a.conclude(c, r)
}

// localShare is what runs on this machine: everything, or the part that the execution segment picks.
func localShare(opts options.Options) (share.Share, error) {
	plan := executor.Layout(opts.Scenarios)
	if opts.ExecutionSegment == "" && opts.ExecutionSegmentSequence == "" {
		return share.Whole(plan), nil
	}
	part, err := share.FromSegment(plan, opts.ExecutionSegment, opts.ExecutionSegmentSequence)
	return part, withCode(exitConfig, err)
}

func execution(remote string) string {
	if remote == "" {
		return "local"
	}
	return "hive at " + remote
}

// stopTimeout is how long a hive has to take the request to stop a run.
const stopTimeout = 10 * time.Second

// stopPause is between two attempts at that.
const stopPause = 200 * time.Millisecond

// runRemote hands the job to a hive and follows it to its end. Ctrl-C asks the hive to stop the run and goes on
// following: the summary still comes.
func (a *app) runRemote(ctx context.Context, c *cli.Context, j job, d *display) error {
	client, err := a.client(c)
	if err != nil {
		return err
	}
	defer client.Close()
	run, err := submit(ctx, client, j)
	if err != nil {
		return interruptedError(ctx, err)
	}
	if c.Bool("detach") {
		a.logs.Info(fmt.Sprintf("the run was submitted; follow it with: hive attach --remote %s %s", c.String("remote"), run))
		_, err := fmt.Fprintln(a.screen.out, run)
		return err
	}
	asked := make(chan struct{})
	unasked := context.AfterFunc(ctx, func() {
		defer close(asked)
		a.askToStop(context.WithoutCancel(ctx), client, run)
	})
	r, err := a.follow(context.WithoutCancel(ctx), client, run, d)
	if !unasked() {
		<-asked
	}
	if err != nil {
		return err
	}
	return a.conclude(c, r)
}

// askToStop passes the user's Ctrl-C on to the hive.
func (a *app) askToStop(ctx context.Context, client *hive.Client, run string) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	var err error
	for ctx.Err() == nil {
		err = client.Stop(ctx, run, hive.StopRequest{Mode: hive.StopInterrupt, By: submitter(), Kind: hive.KindInterrupted})
		if err == nil || !hive.Passing(err) {
			break
		}
		select { // etcd or a node may be away for a moment
		case <-time.After(stopPause):
		case <-ctx.Done():
		}
	}
	if err != nil {
		a.logs.Error("the hive could not be asked to stop the run", slog.String("run", run), slog.Any("error", err))
	}
}

// leaveRun ends the process at the second signal, and says what becomes of the run.
func (a *app) leaveRun(remote string) {
	if remote == "" {
		a.logs.Error("left at the second signal, without waiting for teardown() and the summary")
	} else {
		a.logs.Error("left at the second signal; if the run was submitted, the hive goes on to end it: see `hive runs`")
	}
	a.leave()
}

// linger waits for a signal, unless one has come already.
func (a *app) linger(ctx context.Context) {
	a.logs.Info("the test has ended; lingering until Ctrl-C")
	<-ctx.Done()
}
