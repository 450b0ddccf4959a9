package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"hive/hive"
)

// display shows a run while it goes on: header, plan, progress. With quiet it shows nothing of these.
type display struct {
	screen *screen
	quiet  bool
	color  bool

	mu      sync.Mutex
	phase   hive.Phase // of a local run; guarded by mu
	last    progress   // what was shown last; guarded by mu
	printed time.Duration
}

// Header prints what is about to run.
func (d *display) Header(execution, script, output string) {
	var b strings.Builder
	b.WriteString(paint(d.color, yellow, banner) + "\n")
	for _, row := range [][2]string{{"execution", execution}, {"script", script}, {"output", output}} {
		fmt.Fprintf(&b, "%14s: %s\n", row[0], paint(d.color, cyan, row[1]))
	}
	d.print(b.String() + "\n")
}

// Plan prints what will run where.
func (d *display) Plan(p hive.Plan) {
	var b strings.Builder
	if err := p.Write(&b); err == nil { // a builder takes everything
		d.print(b.String() + "\n")
	}
}

// banner is hive's name over a row of cells.
const banner = `
      __    __
   __/  \__/  \__    hive
  /  \__/  \__/  \
  \__/  \__/  \__/
`

// Note prints a line that belongs to the run's course.
func (d *display) Note(line string) { d.print(line + "\n") }

func (d *display) print(s string) {
	if !d.quiet {
		// Nobody is left to be told when stdout is gone.
		_, _ = io.WriteString(d.screen.out, s)
	}
}

// Phase notes the phase of a local run, which Follow shows with the progress.
func (d *display) Phase(p hive.Phase) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.phase = p
}

// Follow shows the progress of a local run, ten times a second on a terminal and once elsewhere, until stop is called,
// which shows it for the last time.
func (d *display) Follow(source func() hive.Progress) (stop func()) {
	every := time.Second
	if d.screen.out.tty {
		every = 100 * time.Millisecond
	}
	quit, done := make(chan struct{}), make(chan struct{})
	show := func() {
		d.mu.Lock()
		phase := d.phase
		d.mu.Unlock()
		d.Progress(progress{Progress: source(), Phase: phase})
	}
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				show()
			}
		}
	}()
	return func() {
		close(quit)
		<-done
		show()
		d.Finish()
	}
}

// Progress shows where the run is: the live bars on a terminal, elsewhere a status once a second of the run's clock
// and whenever the phase changes.
func (d *display) Progress(p progress) {
	if d.quiet {
		return
	}
	d.mu.Lock()
	due := p.Phase != d.last.Phase || p.Paused != d.last.Paused || p.Elapsed.Truncate(time.Second) != d.printed.Truncate(time.Second)
	d.last = p
	if due {
		d.printed = p.Elapsed
	}
	d.mu.Unlock()
	switch {
	case d.screen.out.tty:
		d.screen.Show(p.block(d.screen.out.width(), d.color))
	case due:
		d.print("\n" + p.lines())
	}
}

// Finish leaves the last progress standing.
func (d *display) Finish() {
	d.screen.Keep()
	d.print("\n")
}
