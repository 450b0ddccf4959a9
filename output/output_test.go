package output_test

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hive/engine/metric"
	"hive/output"
	"hive/output/csv"
	"hive/output/json"
)

var (
	_ output.Output = (*json.Output)(nil)
	_ output.Output = (*csv.Output)(nil)
)

func TestQueueWritesAtIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var batches []int
		q := output.NewQueue(time.Second, func(s []metric.Sample) error {
			batches = append(batches, len(s))
			return nil
		})
		q.Start()
		q.Add(make([]metric.Sample, 2))
		q.Add(make([]metric.Sample, 3))
		time.Sleep(1500 * time.Millisecond)
		q.Add(make([]metric.Sample, 4))
		if err := q.Stop(); err != nil {
			t.Fatal(err)
		}
		if len(batches) != 2 || batches[0] != 5 || batches[1] != 4 {
			t.Errorf("batches are %v, want [5 4]", batches)
		}
	})
}

func TestQueueKeepsTheFirstError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		q := output.NewQueue(time.Second, func([]metric.Sample) error { return full })
		q.Start()
		q.Add(make([]metric.Sample, 1))
		time.Sleep(2 * time.Second)
		q.Add(make([]metric.Sample, 1))
		if err := q.Stop(); !errors.Is(err, full) {
			t.Errorf("stop gives %v, want %v", err, full)
		}
	})
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	var stdout strings.Builder
	for _, name := range []string{"", output.Stdout, filepath.Join(dir, "a.txt"), filepath.Join(dir, "a.txt.gz")} {
		w, err := output.Create(name, &stdout)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "hello"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := stdout.String(); got != "hellohello" {
		t.Errorf("stdout got %q", got)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a.txt")); err != nil || string(got) != "hello" {
		t.Errorf("the file holds %q, %v", got, err)
	}
	f, err := os.Open(filepath.Join(dir, "a.txt.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || string(got) != "hello" {
		t.Errorf("the compressed file holds %q, %v", got, err)
	}
	if _, err := output.Create(filepath.Join(dir, "no", "such", "dir"), nil); err == nil {
		t.Error("a file in a folder that is missing is created")
	}
}
