package hive

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

func mustDuration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fillUp writes until the database takes no more.
func fillUp(t *testing.T, n *running) {
	t.Helper()
	value := strings.Repeat("x", 1<<20)
	within(t, longWait, "the database is full", func() bool {
		_, err := n.etcd.Put(t.Context(), "/test/key", value) // the same key: what was overwritten stays until it is compacted
		return errors.Is(err, rpctypes.ErrNoSpace)
	})
}

// A database that is full takes writes again once the old data is out of it,
// and long before that no archive is taken.
func TestFullDatabase(t *testing.T) {
	t.Parallel()
	n := launch(t, Config{Name: "n1", Capacity: 1, quota: 16 << 20}, &script{})
	ctx := t.Context()
	if err := n.roomFor(ctx, 1<<20); err != nil {
		t.Errorf("an empty database has no room: %v", err)
	}
	err := n.roomFor(ctx, 9<<20)
	if se, ok := errors.AsType[*statusError](err); !ok || !strings.Contains(se.message, "no room") {
		t.Errorf("more than half of the quota: got %v, want a refusal", err)
	}
	fillUp(t, n)
	if err := n.makeRoom(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := n.etcd.Put(ctx, "/test/key", "x"); err != nil {
		t.Errorf("after making room: %v", err)
	}
	st, err := n.etcd.Status(ctx, n.etcd.Endpoints()[0])
	if err != nil || st.DbSize > 8<<20 || len(st.Errors) > 0 {
		t.Errorf("got %v (%v), want a small database without an alarm", fmt.Sprint(st), err)
	}
}
