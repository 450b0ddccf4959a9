package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// relayed marks a stream that another node passes on, so that it is not
	// passed on again.
	relayed = "Hive-Relayed"
	// streamIdle is how often a silent stream shows that it lives.
	streamIdle = 2 * time.Second
	// streamPoll is how often a node looks again for who has the stream.
	streamPoll = 100 * time.Millisecond
	// leaderPatience is how long a leader may be missing, or not answer, until clients are told.
	leaderPatience = 10 * time.Second
)

// stream writes server-sent events.
type stream struct {
	w       http.ResponseWriter
	flush   func() error
	started bool
}

func (s *stream) start() {
	if s.started {
		return
	}
	s.started = true
	s.w.Header().Set("Content-Type", "text/event-stream")
	s.w.Header().Set("Cache-Control", "no-store")
	s.w.WriteHeader(http.StatusOK)
}

func (s *stream) send(e Event) error {
	s.start()
	if e.ID != "" {
		if _, err := fmt.Fprintf(s.w, "id: %s\n", e.ID); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", e.Type, e.Data); err != nil {
		return err
	}
	return s.flush()
}

// warn sends what the node itself has to say.
func (s *stream) warn(message string) error {
	data, err := json.Marshal(Warning{message})
	if err != nil {
		return err
	}
	return s.send(Event{Type: EventWarning, Data: data})
}

// idle sends a comment, which keeps proxies and clients from giving up.
func (s *stream) idle() error {
	s.start()
	if _, err := s.w.Write([]byte(":\n\n")); err != nil {
		return err
	}
	return s.flush()
}

// events streams a run's events. The leader has them; another node passes them
// on, and without a leader it waits for one, and says so after a while.
func (n *Node) events(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	s := &stream{w: w, flush: http.NewResponseController(w).Flush}
	told, since, word := false, time.Now(), time.Now()
	for {
		l, leaderChanged := n.currentLeader()
		if err := n.serveStream(s, r, id, l.node); err != nil {
			if s.started {
				return nil // the client comes back with the last id it saw
			}
			return err
		}
		var err error
		switch {
		case !told && time.Since(since) > leaderPatience:
			told, word = true, time.Now()
			err = s.warn(waitingFor(l))
		case told && time.Since(word) > streamIdle:
			word = time.Now()
			err = s.idle()
		}
		if err != nil {
			return nil // the client has gone
		}
		t := time.NewTimer(streamPoll)
		select {
		case <-t.C:
		case <-leaderChanged:
		case <-r.Context().Done():
		}
		t.Stop()
		if r.Context().Err() != nil {
			return nil
		}
	}
}

// waitingFor says what a stream waits for: a leader that was killed is named
// until its lease has run out.
func waitingFor(l lead) string {
	if l.node == "" {
		return ErrNoLeader.Error() + "; waiting for one"
	}
	return "the hive's leader does not answer; waiting for it, or for the next one"
}

// serveStream serves what can be served now; nil means that somebody else has
// to be waited for.
func (n *Node) serveStream(s *stream, r *http.Request, id, leader string) error {
	if l := n.leading.Load(); l != nil {
		if h := l.stream(id); h != nil {
			return n.pour(s, r, h)
		}
	}
	// The leader has more of a run that has finished than etcd has, the log lines too.
	mine := leader == "" || leader == n.info.ID
	passedOn := r.Header.Get(relayed) != ""
	if !mine && !passedOn {
		if err := n.relay(s, r, id, leader); err != nil {
			return err
		}
	}
	done, err := n.pourFinished(s, r, id)
	if done || err != nil || mine || !passedOn {
		return err
	}
	return refuse(http.StatusMisdirectedRequest, codeNotLeader, "this node does not lead the hive")
}

// pour sends a hub's events until it ends or the client goes.
func (n *Node) pour(s *stream, r *http.Request, h *hub) error {
	last := h.resume(r.Header.Get("Last-Event-ID"))
	idle := time.NewTicker(streamIdle)
	defer idle.Stop()
	s.start()
	for {
		events, ended, more := h.after(last)
		for _, e := range events {
			if err := s.send(e.Event); err != nil {
				return err
			}
			last = e.n
		}
		if ended {
			return errStreamEnded
		}
		if err := s.flush(); err != nil {
			return err
		}
		select {
		case <-more:
		case <-idle.C:
			if err := s.idle(); err != nil {
				return err
			}
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

// pourFinished sends what etcd keeps of a run that has finished.
func (n *Node) pourFinished(s *stream, r *http.Request, id string) (done bool, err error) {
	err = ask(r, func(ctx context.Context) error {
		info, err := n.runInfo(ctx, id, nil)
		if err != nil || info.Phase != Finished {
			return err
		}
		done = true
		return n.retell(ctx, s, info)
	})
	if done && err == nil {
		err = errStreamEnded
	}
	return done, err
}

// retell sends what etcd keeps of the course of a finished run.
func (n *Node) retell(ctx context.Context, s *stream, info RunInfo) error {
	send := func(kind string, v any) error {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return s.send(Event{Type: kind, Data: data})
	}
	var plan json.RawMessage
	if found, err := getJSON(ctx, n.etcd, n.keys.Plan(info.ID), &plan); err != nil {
		return err
	} else if found {
		if err := send(EventPlan, plan); err != nil {
			return err
		}
	}
	events, err := n.timeline(ctx, info.ID)
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := send(EventTimeline, e); err != nil {
			return err
		}
	}
	return send(EventResult, StateEvent{Run: info.ID, Phase: Finished, Verdict: info.Verdict, Failure: info.Failure})
}

// relay passes the leader's stream on, until that ends or another node leads.
func (n *Node) relay(s *stream, r *http.Request, id, leader string) error {
	node, ok := n.find(leader)
	if !ok {
		return nil
	}
	header := http.Header{relayed: {"1"}}
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		header.Set("Last-Event-ID", last)
	}
	ctx, cancel := context.WithCancel(r.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		defer cancel()
		n.awaitOtherLeader(ctx, leader)
	})
	resp, err := n.calls.open(ctx, "GET", node.Address+"/api/v1/runs/"+id+"/events", nil, header)
	if err != nil {
		return nil // a leader that is going, or has just come: look again
	}
	defer resp.Body.Close()
	s.start()
	if err := s.flush(); err != nil {
		return err
	}
	buf := make([]byte, 32<<10)
	for {
		k, err := resp.Body.Read(buf)
		if k > 0 {
			if _, err := s.w.Write(buf[:k]); err != nil {
				return err
			}
			if err := s.flush(); err != nil {
				return err
			}
		}
		if err != nil {
			return errStreamEnded
		}
	}
}

// awaitOtherLeader returns when the node with that id does not lead any more, or ctx ends.
func (n *Node) awaitOtherLeader(ctx context.Context, id string) {
	for {
		l, changed := n.currentLeader()
		if l.node != id {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
