package isolate

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"hive/engine/machine"
	"hive/hive"
)

const (
	// tick is how often a child's signs of life are looked at.
	tick = 100 * time.Millisecond
	// leaveWait is how long a child may take to end once its pipe is closed.
	leaveWait = 2 * time.Second
)

// process is a child.
type process struct {
	cmd    *exec.Cmd
	in     *os.File // requests to it
	out    *os.File // what it answers
	output *output
	limit  int64         // bytes that it may use; 0 for no limit
	exited chan struct{} // closed when it is gone

	oomKills uint64 // of the kernel in this control group when the child was started

	resident atomic.Int64 // as seen last
	alive    atomic.Bool  // has said something since the last tick
	leaving  atomic.Bool  // was told to end

	mu     sync.Mutex // guards what follows
	reason end        // why it was killed; no text when it was not
}

// end is how a child ended, in words, and whether that was for want of memory.
type end struct {
	text   string
	memory bool
}

func (e end) failure() *hive.Failure {
	if e.memory {
		return hive.Failf(hive.KindEngineMemory, "%s", e.text)
	}
	return hive.Failf(hive.KindEngine, "%s", e.text)
}

// spawn starts a child, which gets the record if there is one.
func spawn(cfg Config, kept *record) (*process, error) {
	requests, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to the engine process: %w", err)
	}
	out, answers, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pipe from the engine process: %w", err), requests.Close(), in.Close())
	}
	p := &process{in: in, out: out, output: &output{}, limit: cfg.Memory, oomKills: machine.OutOfMemoryKills(), exited: make(chan struct{})}
	p.cmd = exec.Command(cfg.Command[0], cfg.Command[1:]...)
	p.cmd.Args[0] = cmp.Or(cfg.title, cfg.Command[0])
	p.cmd.ExtraFiles = []*os.File{requests, answers} // files 3 and 4
	pipes := pipesValue
	if kept != nil {
		p.cmd.ExtraFiles, pipes = append(p.cmd.ExtraFiles, kept.file), recordValue // file 5
	}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.WaitDelay = leaveWait
	p.cmd.Env = environment(os.Environ(), pipes, cfg.Memory)
	p.cmd.SysProcAttr = childAttributes()
	started := make(chan error)
	go p.run(started)
	err = errors.Join(<-started, requests.Close(), answers.Close(), kept.handed())
	if err != nil {
		p.kill("")
		return nil, errors.Join(fmt.Errorf("start the engine process: %w", err), in.Close(), out.Close())
	}
	p.alive.Store(true)
	return p, nil
}

// environment is what a child finds in its environment.
func environment(own []string, pipes string, limit int64) []string {
	env := append(own, pipesVariable+"="+pipes)
	for _, v := range own {
		if strings.HasPrefix(v, "GOMEMLIMIT=") {
			return env
		}
	}
	if limit > 0 {
		env = append(env, "GOMEMLIMIT="+strconv.FormatInt(int64(float64(limit)*collectorShare), 10))
	}
	return env
}

// run starts the child and waits for its end on one thread: the kernel ends the child with the thread that started it.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.exited)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait() // its state says how it ended
	}
}

// watch looks after the child until it is gone: it has to say something at least each silence.
func (p *process) watch(silence time.Duration) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	// Ticks are counted, not time: when this process was stopped itself, the child's words are still on their way.
	silent := 0
	for {
		select {
		case <-p.exited:
			return
		case <-ticker.C:
		}
		silent++
		if p.alive.Swap(false) {
			silent = 0
		}
		if time.Duration(silent)*tick >= silence {
			p.kill(stalled(silence))
		}
	}
}

// stalled says that a child does not answer.
func stalled(silence time.Duration) string {
	return fmt.Sprintf("the engine has not answered for %s", short(silence))
}

// short writes whole seconds without what follows them.
func short(d time.Duration) string { return strings.TrimSuffix(d.String(), "m0s") }

// watchMemory stops the child when it uses too much.
func (p *process) watchMemory() {
	gauge := gauge{limit: p.limit, spare: scarce, resident: func() int64 {
		resident := machine.Resident(p.cmd.Process.Pid)
		if resident > 0 { // or it is gone
			p.resident.Store(resident)
		}
		return resident
	}}
	if why := gauge.await(p.exited); why != "" {
		p.killFor(end{"the engine was stopped: " + why, true})
	}
}

// kill ends the child; the first reason given is the one that counts.
func (p *process) kill(reason string) { p.killFor(end{text: reason}) }

func (p *process) killFor(reason end) {
	p.mu.Lock()
	if p.reason.text == "" {
		p.reason = reason
	}
	p.mu.Unlock()
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Kill() // or it has ended already
	}
}

// leave asks the child to end by closing its requests, waits, and insists.
func (p *process) leave() {
	p.leaving.Store(true)
	_ = p.in.Close() // it can only have been closed before
	select {
	case <-p.exited:
	case <-time.After(leaveWait):
		p.kill("the engine process did not end when it was told to")
		<-p.exited
	}
}

// why says how the child ended; it must be gone.
func (p *process) why() end {
	p.mu.Lock()
	reason := p.reason
	p.mu.Unlock()
	switch crash := p.output.Crash(); {
	case reason.text != "":
		return reason
	case crash != "":
		return end{"the engine crashed: " + crash, outOfMemory(crash)}
	}
	state := p.cmd.ProcessState
	if state == nil {
		return end{text: "the engine process could not be waited for"}
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return killedBy(status.Signal(), machine.OutOfMemoryKills() > p.oomKills, p.resident.Load())
	}
	text := "the engine process ended by itself, with " + state.String()
	if line := p.output.lastLine(); line != "" {
		text += ": " + line
	}
	return end{text: text}
}

// outOfMemory says whether a crash of Go's runtime is one that the system gave no more memory to.
func outOfMemory(crash string) bool {
	return strings.HasPrefix(crash, "fatal error: ") && (strings.Contains(crash, "out of memory") || strings.Contains(crash, "cannot allocate memory"))
}

// killedBy says by which signal. A plain SIGKILL may come from anybody; it was for want of memory when the kernel has
// killed for that reason in this control group since the child was started.
func killedBy(signal syscall.Signal, oomKill bool, resident int64) end {
	text := fmt.Sprintf("the engine was killed by signal %d (%s)", int(signal), signal)
	switch {
	case signal != syscall.SIGKILL:
		return end{text: text}
	case oomKill:
		return end{text + fmt.Sprintf(", by the kernel for want of memory; it used %s", size(resident)), true}
	}
	return end{text: text + fmt.Sprintf("; it used %s", size(resident))}
}
