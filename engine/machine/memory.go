package machine

import (
	"bytes"
	"os"
	"path"
	"strconv"
	"strings"
)

const (
	procMemory = "/proc/meminfo"
	procGroup  = "/proc/self/cgroup"
)

// Memory is how many bytes the process may use: what the machine has, or the limit of its control group where that is
// less. It is 0 where that cannot be learned.
func Memory() uint64 {
	total := kilobytes(procMemory, "MemTotal:")
	for _, g := range memoryGroups() {
		if limit := number(g.limit); limit > 0 && (total == 0 || limit < total) {
			total = limit
		}
	}
	return total
}

// Available is how many bytes can still be used before the machine swaps or the control group is full, and out of how
// many. Both are 0 where that cannot be learned.
func Available() (free, total uint64) {
	total = kilobytes(procMemory, "MemTotal:")
	free = kilobytes(procMemory, "MemAvailable:")
	for _, g := range memoryGroups() {
		limit := number(g.limit)
		if limit == 0 || total > 0 && limit >= total {
			continue
		}
		// Cached files that were not used lately count as usage, and go when memory is needed.
		used := number(g.usage)
		used -= min(used, field(g.stat, g.cached))
		total, free = limit, min(free, limit-min(limit, used))
	}
	return free, total
}

// memoryGroup are the files of one control group that tell of its memory (cgroups(7)).
type memoryGroup struct{ limit, usage, stat, cached string }

// memoryGroups are the control groups that the process is in and that may limit its memory, inner ones first. In a
// container the path is often the host's and leads nowhere; the root is then the container's own.
func memoryGroups() (groups []memoryGroup) {
	text, err := os.ReadFile(procGroup)
	if err != nil {
		return nil
	}
	for _, g := range groupPaths(string(text)) {
		if g.v2 {
			dir := path.Join("/sys/fs/cgroup", g.path)
			groups = append(groups, memoryGroup{dir + "/memory.max", dir + "/memory.current", dir + "/memory.stat", "inactive_file"})
		} else {
			dir := path.Join("/sys/fs/cgroup/memory", g.path)
			groups = append(groups, memoryGroup{dir + "/memory.limit_in_bytes", dir + "/memory.usage_in_bytes", dir + "/memory.stat", "total_inactive_file"})
		}
	}
	return groups
}

// OutOfMemoryKills is how many processes of this one's control group, and of those in it, the kernel has killed for want
// of memory since there is the group; 0 where that cannot be learned.
func OutOfMemoryKills() uint64 {
	text, err := os.ReadFile(procGroup)
	if err != nil {
		return 0
	}
	for _, g := range groupPaths(string(text)) {
		events := path.Join("/sys/fs/cgroup/memory", g.path, "memory.oom_control")
		if g.v2 {
			events = path.Join("/sys/fs/cgroup", g.path, "memory.events")
		}
		if _, err := os.Stat(events); err == nil {
			return field(events, "oom_kill")
		}
	}
	return 0
}

type groupPath struct {
	path string
	v2   bool
}

// groupPaths finds the groups for memory in /proc/self/cgroup, each with all that are above it.
func groupPaths(text string) (paths []groupPath) {
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || !strings.HasPrefix(parts[2], "/") {
			continue
		}
		v2 := parts[0] == "0" && parts[1] == ""
		if !v2 && !strings.Contains(","+parts[1]+",", ",memory,") {
			continue
		}
		for p := path.Clean(parts[2]); ; p = path.Dir(p) {
			paths = append(paths, groupPath{p, v2})
			if p == "/" {
				break
			}
		}
	}
	return paths
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
func kilobytes(path, name string) uint64 { return field(path, name) << 10 }

// field finds a line "name 123" and gives the number; 0 when there is none.
func field(path, name string) uint64 {
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
			return n
		}
	}
	return 0
}
