package isolate

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxBacklog is how many bytes may wait for a parent that does not read before log lines are dropped.
	maxBacklog = 8 << 20
	// logRate is how many bytes of log lines go to the parent in a second, logBurst how many before that counts: to read
	// them takes time that the parent needs to stay in the hive.
	logRate, logBurst = 1 << 20, 4 << 20
	// lineCost is what a line costs besides its text.
	lineCost = 100
	// maxMessage bounds one log line; the rest is cut off.
	maxMessage = 1<<20 - 64
)

// logRecord is a log line on the wire.
type logRecord struct {
	Time    time.Time  `json:"time"`
	Level   slog.Level `json:"level"`
	Message string     `json:"message"`
	Attrs   []logAttr  `json:"attrs,omitempty"`
}

// logAttr is an attribute of a log line; one of its values is set.
type logAttr struct {
	Key      string         `json:"k"`
	Text     *string        `json:"s,omitempty"`
	Bool     *bool          `json:"b,omitempty"`
	Int      *int64         `json:"i,omitempty"`
	Uint     *uint64        `json:"u,omitempty"`
	Float    *float64       `json:"f,omitempty"`
	Duration *time.Duration `json:"d,omitempty"`
	Time     *time.Time     `json:"t,omitempty"`
	Group    []logAttr      `json:"g,omitempty"`
}

func toLogAttr(a slog.Attr) logAttr {
	v := a.Value.Resolve()
	w := logAttr{Key: a.Key}
	switch v.Kind() {
	case slog.KindBool:
		w.Bool = new(v.Bool())
	case slog.KindInt64:
		w.Int = new(v.Int64())
	case slog.KindUint64:
		w.Uint = new(v.Uint64())
	case slog.KindDuration:
		w.Duration = new(v.Duration())
	case slog.KindTime:
		w.Time = new(v.Time())
	case slog.KindGroup:
		w.Group = toLogAttrs(v.Group())
	case slog.KindFloat64:
		if f := v.Float64(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			w.Float = &f
			break
		}
		fallthrough // JSON has no such number
	default:
		w.Text = new(cut(v.String()))
	}
	return w
}

func toLogAttrs(attrs []slog.Attr) []logAttr {
	out := make([]logAttr, len(attrs))
	for i, a := range attrs {
		out[i] = toLogAttr(a)
	}
	return out
}

func (w logAttr) attr() slog.Attr {
	switch {
	case w.Text != nil:
		return slog.String(w.Key, *w.Text)
	case w.Bool != nil:
		return slog.Bool(w.Key, *w.Bool)
	case w.Int != nil:
		return slog.Int64(w.Key, *w.Int)
	case w.Uint != nil:
		return slog.Uint64(w.Key, *w.Uint)
	case w.Float != nil:
		return slog.Float64(w.Key, *w.Float)
	case w.Duration != nil:
		return slog.Duration(w.Key, *w.Duration)
	case w.Time != nil:
		return slog.Time(w.Key, *w.Time)
	}
	group := make([]slog.Attr, len(w.Group))
	for i, g := range w.Group {
		group[i] = g.attr()
	}
	return slog.Attr{Key: w.Key, Value: slog.GroupValue(group...)}
}

// handle gives the line to a handler of this process.
func (r logRecord) handle(ctx context.Context, h slog.Handler) error {
	if !h.Enabled(ctx, r.Level) {
		return nil
	}
	record := slog.NewRecord(r.Time, r.Level, r.Message, 0)
	for _, a := range r.Attrs {
		record.AddAttrs(a.attr())
	}
	return h.Handle(ctx, record)
}

func cut(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return fmt.Sprintf("%s… (%d more bytes)", strings.ToValidUTF8(text[:maxMessage], ""), len(text)-maxMessage)
}

// logSender sends log lines to the parent. A script that logs more than the parent reads loses lines, and is told how
// many, rather than time.
type logSender struct {
	to *sender

	mu   sync.Mutex // guards what follows
	lost int
	used float64   // bytes of the burst
	at   time.Time // when that was so
}

// take reports whether there is still room for a line in what may be sent by now; s.mu is held.
func (s *logSender) take(r logRecord) bool {
	now := time.Now()
	s.used, s.at = max(0, s.used-now.Sub(s.at).Seconds()*logRate), now
	if s.used >= logBurst {
		return false
	}
	s.used += float64(len(r.Message) + lineCost)
	return true
}

func (s *logSender) send(r logRecord) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, lines := s.to.backlog(); lines > maxBacklog || !s.take(r) {
		s.lost++
		return nil
	}
	if s.lost > 0 {
		dropped := logRecord{Time: r.Time, Level: slog.LevelWarn, Message: fmt.Sprintf("%d log lines were dropped: there were too many to deliver", s.lost)}
		s.lost = 0
		if err := s.note(dropped); err != nil {
			return err
		}
	}
	return s.note(r)
}

// note sends a line behind everything that is not a line.
func (s *logSender) note(r logRecord) error {
	args, err := encode(r)
	if err != nil {
		return err
	}
	return s.to.sendAtLeisure(frame{head{Kind: note, Method: noteLog, Args: args}, nil})
}

// logHandler is the child's end of the parent's log.
type logHandler struct {
	to     *logSender
	attrs  []logAttr // given before any group
	groups []logGroup
}

// logGroup is an open group with what was given in it.
type logGroup struct {
	name  string
	attrs []logAttr
}

func (h *logHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	if n := len(h.groups); n > 0 {
		c.groups = slices.Clone(h.groups)
		c.groups[n-1].attrs = slices.Concat(h.groups[n-1].attrs, toLogAttrs(attrs))
	} else {
		c.attrs = slices.Concat(h.attrs, toLogAttrs(attrs))
	}
	return &c
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.groups = append(slices.Clone(h.groups), logGroup{name: name})
	return &c
}

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	var attrs []logAttr
	r.Attrs(func(a slog.Attr) bool { attrs = append(attrs, toLogAttr(a)); return true })
	for _, g := range slices.Backward(h.groups) {
		attrs = []logAttr{{Key: g.name, Group: slices.Concat(g.attrs, attrs)}}
	}
	return h.to.send(logRecord{Time: r.Time, Level: r.Level, Message: cut(r.Message), Attrs: slices.Concat(h.attrs, attrs)})
}
