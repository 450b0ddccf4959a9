package hive

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// hedge is how long a node is waited for before the next one is asked as well.
	hedge = 250 * time.Millisecond
	// openTry is how long a node may take to begin a stream: it says within
	// leaderPatience that it waits for a leader.
	openTry = leaderPatience + 5*time.Second
	// streamSilence is after how long without a byte a stream counts as cut off.
	streamSilence = 3*streamIdle + time.Second
)

// attachment keeps what a client has seen of a run, over all nodes it asked.
type attachment struct {
	client *Client
	run    string
	see    func(Event) error
	failed error // of see

	last     string // id of the last event
	plan     string
	lines    map[logLife]*seqSet
	warnings map[string]bool // of leaders, and those that came with the plan
	timeline map[entry]bool
}

// logLife is a node in one of its lives in the run, which counts its lines.
type logLife struct {
	node        string
	incarnation int64
}

// entry tells entries of the timeline apart: the last one of a full timeline is written again and again.
type entry struct {
	n       int64
	message string
}

func newAttachment(c *Client, run string, see func(Event) error) *attachment {
	return &attachment{client: c, run: run, see: see, lines: map[logLife]*seqSet{}, warnings: map[string]bool{}, timeline: map[entry]bool{}}
}

// warn tells what the client itself has to say.
func (f *attachment) warn(format string, args ...any) error {
	data, err := json.Marshal(Warning{fmt.Sprintf(format, args...)})
	if err != nil {
		return err
	}
	return f.take(Event{Type: EventWarning, Data: data})
}

// errCut is a stream that ended before the run did.
var errCut = errors.New("the stream of events was cut off")

// listen follows one stream; nil means that the run has finished. heard says
// whether any node answered.
func (f *attachment) listen(ctx context.Context) (heard bool, err error) {
	a := f.open(ctx)
	defer a.close()
	if a.err != nil {
		return false, a.err
	}
	f.client.prefer(a.base)
	quiet := time.AfterFunc(streamSilence, a.cancel)
	defer quiet.Stop()
	if err := f.read(a.resp.Body, func() { quiet.Reset(streamSilence) }); !errors.Is(err, errCut) {
		return true, err
	}
	return true, &UnreachableError{URL: a.base, Err: errCut}
}

// attempt is one node's answer to the wish for a stream.
type attempt struct {
	base   string
	resp   *http.Response
	err    error
	cancel context.CancelFunc
}

func (a *attempt) close() {
	a.cancel()
	if a.resp != nil {
		a.resp.Body.Close()
	}
}

// open asks the known nodes for the stream, one after the other and each at
// once when the one before fails or hesitates, and returns the first answer
// that helps.
func (f *attachment) open(ctx context.Context) *attempt {
	bases := f.client.known()
	answers := make(chan *attempt, len(bases))
	var asked []context.CancelFunc
	ask := func() {
		one, cancel := context.WithCancel(ctx)
		asked = append(asked, cancel)
		go func(base string) { answers <- f.ask(one, cancel, base) }(bases[len(asked)-1])
	}
	waiting := 0
	defer func() {
		for ; waiting > 0; waiting-- {
			(<-answers).close()
		}
	}()
	next := time.NewTimer(0)
	defer next.Stop()
	var first *attempt
	for {
		select {
		case <-next.C:
			if len(asked) < len(bases) {
				ask()
				waiting++
				next.Reset(hedge)
			}
		case a := <-answers:
			waiting--
			if a.err != nil && elsewhere(a.err) {
				a.close()
				if first == nil {
					first = a
				}
				if len(asked) < len(bases) {
					next.Reset(0)
				} else if waiting == 0 {
					return first
				}
				continue
			}
			for i, base := range bases[:len(asked)] {
				if base != a.base {
					asked[i]()
				}
			}
			return a
		}
	}
}

// ask asks one node for the stream. The context lives as long as the answer's body.
func (f *attachment) ask(ctx context.Context, cancel context.CancelFunc, base string) *attempt {
	header := http.Header{"Accept": {"text/event-stream"}}
	if f.last != "" {
		header.Set("Last-Event-ID", f.last)
	}
	late := time.AfterFunc(openTry, cancel)
	defer late.Stop()
	resp, err := f.client.calls.open(ctx, "GET", base+runPath(f.run)+"/events", nil, header)
	return &attempt{base: base, resp: resp, err: err, cancel: cancel}
}

// read takes events from a stream; nil at the result. It calls alive whenever
// something came.
func (f *attachment) read(r io.Reader, alive func()) error {
	br := bufio.NewReader(r)
	var e Event
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return errCut
		}
		alive()
		field, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "\n" || line == "\r\n":
			if e.Type == "" {
				continue
			}
			if err := f.take(e); err != nil {
				f.failed = err
				return err
			}
			if e.Type == EventResult {
				return nil
			}
			e = Event{}
		case field == "id":
			e.ID = value
		case field == "event":
			e.Type = value
		case field == "data":
			e.Data = append(e.Data, value...)
		}
	}
}

// take passes an event on unless it was seen before, from another leader.
func (f *attachment) take(e Event) error {
	if e.ID != "" {
		f.last = e.ID
	}
	seen, err := f.seen(e)
	if err != nil || seen || f.see == nil {
		return err
	}
	return f.see(e)
}

// seen says whether an event was seen before, and notes that it was now.
// What a node or the client says for itself, without an id, is always new.
func (f *attachment) seen(e Event) (bool, error) {
	switch e.Type {
	case EventPlan:
		seen := f.plan == string(e.Data)
		f.plan = string(e.Data)
		var plan Plan
		if err := json.Unmarshal(e.Data, &plan); err != nil {
			return false, fmt.Errorf("plan event: %w", err)
		}
		for _, w := range plan.Warnings {
			f.warnings[w] = true
		}
		return seen, nil
	case EventWarning:
		var w Warning
		if err := json.Unmarshal(e.Data, &w); err != nil {
			return false, fmt.Errorf("warning event: %w", err)
		}
		seen := e.ID != "" && f.warnings[w.Message]
		f.warnings[w.Message] = true
		return seen, nil
	case EventTimeline:
		var t TimelineEvent
		if err := json.Unmarshal(e.Data, &t); err != nil {
			return false, fmt.Errorf("timeline event: %w", err)
		}
		seen := f.timeline[entry{t.N, t.Message}]
		f.timeline[entry{t.N, t.Message}] = true
		return seen, nil
	case EventLog:
		var l LogLine
		if err := json.Unmarshal(e.Data, &l); err != nil {
			return false, fmt.Errorf("log event: %w", err)
		}
		life := logLife{l.Node, l.Incarnation}
		if f.lines[life] == nil {
			f.lines[life] = &seqSet{}
		}
		return !f.lines[life].add(l.Seq), nil
	}
	return false, nil
}
