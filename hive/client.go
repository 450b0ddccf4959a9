package hive

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"hive/archive"
)

const (
	// clientPatience is how long a client that follows a run looks for a node
	// that answers before it gives up.
	clientPatience = time.Minute
	// clientPause is between two rounds of that.
	clientPause = 500 * time.Millisecond
)

// Client speaks to a hive through any of its nodes. It learns the others'
// addresses and turns to them when the first one goes.
type Client struct {
	calls    *caller
	patience time.Duration // of Attach

	mu    sync.Mutex // guards what follows
	bases []string   // the one to ask first comes first
}

// NewClient returns a client of the hive that the node at remote is of;
// remote is host:port or a URL.
func NewClient(remote, token string) (*Client, error) {
	base, err := nodeURL(remote)
	if err != nil {
		return nil, err
	}
	return &Client{calls: newCaller(token), patience: clientPatience, bases: []string{base}}, nil
}

// Close gives up idle connections.
func (c *Client) Close() { c.calls.close() }

func (c *Client) known() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.bases)
}

// learn asks for the other nodes' addresses.
func (c *Client) learn(ctx context.Context) {
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return // the ones that are known will have to do
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range nodes {
		if !slices.Contains(c.bases, n.Address) {
			c.bases = append(c.bases, n.Address)
		}
	}
}

// prefer puts a node that answered first.
func (c *Client) prefer(base string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.bases, base); i > 0 {
		c.bases = slices.Insert(slices.Delete(c.bases, i, i+1), 0, base)
	}
}

