package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	chunkSize     = 512 << 10 // bytes; the size at which a cluster of three stores fastest
	maxStored     = 256 << 20 // bytes of one archive: a small etcd holds a few of these
	storeAttempts = 3         // to write an archive that somebody deletes meanwhile
)

// ErrNotStored is returned by [Fetch] for an archive that etcd does not hold completely.
var ErrNotStored = errors.New("archive: not stored")

// meta is the last key to be written of a stored archive: it says that all chunks are there.
type meta struct {
	Size   int64 `json:"size"`   // bytes
	Chunks int   `json:"chunks"` // keys 0 … Chunks-1
}

// MetaKey is the key whose presence says that the archive is stored: a transaction that starts to
// use an archive compares it, and is then safe from a Delete.
func MetaKey(prefix, digest string) string { return blobPrefix(prefix, digest) + "meta" }

func blobPrefix(prefix, digest string) string {
	return strings.TrimSuffix(prefix, "/") + "/blobs/" + digest + "/"
}

func chunkKey(prefix, digest string, n int) string {
	return fmt.Sprintf("%s%d", blobPrefix(prefix, digest), n)
}

// Store writes a packed archive under its digest, in chunks below prefix/blobs/digest/. An archive that
// is already there is not written again.
func Store(ctx context.Context, kv clientv3.KV, prefix, digest string, data []byte) error {
	if got := DigestOf(data); got != digest {
		return fmt.Errorf("archive: store %s: the data have the digest %s", digest, got)
	}
	if len(data) > maxStored {
		return fmt.Errorf("archive: store %s: %d bytes are more than the %d that a hive keeps", digest, len(data), maxStored)
	}
	if have, err := stored(ctx, kv, prefix, digest); err != nil || have {
		return wrapStore(digest, err)
	}
	for range storeAttempts {
		complete, err := storeOnce(ctx, kv, prefix, digest, data)
		if err != nil || complete {
			return wrapStore(digest, err)
		}
	}
	return fmt.Errorf("archive: store %s: it was deleted %d times while it was written", digest, storeAttempts)
}

func wrapStore(digest string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("archive: store %s: %w", digest, err)
}

// stored says whether an archive is there with all of its chunks.
func stored(ctx context.Context, kv clientv3.KV, prefix, digest string) (bool, error) {
	resp, err := kv.Txn(ctx).Then(
		clientv3.OpGet(MetaKey(prefix, digest)),
		clientv3.OpGet(blobPrefix(prefix, digest), clientv3.WithPrefix(), clientv3.WithCountOnly()),
	).Commit()
	if err != nil {
		return false, err
	}
	found := resp.Responses[0].GetResponseRange().Kvs
	if len(found) == 0 {
		return false, nil
	}
	var m meta
	if err := json.Unmarshal(found[0].Value, &m); err != nil {
		return false, nil // not ours: written anew
	}
	return resp.Responses[1].GetResponseRange().Count == int64(m.Chunks+1), nil
}

// storeOnce writes the chunks and then the meta key. It is incomplete when chunks were deleted
// meanwhile, which the transaction that writes the meta key counts.
func storeOnce(ctx context.Context, kv clientv3.KV, prefix, digest string, data []byte) (complete bool, err error) {
	m := meta{Size: int64(len(data))}
	for from := 0; from < len(data); from += chunkSize {
		chunk := data[from:min(from+chunkSize, len(data))]
		if _, err := kv.Put(ctx, chunkKey(prefix, digest, m.Chunks), string(chunk)); err != nil {
			return false, err
		}
		m.Chunks++
	}
	value, err := json.Marshal(m)
	if err != nil {
		return false, err
	}
	resp, err := kv.Txn(ctx).Then(
		clientv3.OpPut(MetaKey(prefix, digest), string(value)),
		clientv3.OpGet(blobPrefix(prefix, digest), clientv3.WithPrefix(), clientv3.WithCountOnly()),
	).Commit()
	if err != nil {
		return false, err
	}
	return resp.Responses[1].GetResponseRange().Count == int64(m.Chunks+1), nil
}

// Fetch reads a packed archive and checks it against its digest. An archive that is missing, or
// incomplete, is [ErrNotStored].
func Fetch(ctx context.Context, kv clientv3.KV, prefix, digest string) ([]byte, error) {
	data, err := fetch(ctx, kv, prefix, digest)
	if err != nil {
		return nil, fmt.Errorf("archive: fetch %s: %w", digest, err)
	}
	if got := DigestOf(data); got != digest {
		return nil, fmt.Errorf("archive: fetch %s: what is stored has the digest %s: it was changed", digest, got)
	}
	return data, nil
}

func fetch(ctx context.Context, kv clientv3.KV, prefix, digest string) ([]byte, error) {
	value, err := get(ctx, kv, MetaKey(prefix, digest))
	if err != nil {
		return nil, err
	}
	var m meta
	if err := json.Unmarshal(value, &m); err != nil {
		return nil, fmt.Errorf("meta: %w", err)
	}
	if m.Size < 0 || m.Size > maxStored || int64(m.Chunks) != (m.Size+chunkSize-1)/chunkSize {
		return nil, fmt.Errorf("meta: %d bytes in %d chunks cannot be", m.Size, m.Chunks)
	}
	data := make([]byte, 0, m.Size)
	for n := range m.Chunks {
		chunk, err := get(ctx, kv, chunkKey(prefix, digest, n))
		if err != nil {
			return nil, fmt.Errorf("chunk %d of %d: %w", n, m.Chunks, err)
		}
		if len(chunk) > chunkSize {
			return nil, fmt.Errorf("chunk %d of %d has %d bytes: it was changed", n, m.Chunks, len(chunk))
		}
		data = append(data, chunk...)
	}
	return data, nil
}

// get reads a key from the nearest member, and only if that one lacks it from the quorum: what is
// stored never changes.
func get(ctx context.Context, kv clientv3.KV, key string) ([]byte, error) {
	for _, opts := range [][]clientv3.OpOption{{clientv3.WithSerializable()}, nil} {
		resp, err := kv.Get(ctx, key, opts...)
		if err != nil {
			return nil, err
		}
		if len(resp.Kvs) > 0 {
			return resp.Kvs[0].Value, nil
		}
	}
	return nil, ErrNotStored
}

// Deletion is the write that removes an archive, all of it at once, and nothing when there is none.
func Deletion(prefix, digest string) clientv3.Op {
	return clientv3.OpDelete(blobPrefix(prefix, digest), clientv3.WithPrefix())
}
