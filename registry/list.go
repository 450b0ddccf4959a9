package registry

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// List reads the node records from etcd, sorted by name: unlike those of a [Mirror], they are never older than the call.
func (r *Registry) List(ctx context.Context) ([]Node, error) {
	resp, err := r.client.Get(ctx, r.nodes, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("registry: list the nodes: %w", err)
	}
	kvs := make(map[string]KV, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		kvs[string(kv.Key)] = entry(kv)
	}
	nodes, _ := decode(kvs, nil)
	return nodes, nil
}

// Read reads one node's record from etcd; ok is false when there is none that can be read.
func (r *Registry) Read(ctx context.Context, id string) (n Node, ok bool, err error) {
	resp, err := r.client.Get(ctx, r.nodes+id)
	if err != nil {
		return Node{}, false, fmt.Errorf("registry: read the record of node %s: %w", id, err)
	}
	if len(resp.Kvs) == 0 {
		return Node{}, false, nil
	}
	rec := read(entry(resp.Kvs[0]))
	return rec.Node, rec.readable, nil
}