// each tries the known nodes in turn until one answers.
func (c *Client) each(try func(base string) error) error {
	var first error
	for _, base := range c.known() {
		err := try(base)
		if _, gone := errors.AsType[*UnreachableError](err); !gone {
			c.prefer(base)
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	return c.each(func(base string) error { return c.calls.call(ctx, method, base+path, in, out) })
}

// Cluster says which hive it is.
func (c *Client) Cluster(ctx context.Context) (ClusterInfo, error) {
	var info ClusterInfo
	return info, c.call(ctx, "GET", "/api/v1/cluster", nil, &info)
}

// Nodes lists the hive's nodes by name.
func (c *Client) Nodes(ctx context.Context) ([]NodeInfo, error) {
	var nodes []NodeInfo
	err := c.call(ctx, "GET", "/api/v1/nodes", nil, &nodes)
	return nodes, err
}

// Runs lists the runs that the hive remembers, in the order of submission.
func (c *Client) Runs(ctx context.Context) ([]RunInfo, error) {
	var runs []RunInfo
	err := c.call(ctx, "GET", "/api/v1/runs", nil, &runs)
	return runs, err
}

// runPath is where a run is in the API; what people take for an id may hold anything.
func runPath(run string) string { return "/api/v1/runs/" + url.PathEscape(run) }

// Show describes one run, its plan included.
func (c *Client) Show(ctx context.Context, run string) (RunInfo, error) {
	var info RunInfo
	err := c.call(ctx, "GET", runPath(run), nil, &info)
	return info, err
}

// Stop asks for the end of a run; it does not wait for it.
func (c *Client) Stop(ctx context.Context, run string, req StopRequest) error {
	return c.call(ctx, "POST", runPath(run)+"/stop", req, nil)
}

// Result fetches what a finished run left.
func (c *Client) Result(ctx context.Context, run string) (*Result, error) {
	var res Result
	if err := c.call(ctx, "GET", runPath(run)+"/result", nil, &res); err != nil {
		return nil, err
	}
	return &res, nil
}

// Submit uploads the packed archive if the hive does not have it, and puts the
// run into the queue. It needs no leader; [Client.Attach] tells when there is
// none to begin the run.
func (c *Client) Submit(ctx context.Context, packed []byte, sub Submission) (RunInfo, error) {
	if sub.ID == "" {
		sub.ID = NewRunID() // so that a submission that is sent twice is one run
	}
	sub.Archive = archive.DigestOf(packed)
	var info RunInfo
	for {
		if err := c.upload(ctx, sub.Archive, packed); err != nil {
			return info, err
		}
		err := c.call(ctx, "POST", "/api/v1/runs", sub, &info)
		if api, ok := errors.AsType[*APIError](err); ok && api.Code == codeNoArchive && ctx.Err() == nil {
			continue // deleted in between
		}
		return info, err
	}
}

func (c *Client) upload(ctx context.Context, digest string, packed []byte) error {
	path := "/api/v1/blobs/" + digest
	err := c.call(ctx, "HEAD", path, nil, nil)
	if api, ok := errors.AsType[*APIError](err); !ok || api.Status != http.StatusNotFound {
		return err
	}
	return c.each(func(base string) error { return c.calls.send(ctx, "PUT", base+path, packed, nil) })
}

// Attach follows a run to its end and returns its result. Each event is given
// to see, whose error ends the attachment. When a node goes, the client turns
// to another and goes on where it was.
func (c *Client) Attach(ctx context.Context, run string, see func(Event) error) (*Result, error) {
	c.learn(ctx)
	f := follower{client: c, run: run, see: see, lines: map[string]int64{}}
	lastWord, told := time.Now(), false
	for {
		heard, err := f.listen(ctx)
		if err == nil {
			return c.Result(ctx, run)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if _, ok := errors.AsType[*APIError](err); ok && !transient(err) {
			return nil, err
		}
		if f.failed != nil {
			return nil, f.failed
		}
		if heard {
			lastWord, told = time.Now(), false
			c.learn(ctx)
		}
		if time.Since(lastWord) > c.patience {
			return nil, fmt.Errorf("run %s was lost sight of, no node of its hive has helped for %s: %w", run, c.patience, err)
		}
		if !told && !heard {
			told = true
			if err := f.warn("the run cannot be followed at the moment (%v); trying for %s", err, c.patience); err != nil {
				return nil, err
			}
		}
		pause(ctx, clientPause)
	}
}

// transient says whether a refusal may pass by itself.
func transient(err error) bool {
	api, ok := errors.AsType[*APIError](err)
	return ok && (api.Status == http.StatusServiceUnavailable || api.Status == http.StatusMisdirectedRequest || api.Status == http.StatusInternalServerError)
}

// follower keeps what a client has seen of a run, over all nodes it asked.
type follower struct {
	client *Client
	run    string
	see    func(Event) error
	failed error // of see

	last  string
	plan  string
	lines map[string]int64 // seq of the last log line of each node
}

// warn tells what the client itself has to say.
func (f *follower) warn(format string, args ...any) error {
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
func (f *follower) listen(ctx context.Context) (heard bool, err error) {
	err = f.client.each(func(base string) error {
		header := http.Header{"Accept": {"text/event-stream"}}
		if f.last != "" {
			header.Set("Last-Event-ID", f.last)
		}
		resp, err := f.client.calls.open(ctx, "GET", base+runPath(f.run)+"/events", nil, header)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		heard = true
		if err := f.read(resp.Body); !errors.Is(err, errCut) {
			return err
		}
		return &UnreachableError{URL: base, Err: errCut} // the next node may know more
	})
	return heard, err
}

// read takes events from a stream; nil at the result.
func (f *follower) read(r io.Reader) error {
	br := bufio.NewReader(r)
	var e Event
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return errCut
		}
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
func (f *follower) take(e Event) error {
	if e.ID != "" {
		f.last = e.ID
	}
	switch e.Type {
	case EventPlan:
		if f.plan == string(e.Data) {
			return nil
		}
		f.plan = string(e.Data)
	case EventLog:
		var l LogLine
		if err := json.Unmarshal(e.Data, &l); err != nil {
			return fmt.Errorf("log event: %w", err)
		}
		if l.Seq <= f.lines[l.Node] {
			return nil
		}
		f.lines[l.Node] = l.Seq
	}
	if f.see == nil {
		return nil
	}
	return f.see(e)
}
