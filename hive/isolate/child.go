package isolate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"hive/hive"
)

const (
	// pipesVariable in the environment says that the process was started by a node, and with which files.
	pipesVariable = "HIVE_ENGINE_PIPES"
	pipesValue    = "3,4"
	recordValue   = pipesValue + ",5"
	// The files of a child: where requests come from, where answers go to, and where it writes down what it begins.
	requestsFile = 3
	answersFile  = 4
	recordFile   = 5
)

// ErrNotStartedByNode says that there is nobody to serve.
var ErrNotStartedByNode = errors.New("engine processes are started by a node for a run; to run a test use hive run, to take part in a hive use hive join")

// Child is all that an engine process does: it serves the node that started it until the engine is closed or the node is
// gone. It must be the whole of the process: see [Serve].
func Child(ctx context.Context, factory hive.Factory) error {
	pipes := os.Getenv(pipesVariable)
	if pipes != pipesValue && pipes != recordValue {
		return ErrNotStartedByNode
	}
	in, err := inherited(requestsFile, "requests")
	if err != nil {
		return err
	}
	out, err := inherited(answersFile, "answers")
	if err != nil {
		return err
	}
	// What ends a node politely reaches its whole process group; the node tells when its engine is to end.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	standOut()
	if pipes == recordValue {
		if factory, err = recording(factory); err != nil {
			return fmt.Errorf("%w (%w)", ErrNotStartedByNode, err)
		}
	}
	return Serve(ctx, in, out, factory)
}

// recording makes engines that write down what they begin where the parent can read it.
func recording(factory hive.Factory) (hive.Factory, error) {
	begun, err := inheritedRecord()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, job hive.Job) (hive.Engine, error) {
		job.Begun = begun
		return factory(ctx, job)
	}, nil
}

// inherited is a pipe that the parent left open for this process.
func inherited(fd int, name string) (*os.File, error) {
	if err := adopt(fd); err != nil {
		return nil, fmt.Errorf("%w (%s: %w)", ErrNotStartedByNode, name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return nil, fmt.Errorf("%w (%s: no pipe)", ErrNotStartedByNode, name)
	}
	return f, nil
}
