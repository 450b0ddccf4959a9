package hive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"hive/archive"
)

const (
	// clientPatience is how long a client that follows a run looks for a node
	// that answers before it gives up.
	clientPatience = 5 * time.Minute
	// clientPause is between two rounds of that.
	clientPause = 100 * time.Millisecond
	// clientTry bounds what one node may take to answer a call, beyond which the next one is asked.
	clientTry = 15 * time.Second
	// learnEvery is how often a client that follows a run asks who is in the hive.
	learnEvery = 10 * time.Second
)

// Client speaks to a hive through any of its nodes. It learns the others'
// addresses and turns to them when the first one goes.
type Client struct {
	calls    *caller
	patience time.Duration // of Attach
	first    string        // address that it was given

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
	return &Client{calls: newCaller(token), patience: clientPatience, first: base, bases: []string{base}}, nil
}

// Close gives up idle connections.
func (c *Client) Close() { c.calls.close() }

func (c *Client) known() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.bases)
}

// learn asks who is in the hive; without an answer, what is known has to do.
func (c *Client) learn(ctx context.Context) { _, _ = c.Nodes(ctx) }

// remember takes the addresses of nodes and forgets those of nodes that are gone.
func (c *Client) remember(nodes []NodeInfo) {
	var there []string
	for _, n := range nodes {
		there = append(there, n.Address)
	}
	if len(there) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.bases
	c.bases = slices.DeleteFunc(slices.Clone(was), func(base string) bool { return !slices.Contains(there, base) })
	for _, base := range append(there, c.first) { // the first may be another name of one of them
		if !slices.Contains(c.bases, base) {
			c.bases = append(c.bases, base)
		}
	}
	if i := slices.Index(c.bases, was[0]); i > 0 {
		c.bases = slices.Insert(slices.Delete(c.bases, i, i+1), 0, was[0])
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

// each tries the known nodes in turn until one can answer.
func (c *Client) each(try func(base string) error) error {
	var first error
	for _, base := range c.known() {
		err := try(base)
		if !elsewhere(err) {
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
	return c.each(func(base string) error {
		one, cancel := context.WithTimeout(ctx, clientTry)
		defer cancel()
		return c.calls.call(one, method, base+path, in, out)
	})
}

// Nodes lists the hive's nodes by name. The client turns to them from now on.
func (c *Client) Nodes(ctx context.Context) ([]NodeInfo, error) {
	var nodes []NodeInfo
	err := c.call(ctx, "GET", "/api/v1/nodes", nil, &nodes)
	if err == nil {
		c.remember(nodes)
	}
	return nodes, err
}

// NodesWithHealth is Nodes with how the engines of a run under way fare.
func (c *Client) NodesWithHealth(ctx context.Context) ([]NodeInfo, error) {
	var nodes []NodeInfo
	err := c.call(ctx, "GET", "/api/v1/nodes?health=true", nil, &nodes)
	return nodes, err
}

// Drain asks a node, by name or id, to hand its share over and to leave the
// hive; it does not wait for that.
func (c *Client) Drain(ctx context.Context, node string) (NodeInfo, error) {
	var info NodeInfo
	err := c.call(ctx, "POST", "/api/v1/nodes/"+url.PathEscape(node)+"/drain", nil, &info)
	return info, err
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

// Pause makes a run's clock stand still: nothing new starts until Resume.
func (c *Client) Pause(ctx context.Context, run string, req PauseRequest) error {
	return c.call(ctx, "POST", runPath(run)+"/pause", req, nil)
}

// Resume ends a pause.
func (c *Client) Resume(ctx context.Context, run string, req PauseRequest) error {
	return c.call(ctx, "POST", runPath(run)+"/resume", req, nil)
}

// Scale sets the VUs of an externally-controlled scenario.
func (c *Client) Scale(ctx context.Context, run string, req ScaleRequest) error {
	return c.call(ctx, "POST", runPath(run)+"/scale", req, nil)
}

// Timeline lists what has happened to a run, oldest first.
func (c *Client) Timeline(ctx context.Context, run string) ([]TimelineEvent, error) {
	var events []TimelineEvent
	err := c.call(ctx, "GET", runPath(run)+"/timeline", nil, &events)
	return events, err
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
	if len(packed) > maxArchive {
		return Failf(KindConfig, "the archive has %d MiB, with all files that the script imports and opens, and a hive takes at most %d MiB", len(packed)>>20, maxArchive>>20)
	}
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
	if err := c.Follow(ctx, run, see); err != nil {
		return nil, err
	}
	var res *Result
	err := c.persist(ctx, func() (err error) {
		res, err = c.Result(ctx, run)
		return err
	})
	return res, err
}

// persist repeats a call until it is answered, for as long as the client's
// patience lasts.
func (c *Client) persist(ctx context.Context, try func() error) error {
	for since := time.Now(); ; pause(ctx, clientPause) {
		err := try()
		if !Passing(err) || time.Since(since) > c.patience {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// Follow is Attach without the result.
func (c *Client) Follow(ctx context.Context, run string, see func(Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var learning sync.WaitGroup
	defer learning.Wait()
	defer cancel()
	c.learn(ctx)
	learning.Go(func() { c.keepLearning(ctx) })
	f := newAttachment(c, run, see)
	for lastWord, told := time.Now(), false; ; pause(ctx, clientPause) {
		heard, err := f.listen(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case f.failed != nil:
			return f.failed
		case !Passing(err):
			return err
		case heard:
			lastWord, told = time.Now(), false
		}
		silent := time.Since(lastWord)
		if silent > min(leaderPatience, c.patience/2) && !told {
			told = true
			if err := f.warn("the run cannot be followed at the moment (%v); trying for %s", err, c.patience); err != nil {
				return err
			}
		}
		if silent > c.patience {
			return fmt.Errorf("run %s was lost sight of, no node of its hive has helped for %s: %w", run, c.patience, err)
		}
	}
}

// keepLearning asks for the nodes' addresses again and again, since all that
// were known may be replaced while one stream lasts.
func (c *Client) keepLearning(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, learnEvery)
		c.learn(ctx)
	}
}

// Passing says whether the error of a call may pass by itself: no answer, or a refusal
// of a node that is not in the hive at the moment.
func Passing(err error) bool {
	if _, ok := errors.AsType[*UnreachableError](err); ok {
		return true
	}
	api, ok := errors.AsType[*APIError](err)
	return ok && (api.Status == http.StatusServiceUnavailable || api.Status == http.StatusMisdirectedRequest || api.Status == http.StatusInternalServerError)
}

// elsewhere says whether another node may give the answer that this one did not.
func elsewhere(err error) bool {
	if _, ok := errors.AsType[*UnreachableError](err); ok {
		return true
	}
	api, ok := errors.AsType[*APIError](err)
	return ok && (api.Status == http.StatusServiceUnavailable || api.Status == http.StatusMisdirectedRequest)
}
