package main

import (
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// screen is the terminal, or what stands for it: two streams and, when stdout is a terminal, a block of progress bars
// that stays below everything written.
type screen struct {
	out, err *stream

	mu    sync.Mutex
	block string // what is drawn below the text now; guarded by mu
}

// stream is one of the screen's two streams; a write to it moves the block out of the way.
type stream struct {
	screen *screen
	w      io.Writer
	tty    bool
}

// newScreen wraps two writers; they count as terminals when they are files that say so.
func newScreen(stdout, stderr io.Writer) *screen {
	s := &screen{}
	s.out = &stream{screen: s, w: stdout, tty: isTerminal(stdout)}
	s.err = &stream{screen: s, w: stderr, tty: isTerminal(stderr)}
	return s
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width is the terminal's width in columns; 80 where it cannot be told.
func (t *stream) width() int {
	if f, ok := t.w.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// Write writes p above the block.
func (t *stream) Write(p []byte) (int, error) {
	s := t.screen
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.block == "" || !t.tty {
		return t.w.Write(p)
	}
	s.erase()
	n, err := t.w.Write(p)
	s.draw(s.block)
	return n, err
}

// Show replaces the block, which must end with a newline; the empty string removes it. Without a terminal it does nothing.
func (s *screen) Show(block string) {
	if !s.out.tty {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.draw(block)
	s.block = block
}

// Keep leaves the block where it is, as ordinary text.
func (s *screen) Keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.block = ""
}

// erase moves the cursor to the block's first line and clears from there on. A terminal that went away is no reason to stop.
func (s *screen) erase() {
	if lines := strings.Count(s.block, "\n"); lines > 0 {
		_, _ = io.WriteString(s.out.w, strings.Repeat("\x1b[A", lines)+"\r\x1b[J")
	}
}

func (s *screen) draw(block string) { _, _ = io.WriteString(s.out.w, block) }
