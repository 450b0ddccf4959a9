package hive

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrOtherCluster is in the error of a node whose data directory belongs to
// another hive.
var ErrOtherCluster = errors.New("the data directory belongs to another hive")

const identityFormat = 1

// identity is what makes a node the same node when it starts again.
type identity struct {
	Format    int    `json:"format"`
	Node      string `json:"node"`
	Name      string `json:"name,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	ClusterID string `json:"clusterId,omitempty"`
	// Member says that the embedded etcd's data lies beside this file, and
	// where it listened.
	Member     bool `json:"member,omitempty"`
	ClientPort int  `json:"clientPort,omitempty"`
	PeerPort   int  `json:"peerPort,omitempty"`
}

// dataDir is a node's directory, held with a lock while the node runs.
type dataDir struct {
	path string
	temp bool
	lock *os.File
	id   identity
}

// openDataDir takes the directory, or a temporary one for "", and reads the
// identity in it or makes one.
func openDataDir(path string) (*dataDir, error) {
	d := &dataDir{path: path}
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
		d.id = identity{Format: identityFormat, Node: newNodeID()}
		return nil
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if err := json.Unmarshal(data, &d.id); err != nil || d.id.Node == "" {
		return fmt.Errorf("%s is not the identity of a node (%v): use another data directory", d.file(), err)
	}
	if d.id.Format != identityFormat {
		return fmt.Errorf("%s has format %d, and this version reads format %d", d.file(), d.id.Format, identityFormat)
	}
	return nil
}

func (d *dataDir) file() string { return filepath.Join(d.path, "identity.json") }

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

// clusterID reads the id of the cluster, or writes one when there is none.
func clusterID(ctx context.Context, c *clientv3.Client, k Keys) (string, error) {
	id := strings.ToLower(rand.Text())
	resp, err := c.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(k.ID()), "=", 0)).
		Then(clientv3.OpPut(k.ID(), id)).Else(clientv3.OpGet(k.ID())).Commit()
	if err != nil {
		return "", fmt.Errorf("read the cluster's id: %w", err)
	}
	if resp.Succeeded {
		return id, nil
	}
	return string(resp.Responses[0].GetResponseRange().Kvs[0].Value), nil
}

func newNodeID() string { return strings.ToLower(rand.Text()[:12]) }

func short(id string) string { return id[:min(len(id), 8)] }
