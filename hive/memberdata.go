package hive

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// errDamaged is in the error of a node whose member cannot start from its data.
var errDamaged = errors.New("the data of this node's etcd member is damaged")

// databaseTry bounds the wait for a database that another process has open.
const databaseTry = time.Second

func (d *dataDir) walDir() string { return filepath.Join(d.memberDir(), "member", "wal") }

// hasMember says whether a member's data is there to start from.
func (d *dataDir) hasMember() bool { return wal.Exist(d.walDir()) }

// checkMember fails if the data of a member is not whole, as far as that is seen without reading all of it. etcd itself
// ends the process over most of this.
func (d *dataDir) checkMember() error {
	snap, err := checkWAL(d.walDir())
	if err == nil {
		err = checkDatabase(filepath.Join(d.memberDir(), "member", "snap", "db"), snap.GetIndex() > 0)
	}
	if err != nil {
		return fmt.Errorf("%w: %w: restore %s, or start with another --data-dir: where three nodes hold the hive's etcd, it comes to hold a member again", errDamaged, err, d.memberDir())
	}
	return nil
}

// checkWAL reads the log, and returns the last snapshot that it names. What a crash leaves at its end is no damage.
func checkWAL(dir string) (snap *walpb.Snapshot, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the log in %s: %v", dir, r)
		}
	}()
	snap = &walpb.Snapshot{}
	snaps, err := wal.ValidSnapshotEntries(zap.NewNop(), dir)
	if err != nil {
		return nil, fmt.Errorf("the log in %s: %w", dir, err)
	}
	if len(snaps) > 0 {
		snap = snaps[len(snaps)-1]
	}
	if _, err := wal.Verify(zap.NewNop(), dir, snap); err != nil {
		return nil, fmt.Errorf("the log in %s: %w", dir, err)
	}
	return snap, nil
}

// checkDatabase opens the database and sees that nothing is cut off. One that is not there is built anew from the log,
// unless the log begins later: then it is needed.
func checkDatabase(path string, needed bool) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && !needed {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the database: %w", err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: databaseTry})
	if err != nil {
		return fmt.Errorf("the database %s: %w", path, err)
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("the database %s has %d bytes, and should have %d", path, info.Size(), tx.Size())
		}
		return nil
	})
}

// startEtcd starts a member. etcd panics over a disk that is full or cannot be written, which is an error here.
func startEtcd(cfg *embed.Config) (e *embed.Etcd, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, err = nil, fmt.Errorf("it could not start in %s: %v", cfg.Dir, r)
		}
	}()
	return embed.StartEtcd(cfg)
}

// lastWords passes on what an embedded etcd says before it ends the process, and nothing else.
type lastWords struct {
	log    *slog.Logger
	fields []zapcore.Field
}

func (w lastWords) Enabled(level zapcore.Level) bool { return level >= zapcore.PanicLevel }

func (w lastWords) With(fields []zapcore.Field) zapcore.Core {
	return lastWords{w.log, append(w.fields[:len(w.fields):len(w.fields)], fields...)}
}

func (w lastWords) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if w.Enabled(e.Level) {
		return c.AddCore(e, w)
	}
	return c
}

func (w lastWords) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range append(w.fields[:len(w.fields):len(w.fields)], fields...) {
		f.AddTo(enc)
	}
	var attrs []any
	if reason, ok := enc.Fields["error"]; ok {
		attrs = append(attrs, "reason", reason)
	}
	w.log.Error("embedded etcd cannot go on: "+e.Message, attrs...)
	return nil
}

func (w lastWords) Sync() error { return nil }
