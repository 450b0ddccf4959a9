package simulation

import (
	"context"
	"fmt"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"hive/hive"
	"hive/registry"
)

// Observer looks at what a hive writes to etcd.
type Observer struct {
	client *clientv3.Client
	keys   hive.Keys
	nodes  *registry.Mirror
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// NewObserver looks at the hive that has the default name at an etcd.
func NewObserver(endpoints []string) (*Observer, error) {
	c, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("simulation: %w", err)
	}
	o := &Observer{client: c, keys: hive.NewKeys("hive")}
	o.nodes = registry.NewMirror(c, o.keys.Nodes())
	ctx, cancel := context.WithCancel(context.Background())
	o.cancel = cancel
	o.wg.Go(func() { _ = o.nodes.Run(ctx) }) // ends with ctx and has nothing else to say
	return o, nil
}

// Close ends looking.
func (o *Observer) Close() error {
	o.cancel()
	o.wg.Wait()
	return o.client.Close()
}

// Client is the observer's own.
func (o *Observer) Client() *clientv3.Client { return o.client }

// Keys are those of the hive.
func (o *Observer) Keys() hive.Keys { return o.keys }

// AwaitNodes waits until the hive has so many nodes.
func (o *Observer) AwaitNodes(ctx context.Context, count int) error {
	return await(ctx, o.nodes, func() bool {
		all, _ := o.nodes.All()
		return len(all) == count
	})
}

// AwaitLeader waits until a node leads whose id is not the one given, and
// returns its id.
func (o *Observer) AwaitLeader(ctx context.Context, not string) (id string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	m := registry.NewMirror(o.client, o.keys.Leader())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = m.Run(ctx) }) // ends with ctx and has nothing else to say
	err = await(ctx, m, func() bool {
		all, _ := m.All()
		var first registry.KV
		for _, kv := range all {
			if first.CreateRev == 0 || kv.CreateRev < first.CreateRev {
				first = kv
			}
		}
		id = string(first.Value)
		return id != "" && id != not
	})
	return id, err
}

// AwaitState waits until the state of a run is as is says, and returns it.
func (o *Observer) AwaitState(ctx context.Context, run string, is func(hive.State) bool) (st hive.State, err error) {
	ctx, cancel := context.WithCancel(ctx)
	m := registry.NewKeyMirror(o.client, o.keys.State(run))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = m.Run(ctx) }) // ends with ctx and has nothing else to say
	err = await(ctx, m, func() bool {
		if _, ok := m.Get(o.keys.State(run)); !ok {
			return false
		}
		next, _, err := hive.ReadState(ctx, o.client, o.keys, run)
		if err != nil {
			return false
		}
		st = next
		return is(st)
	})
	if err != nil {
		err = fmt.Errorf("%w (the run is %s in epoch %d, epoch %d is proposed)", err, st.Phase, st.Epoch, proposed(st))
	}
	return st, err
}

// await looks at every change of a mirror until it is as ok says.
func await(ctx context.Context, m *registry.Mirror, ok func() bool) error {
	for {
		more := m.Changed()
		if ok() {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("simulation: waited in vain: %w", context.Cause(ctx))
		}
	}
}

// proposed is the epoch that is being agreed upon; 0 for none.
func proposed(st hive.State) int {
	if st.Proposal == nil {
		return 0
	}
	return st.Proposal.Epoch
}
