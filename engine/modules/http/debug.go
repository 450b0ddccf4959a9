package http

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"hive/engine/httpclient"
	"hive/engine/js"
)

// dumper writes what exchanges send and receive to the log. A nil dumper writes nothing.
type dumper struct {
	full bool
	log  *slog.Logger
	vu   *js.VU
}

func newDumper(mode string, vu *js.VU) *dumper {
	if mode == DebugOff {
		return nil
	}
	return &dumper{full: mode == DebugFull, log: vu.Log(), vu: vu}
}

// bodies tells whether bodies are dumped.
func (d *dumper) bodies() bool { return d != nil && d.full }

// forCall returns the log with the place in the test that a call is made from. It is called on the VU's goroutine.
func (d *dumper) forCall() *dumper {
	if d == nil {
		return nil
	}
	group, _ := d.vu.Tags().Get("group")
	c := *d
	c.log = d.log.With("source", "http-debug", "vu", d.vu.ID().InTest, "iter", d.vu.Iteration(),
		"scenario", d.vu.Scenario(), "group", group)
	return &c
}

// request dumps a request and returns where its response is to go.
func (d *dumper) request(r *httpclient.Request) *slog.Logger {
	if d == nil {
		return nil
	}
	log := d.log.With("request_id", newRequestID())
	var b strings.Builder
	host := r.Host
	if host == "" {
		host = r.URL.Host()
	}
	fmt.Fprintf(&b, "Request:\n%s %s HTTP/1.1\nHost: %s\n", r.Method, r.URL.RequestURI(), host)
	writeFields(&b, r.Header)
	if r.Body != nil {
		fmt.Fprintf(&b, "Content-Length: %d\n", r.Body.Len())
	}
	b.WriteByte('\n')
	if d.full && r.Body != nil {
		if _, err := io.Copy(&b, r.Body.NewReader()); err != nil {
			fmt.Fprintf(&b, "(%v)", err)
		}
		b.WriteByte('\n')
	}
	log.Log(context.Background(), slog.LevelInfo, b.String())
	return log
}

// response dumps a response, if one came.
func (d *dumper) response(log *slog.Logger, r *httpclient.Response, err error) {
	if d == nil || err != nil {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Response:\n%s %s\n", r.Proto, r.StatusText)
	writeFields(&b, r.Header)
	b.WriteByte('\n')
	if d.full {
		b.Write(r.Body)
		b.WriteByte('\n')
	}
	log.Log(context.Background(), slog.LevelInfo, b.String())
}

func writeFields(b *strings.Builder, header []httpclient.Field) {
	for _, f := range header {
		fmt.Fprintf(b, "%s: %s\n", f.Name, f.Value)
	}
}

// newRequestID makes a random UUID, which ties a response to its request.
func newRequestID() string {
	id := newBoundary()[:32]
	return id[:8] + "-" + id[8:12] + "-4" + id[13:16] + "-a" + id[17:20] + "-" + id[20:]
}
