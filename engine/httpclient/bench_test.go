package httpclient

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"
)

func benchmarkDo(b *testing.B, mode BodyMode) {
	url := mustURL(b, fixed(b, jsonAnswer()))
	c := newTestClient(b, testConfig())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req := &Request{Method: "GET", URL: url, Header: []Field{{"User-Agent", "hive"}}}
	var resp Response
	b.ReportAllocs()
	for b.Loop() {
		req.Deadline = time.Now().Add(time.Minute)
		if err := c.Do(ctx, req, mode, &resp); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetDiscard(b *testing.B) { benchmarkDo(b, BodyDiscard) }

func BenchmarkGetKeep(b *testing.B) { benchmarkDo(b, BodyKeep) }

// BenchmarkGetNetHTTP is the same exchange by net/http, for comparison.
func BenchmarkGetNetHTTP(b *testing.B) {
	url := fixed(b, jsonAnswer())
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport, Timeout: time.Minute}
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("User-Agent", "hive")
		resp, err := c.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}

func BenchmarkParseHead(b *testing.B) {
	text := jsonAnswer()
	block := make([]byte, len(text))
	var resp Response
	last := ""
	b.ReportAllocs()
	for b.Loop() {
		copy(block, text)
		resp.reset()
		var err error
		if _, last, err = parseHead(block, last, &resp); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseURL(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseURL("http://127.0.0.1:8080/items/12345?page=2"); err != nil {
			b.Fatal(err)
		}
	}
}
