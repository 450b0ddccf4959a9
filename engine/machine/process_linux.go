package machine

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
)

// cpuTime is what the process has used of the CPUs, in user and system mode; 0 where that cannot be learned.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Resident is how many bytes of memory a process holds, this one when pid is 0; 0 where that cannot be learned.
func Resident(pid int) int64 {
	name := "self"
	if pid != 0 {
		name = strconv.Itoa(pid)
	}
	text, err := os.ReadFile("/proc/" + name + "/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64) // proc_pid_statm(5): size, resident, …
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// openFiles counts the process's open files; 0 where that cannot be learned.
func openFiles() int {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0
	}
	defer dir.Close()
	// Linux tells the number as the directory's size since 6.2, and 0 before.
	if info, err := dir.Stat(); err == nil && info.Size() > 0 {
		return int(info.Size()) - 1 // without the directory itself
	}
	n := -1
	for {
		names, err := dir.Readdirnames(4096)
		n += len(names)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return n
			}
			return 0
		}
	}
}
