package http

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	nethttp "net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dop251/goja"

	"hive/engine/httpclient"
	"hive/engine/js"
	"hive/engine/metric"
)

// handler is the target of the tests.
func handler() nethttp.Handler {
	mux := nethttp.NewServeMux()
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/redirect", redirect)
	mux.HandleFunc("/status", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			w.Header().Set("Location", to)
		}
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		w.WriteHeader(n)
		if n != 204 && n != 304 {
			fmt.Fprintf(w, "status %d", n)
		}
	})
	mux.HandleFunc("/cookies", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.SetCookie(w, &nethttp.Cookie{Name: "a", Value: "1", Path: "/", MaxAge: 100, HttpOnly: true})
		nethttp.SetCookie(w, &nethttp.Cookie{Name: "b", Value: "2"})
		w.Header().Add("X-Multi", "1")
		w.Header().Add("x-multi", "2")
		io.WriteString(w, "ok")
	})
	mux.HandleFunc("/json", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		io.WriteString(w, `{"z":1,"a":{"b":[1,2.5,"x",null,true]},"big":12345678901234567890}`)
	})
	mux.HandleFunc("/raw", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if e := r.URL.Query().Get("encoding"); e != "" {
			w.Header().Set("Content-Encoding", e)
		}
		body := []byte(r.URL.Query().Get("body"))
		if e := r.URL.Query().Get("compress"); e != "" {
			w.Header().Set("Content-Encoding", e)
			body, _ = httpclient.Encode(e, body)
		}
		w.Write(body)
	})
	mux.HandleFunc("/digest", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), `Digest username="user"`) {
			w.Header().Set("WWW-Authenticate", `Digest realm="r", nonce="abc", qop="auth", algorithm=MD5`)
			w.WriteHeader(401)
			return
		}
		io.WriteString(w, "in")
	})
	mux.HandleFunc("/ntlm", ntlm)
	mux.HandleFunc("/slow", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
	})
	mux.HandleFunc("/page", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		io.WriteString(w, `<a name="x">no</a><a href="/echo?x=1">l</a><a id="two" href="echo?y=2">m</a>
			<form method="POST" action="/echo"><input name="a" value="1"><input type="hidden" name="h" value="hid">
			<input type="checkbox" name="c1" checked><input type="checkbox" name="c2" value="v2">
			<input type="radio" name="r" value="r1"><input type="radio" name="r" value="r2" checked>
			<select name="s"><option>o1</option><option value="vo2" selected>o2</option></select>
			<textarea name="t">tt</textarea><input type="file" name="f"><input name="empty">
			<input type="submit" name="go" value="Go"><button type="submit" name="btn" value="B">x</button></form>
			<form id="g"><input name="q" value="1 2"></form>`)
	})
	mux.HandleFunc("/cut", func(w nethttp.ResponseWriter, r *nethttp.Request) { panic(nethttp.ErrAbortHandler) })
	return mux
}

func echo(w nethttp.ResponseWriter, r *nethttp.Request) {
	body, _ := io.ReadAll(r.Body)
	json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "uri": r.RequestURI, "host": r.Host, "headers": r.Header, "body": string(body), "proto": r.Proto,
	})
}

// redirect answers n times with a redirection and a cookie before it sends the client to /echo.
func redirect(w nethttp.ResponseWriter, r *nethttp.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	code, err := strconv.Atoi(r.URL.Query().Get("code"))
	if err != nil {
		code = nethttp.StatusFound
	}
	nethttp.SetCookie(w, &nethttp.Cookie{Name: "hop" + strconv.Itoa(n), Value: "v"})
	location := fmt.Sprintf("/redirect?n=%d&code=%d", n-1, code)
	if n <= 1 {
		location = "/echo"
	}
	w.Header().Set("Location", location)
	w.WriteHeader(code)
}

// ntlm lets any credentials in, on the connection that shook hands.
func ntlm(w nethttp.ResponseWriter, r *nethttp.Request) {
	const challenge = "TlRMTVNTUAACAAAADAAMADgAAAABAoECASNFZ4mrze8AAAAAAAAAAAAAAABEAAAABgBwFwAAAA9EAE8ATQBBAEkATgA="
	switch auth := r.Header.Get("Authorization"); {
	case !strings.HasPrefix(auth, "NTLM "):
		w.Header().Set("WWW-Authenticate", "NTLM")
		w.WriteHeader(401)
	case strings.HasPrefix(auth, "NTLM TlRMTVNTUAAB"):
		w.Header().Set("WWW-Authenticate", "NTLM "+challenge)
		w.WriteHeader(401)
	default:
		io.WriteString(w, "in")
	}
}

