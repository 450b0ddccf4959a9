package httpclient

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"testing"
	"time"
)

// fixed serves keep-alive connections with one answer, without allocating itself.
func fixed(t testing.TB, text string) string {
	return serve(t, func(c net.Conn, r *bufio.Reader) {
		answer := []byte(text)
		for {
			for {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if len(line) == 2 {
					break
				}
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	})
}

func jsonAnswer() string {
	body := `{"id":12345,"name":"widget","price":9.99,"ok":1}`
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 21:05:37 GMT\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nConnection: keep-alive\r\nKeep-Alive: timeout=65\r\n\r\n%s", len(body), body)
}

func TestAllocationsPerRequest(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and drops what is put into pools")
	}
	url := mustURL(t, fixed(t, jsonAnswer()))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	header := []Field{{"User-Agent", "hive"}, {"Accept", "*/*"}}
	for _, tt := range []struct {
		name string
		req  Request
		mode BodyMode
		want float64
	}{
		{"GET, body discarded", Request{Method: "GET", URL: url, Header: header}, BodyDiscard, 0},
		{"GET, body kept in place", Request{Method: "GET", URL: url, Header: header}, BodyKeep, 0},
	} {
		c := newTestClient(t, testConfig())
		var resp Response
		got := testing.AllocsPerRun(500, func() {
			tt.req.Deadline = time.Now().Add(time.Minute)
			if err := c.Do(ctx, &tt.req, tt.mode, &resp); err != nil {
				t.Fatal(err)
			}
		})
		if got > tt.want {
			t.Errorf("%s: %v allocations, want %v", tt.name, got, tt.want)
		}
	}
}
