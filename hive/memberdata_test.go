package hive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What etcd would end the process over, or lose the hive over, is an error in words; what it can build anew is none.
func TestDamagedMember(t *testing.T) {
	t.Parallel()
	whole := t.TempDir()
	n := launch(t, Config{Name: "n1", DataDir: whole, Capacity: 1}, &script{})
	n.stop(nil)
	const log, db = "etcd/member/wal", "etcd/member/snap/db"
	firstLog := func(dir string) string {
		names, err := filepath.Glob(filepath.Join(dir, log, "*.wal"))
		if err != nil || len(names) == 0 {
			t.Fatalf("no log in %s: %v", dir, err)
		}
		return names[0]
	}
	overwrite := func(path string, at int64, text string) error {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte(text), at)
		return errors.Join(err, f.Close())
	}
	for name, tt := range map[string]struct {
		damage func(dir string) error
		want   string // in the error; empty for none
	}{
		"whole":            {func(string) error { return nil }, ""},
		"no database":      {func(dir string) error { return os.Remove(filepath.Join(dir, db)) }, ""},
		"empty log":        {func(dir string) error { return os.Truncate(firstLog(dir), 0) }, "damaged"},
		"overwritten log":  {func(dir string) error { return overwrite(firstLog(dir), 200, strings.Repeat("\xff", 400)) }, "damaged"},
		"no log":           {func(dir string) error { return os.RemoveAll(filepath.Join(dir, log)) }, "no log"},
		"no files of it":   {func(dir string) error { return os.RemoveAll(firstLog(dir)) }, "no log"},
		"no member":        {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "etcd")) }, "no log"},
		"cut database":     {func(dir string) error { return os.Truncate(filepath.Join(dir, db), 8192) }, "damaged"},
		"strange database": {func(dir string) error { return overwrite(filepath.Join(dir, db), 0, strings.Repeat("garbage ", 1100)) }, "damaged"},
		"no identity":      {func(dir string) error { return os.Remove(filepath.Join(dir, "identity.json")) }, "identity.json is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := errors.Join(os.CopyFS(dir, os.DirFS(whole)), tt.damage(dir)); err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				launch(t, Config{Name: "n1", DataDir: dir, Capacity: 1}, &script{})
				return
			}
			n, err := New(Config{Name: "n1", DataDir: dir, Address: "127.0.0.1:0", Factory: (&script{}).factory("n1")})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if _, err := os.Stat(filepath.Join(dir, db)); err != nil && name != "no member" {
				t.Errorf("the database was touched: %v", err)
			}
		})
	}
}

// A node that has lost the data of its member, and nothing else, gets it again from the others.
func TestMemberWithoutItsData(t *testing.T) {
	t.Parallel()
	all := three(t, 2*time.Second, time.Second)
	all[2].kill()
	if err := os.RemoveAll(filepath.Join(all[2].DataDir, "etcd")); err != nil {
		t.Fatal(err)
	}
	all[2] = all[2].again("").joined()
	within(t, 30*time.Second, "it is a voter again", func() bool { return slices.Equal(voters(all[2].nodes()), []string{"n1", "n2", "n3"}) })
	all[0].kill() // with a dead voter in the list this would be the end
	within(t, 20*time.Second, "the other two go on", func() bool { return len(all[2].nodes()) == 2 })
}
