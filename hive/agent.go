package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/registry"
)

// etcdTry bounds one attempt at etcd where the caller tries again: a proposal
// that is made while etcd has no leader hangs until its own deadline.
const etcdTry = 2 * time.Second

// agent executes this node's part in the run that the hive is at. It lives as
// long as the node's lease: when that goes, all load of this node is stopped.
type agent struct {
	n       *Node
	session *registry.Session
	self    registry.Node

	mu      sync.Mutex
	current *task // nil between runs
}

// Run follows the key that names the active run until ctx ends.
func (a *agent) Run(ctx context.Context) error {
	active := registry.NewKeyMirror(a.n.etcd, a.n.keys.Active())
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = active.Run(ctx) }) // ends with ctx and has nothing else to say
	stop := func() {}
	defer func() { stop() }()
	var id string
	for {
		changed := active.Changed()
		kv, _ := active.Get(a.n.keys.Active())
		if now := string(kv.Value); now != id {
			stop()
			id, stop = now, func() {}
			if id != "" {
				stop = a.start(ctx, id)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if a.busy() {
				a.n.log.Warn("the load of this node is stopped", "run", id, "reason", context.Cause(ctx))
			}
			return ctx.Err()
		}
	}
}

// start executes a run; stop ends that and waits for it.
func (a *agent) start(ctx context.Context, id string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	t := newTask(a, id)
	a.mu.Lock()
	a.current = t
	a.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := t.Run(ctx); err != nil && ctx.Err() == nil {
			a.n.log.Error("this node cannot take part in the run", "run", id, "reason", err)
		}
	}()
	return func() {
		cancel()
		<-done
		a.mu.Lock()
		a.current = nil
		a.mu.Unlock()
	}
}

// task is the run being executed, if it is the one named.
func (a *agent) task(run string) *task {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current == nil || a.current.run != run {
		return nil
	}
	return a.current
}

func (a *agent) busy() bool {
	a.mu.Lock()
	t := a.current
	a.mu.Unlock()
	return t != nil && t.loading()
}

// persist tries until it works or ctx ends. A lease that is gone cannot work.
func (a *agent) persist(ctx context.Context, try func(context.Context) error) error {
	for {
		one, cancel := context.WithTimeout(ctx, etcdTry)
		err := try(one)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !a.session.Valid() {
			return registry.ErrLeaseLost
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// put writes a key under the node's lease.
func (a *agent) put(ctx context.Context, key string, v any) error {
	return a.persist(ctx, func(ctx context.Context) error {
		return putJSON(ctx, a.n.etcd, key, v, clientv3.WithLease(a.session.Lease()))
	})
}

// putJSON writes v under key.
func putJSON(ctx context.Context, kv clientv3.KV, key string, v any, opts ...clientv3.OpOption) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	if _, err := kv.Put(ctx, key, string(data), opts...); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// getJSON reads key into v; found is false when there is no such key.
func getJSON(ctx context.Context, kv clientv3.KV, key string, v any) (found bool, err error) {
	resp, err := kv.Get(ctx, key)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", key, err)
	}
	if len(resp.Kvs) == 0 {
		return false, nil
	}
	if err := json.Unmarshal(resp.Kvs[0].Value, v); err != nil {
		return true, fmt.Errorf("read %s: %w", key, err)
	}
	return true, nil
}
