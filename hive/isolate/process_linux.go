package isolate

import (
	"os"
	"strings"
	"syscall"
)

// childAttributes let the kernel end a child when the thread that started it ends, which is why that thread is kept.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// ownProgram is the program that runs here, even when another one has been put in its place on disk.
func ownProgram() (string, error) {
	if _, err := os.Stat("/proc/self/exe"); err == nil {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// standOut gives the process a name of its own in lists of processes, and offers it to the kernel before its parent
// when memory runs out. Where the system forbids that, things go on without.
func standOut() {
	_ = os.WriteFile("/proc/self/comm", []byte("hive-engine"), 0)
	if text, err := os.ReadFile("/proc/self/oom_score_adj"); err == nil && strings.TrimSpace(string(text)) == "0" {
		_ = os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
	}
}
