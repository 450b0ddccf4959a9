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

const (
	// etcdTry bounds one attempt at etcd where the caller tries again: a proposal
	// that is made while etcd has no leader hangs until its own deadline.
	etcdTry = 2 * time.Second
	// longestTry bounds the attempts of who tries until it works.
	longestTry = 30 * time.Second
	// etcdAgain is how long after an attempt that failed the next one comes.
	etcdAgain = 100 * time.Millisecond
)

// agent executes this node's part in the run that the hive is at. It lives as
// long as the node's process: a lease that is lost closes the fence of its
// engines, and a new one may open it again.
type agent struct {
	n *Node

	mu      sync.Mutex
	current *task // nil between runs
}

// Run follows the key that names the active run until ctx ends.
func (a *agent) Run(ctx context.Context) error {
	active := registry.NewKeyMirror(a.n.etcd, a.n.keys.Active())
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = active.Run(ctx) }) // ends with ctx and has nothing else to say
	if err := active.Wait(ctx); err != nil {
		return err
	}
	stop := func() {}
	defer func() { stop() }()
	var id string
	for {
		changed := active.Changed()
		kv, _ := active.Get(a.n.keys.Active())
		if now := string(kv.Value); now != id {
			stop()
			id, stop = now, func() {}
			for _, s := range a.n.keepers() {
				s.keepOnly(id)
			}
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
	ctx, cancel := context.WithCancelCause(ctx)
	t := newTask(a.n, id)
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
		cancel(errRunOver)
		<-done
		a.mu.Lock()
		a.current = nil
		a.mu.Unlock()
	}
}

// task is the run being executed, if it is the one named.
func (a *agent) task(run string) *task {
	t := a.present()
	if t == nil || t.run != run {
		return nil
	}
	return t
}

func (a *agent) present() *task {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

// busy says whether load is being sent.
func (a *agent) busy() bool {
	t := a.present()
	return t != nil && t.loading()
}

// free says whether this node has nothing left to do or to deliver.
func (a *agent) free() bool {
	t := a.present()
	return t == nil || t.free()
}

// persist tries until it works or ctx ends. An attempt that had no answer in its time is followed by one with twice as
// much: where all answers are late, asking anew before they are there would never get one, and only make them later.
func persist(ctx context.Context, try func(context.Context) error) error {
	for limit := etcdTry; ; {
		one, cancel := context.WithTimeout(ctx, limit)
		err := try(one)
		late := one.Err() != nil
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if late {
			limit = min(2*limit, longestTry)
		}
		pause(ctx, etcdAgain)
	}
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
