package hive

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// witnessEvery is how often a node that sends load writes down how far the
// run's clock has come.
const witnessEvery = 200 * time.Millisecond

// witnessFile lies beside the checkpoints of a run. It holds nanoseconds on the
// run's clock, little endian.
const (
	witnessFile = "clock"
	witnessSize = 8
)

// witness is a file that says until when on a run's clock load was sent here,
// for the case that the whole hive dies: what etcd knows may be old then, since
// load needs no disk and whatever is written does. It is not forced to the
// disk: it is to outlive the process, not the machine.
type witness struct {
	file *os.File
	last time.Duration
}

// keepers are where witnesses lie: beside the checkpoints, which the next
// process finds wherever it is started, and in the machine's memory, which
// takes them even while the disk does not answer.
func (n *Node) keepers() []store { return []store{n.store(), n.memory} }

// memoryStore is the one in memory. It is there while there is a witness in it.
// Without a data directory, or where there is no such place, it keeps nothing.
func (n *Node) memoryStore() store {
	if n.dir.temp || memoryDir == "" {
		return store{log: n.log}
	}
	return store{dir: filepath.Join(memoryDir, "hive-"+n.dir.id.Node), passing: true, log: n.log}
}

// claim makes the directory of a run.
func (s store) claim(run string) (dir string, err error) {
	if s.passing {
		if err := ownDir(s.dir); err != nil {
			return "", err
		}
	}
	dir = filepath.Join(s.dir, run)
	return dir, os.MkdirAll(dir, 0o700)
}

// leave removes a store that nobody is to come back to.
func (s store) leave() error {
	if !s.passing {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// witness opens that of a run.
func (s store) witness(run string) (*witness, error) {
	dir, err := s.claim(run)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, witnessFile)
	was, err := readWitness(name)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &witness{file: file, last: was}, nil
}

// saw writes down that load was sent until a moment on the run's clock, unless
// it was later already.
func (w *witness) saw(run time.Duration) error {
	if run <= w.last {
		return nil
	}
	w.last = run
	_, err := w.file.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(run)), 0)
	return err
}

func (w *witness) close() error { return w.file.Close() }

// readWitness is what the file says: 0 when there is none, or when a loss of
// power has cut it off.
func readWitness(file string) (time.Duration, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(data) != witnessSize {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return max(0, time.Duration(binary.LittleEndian.Uint64(data))), nil
}

// witnessed is, by run, until when on its clock earlier processes of this node
// sent load.
func (n *Node) witnessed() map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, s := range n.keepers() {
		for run, at := range s.witnessed() {
			all[run] = max(all[run], at)
		}
	}
	return all
}

func (s store) witnessed() map[string]time.Duration {
	if s.dir == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "*", witnessFile))
	if err != nil {
		return nil
	}
	all := map[string]time.Duration{}
	for _, file := range files {
		run, err := readWitness(file)
		if err != nil {
			s.log.Warn("how far a run had come here cannot be read", "reason", err)
		} else if run > 0 {
			all[filepath.Base(filepath.Dir(file))] = run
		}
	}
	return all
}

// testify writes down how far the run's clock has come while load is sent here,
// until ctx ends.
func (t *task) testify(ctx context.Context, s store) {
	if s.dir == "" {
		return
	}
	tick := time.NewTicker(witnessEvery)
	defer tick.Stop()
	var w *witness
	var said complaint
	defer func() {
		if w != nil {
			_ = w.close()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !t.loading() {
			continue
		}
		var err error
		if w == nil {
			w, err = s.witness(t.run)
		}
		if err == nil {
			err = w.saw(t.clock.Now())
		}
		if err != nil && said.due(err) {
			t.log.Warn("how far the run has come could not be written down here", "reason", err)
		}
	}
}
