package hive

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keepEvery is how often the newest checkpoint of an engine is written to the
// data directory.
const keepEvery = time.Second

// keptLives is how many incarnations of this node in a run are kept: a node
// that dies over and over does not fill its disk. What was before these is in
// the memory of leader and deputy only.
const keptLives = 50

// store keeps the newest checkpoint of each incarnation of this node in its
// data directory, so that a process that starts again can deliver what the one
// before it had measured: runs/<run>/<incarnation>.ckpt, in the form that
// checkpoints have on the wire. The zero store keeps nothing.
type store struct {
	dir     string
	passing bool // the directory goes with the last run in it, and others may make one of the same name
	log     *slog.Logger
}

// kept is a checkpoint of an earlier process.
type kept struct {
	Incarnation int64
	Report      Report
	body        []byte
}

// store is that of the node; a temporary data directory needs none.
func (n *Node) store() store {
	if n.dir == nil || n.dir.temp {
		return store{log: n.log}
	}
	return store{dir: filepath.Join(n.dir.path, "runs"), log: n.log}
}

// write replaces the checkpoint of an incarnation. It is not forced to the
// disk: a machine that loses power loses a few seconds of it.
func (s store) write(run string, inc int64, body []byte) error {
	if s.dir == "" {
		return nil
	}
	dir := filepath.Join(s.dir, run)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(dir, strconv.FormatInt(inc, 10)+".ckpt")
	_, err := os.Stat(file)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err := os.WriteFile(file+".new", body, 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil || !fresh {
		return err
	}
	return s.bound(dir)
}

// bound deletes the oldest incarnations of a run past those that are kept.
func (s store) bound(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var lives []int64
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".ckpt"); ok {
			if life, err := strconv.ParseInt(name, 10, 64); err == nil {
				lives = append(lives, life)
			}
		}
	}
	slices.Sort(lives)
	var errs []error
	for _, life := range lives[:max(0, len(lives)-keptLives)] {
		errs = append(errs, os.Remove(filepath.Join(dir, strconv.FormatInt(life, 10)+".ckpt")))
	}
	return errors.Join(errs...)
}

// read returns what is kept of a run. What cannot be read is left out.
func (s store) read(run string) (all []*kept) {
	if s.dir == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(s.dir, run, "*.ckpt"))
	if err != nil {
		return nil
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			s.log.Warn("a kept checkpoint cannot be read", "reason", err)
			continue
		}
		report, _, err := decodeCheckpoint(body)
		if err != nil || strings.TrimSuffix(filepath.Base(file), ".ckpt") != strconv.FormatInt(report.Incarnation, 10) {
			s.log.Warn("a kept checkpoint is damaged and left out", "file", file, "reason", err)
			continue
		}
		all = append(all, &kept{Incarnation: report.Incarnation, Report: report, body: body})
	}
	return all
}

// drop forgets a run.
func (s store) drop(run string) {
	if s.dir == "" || run == "" {
		return
	}
	if err := os.RemoveAll(filepath.Join(s.dir, run)); err != nil {
		s.log.Warn("kept checkpoints of a finished run are left behind", "run", run, "reason", err)
	}
	if s.passing {
		_ = os.Remove(s.dir) // unless there is another run in it
	}
}

// keepOnly forgets all runs but one.
func (s store) keepOnly(run string) {
	if s.dir == "" {
		return
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return // there is none yet
	}
	for _, e := range entries {
		if e.Name() != run {
			s.drop(e.Name())
		}
	}
}
