package hive

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"hive/registry"
)

func TestIdentityFormats(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file, want string // want is in the error; empty means that it is read
	}{
		{"the first format", `{"format":1,"node":"a","cluster":"hive","clusterId":"x","member":true,"clientPort":1,"peerPort":2}`, ""},
		{"this one", `{"format":2,"node":"a","etcd":["http://127.0.0.1:1"]}`, ""},
		{"a newer one", `{"format":3,"node":"a"}`, "was written by a newer version (format 3), this one reads up to 2"},
		{"none", `{"node":"a"}`, "no known format"},
		{"no JSON", `node a`, "is not the identity of a node"},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "identity.json"), []byte(tt.file), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := openDataDir(dir)
		if tt.want == "" {
			if err != nil || d.id.Node != "a" || d.id.Format != identityFormat {
				t.Errorf("%s: got %v (%v), want node a", tt.name, d, err)
				continue
			}
			if err := d.Close(); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want it to say %q", tt.name, err, tt.want)
		}
	}
}

func TestCharterProtocols(t *testing.T) {
	t.Parallel()
	first := launch(t, Config{Name: "n1", Capacity: 1}, &script{})
	own, err := readCharter(t.Context(), first.etcd, first.keys, false)
	if err != nil || !own.Embedded || own.Protocol != registry.Protocol || own.ID != first.dir.id.ClusterID {
		t.Errorf("got %+v (%v), want the first node's", own, err)
	}
	for name, value := range map[string]string{"next": fmt.Sprintf(`{"id":"x","protocol":%d}`, registry.Protocol+1), "previous": "abcdef"} {
		k := NewKeys(name)
		if _, err := first.etcd.Put(t.Context(), k.ID(), value); err != nil {
			t.Fatal(err)
		}
		n, err := New(Config{Etcd: first.info.Etcd, Cluster: name, Address: "127.0.0.1:0", Factory: (&script{}).factory("x")})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Run(t.Context()); !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), fmt.Sprintf("protocol %d", registry.Protocol)) {
			t.Errorf("%s: got %v, want a refusal that names both protocols", name, err)
		}
	}
}

func TestLeaseTTLIsChecked(t *testing.T) {
	t.Parallel()
	for _, ttl := range []string{"999ms", "-1s", "10m0.001s", "1000h"} {
		cfg := Config{Factory: (&script{}).factory("x")}
		cfg.LeaseTTL = mustDuration(t, ttl)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "want 1s to 10m0s") {
			t.Errorf("%s: got %v, want a refusal that names what would do", ttl, err)
		}
	}
}

// A node asks others of its hive while it notes what it has become: under the race detector, this fails if it reads what is
// being written.
func TestPeerIsAskedWhileTheIdentityChanges(t *testing.T) {
	d, err := openDataDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, ClusterInfo{Name: "hive", ID: "c1"})
	}))
	defer peer.Close()
	n := &Node{dir: d, calls: newCaller("")}
	defer n.calls.close()
	var changing sync.WaitGroup
	changing.Go(func() {
		for i := range 50 {
			if err := d.update(func(id *identity) { id.MemberID = strconv.Itoa(i) }); err != nil {
				t.Error(err)
			}
		}
	})
	for range 50 {
		if _, cluster, err := n.askPeer(t.Context(), peer.URL); err != nil || cluster != "hive" {
			t.Errorf("asked for the hive: got %q (%v)", cluster, err)
		}
	}
	changing.Wait()
}
