package hive

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func TestStoreOfCheckpoints(t *testing.T) {
	s := store{dir: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	for inc := range int64(3) {
		body, err := encodeCheckpoint(Report{Node: "n", Incarnation: inc + 1, Stage: StageRunning, Seq: 7}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.write("run-1", inc+1, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "run-1", "3.ckpt"), []byte("cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := s.read("run-1")
	if len(got) != 2 || got[0].Incarnation != 1 || got[1].Incarnation != 2 || got[0].Report.Stage != StageRunning || got[0].Report.Seq != 7 {
		t.Errorf("got %+v, want the two that are whole, as they were", got)
	}
	s.keepOnly("run-1")
	if len(s.read("run-1")) != 2 {
		t.Error("the active run was forgotten")
	}
	s.keepOnly("run-2")
	if len(s.read("run-1")) != 0 {
		t.Error("a run that is not active any more is kept")
	}
	if err := (store{}).write("run", 1, nil); err != nil {
		t.Errorf("the store that keeps nothing: %v", err)
	}
	for life := range int64(keptLives + 3) {
		if err := s.write("run-3", life+1, []byte("a checkpoint")); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "run-3", "*"))
	if err != nil || len(files) != keptLives {
		t.Errorf("%d files are kept of a node that died over and over (%v), want %d", len(files), err, keptLives)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "run-3", "3.ckpt")); err == nil {
		t.Error("the oldest life is kept, and not the newest")
	}
}
