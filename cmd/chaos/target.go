package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// target is the server under test: it notes every request and when it came.
type target struct {
	url    string
	server *http.Server
	done   chan struct{}

	mu        sync.Mutex
	hits      []hit
	teardowns int
}

// hit is the request of one iteration.
type hit struct {
	at        time.Time
	id        int64 // iterationInTest
	vu        int64
	iteration int64 // of the VU in its scenario
}

func newTarget(host string) (*target, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	t := &target{url: "http://" + l.Addr().String(), done: make(chan struct{})}
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
}
