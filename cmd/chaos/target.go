package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// target is the server under test: it notes every request and when it came.
type target struct {
	url    string
	server *http.Server
	done   chan struct{}

	quit    chan struct{}
	watched chan struct{}

	mu        sync.Mutex
	hits      []hit
	teardowns int
	stalls    []stall
}

// stall is a stretch in which this machine gave this process no time: what came late then is not the hive's doing.
type stall struct{ from, to time.Time }

const (
	pulse = 5 * time.Millisecond
	// stalled is how late the pulse has to be to count: a second at 200 requests/s may be off by two, which is 10 ms.
	stalled = 8 * time.Millisecond
)

// hit is the request of one iteration.
type hit struct {
	at        time.Time
	id        int64 // iterationInTest
	vu        int64
	iteration int64  // of the VU in its scenario
	from      string // the address that it came from
}

func newTarget(host string) (*target, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	t := &target{url: "http://" + l.Addr().String(), done: make(chan struct{}), quit: make(chan struct{}), watched: make(chan struct{})}
	go t.watch()
	mux := http.NewServeMux()
	mux.HandleFunc("/hit", t.hit)
	mux.HandleFunc("/teardown", func(http.ResponseWriter, *http.Request) {
		t.mu.Lock()
		t.teardowns++
		t.mu.Unlock()
	})
	t.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(t.done)
		if err := t.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // the listener is ours alone
		}
	}()
	return t, nil
}

// watch notes when the machine stood still.
func (t *target) watch() {
	defer close(t.watched)
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-t.quit:
			return
		case <-tick.C:
		}
		now := time.Now()
		if now.Sub(last) > pulse+stalled {
			t.mu.Lock()
			t.stalls = append(t.stalls, stall{last, now})
			t.mu.Unlock()
		}
		last = now
	}
}

// stood says whether the machine stood still for so long at some moment between from and to.
func (t *target) stood(from, to time.Time, long time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(t.stalls, func(s stall) bool {
		return s.to.Sub(s.from) > long && s.from.Before(to) && s.to.After(from)
	})
}

func (t *target) hit(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	number := func(key string) int64 {
		n, err := strconv.ParseInt(r.FormValue(key), 10, 64)
		if err != nil {
			return -1
		}
		return n
	}
	h := hit{at: at, id: number("i"), vu: number("vu"), iteration: number("n")}
	h.from, _, _ = net.SplitHostPort(r.RemoteAddr)
	t.mu.Lock()
	t.hits = append(t.hits, h)
	t.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// record is what came so far.
func (t *target) record() (hits []hit, teardowns int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]hit(nil), t.hits...), t.teardowns
}

func (t *target) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if t.server.Shutdown(ctx) != nil {
		_ = t.server.Close() // connections of nodes that were cut off stay open
	}
	<-t.done
	close(t.quit)
	<-t.watched
}
