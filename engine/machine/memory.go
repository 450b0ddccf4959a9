package machine

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// Memory is how many bytes the process may use: what the machine has, or the limit of its control group where that is
// less. It is 0 where that cannot be learned.
func Memory() uint64 {
	total := kilobytes("/proc/meminfo", "MemTotal:")
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if limit := number(path); limit > 0 && (total == 0 || limit < total) {
			total = limit
		}
	}
	return total
}

// number reads a file that holds one; 0 when it does not.
func number(path string) uint64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return 0 // "max"
	}
	return n
}

// kilobytes finds a line "name 123 kB" and gives its value in bytes.
func kilobytes(path, name string) uint64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == name {
			n, err := strconv.ParseUint(fields[1], 10, 64)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}
