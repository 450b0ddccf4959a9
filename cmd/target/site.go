package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

// maxWait bounds /slow, so that nobody ties the server up for ever.
const maxWait = 10 * time.Minute

// maxRedirects bounds /redirect/N.
const maxRedirects = 100

const page = `<!DOCTYPE html>
<html>
<head><title>target</title><link rel="stylesheet" href="/a.css"><script src="/b.js"></script></head>
<body>
<h1>A page to test</h1>
<form action="/login" method="post">
<input type="hidden" name="csrf" value="0f1e2d3c"><input name="login"><input name="password" type="password">
<button>Log in</button>
</form>
<a href="/json">data</a>
</body>
</html>
`

// newSite is the whole server; now gives the times that the recorder notes.
func newSite(now func() time.Time) http.Handler {
	record := newRecorder(now)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", text("text/html; charset=utf-8", page))
	mux.HandleFunc("GET /a.css", text("text/css", "body { font-family: sans-serif }\n"))
	mux.HandleFunc("GET /b.js", text("text/javascript", "document.title = 'target';\n"))
	mux.HandleFunc("POST /login", login)
	mux.HandleFunc("/json", echoJSON)
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/hit", record.hit)
	mux.HandleFunc("GET /stats", record.stats)
	mux.HandleFunc("POST /reset", record.reset)
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/status/{code}", status)
	mux.HandleFunc("/redirect/{left}", redirect)
	mux.HandleFunc("GET /cookies", cookies)
	mux.HandleFunc("GET /cookies/set", setCookies)
	mux.HandleFunc("GET /gzip", gzipped)
	mux.HandleFunc("/post", echoJSON)
	return mux
}

// text answers with the same bytes every time.
func text(kind, body string) http.HandlerFunc {
	length := strconv.Itoa(len(body))
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Length", length)
		_, _ = io.WriteString(w, body) // the client may have gone
	}
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

// login accepts admin with the password 123.
func login(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("login") != "admin" || r.PostFormValue("password") != "123" {
		http.Error(w, "login or password is wrong", http.StatusUnauthorized)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "session", Value: "admin", Path: "/", HttpOnly: true})
	_, _ = io.WriteString(w, "Welcome, admin!\n")
}

// echoJSON tells what the request was.
func echoJSON(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	writeJSON(w, map[string]any{
		"method": r.Method, "path": r.URL.Path, "query": r.URL.Query(), "headers": r.Header,
		"protocol": r.Proto, "bytes": len(body), "body": string(body[:min(len(body), 4096)]),
	})
}

// echo answers with the request as it came over the wire.
func echo(w http.ResponseWriter, r *http.Request) {
	dump, err := httputil.DumpRequest(r, true)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(dump)
}

// slow answers after ms milliseconds.
func slow(w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.ParseFloat(r.FormValue("ms"), 64)
	wait := time.Duration(ms * float64(time.Millisecond))
	if err != nil || ms < 0 || ms > float64(maxWait/time.Millisecond) {
		http.Error(w, fmt.Sprintf("ms=%q: want a number from 0 to %d", r.FormValue("ms"), maxWait.Milliseconds()), http.StatusBadRequest)
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		_, _ = fmt.Fprintf(w, "%v later\n", wait)
	case <-r.Context().Done():
	}
}

// status answers with the code in the path.
func status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		http.Error(w, fmt.Sprintf("status %q: want 200 to 599", r.PathValue("code")), http.StatusBadRequest)
		return
	}
	w.WriteHeader(code)
	if code >= 300 || code < 204 {
		_, _ = fmt.Fprintf(w, "%d %s\n", code, http.StatusText(code))
	}
}

// redirect leads through N hops to the front page.
func redirect(w http.ResponseWriter, r *http.Request) {
	left, err := strconv.Atoi(r.PathValue("left"))
	if err != nil || left < 0 || left > maxRedirects {
		http.Error(w, fmt.Sprintf("redirect %q: want 0 to %d", r.PathValue("left"), maxRedirects), http.StatusBadRequest)
		return
	}
	to := "/"
	if left > 1 {
		to = "/redirect/" + strconv.Itoa(left-1)
	}
	http.Redirect(w, r, to, http.StatusFound)
}

// cookies tells which cookies came.
func cookies(w http.ResponseWriter, r *http.Request) {
	all := map[string]string{}
	for _, c := range r.Cookies() {
		all[c.Name] = c.Value
	}
	writeJSON(w, map[string]any{"cookies": all})
}

// setCookies sets each query parameter as a cookie and redirects to /cookies.
func setCookies(w http.ResponseWriter, r *http.Request) {
	for name, values := range r.URL.Query() {
		http.SetCookie(w, &http.Cookie{Name: name, Value: strings.Join(values, ","), Path: "/"})
	}
	http.Redirect(w, r, "/cookies", http.StatusFound)
}

// gzipped answers compressed, whatever the client accepts.
func gzipped(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	_ = json.NewEncoder(z).Encode(map[string]any{"gzipped": true})
	_ = z.Close()
}
