package hive

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/registry"
)

// ErrOtherCluster is in the error of a node whose data directory belongs to
// another hive.
var ErrOtherCluster = errors.New("the data directory belongs to another hive")

// ErrProtocol is in the error of a node that meets a hive of another protocol.
var ErrProtocol = errors.New("this hive and this node cannot work together")

// identityFormat is what this version writes; it reads the older ones too.
const identityFormat = 2

// identity is what makes a node the same node when it starts again.
type identity struct {
	Format    int    `json:"format"`
	Node      string `json:"node"`
	Name      string `json:"name,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	ClusterID string `json:"clusterId,omitempty"`
	// Member says that the embedded etcd's data lies beside this file, and
	// where it listened. MemberID is its number among the members, in hex.
	Member     bool   `json:"member,omitempty"`
	MemberID   string `json:"memberId,omitempty"`
	ClientPort int    `json:"clientPort,omitempty"`
	PeerPort   int    `json:"peerPort,omitempty"`
	// Etcd and Peers are where the hive was last seen: the client endpoints of
	// its etcd and the APIs of its other nodes.
	Etcd  []string `json:"etcd,omitempty"`
	Peers []string `json:"peers,omitempty"`
}

// dataDir is a node's directory, held with a lock while the node runs.
type dataDir struct {
	path  string
	temp  bool
	lock  *os.File
	log   *slog.Logger
	spot  spot  // of the embedded member
	quota int64 // of the embedded member's database, in bytes

	mu sync.Mutex // guards changes of id while the node runs
	id identity
}

// openDataDir takes the directory, or a temporary one for "", and reads the
// identity in it or makes one.
func openDataDir(path string) (*dataDir, error) {
	d := &dataDir{path: path, spot: spot{bind: loopback, host: loopback}, quota: etcdQuota, log: slog.New(slog.DiscardHandler)}
	if path == "" {
		tmp, err := os.MkdirTemp("", "hive-")
		if err != nil {
			return nil, fmt.Errorf("data directory: %w", err)
		}
		d.path, d.temp = tmp, true
	} else if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *dataDir) open() error {
	lock, err := os.OpenFile(filepath.Join(d.path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	d.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("data directory %s is in use by another node: give each node its own", d.path)
	}
	data, err := os.ReadFile(d.file())
	if errors.Is(err, fs.ErrNotExist) {
		if d.hasMember() {
			return fmt.Errorf("%s is missing, and %s has the data of an etcd member: restore it, or use another data directory", d.file(), d.memberDir())
		}
		d.id = identity{Format: identityFormat, Node: newNodeID()}
		if d.temp {
			return nil
		}
		return d.save() // before there is anything that belongs to it
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if err = json.Unmarshal(data, &d.id); err == nil && d.id.Node == "" {
		err = errors.New("it names no node")
	}
	if err != nil {
		return fmt.Errorf("%s is not the identity of a node: %w: use another data directory", d.file(), err)
	}
	if d.id.Format > identityFormat {
		return fmt.Errorf("%s was written by a newer version (format %d), this one reads up to %d: use that version, or another data directory", d.file(), d.id.Format, identityFormat)
	}
	if d.id.Format < 1 {
		return fmt.Errorf("%s has no known format (%d): use another data directory", d.file(), d.id.Format)
	}
	d.id.Format = identityFormat
	return nil
}

func (d *dataDir) file() string { return filepath.Join(d.path, "identity.json") }

// update changes the identity and writes it when that changed anything.
func (d *dataDir) update(change func(*identity)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.id
	change(&d.id)
	if reflect.DeepEqual(was, d.id) {
		return nil
	}
	return d.save()
}

// known is a copy of the identity.
func (d *dataDir) known() identity {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id
}

// save writes the identity so that a crash leaves the old one or the new one.
func (d *dataDir) save() error {
	data, err := json.MarshalIndent(d.id, "", "  ")
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	tmp := d.file() + ".new"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if err := os.Rename(tmp, d.file()); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return nil
}

// Close gives the directory up, and removes it when it was temporary.
func (d *dataDir) Close() error {
	var err error
	if d.lock != nil {
		err = d.lock.Close()
	}
	if d.temp {
		err = errors.Join(err, os.RemoveAll(d.path))
	}
	return err
}

// check refuses a directory whose node belongs to another hive than the one
// found, and otherwise notes the hive in it.
func (d *dataDir) check(cluster, clusterID string) error {
	if d.id.ClusterID != "" && (d.id.ClusterID != clusterID || d.id.Cluster != cluster) {
		return fmt.Errorf("%w: %s is of cluster %q (%s), the hive to join is %q (%s): use another --data-dir, or the peer it belongs to",
			ErrOtherCluster, d.path, d.id.Cluster, short(d.id.ClusterID), cluster, short(clusterID))
	}
	d.id.Cluster, d.id.ClusterID = cluster, clusterID
	return d.save()
}

// charter is what a hive's first node lays down for all: the value of the key
// of the cluster's id.
type charter struct {
	ID       string `json:"id"`
	Protocol int    `json:"protocol"`
	// Embedded says that the hive's etcd is embedded in its nodes.
	Embedded bool `json:"embedded,omitempty"`
}

// readCharter reads the charter, or writes one when there is none, and refuses
// a hive that speaks another protocol.
func readCharter(ctx context.Context, c *clientv3.Client, k Keys, embedded bool) (charter, error) {
	fresh := charter{ID: strings.ToLower(rand.Text()), Protocol: registry.Protocol, Embedded: embedded}
	data, err := json.Marshal(fresh)
	if err != nil {
		return charter{}, fmt.Errorf("read the cluster's id: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, etcdStart)
	defer cancel()
	var value []byte
	err = persist(ctx, func(ctx context.Context) error {
		// An etcd that is full answers this and takes no transaction that might write.
		resp, err := c.Get(ctx, k.ID())
		if err != nil {
			return err
		}
		if len(resp.Kvs) > 0 {
			value = resp.Kvs[0].Value
			return nil
		}
		value, err = layCharter(ctx, c, k, data)
		return err
	})
	if err != nil {
		return charter{}, fmt.Errorf("read the cluster's id: %w", err)
	}
	found := decodeCharter(value)
	if found.Protocol != registry.Protocol {
		return found, fmt.Errorf("%w: the hive speaks protocol %d, this node (version %s) protocol %d: all nodes of a hive must be of versions with the same protocol",
			ErrProtocol, found.Protocol, Version, registry.Protocol)
	}
	return found, nil
}

// layCharter writes a charter unless another node was faster, and returns the one that holds.
func layCharter(ctx context.Context, c *clientv3.Client, k Keys, data []byte) ([]byte, error) {
	resp, err := c.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(k.ID()), "=", 0)).
		Then(clientv3.OpPut(k.ID(), string(data))).Else(clientv3.OpGet(k.ID())).Commit()
	if err != nil || resp.Succeeded {
		return data, err
	}
	return resp.Responses[0].GetResponseRange().Kvs[0].Value, nil
}

// decodeCharter reads a charter. What is none is the bare id that the first
// protocol wrote.
func decodeCharter(value []byte) charter {
	var c charter
	if json.Unmarshal(value, &c) != nil || c.ID == "" {
		return charter{ID: string(value), Protocol: 1}
	}
	return c
}

func newNodeID() string { return strings.ToLower(rand.Text()[:12]) }

func short(id string) string { return id[:min(len(id), 8)] }
