package engine_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// server is a target that counts what reaches it.
type server struct {
	*httptest.Server
	received, sent atomic.Int64 // bytes
	hanging        atomic.Int64 // requests that are not answered

	mu  sync.Mutex
	ids map[string]int // how often each ?id= came
}

// serve starts a target: /status/N answers with that status, /redirect/N leads to / in N steps, /cookie/V sets the
// cookie c, /echo tells what it was sent, /hang never answers, everything else is a greeting. Each ?id= is remembered.
func serve(t testing.TB) *server {
	t.Helper()
	s := &server{ids: map[string]int{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.answer))
	s.Listener = &countingListener{s.Listener, s}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	if id := r.URL.Query().Get("id"); id != "" {
		s.mu.Lock()
		s.ids[id]++
		s.mu.Unlock()
	}
	first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	n, _ := strconv.Atoi(rest)
	switch first {
	case "status":
		w.WriteHeader(n)
	case "hang":
		s.hanging.Add(1)
		<-r.Context().Done()
		s.hanging.Add(-1)
	case "redirect":
		next := "/"
		if n > 1 {
			next = fmt.Sprintf("/redirect/%d", n-1)
		}
		http.Redirect(w, r, next, http.StatusFound)
	case "cookie":
		http.SetCookie(w, &http.Cookie{Name: "c", Value: rest, Path: "/"})
	case "echo":
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{
			"method": r.Method, "body": string(body), "cookie": r.Header.Get("Cookie"), "type": r.Header.Get("Content-Type"),
		})
	default:
		fmt.Fprint(w, "hello")
	}
}

// countingListener counts the bytes of its connections.
type countingListener struct {
	net.Listener
	server *server
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countingConn{c, l.server}, err
}

type countingConn struct {
	net.Conn
	server *server
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.server.received.Add(int64(n))
	return n, err
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.server.sent.Add(int64(n))
	return n, err
}

// counts is how often each id came that begins with a prefix, without it.
func (s *server) counts(prefix string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]int{}
	for id, n := range s.ids {
		if rest, ok := strings.CutPrefix(id, prefix); ok {
			seen[rest] = n
		}
	}
	return seen
}

// count is how often an id came.
func (s *server) count(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[id]
}

// of lists the ids that begin with a prefix, without it, as often as they came.
func (s *server) of(prefix string) []string {
	var list []string
	for id, n := range s.counts(prefix) {
		for range n {
			list = append(list, id)
		}
	}
	return list
}