// script is the test of one script: a VU with a module "test" whose out() collects what the script sees.
type script struct {
	t       testing.TB
	ctx     context.Context // of the iterations
	vu      *js.VU
	state   *State
	store   *metric.Store
	log     *lockedBuffer
	out     []string
	samples []metric.Sample
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// setup is what differs between tests.
type setup struct {
	http   Config
	client func(*httpclient.Config)
	throw  bool
	system metric.SystemTags
	series bool // keep no samples
}

// newScript compiles body as the default function, after init code, with the server's URL in B.
func newScript(t testing.TB, base, init, body string, with setup) *script {
	t.Helper()
	s := &script{t: t, log: new(lockedBuffer)}
	vu, err := s.newVU(base, init, body, with)
	if err != nil {
		t.Fatal(err)
	}
	s.vu = vu
	t.Cleanup(vu.Close)
	if err := vu.Activate(js.Activation{Exec: "default"}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *script) newVU(base, init, body string, with setup) (*js.VU, error) {
	async := ""
	if strings.Contains(body, "await ") {
		async = "async"
	}
	code := fmt.Sprintf("'use strict'; const http = require('k6/http'), out = require('test').out, B = %q;\n%s\nexports.default = %s function () {\n%s\n};",
		base, init, async, body)
	program, err := js.Compile("file:///script.js", []byte(code), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	cc := httpclient.DefaultConfig()
	if with.client != nil {
		with.client(&cc)
	}
	if with.http.Transport, err = httpclient.NewTransport(cc); err != nil {
		s.t.Fatal(err)
	}
	with.http.OnVU = func(_ *js.VU, state *State) { s.state = state }
	registry := metric.NewRegistry()
	keep := func(list []metric.Sample) { s.samples = append(s.samples, list...) }
	if with.series {
		keep = nil
	}
	s.store = metric.NewStore(registry, metric.StoreOptions{Shards: 1, Raw: keep})
	if with.system == 0 {
		with.system = metric.DefaultSystemTags
	}
	return js.NewVU(context.Background(), &js.Config{
		Program: program, Modules: []js.Module{New(with.http), s.module()}, Registry: registry, Tags: registry.Root(),
		SystemTags: with.system, Throw: with.throw, Log: slog.New(slog.NewTextHandler(s.log, nil)),
	}, js.VUID{InTest: 7, InInstance: 1}, s.store.Recorder(0))
}

func (s *script) module() js.Module {
	return js.Module{Path: "test", Names: []string{"out"}, Open: func(vu *js.VU) *goja.Object {
		obj := vu.Runtime().NewObject()
		obj.Set("out", func(call goja.FunctionCall) goja.Value {
			s.out = append(s.out, call.Argument(0).String())
			return goja.Undefined()
		})
		return obj
	}}
}

func (s *script) iterate() {
	s.t.Helper()
	if s.ctx == nil {
		s.ctx = s.t.Context()
	}
	if err := s.vu.Iterate(s.ctx, nil); err != nil {
		s.t.Fatalf("iteration: %v\nlog: %s", err, s.log)
	}
}

// result is everything that the script put out, a line each.
func (s *script) result() string { return strings.Join(s.out, "\n") }

// exchanges describes the exchanges that were recorded, each by those of its tags that are named.
func (s *script) exchanges(tags ...string) []string {
	s.store.FlushRaw()
	var list []string
	for _, sample := range s.samples {
		if sample.Metric.Name != "http_reqs" {
			continue
		}
		var words []string
		for _, tag := range tags {
			if v, ok := sample.Tags.Get(tag); ok {
				words = append(words, v)
			} else {
				words = append(words, "-")
			}
		}
		list = append(list, strings.Join(words, " "))
	}
	return list
}

// sums adds up the samples of each metric, and counts them.
func (s *script) sums() (sum map[string]float64, count map[string]int) {
	s.store.FlushRaw()
	sum, count = make(map[string]float64), make(map[string]int)
	for _, sample := range s.samples {
		sum[sample.Metric.Name] += sample.Value
		count[sample.Metric.Name]++
	}
	return sum, count
}

func defaults() setup {
	return setup{http: Config{UserAgent: "hive/test", MaxRedirects: DefaultMaxRedirects, Batch: 20, BatchPerHost: 6}}
}

func startServer(t testing.TB) *httptest.Server {
	server := httptest.NewServer(handler())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(server.Close)
	return server
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
