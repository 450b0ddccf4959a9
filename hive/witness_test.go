package hive

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What was written down last is there for the next process, however this one ends.
func TestWitness(t *testing.T) {
	s := store{dir: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	if got := s.witnessed(); len(got) != 0 {
		t.Errorf("before any run: %v", got)
	}
	open := func(run string) *witness {
		w, err := s.witness(run)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.close() }) // as late as after a kill
		return w
	}
	note := func(w *witness, run time.Duration) {
		if err := w.saw(run); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when string, want time.Duration) {
		t.Helper()
		if got := s.witnessed(); got["run-1"] != want || len(got) != min(1, int(want)) {
			t.Errorf("%s: %v, want %s for run-1", when, got, want)
		}
	}
	first := open("run-1")
	want("before the load", 0)
	note(first, 5*time.Second)
	want("under load", 5*time.Second)
	second := open("run-1")
	want("started again", 5*time.Second)
	note(second, 3*time.Second)
	want("earlier on the clock", 5*time.Second)
	note(second, 7*time.Second)
	want("later", 7*time.Second)

	open("run-2")
	if err := os.WriteFile(filepath.Join(s.dir, "run-2", witnessFile), []byte("cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	want("one that was cut off", 7*time.Second)
	s.keepOnly("run-2")
	want("after the run", 0)
	if got := (store{}).witnessed(); len(got) != 0 {
		t.Errorf("the store that keeps nothing: %v", got)
	}
}

// A store that is there for witnesses only goes with the last of them.
func TestPassingStore(t *testing.T) {
	if memoryDir == "" {
		t.Skip("files of this system do not lie in memory")
	}
	s := store{dir: filepath.Join(t.TempDir(), "hive-a"), passing: true, log: slog.New(slog.DiscardHandler)}
	s.keepOnly("run-1")
	for _, run := range []string{"run-1", "run-2"} {
		w, err := s.witness(run)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.saw(time.Second), w.close()); err != nil {
			t.Fatal(err)
		}
	}
	s.keepOnly("run-2")
	if got := s.witnessed(); len(got) != 1 || got["run-2"] != time.Second {
		t.Errorf("got %v, want the run that goes on", got)
	}
	s.drop("run-2")
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left behind: %v", err)
	}
	w, err := s.witness("run-3")
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if err := s.leave(); err != nil {
		t.Fatal(err)
	}
	if got := s.witnessed(); len(got) != 0 {
		t.Errorf("after the node has left: %v", got)
	}
}

// In the machine's memory nobody else may have a say.
func TestOwnDir(t *testing.T) {
	if memoryDir == "" {
		t.Skip("files of this system do not lie in memory")
	}
	dir := filepath.Join(t.TempDir(), "hive-a")
	for _, when := range []string{"new", "again"} {
		if err := ownDir(dir); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := ownDir(dir); err == nil {
		t.Error("a directory of everybody was taken")
	}
	link := filepath.Join(t.TempDir(), "hive-b")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if err := ownDir(link); err == nil {
		t.Error("a link was taken")
	}
}
