package hive

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
)

const (
	// keptLines is how many delivered lines a node keeps for the next leader.
	keptLines = 1000
	// maxLines bounds what waits for a leader; older lines go first, and are counted.
	maxLines = 10000
)

// logBuffer gathers the log lines of one run on one node until the leader has
// them. It keeps the last ones after that, so that a new leader gets them too.
type logBuffer struct {
	mu    sync.Mutex // guards what follows
	lines []LogLine
	seq   int64
	acked int64 // seq of the last line that the present leader has
	lost  int64 // lines that were dropped before any leader had them
}

func (b *logBuffer) add(l LogLine) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	l.Seq = b.seq
	b.lines = append(b.lines, l)
	if len(b.lines) > maxLines {
		b.drop(maxLines / 10)
	}
}

// drop gives up the n oldest lines, and leaves one that says how many the
// leader never got; b.mu is held.
func (b *logBuffer) drop(n int) {
	last := b.lines[n]
	for _, l := range b.lines[:n+1] {
		if l.Seq > b.acked && l.Message != b.note() {
			b.lost++
		}
	}
	b.lines = slices.Delete(b.lines, 0, n)
	if b.lost > 0 {
		b.lines[0] = LogLine{Node: last.Node, Seq: last.Seq, Time: last.Time, Level: slog.LevelWarn, Message: b.note()}
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
	if delivered > 2*keptLines {
		b.lines = slices.Delete(b.lines, 0, delivered-keptLines)
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
