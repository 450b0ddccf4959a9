package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// logConfig is what the command line says about log lines.
type logConfig struct {
	Format  string // text, raw or json
	Output  string // stderr, stdout, none, file=path[,level=…]
	Verbose bool
	Color   bool // allowed by flags and environment; used only on terminals
}

// logs is where log lines go: the command's own, the engine's and the script's console.
type logs struct {
	*slog.Logger
	console *atomic.Pointer[slog.Handler] // overrides the destination of console lines when set
	format  string
	files   []io.Closer
}

// openLogs makes the logger that cfg asks for. The screen's streams draw the progress anew after each line.
func openLogs(cfg logConfig, s *screen, start time.Time) (*logs, error) {
	if !slices.Contains([]string{"text", "raw", "json"}, cfg.Format) {
		return nil, usageError("--log-format %q: want text, raw or json", cfg.Format)
	}
	l := &logs{console: new(atomic.Pointer[slog.Handler]), format: cfg.Format}
	level := slog.LevelInfo
	if cfg.Verbose {
		level = slog.LevelDebug
	}
	w, level, err := l.destination(cfg.Output, s, level)
	if err != nil {
		return nil, err
	}
	l.Logger = slog.New(l.handler(w, level, start, cfg.Color))
	return l, nil
}

// plainLogs is the log of a command line that could not be read: text on stderr.
func plainLogs(s *screen, start time.Time) *logs {
	l := &logs{console: new(atomic.Pointer[slog.Handler]), format: "text"}
	l.Logger = slog.New(l.handler(s.err, slog.LevelInfo, start, s.err.tty))
	return l
}

// handler writes to w: for eyes when it is a terminal, otherwise in the log's format.
func (l *logs) handler(w io.Writer, level slog.Level, start time.Time, color bool) slog.Handler {
	h := newHandler(w, l.format, level)
	if t, ok := w.(*stream); ok && t.tty && l.format == "text" {
		h = &lineHandler{w: w, level: level, start: start, color: color}
	}
	return &consoleSplit{main: h, console: l.console}
}

// destination opens what --log-output names.
func (l *logs) destination(output string, s *screen, level slog.Level) (io.Writer, slog.Level, error) {
	kind, rest, _ := strings.Cut(output, "=")
	switch {
	case output == "stderr":
		return s.err, level, nil
	case output == "stdout":
		return s.out, level, nil
	case output == "none":
		return io.Discard, level, nil
	case kind == "file" && rest != "":
		return l.file(rest, level)
	case kind == "loki":
		return nil, 0, usageError("--log-output %s: hive does not send logs to Loki; there are stderr, stdout, none and file=path", output)
	default:
		return nil, 0, usageError("--log-output %q: want stderr, stdout, none or file=path", output)
	}
}

// file opens path[,level=name] for appending.
func (l *logs) file(spec string, level slog.Level) (io.Writer, slog.Level, error) {
	path, options, _ := strings.Cut(spec, ",")
	for _, o := range splitCommas([]string{options}) {
		name, ok := strings.CutPrefix(o, "level=")
		if !ok {
			return nil, 0, usageError("--log-output file: unknown setting %q: want level=name", o)
		}
		parsed, err := parseLevel(name)
		if err != nil {
			return nil, 0, err
		}
		level = parsed
	}
	f, err := l.open(path)
	return f, level, err
}

func (l *logs) open(path string) (io.Writer, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	l.files = append(l.files, f)
	return f, nil
}

// ConsoleTo sends the script's console lines to a file from now on, whatever the level and destination of the rest.
func (l *logs) ConsoleTo(path string) error {
	w, err := l.open(path)
	if err != nil {
		return fmt.Errorf("console output: %w", err)
	}
	h := newHandler(w, l.format, slog.LevelDebug)
	l.console.Store(&h)
	return nil
}

// Close closes the files that were opened.
func (l *logs) Close() error {
	var first error
	for _, f := range l.files {
		if err := f.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func parseLevel(name string) (slog.Level, error) {
	switch strings.ToLower(name) {
	case "trace", "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error", "fatal", "panic":
		return slog.LevelError, nil
	default:
		return 0, usageError("log level %q: want debug, info, warning or error", name)
	}
}

func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warning"
	default:
		return "error"
	}
}

