package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPages(t *testing.T) {
	server := httptest.NewServer(newSite(time.Now))
	defer server.Close()
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		contains                 string
	}{
		{"front page", "GET", "/", "", 200, "<form"},
		{"style", "GET", "/a.css", "", 200, "body"},
		{"script", "GET", "/b.js", "", 200, "document"},
		{"login", "POST", "/login", "login=admin&password=123", 200, "Welcome"},
		{"wrong password", "POST", "/login", "login=admin&password=x", 401, "wrong"},
		{"echo of a request", "POST", "/json?a=1", "x=2", 200, `"body":"x=2"`},
		{"status", "GET", "/status/503", "", 503, "Service Unavailable"},
		{"status without a body", "GET", "/status/204", "", 204, ""},
		{"status that is none", "GET", "/status/99", "", 400, "want"},
		{"redirects end on the front page", "GET", "/redirect/3", "", 200, "<form"},
		{"too many redirects", "GET", "/redirect/1000", "", 400, "want"},
		{"slow", "GET", "/slow?ms=1", "", 200, "later"},
		{"slow without a number", "GET", "/slow?ms=x", "", 400, "want"},
		{"slow for too long", "GET", "/slow?ms=1e12", "", 400, "want"},
		{"gzip", "GET", "/gzip", "", 200, `"gzipped":true`},
		{"cookies", "GET", "/cookies/set?a=1", "", 200, `"a":"1"`},
		{"hit without an id", "GET", "/hit", "", 400, "whole number"},
		{"unknown path", "GET", "/nothing", "", 404, "not found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			jar, err := cookiejar.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Jar: jar}
			defer client.CloseIdleConnections()
			got, body := do(t, client, tc.method, server.URL+tc.path, tc.body)
			if got != tc.status || !strings.Contains(body, tc.contains) {
				t.Errorf("%s %s: got %d %q, want %d with %q", tc.method, tc.path, got, body, tc.status, tc.contains)
			}
		})
	}
}

func do(t *testing.T, client *http.Client, method, address, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestRecorder(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 900e6, time.UTC)
	server := httptest.NewServer(newSite(func() time.Time { return now }))
	defer server.Close()
	client := server.Client()
	for _, step := range []struct {
		after time.Duration
		id    string
	}{{0, "1"}, {0, "3"}, {950 * time.Millisecond, "1"}, {2 * time.Second, "0"}, {0, "1"}} {
		now = now.Add(step.after)
		if status, body := do(t, client, "GET", server.URL+"/hit?i="+url.QueryEscape(step.id), ""); status != 200 {
			t.Fatalf("hit %s: %d %s", step.id, status, body)
		}
	}
	_, body := do(t, client, "GET", server.URL+"/stats?hits=1", "")
	var got report
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Count != 5 || got.Distinct != 3 || got.Min != 0 || got.Max != 3 || len(got.Hits) != 5 {
		t.Errorf("got %+v, want 5 hits of 3 ids from 0 to 3", got)
	}
	if !slices.Equal(got.IDs, []int64{0, 1, 3}) || !slices.Equal(got.Duplicates, []int64{1}) || !slices.Equal(got.Missing, []int64{2}) {
		t.Errorf("got ids %v, twice %v, missing %v; want [0 1 3], [1], [2]", got.IDs, got.Duplicates, got.Missing)
	}
	if want := []secondCount{{0, 3}, {1, 0}, {2, 2}}; !slices.Equal(got.PerSecond, want) {
		t.Errorf("per second: got %v, want %v", got.PerSecond, want)
	}
	if status, _ := do(t, client, "POST", server.URL+"/reset", ""); status != 204 {
		t.Errorf("reset: got %d, want 204", status)
	}
	if _, body := do(t, client, "GET", server.URL+"/stats", ""); !strings.Contains(body, `"count":0`) {
		t.Errorf("after reset: got %s, want count 0", body)
	}
}

func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, "127.0.0.1:0", false, false, w) }()
	line := make([]byte, 100)
	n, err := r.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(string(line[:n]))
	if status, _ := do(t, http.DefaultClient, "GET", address+"/", ""); status != 200 {
		t.Errorf("GET %s/: got %d, want 200", address, status)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("serve: %v", err)
	}
	if err := run(t.Context(), "no such address", false, false, io.Discard); err == nil {
		t.Error("serve on a bad address: want an error")
	}
}

func TestFast(t *testing.T) {
	conf, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- newFast().serve(ctx, tls.NewListener(plain, conf)) }()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for path, want := range map[string]string{
		"/": `{"hello":"world","id":12345,"items":[1,2,3,4,5]}`, "/redirect": `{"hello":"world","id":12345,"items":[1,2,3,4,5]}`,
		"/gzip": strings.Repeat(`{"hello":"world","id":12345,"items":[1,2,3,4,5]}`, 20), "/big": strings.Repeat("0123456789", 1000),
	} {
		res, err := client.Post("https://"+plain.Addr().String()+path, "text/plain", strings.NewReader("some body"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
	stop()
	client.CloseIdleConnections()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
