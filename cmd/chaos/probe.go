package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// What may grow up to a bound by design.
const (
	mebi        = 1 << 20
	dbMost      = 200            // MiB of etcd's database
	walMost     = 9 * 64         // MiB of its write-ahead files: those that are kept and one that is being made
	timelineTop = 5000 * 500     // bytes: the entries that are kept, of half a KiB each
	recordsTop  = 100 * 64 << 10 // bytes: of the runs that are over
)

// probe measures the nodes of a swarm from outside.
type probe struct {
	swarm *swarm
	etcd  *clientv3.Client
}

func newProbe(s *swarm) (*probe, error) {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{clientURL(s.node[0])}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	return &probe{swarm: s, etcd: c}, err
}

// close drops the connection; what it has to say is of no interest.
func (p *probe) close() { _ = p.etcd.Close() }

// clientURL is where a node's member of the embedded etcd listens; empty when it has none.
func clientURL(n *node) string {
	var id struct {
		Member     bool
		ClientPort int
	}
	data, err := os.ReadFile(filepath.Join(n.dir, "identity.json"))
	if err != nil || json.Unmarshal(data, &id) != nil || !id.Member {
		return ""
	}
	api, err := url.Parse(n.url)
	if err != nil {
		return ""
	}
	return "http://" + net.JoinHostPort(api.Hostname(), strconv.Itoa(id.ClientPort))
}

// look measures everything once. What does not answer is left out.
func (p *probe) look(ctx context.Context, g *gauges) {
	p.lookEtcd(ctx, g)
	p.lookKeys(ctx, g)
	for _, n := range p.swarm.node {
		p.lookDisk(n, g)
		if n.index < soakSpared && n.alive() {
			lookProcess(n.proc.Process.Pid, n.name+" agent", g)
		}
	}
	engines := 0.0
	for _, n := range p.swarm.node {
		for _, pid := range n.engines() {
			engines = max(engines, statusOf(pid)["VmRSS"]/1024)
		}
	}
	if engines > 0 {
		g.add("largest engine, memory", "MiB", 40, 0, engines)
	}
}

// lookEtcd asks one member for the size of its database, and how far its history has come.
func (p *probe) lookEtcd(ctx context.Context, g *gauges) {
	one, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	st, err := p.etcd.Status(one, p.etcd.Endpoints()[0])
	if err != nil {
		return
	}
	g.add("etcd database, file", "MiB", 16, dbMost, float64(st.DbSize)/mebi)
	g.add("etcd database, in use", "MiB", 8, 0, float64(st.DbSizeInUse)/mebi)
	g.add("etcd revisions", "", 0, 1e12, float64(st.Header.Revision))
	g.add("etcd raft entries", "", 0, 1e12, float64(st.RaftIndex))
}

// lookKeys adds up the keys of the hive by kind.
func (p *probe) lookKeys(ctx context.Context, g *gauges) {
	one, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	resp, err := p.etcd.Get(one, "/hive/", clientv3.WithPrefix())
	if err != nil {
		return
	}
	active := ""
	for _, kv := range resp.Kvs {
		if strings.HasSuffix(string(kv.Key), "/active") {
			active = string(kv.Value)
		}
	}
	kinds := []string{"state", "timeline", "lives", "alloc", "work", "rows", "marks", "status", "control", "plan"}
	bytes := map[string]int{}
	for _, kv := range resp.Kvs {
		bytes[kindOf(string(kv.Key), active)] += len(kv.Key) + len(kv.Value)
	}
	if active != "" {
		for _, kind := range kinds {
			limit := 0.0
			if kind == "timeline" {
				limit = timelineTop
			}
			g.add("run under way: "+kind, "bytes", 32<<10, limit, float64(bytes[kind]))
		}
	}
	g.add("runs that are over", "bytes", 0, recordsTop, float64(bytes["over"]))
	g.add("archives", "bytes", 64<<10, 0, float64(bytes["blobs"]))
	g.add("other keys", "bytes", 32<<10, 0, float64(bytes["other"]))
}

// kindOf is what a key is about: of the active run what it holds, of others that they are over.
func kindOf(key, active string) string {
	parts := strings.Split(key, "/") // "", hive, <cluster>, runs, <run>, <kind>…
	switch {
	case len(parts) > 3 && parts[3] == "blobs":
		return "blobs"
	case len(parts) < 6 || parts[3] != "runs":
		return "other"
	case parts[4] != active:
		return "over"
	}
	return parts[5]
}

// lookDisk measures what a node has on its disk.
func (p *probe) lookDisk(n *node, g *gauges) {
	member := filepath.Join(n.dir, "etcd", "member")
	if wal := sizeOf(filepath.Join(member, "wal"), ""); wal > 0 {
		g.add(n.name+" etcd write-ahead files", "MiB", 0, walMost, wal/mebi)
		g.add(n.name+" etcd snapshots", "MiB", 8, 0, sizeOf(filepath.Join(member, "snap"), ".snap")/mebi)
		g.add(n.name+" etcd database file", "MiB", 16, dbMost, sizeOf(filepath.Join(member, "snap"), "db")/mebi)
	}
	g.add(n.name+" kept checkpoints", "KiB", 512, 0, sizeOf(filepath.Join(n.dir, "runs"), "")/1024)
	g.add(n.name+" log", "KiB", 0, 1e9, sizeOf(filepath.Join(p.swarm.dir, n.name+".log"), "")/1024)
}

// sizeOf adds up the files of a folder whose names end in a certain way.
func sizeOf(root, ending string) (sum float64) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ending) {
			if info, err := d.Info(); err == nil {
				sum += float64(info.Size())
			}
		}
		return nil // files come and go
	})
	return sum
}

// lookProcess measures one process.
func lookProcess(pid int, name string, g *gauges) {
	st := statusOf(pid)
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	g.add(name+", memory", "MiB", 40, 0, st["VmRSS"]/1024)
	g.add(name+", threads", "", 10, 0, st["Threads"])
	g.add(name+", open files", "", 30, 0, float64(len(fds)))
}

// statusOf are the numbers of a process's status.
func statusOf(pid int) map[string]float64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	numbers := map[string]float64{}
	for line := range strings.Lines(string(data)) {
		name, rest, _ := strings.Cut(line, ":")
		if words := strings.Fields(rest); len(words) > 0 {
			if v, err := strconv.ParseFloat(words[0], 64); err == nil {
				numbers[name] = v
			}
		}
	}
	return numbers
}
