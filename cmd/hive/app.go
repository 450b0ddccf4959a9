package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"
)

// app is one invocation of the program: where it reads and writes, and what does the work.
type app struct {
	stdin   io.Reader
	screen  *screen
	environ []string   // the process's environment
	lookup  lookupFunc // one variable of it
	leave   func()     // ends the process on the second Ctrl-C
	giveUp  func()     // ends the process when it would take the last of the memory
	started time.Time
	logs    *logs // open while a command runs
}

// newApp is the program with the process's own streams and environment.
func newApp() *app {
	return &app{
		stdin:   os.Stdin,
		screen:  newScreen(os.Stdout, os.Stderr),
		environ: os.Environ(),
		lookup:  os.LookupEnv,
		leave:   func() { os.Exit(exitInterrupted) },
		giveUp:  func() { os.Exit(exitOther) },
		started: time.Now(),
	}
}

// Run executes a command line, without the program's name, and returns the exit code.
func (a *app) Run(ctx context.Context, args []string) int {
	program := a.program()
	words, err := normalise(program, args)
	if err == nil {
		err = program.RunContext(ctx, append([]string{program.Name}, words...))
	}
	code := exitCode(err)
	a.report(err)
	if a.logs != nil {
		if err := a.logs.Close(); err != nil {
			a.report(err)
		}
	}
	return code
}

// report tells the user of an error, in the log where one is open.
func (a *app) report(err error) {
	if err == nil {
		return
	}
	l := a.logs
	if l == nil {
		l = plainLogs(a.screen, a.started)
	}
	l.Error(err.Error())
}

// program is the command line as urfave/cli takes it. It reads what normalise has rewritten.
func (a *app) program() *cli.App {
	p := &cli.App{
		Name:                      "hive",
		Usage:                     "a load tester that runs k6 scripts on one machine or on a hive of equal peers",
		Version:                   version,
		HideVersion:               true,
		HideHelpCommand:           true,
		Writer:                    a.screen.out,
		ErrWriter:                 a.screen.err,
		Reader:                    a.stdin,
		ExitErrHandler:            func(*cli.Context, error) {}, // exit codes are given in main
		OnUsageError:              func(_ *cli.Context, err error, _ bool) error { return usageError("%w", err) },
		DisableSliceFlagSeparator: true, // -e A=b,c is one value
		Flags:                     []cli.Flag{&cli.BoolFlag{Name: "version", Usage: "print the version of this program"}},
		Action:                    a.root,
	}
	p.Commands = []*cli.Command{
		a.runCommand(), a.joinCommand(), a.nodesCommand(), a.runsCommand(), a.showCommand(), a.attachCommand(), a.eventsCommand(),
		a.stopCommand(), a.pauseCommand(), a.resumeCommand(), a.scaleCommand(), a.drainCommand(),
		a.archiveCommand(), a.inspectCommand(), a.newCommand(), a.completionCommand(), a.versionCommand(), a.engineCommand(),
	}
	for _, c := range p.Commands {
		a.complete(c)
	}
	return p
}

// complete gives a command what all have: the common flags, and its log opened before it acts.
func (a *app) complete(c *cli.Command) {
	c.Flags = append(c.Flags, commonFlags()...)
	c.HideHelpCommand = true
	c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return flagError(c.Flags, err) }
	c.Before = func(c *cli.Context) error {
		logs, err := openLogs(logConfig{
			Format:  c.String("log-format"),
			Output:  c.String("log-output"),
			Verbose: c.Bool("verbose"),
			Color:   a.color(c, a.screen.err),
		}, a.screen, a.started)
		a.logs = logs
		return err
	}
}

// root is `hive` without a command.
func (a *app) root(c *cli.Context) error {
	if c.Bool("version") {
		return a.printVersion(false)
	}
	return cli.ShowAppHelp(c)
}

// color says whether a stream gets colours.
func (a *app) color(c *cli.Context, to *stream) bool {
	return to.tty && colorAllowed(c.Bool("no-color"), a.lookup)
}

// display is where a run is shown.
func (a *app) display(c *cli.Context) *display {
	return &display{screen: a.screen, quiet: c.Bool("quiet"), color: a.color(c, a.screen.out)}
}

// noArguments refuses words that a command has no use for.
func noArguments(c *cli.Context) error {
	if c.NArg() > 0 {
		return usageError("%s takes no arguments; found %q", c.Command.Name, c.Args().First())
	}
	return nil
}

// oneArgument is the single word that a command needs; what says which.
func oneArgument(c *cli.Context, what string) (string, error) {
	if n := c.NArg(); n != 1 {
		return "", usageError("%s takes one argument, %s; found %d", c.Command.Name, what, n)
	}
	return c.Args().First(), nil
}
