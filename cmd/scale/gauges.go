package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// cost is what etcd and the leader have used up to a moment.
type cost struct {
	at                time.Time
	requests          float64 // that etcd's members got, streams by their messages
	renewals          float64 // of leases, among them
	in, out           float64 // bytes of etcd's clients
	storeCPU, leadCPU float64 // seconds
	leadRead          float64 // bytes that the leader read, from the network for the most part
}

func (c cost) minus(o cost) cost {
	return cost{at: c.at, requests: c.requests - o.requests, renewals: c.renewals - o.renewals, in: c.in - o.in, out: c.out - o.out,
		storeCPU: c.storeCPU - o.storeCPU, leadCPU: c.leadCPU - o.leadCPU, leadRead: c.leadRead - o.leadRead}
}

// gauge reads what has been used.
func gauge(store, lead *child) (cost, error) {
	c := cost{at: time.Now(), storeCPU: cpu(store.pid()), leadCPU: cpu(lead.pid()), leadRead: procValue(lead.pid(), "io", "rchar:")}
	// Members of one process share their counters.
	err := eachMetric(store.Metrics[0], func(name, labels string, v float64) {
		switch name {
		case "grpc_server_msg_received_total":
			if !strings.Contains(labels, `"LeaseKeepAlive"`) { // the end of each such stream counts as a message
				c.requests += v
			}
		case "grpc_server_msg_sent_total":
			if strings.Contains(labels, `"LeaseKeepAlive"`) {
				c.requests, c.renewals = c.requests+v, c.renewals+v
			}
		case "etcd_network_client_grpc_received_bytes_total":
			c.in += v
		case "etcd_network_client_grpc_sent_bytes_total":
			c.out += v
		}
	})
	return c, err
}

// stock is what etcd holds.
type stock struct{ db, watchers float64 }

func take(store *child) (s stock, err error) {
	err = eachMetric(store.Metrics[0], func(name, _ string, v float64) {
		switch name {
		case "etcd_mvcc_db_total_size_in_bytes":
			s.db = v
		case "etcd_debugging_mvcc_watcher_total":
			s.watchers = v
		}
	})
	return s, err
}

// eachMetric reads metrics in the text form of Prometheus.
func eachMetric(url string, see func(name, labels string, v float64)) error {
	resp, err := http.Get(url)
	if err != nil {
		return fmt.Errorf("metrics of etcd: %w", err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line := lines.Text()
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			continue
		}
		name, labels, _ := strings.Cut(line[:i], "{")
		see(name, labels, v)
	}
	return lines.Err()
}

// tick is what Linux counts the time of processes in.
const tick = 100

// cpu is how many seconds of the processor a process has used; 0 where /proc
// does not tell.
func cpu(pid int) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	var sum float64
	for _, f := range fields[11:13] {
		v, _ := strconv.ParseFloat(f, 64) // what is no number counts as 0
		sum += v
	}
	return sum / tick
}

// memory is the resident set of a process, in bytes.
func memory(pid int) float64 { return procValue(pid, "status", "VmRSS:") * 1024 }

func procValue(pid int, file, key string) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			v, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return v
		}
	}
	return 0
}

// files is how many file descriptors a process has open.
func files(pid int) int {
	list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(list)
}

// bytes writes an amount for people.
func bytes(v float64) string {
	for _, unit := range []string{"B", "kB", "MB"} {
		if v < 1000 {
			return fmt.Sprintf("%.3g %s", v, unit)
		}
		v /= 1000
	}
	return fmt.Sprintf("%.3g GB", v)
}
