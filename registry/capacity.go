package registry

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"
)

const (
	// vusPerCore is how many VUs of a website-like script (an HTTP request
	// every few seconds) one core keeps going with time to spare.
	vusPerCore = 5000
	// bytesPerVU is what a VU of such a script takes at most, script included.
	bytesPerVU = 128 << 10
	// unknownMemory is assumed where the system does not tell.
	unknownMemory = 2 << 30
)

// Machine is what a node may use: cores and bytes of memory.
type Machine struct {
	Cores  int
	Memory int64
}

// ThisMachine reads the cores that the process may use and its memory: the
// machine's or its control group's limit, whichever is less.
func ThisMachine() Machine {
	m := Machine{Cores: runtime.GOMAXPROCS(0), Memory: unknownMemory}
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		if total := memTotal(data); total > 0 {
			m.Memory = total
		}
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if data, err := os.ReadFile(path); err == nil {
			if limit, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil && limit > 0 {
				m.Memory = min(m.Memory, limit)
			}
		}
	}
	return m
}

// Capacity estimates how many VUs the machine carries: 5,000 for each core,
// but no more than half of the memory holds at 128 KiB each; at least 1.
func (m Machine) Capacity() int {
	return int(max(1, min(int64(m.Cores)*vusPerCore, m.Memory/2/bytesPerVU)))
}

// memTotal finds the MemTotal line of /proc/meminfo, in bytes; 0 without one.
func memTotal(meminfo []byte) int64 {
	lines := bufio.NewScanner(bytes.NewReader(meminfo))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
