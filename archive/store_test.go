package archive

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// etcd starts a single member on free loopback ports and gives a client of it.
func etcd(t testing.TB) *clientv3.Client {
	t.Helper()
	server := startEtcd(t)
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(time.Minute):
		t.Fatal("etcd is not ready after a minute")
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Config().ListenClientUrls[0].String()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// startEtcd tries again when somebody else takes a port between its choice and its use.
func startEtcd(t testing.TB) *embed.Etcd {
	t.Helper()
	var err error
	for range 5 {
		cfg := embed.NewConfig()
		cfg.Dir = t.TempDir()
		cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
		cfg.UnsafeNoFsync = true
		cfg.TickMs, cfg.ElectionMs = 20, 200
		peer, client := freeURL(t), freeURL(t)
		cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
		cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
		cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
		var server *embed.Etcd
		if server, err = embed.StartEtcd(cfg); err == nil {
			t.Cleanup(server.Close)
			return server
		}
	}
	t.Fatal(err)
	return nil
}

func freeURL(t testing.TB) url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return url.URL{Scheme: "http", Host: l.Addr().String()}
}

// noise gives n bytes that do not compress.
func noise(n int) []byte {
	data := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(data)
	return data
}

func TestStore(t *testing.T) {
	client, ctx, prefix := etcd(t), t.Context(), "/hive/test"
	count := func(digest string) int64 {
		resp, err := client.Get(ctx, blobPrefix(prefix, digest), clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			t.Fatal(err)
		}
		return resp.Count
	}
	revision := func() int64 {
		resp, err := client.Get(ctx, "x")
		if err != nil {
			t.Fatal(err)
		}
		return resp.Header.Revision
	}

	t.Run("sizes", func(t *testing.T) {
		for _, size := range []int{0, 1, chunkSize, chunkSize + 1, 5*chunkSize - 7} {
			data := noise(size)
			digest := DigestOf(data)
			if err := Store(ctx, client, prefix, digest, data); err != nil {
				t.Fatal(err)
			}
			got, err := Fetch(ctx, client, prefix, digest)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes: got %d bytes, %v", size, len(got), err)
			}
			if got, want := count(digest), int64((size+chunkSize-1)/chunkSize+1); got != want {
				t.Errorf("%d bytes: %d keys, want %d", size, got, want)
			}
		}
	})

	data := noise(3*chunkSize - 1)
	digest := DigestOf(data)
	store := func(t *testing.T) {
		t.Helper()
		if err := Store(ctx, client, prefix, digest, data); err != nil {
			t.Fatal(err)
		}
	}
	put := func(t *testing.T, key, value string) {
		t.Helper()
		if _, err := client.Put(ctx, key, value); err != nil {
			t.Fatal(err)
		}
	}
	fails := func(t *testing.T, want string) error {
		t.Helper()
		_, err := Fetch(ctx, client, prefix, digest)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), digest) {
			t.Errorf("error %v, want %q and the digest", err, want)
		}
		return err
	}
	reset := func(t *testing.T) {
		t.Helper()
		if _, err := client.Do(ctx, Deletion(prefix, digest)); err != nil {
			t.Fatal(err)
		}
		store(t)
	}

	t.Run("twice writes once", func(t *testing.T) {
		reset(t)
		before := revision()
		store(t)
		if after := revision(); after != before {
			t.Errorf("storing again moved the revision from %d to %d", before, after)
		}
	})
	t.Run("deleted", func(t *testing.T) {
		reset(t)
		if _, err := client.Do(ctx, Deletion(prefix, digest)); err != nil {
			t.Fatal(err)
		}
		if err := fails(t, "not stored"); !errors.Is(err, ErrNotStored) {
			t.Errorf("error %v is not ErrNotStored", err)
		}
		if n := count(digest); n != 0 {
			t.Errorf("%d keys are left", n)
		}
		if _, err := client.Do(ctx, Deletion(prefix, digest)); err != nil {
			t.Errorf("deleting again: %v", err)
		}
	})
	t.Run("a chunk is missing", func(t *testing.T) {
		reset(t)
		if _, err := client.Delete(ctx, chunkKey(prefix, digest, 1)); err != nil {
			t.Fatal(err)
		}
		if err := fails(t, "chunk 1 of 3"); !errors.Is(err, ErrNotStored) {
			t.Errorf("error %v is not ErrNotStored", err)
		}
		store(t) // heals
		if got, err := Fetch(ctx, client, prefix, digest); err != nil || !bytes.Equal(got, data) {
			t.Errorf("after storing again: %v", err)
		}
	})
	t.Run("a chunk was changed", func(t *testing.T) {
		reset(t)
		chunk := bytes.Clone(data[chunkSize : 2*chunkSize])
		chunk[0]++
		put(t, chunkKey(prefix, digest, 1), string(chunk))
		fails(t, "it was changed")
	})
	t.Run("a chunk is too long", func(t *testing.T) {
		reset(t)
		put(t, chunkKey(prefix, digest, 1), string(noise(chunkSize+1)))
		fails(t, "chunk 1 of 3 has 524289 bytes")
	})
	t.Run("meta is nonsense", func(t *testing.T) {
		reset(t)
		put(t, MetaKey(prefix, digest), `{"size": 1099511627776, "chunks": 2097152}`)
		fails(t, "cannot be")
		put(t, MetaKey(prefix, digest), `-`)
		fails(t, "meta: ")
	})
	t.Run("the wrong digest", func(t *testing.T) {
		if err := Store(ctx, client, prefix, digest, []byte("x")); err == nil || !strings.Contains(err.Error(), "the data have the digest "+DigestOf([]byte("x"))) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("deleted while it is written", func(t *testing.T) {
		reset(t)
		if _, err := client.Do(ctx, Deletion(prefix, digest)); err != nil {
			t.Fatal(err)
		}
		if err := Store(ctx, &deleting{KV: client, prefix: prefix, digest: digest}, prefix, digest, data); err != nil {
			t.Fatal(err)
		}
		if got, err := Fetch(ctx, client, prefix, digest); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%v", err)
		}
	})
	t.Run("the context is over", func(t *testing.T) {
		reset(t)
		over, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := Fetch(over, client, prefix, digest); !errors.Is(err, context.Canceled) {
			t.Errorf("fetch: %v", err)
		}
		if err := Store(over, client, prefix, digest, data); !errors.Is(err, context.Canceled) {
			t.Errorf("store: %v", err)
		}
	})
}

// deleting is a connection on which the archive is deleted, once, after its second chunk was written.
type deleting struct {
	clientv3.KV
	prefix, digest string
	puts           int
}

func (d *deleting) Put(ctx context.Context, key, value string, opts ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	resp, err := d.KV.Put(ctx, key, value, opts...)
	if d.puts++; d.puts == 2 && err == nil {
		_, err = d.Do(ctx, Deletion(d.prefix, d.digest))
	}
	return resp, err
}
