package hive

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

const (
	// keptLines is how many delivered lines a node keeps for the next leader.
	keptLines = 1000
	// maxLogBytes bounds the lines of a node in memory; older ones go first, and are counted. All of them
	// fit in one checkpoint, even if every byte has to be escaped there.
	maxLogBytes = 8 << 20
	// maxLineBytes bounds one line; the rest of it is cut off.
	maxLineBytes = 1 << 20
	// lineOverhead is what a line takes beyond its text, about.
	lineOverhead = 256
)

// logBuffer gathers the log lines of one run on one node until the leader has
// them. It keeps the last ones after that, so that a new leader gets them too.
type logBuffer struct {
	full func() // called, if set, when the buffer fills faster than it is emptied

	mu    sync.Mutex // guards what follows
	lines []LogLine
	size  int // of lines, in bytes
	seq   int64
	acked int64 // seq of the last line that the present leader has
	lost  int64 // lines that were dropped before any leader had them
}

func (b *logBuffer) add(l LogLine) {
	l.Message = cut(l.Message, maxLineBytes)
	if b.keep(l) && b.full != nil {
		b.full()
	}
}

// keep appends a line and says whether much waits for delivery.
func (b *logBuffer) keep(l LogLine) (full bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	l.Seq = b.seq
	b.lines = append(b.lines, l)
	b.size += sizeOf(l)
	if b.size > maxLogBytes {
		b.drop()
	}
	return b.size > maxLogBytes/2
}

// sizeOf is what a line takes in memory, about.
func sizeOf(l LogLine) int { return len(l.Message) + lineOverhead }

// cut shortens a text to at most limit bytes, and says so in it.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return fmt.Sprintf("%s… (%d more bytes)", strings.ToValidUTF8(s[:limit], ""), len(s)-limit)
}

// drop gives up the oldest lines, a quarter of what is allowed, and leaves one
// that says how many the leader never got; b.mu is held.
func (b *logBuffer) drop() {
	n := 0
	for n < len(b.lines)-1 && b.size > maxLogBytes*3/4 {
		b.size -= sizeOf(b.lines[n])
		n++
	}
	last := b.lines[n]
	for _, l := range b.lines[:n+1] {
		if l.Seq > b.acked && l.Message != b.note() {
			b.lost++
		}
	}
	b.lines = slices.Delete(b.lines, 0, n)
	if b.lost > 0 {
		note := LogLine{Node: last.Node, Seq: last.Seq, Time: last.Time, Level: slog.LevelWarn, Message: b.note()}
		b.size += sizeOf(note) - sizeOf(last)
		b.lines[0] = note
	}
}

func (b *logBuffer) note() string {
	return fmt.Sprintf("%d log lines were dropped: there were too many to deliver", b.lost)
}

// pending returns the lines that the leader does not have yet.
func (b *logBuffer) pending() []LogLine {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, _ := slices.BinarySearchFunc(b.lines, b.acked+1, func(l LogLine, seq int64) int { return int(l.Seq - seq) })
	return slices.Clone(b.lines[i:])
}

// ack notes that the leader has all lines up to seq.
func (b *logBuffer) ack(seq int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acked = max(b.acked, seq)
	delivered, _ := slices.BinarySearchFunc(b.lines, b.acked+1, func(l LogLine, seq int64) int { return int(l.Seq - seq) })
	keep := keptLines
	if b.size > maxLogBytes/2 {
		keep = 0 // room for what comes counts for more than the next leader
	}
	if delivered > 2*keep {
		for _, l := range b.lines[:delivered-keep] {
			b.size -= sizeOf(l)
		}
		b.lines = slices.Delete(b.lines, 0, delivered-keep)
	}
}

// reset makes all kept lines pending again: there is a new leader.
func (b *logBuffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acked = 0
}

// handler is a slog handler that adds to the buffer in the name of node.
func (b *logBuffer) handler(node string) slog.Handler {
	return &logHandler{buf: b, node: node}
}

type logHandler struct {
	buf   *logBuffer
	node  string
	group string
	attrs []slog.Attr
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return true }

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	l := LogLine{Node: h.node, Time: r.Time, Level: r.Level, Message: r.Message}
	add := func(key string, v slog.Value) {
		if l.Attrs == nil {
			l.Attrs = map[string]any{}
		}
		l.Attrs[key] = plain(v)
	}
	for _, a := range h.attrs {
		add(a.Key, a.Value)
	}
	r.Attrs(func(a slog.Attr) bool { add(h.group+a.Key, a.Value); return true })
	h.buf.add(l)
	return nil
}

// plain turns a slog value into one that JSON holds.
func plain(v slog.Value) any {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindBool, slog.KindInt64, slog.KindUint64:
		return v.Any()
	}
	return v.String()
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		c.attrs = append(c.attrs, slog.Attr{Key: h.group + a.Key, Value: a.Value})
	}
	return &c
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.group = h.group + name + "."
	return &c
}
