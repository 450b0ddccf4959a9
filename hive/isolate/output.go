package isolate

import (
	"bytes"
	"strings"
	"sync"
)

// maxOutput is how much of what a child printed is kept.
const maxOutput = 64 << 10

// output keeps what a child prints: the end of it, or from the line on that says that Go's runtime broke down. The
// traces that follow that line can be many megabytes.
type output struct {
	mu    sync.Mutex // guards what follows
	kept  []byte
	line  []byte // begun, without its end
	crash string // the line that the crash began with
}

// Write takes everything and never fails.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte{'\n'})
		if room := maxOutput - len(o.line); len(line) > room {
			line = line[:max(0, room)]
		}
		o.line = append(o.line, line...)
		if whole {
			o.endLine()
		}
		p = rest
	}
	return n, nil
}

// endLine keeps the line; o.mu is held.
func (o *output) endLine() {
	line := append(o.line, '\n')
	o.line = o.line[:0]
	if o.crash == "" && isCrash(string(line)) {
		o.crash, o.kept = strings.TrimSpace(string(line)), nil
	}
	if o.crash != "" && len(o.kept)+len(line) > maxOutput {
		return
	}
	o.kept = append(o.kept, line...)
	if len(o.kept) > 2*maxOutput {
		o.kept = append(o.kept[:0], o.kept[len(o.kept)-maxOutput:]...)
	}
}

// isCrash says whether a line is the first of what Go's runtime prints when it ends the process: because of a panic, an
// error of its own, or a signal ("SIGSEGV: segmentation violation").
func isCrash(line string) bool {
	if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
		return true
	}
	name, _, ok := strings.Cut(line, ": ")
	return ok && len(name) > 3 && strings.HasPrefix(name, "SIG") && strings.ToUpper(name) == name && !strings.ContainsAny(name, " \t")
}

// Crash is the line that a crash began with, "" without one.
func (o *output) Crash() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.crash
}

// String is what was kept.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := append(bytes.Clone(o.kept), o.line...)
	if o.crash == "" && len(kept) > maxOutput {
		kept = kept[len(kept)-maxOutput:]
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(kept), ""))
}

// lastLine is the last line of what was kept.
func (o *output) lastLine() string {
	text := o.String()
	return text[strings.LastIndexByte(text, '\n')+1:]
}
