package registry

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// KV is one key of a [Mirror] with the revisions of its creation and last
// change.
type KV struct {
	Value     []byte
	CreateRev int64
	ModRev    int64
	Lease     int64 // 0 for none
}

// Mirror is a local copy of the keys under a prefix (or of one key), kept
// current by [Mirror.Run]. It is level-triggered: readers are woken and look
// at what is there, so that events that were missed do not matter.
type Mirror struct {
	client *clientv3.Client
	prefix string
	exact  bool

	mu      sync.Mutex    // guards what follows
	synced  chan struct{} // closed when the keys have been read
	kvs     map[string]KV
	rev     int64
	changed chan struct{}
	records map[string]record // by key
	nodes   []Node            // of a mirror of records, as they were decoded
	nodesAt chan struct{}     // what changed was then
}

// NewMirror returns a mirror of all keys that begin with prefix.
func NewMirror(c *clientv3.Client, prefix string) *Mirror {
	return &Mirror{client: c, prefix: prefix, synced: make(chan struct{}), kvs: map[string]KV{}, changed: make(chan struct{})}
}

// NewKeyMirror returns a mirror of one key.
func NewKeyMirror(c *clientv3.Client, key string) *Mirror {
	m := NewMirror(c, key)
	m.exact = true
	return m
}

// listTry bounds one read of the whole prefix: what is asked while etcd has no
// leader hangs till its own deadline.
const listTry = 3 * time.Second

// Run keeps the mirror current until ctx ends, and returns ctx's error. While
// etcd does not answer, the mirror stands still and Run tries again.
func (m *Mirror) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		from, err := m.list(ctx)
		if err == nil {
			err = m.watch(ctx, from+1)
		}
		if err != nil && !errors.Is(err, errCompacted) {
			sleep(ctx, 200*time.Millisecond)
		}
	}
	return ctx.Err()
}

// Wait blocks until the first list has been read, or ctx ends.
func (m *Mirror) Wait(ctx context.Context) error {
	m.mu.Lock()
	synced := m.synced
	m.mu.Unlock()
	select {
	case <-synced:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Synced says whether the first list has been read.
func (m *Mirror) Synced() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.isSynced()
}

// isSynced is Synced; m.mu is held.
func (m *Mirror) isSynced() bool {
	select {
	case <-m.synced:
		return true
	default:
		return false
	}
}

// Reset empties a mirror that does not run: it is as if it were new.
func (m *Mirror) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isSynced() {
		m.synced = make(chan struct{})
	}
	m.kvs, m.rev, m.records, m.nodes, m.nodesAt = map[string]KV{}, 0, nil, nil, nil
	m.wake()
}

// Changed is closed at the next change after this call. Take it before
// reading, so that no change falls in between.
func (m *Mirror) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// All returns a copy of the mirrored keys and the revision they stand at.
// The values are shared; do not modify them.
func (m *Mirror) All() (map[string]KV, int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.kvs), m.rev
}

// Under returns the mirrored keys that begin with prefix. The values are
// shared; do not modify them.
func (m *Mirror) Under(prefix string) map[string]KV {
	m.mu.Lock()
	defer m.mu.Unlock()
	kvs := map[string]KV{}
	for key, kv := range m.kvs {
		if strings.HasPrefix(key, prefix) {
			kvs[key] = kv
		}
	}
	return kvs
}

// Get returns one mirrored key.
func (m *Mirror) Get(key string) (KV, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kv, ok := m.kvs[key]
	return kv, ok
}

var errCompacted = errors.New("registry: watch compacted")

func (m *Mirror) options(more ...clientv3.OpOption) []clientv3.OpOption {
	if m.exact {
		return more
	}
	return append(more, clientv3.WithPrefix())
}

func (m *Mirror) list(ctx context.Context) (rev int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTry)
	defer cancel()
	resp, err := m.client.Get(ctx, m.prefix, m.options()...)
	if err != nil {
		return 0, err
	}
	kvs := make(map[string]KV, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		kvs[string(kv.Key)] = entry(kv)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kvs, m.rev = kvs, resp.Header.Revision
	if !m.isSynced() {
		close(m.synced)
	}
	m.wake()
	return m.rev, nil
}

func (m *Mirror) watch(ctx context.Context, from int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for w := range m.client.Watch(clientv3.WithRequireLeader(ctx), m.prefix, m.options(clientv3.WithRev(from))...) {
		if w.CompactRevision != 0 {
			return errCompacted
		}
		if err := w.Err(); err != nil {
			return err
		}
		m.apply(w.Events, w.Header.Revision)
	}
	return errors.New("registry: watch ended")
}

func (m *Mirror) apply(events []*clientv3.Event, rev int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ev := range events {
		if ev.Type == clientv3.EventTypeDelete {
			delete(m.kvs, string(ev.Kv.Key))
			continue
		}
		m.kvs[string(ev.Kv.Key)] = entry(ev.Kv)
	}
	m.rev = rev
	m.wake()
}

// wake tells all readers that something changed; m.mu is held.
func (m *Mirror) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func entry(kv *mvccpb.KeyValue) KV {
	return KV{Value: kv.Value, CreateRev: kv.CreateRevision, ModRev: kv.ModRevision, Lease: kv.Lease}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