// newHandler writes records in one of the three formats to something that is no terminal.
func newHandler(w io.Writer, format string, level slog.Leveler) slog.Handler {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: likeK6}
	switch format {
	case "json":
		return slog.NewJSONHandler(w, options)
	case "raw":
		return &rawHandler{w: w, level: level}
	default:
		return slog.NewTextHandler(w, options)
	}
}

// likeK6 writes times to the second in UTC's zone notation and levels in k6's words.
func likeK6(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		a.Value = slog.StringValue(a.Value.Time().Format(time.RFC3339))
	case slog.LevelKey:
		if level, ok := a.Value.Any().(slog.Level); ok {
			a.Value = slog.StringValue(levelName(level))
		}
	}
	return a
}

// rawHandler writes messages and nothing else.
type rawHandler struct {
	w     io.Writer
	level slog.Leveler
}

func (h *rawHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }
func (h *rawHandler) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h *rawHandler) WithGroup(string) slog.Handler                { return h }

func (h *rawHandler) Handle(_ context.Context, r slog.Record) error {
	_, err := io.WriteString(h.w, r.Message+"\n")
	return err
}

// lineHandler writes for eyes: level, seconds since the start, message, attributes.
type lineHandler struct {
	w      io.Writer
	level  slog.Leveler
	start  time.Time
	color  bool
	prefix string // of attribute names: the groups
	attrs  string // already written
}

func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *lineHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.prefix += name + "."
	return &c
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	for _, a := range attrs {
		c.attrs += c.attr(a)
	}
	return &c
}

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	name := paint(h.color, levelColor(r.Level), strings.ToUpper(levelName(r.Level))[:4])
	attrs := h.attrs
	r.Attrs(func(a slog.Attr) bool {
		attrs += h.attr(a)
		return true
	})
	seconds := max(0, int(r.Time.Sub(h.start).Seconds()))
	_, err := fmt.Fprintf(h.w, "%s[%04d] %-44s%s\n", name, seconds, r.Message, attrs)
	return err
}

func (h *lineHandler) attr(a slog.Attr) string {
	value := a.Value.Resolve().String()
	if strings.ContainsAny(value, " \"\n\t=") {
		value = fmt.Sprintf("%q", value)
	}
	return " " + paint(h.color, cyan, h.prefix+a.Key) + "=" + value
}

// consoleSplit sends records that carry source=console to a handler of their own once there is one.
type consoleSplit struct {
	main      slog.Handler
	console   *atomic.Pointer[slog.Handler]
	derive    []func(slog.Handler) slog.Handler // what With… asked for, repeated on a handler that is set later
	isConsole bool                              // source=console was given to With
}

func (h *consoleSplit) Enabled(ctx context.Context, l slog.Level) bool {
	return h.console.Load() != nil || h.main.Enabled(ctx, l)
}

func (h *consoleSplit) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := h.with(func(under slog.Handler) slog.Handler { return under.WithAttrs(attrs) })
	c.isConsole = c.isConsole || slices.ContainsFunc(attrs, fromConsole)
	return c
}

func (h *consoleSplit) WithGroup(name string) slog.Handler {
	return h.with(func(under slog.Handler) slog.Handler { return under.WithGroup(name) })
}

func (h *consoleSplit) with(f func(slog.Handler) slog.Handler) *consoleSplit {
	c := *h
	c.main = f(h.main)
	c.derive = append(slices.Clip(h.derive), f)
	return &c
}

func (h *consoleSplit) Handle(ctx context.Context, r slog.Record) error {
	to := h.console.Load()
	if to != nil && (h.isConsole || hasConsole(r)) {
		target := *to
		for _, f := range h.derive {
			target = f(target)
		}
		return target.Handle(ctx, r)
	}
	if !h.main.Enabled(ctx, r.Level) {
		return nil
	}
	return h.main.Handle(ctx, r)
}

func hasConsole(r slog.Record) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = fromConsole(a)
		return !found
	})
	return found
}

func fromConsole(a slog.Attr) bool { return a.Key == "source" && a.Value.String() == "console" }
