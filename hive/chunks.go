package hive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// chunkSize keeps a write well below etcd's limit of 1.5 MiB a request.
const chunkSize = 512 << 10

// Chunks describes a value that is stored in parts under <key>/<n>.
type Chunks struct {
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
	N      int    `json:"n"`
}

// putFunc writes one key: plainly, or fenced by an election key.
type putFunc func(ctx context.Context, key, value string, opts ...clientv3.OpOption) error

// putChunks stores data under key/0, key/1, … and returns the description,
// which the caller writes last.
func putChunks(ctx context.Context, put putFunc, key string, data []byte) (Chunks, error) {
	sum := sha256.Sum256(data)
	c := Chunks{Size: len(data), SHA256: hex.EncodeToString(sum[:])}
	for rest := data; len(rest) > 0; c.N++ {
		n := min(len(rest), chunkSize)
		if err := put(ctx, fmt.Sprintf("%s/%d", key, c.N), string(rest[:n])); err != nil {
			return c, fmt.Errorf("store %s: %w", key, err)
		}
		rest = rest[n:]
	}
	return c, nil
}

// getChunks reads what putChunks stored and checks it against its digest.
func getChunks(ctx context.Context, kv clientv3.KV, key string, c Chunks) ([]byte, error) {
	var data []byte
	for i := range c.N {
		resp, err := kv.Get(ctx, fmt.Sprintf("%s/%d", key, i))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", key, err)
		}
		if len(resp.Kvs) == 0 {
			return nil, fmt.Errorf("read %s: part %d of %d is missing", key, i, c.N)
		}
		data = append(data, resp.Kvs[0].Value...)
	}
	if sum := sha256.Sum256(data); len(data) != c.Size || hex.EncodeToString(sum[:]) != c.SHA256 {
		return nil, fmt.Errorf("read %s: %d bytes do not have the digest they were stored with", key, len(data))
	}
	return data, nil
}
