package httpclient

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// testProxy is an HTTP proxy that leads every request to one server and notes what it was asked.
type testProxy struct {
	server string // host:port
	mu     sync.Mutex
	asked  []string
}

func (p *testProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Proxy-Authorization"), "Basic "))
	p.mu.Lock()
	p.asked = append(p.asked, fmt.Sprintf("%s %s by %q", r.Method, r.RequestURI, user))
	p.mu.Unlock()
	if strings.HasPrefix(r.Host, "forbidden.test") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	up, err := net.Dial("tcp", p.server)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer up.Close()
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	if r.Method == http.MethodConnect {
		fmt.Fprint(down, "HTTP/1.1 200 Connection established\r\n\r\n")
	} else if err := r.Write(up); err != nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(up, buffered)
		_ = up.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(down, up)
	_ = down.Close()
	wg.Wait()
}

func (p *testProxy) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.asked, ", ")
}

func TestHTTPProxy(t *testing.T) {
	secure, _ := http2Server(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.Host) })
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.Host) }))
	defer plain.Close()
	for _, tt := range []struct {
		name, url, server string
		overTLS           bool
		want, asked       string
	}{
		{"plain", "http://example.com/x?y", plain.URL, false, "HTTP/1.1 example.com", `GET http://example.com/x?y by "a:b c"`},
		{"tunnel", "https://example.com/x?y", secure.URL, false, "HTTP/2.0 example.com", `CONNECT example.com:443 by "a:b c"`},
		{"tunnel to a port", "https://example.com:8443/", secure.URL, false, "HTTP/2.0 example.com:8443", `CONNECT example.com:8443 by "a:b c"`},
		{"TLS to the proxy", "http://example.com/", plain.URL, true, "HTTP/1.1 example.com", `GET http://example.com/ by "a:b c"`},
		{"TLS to the proxy and through it", "https://example.com/", secure.URL, true, "HTTP/2.0 example.com", `CONNECT example.com:443 by "a:b c"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &testProxy{server: tt.server[strings.Index(tt.server, "//")+2:]}
			srv := httptest.NewUnstartedServer(p)
			if tt.overTLS {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			defer srv.Close()
			cfg := testConfig()
			cfg.TLS.InsecureSkipVerify = true
			where, err := url.Parse(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			where.User = url.UserPassword("a", "b c")
			cfg.Proxy = func(*url.URL) (*url.URL, error) { return where, nil }
			c := newTestClient(t, cfg)
			resp, err := get(t, c, tt.url)
			if err != nil || string(resp.Body) != tt.want {
				t.Errorf("got %q, %v, want %q", resp.Body, err, tt.want)
			}
			if got := p.log(); got != tt.asked {
				t.Errorf("the proxy was asked %s, want %s", got, tt.asked)
			}
			if remote := net.JoinHostPort(resp.RemoteIP, fmt.Sprint(resp.RemotePort)); remote != where.Host {
				t.Errorf("remote address %s, want the proxy's, %s", remote, where.Host)
			}
			c.Close()
		})
	}
}

func TestProxyFailures(t *testing.T) {
	proxied := func(where string) Config {
		cfg := testConfig()
		cfg.Proxy = func(*url.URL) (*url.URL, error) { return url.Parse(where) }
		return cfg
	}
	forbidding := httptest.NewServer(&testProxy{})
	defer forbidding.Close()
	for _, tt := range []struct {
		name, proxy, url string
		code             int
		message          string
	}{
		{"refused", "http://127.0.0.1:1", "http://example.com/", 1200, "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused"},
		{"CONNECT refused", forbidding.URL, "https://forbidden.test/", 1000, "Forbidden"},
		{"proxy ends", once(t, ""), "https://example.com/", 1000, "unexpected EOF"},
		{"scheme", "ftp://127.0.0.1:1", "http://example.com/", 1200, "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused"},
		{"proxy URL", ":", "http://example.com/", 1000, `choosing a proxy for http://example.com/: parse ":": missing protocol scheme`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := get(t, newTestClient(t, proxied(tt.proxy)), tt.url)
			if code(err) != tt.code || message(err) != tt.message {
				t.Errorf("error %d %q, want %d %q", code(err), message(err), tt.code, tt.message)
			}
		})
	}
}

func TestSOCKSProxy(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) }))
	defer srv.Close()
	asked := make(chan string, 1)
	where := serve(t, func(c net.Conn, r *bufio.Reader) {
		hello := make([]byte, 2)
		if _, err := io.ReadFull(r, hello); err != nil {
			return
		}
		_, _ = r.Discard(int(hello[1]))
		_, _ = c.Write([]byte{5, 0})
		ask := make([]byte, 5) // version, command, reserved, address type, length of the name
		if _, err := io.ReadFull(r, ask); err != nil {
			return
		}
		name := make([]byte, int(ask[4])+2)
		_, _ = io.ReadFull(r, name)
		asked <- string(name[:ask[4]])
		_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		up, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
		if err != nil {
			return
		}
		defer up.Close()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = io.Copy(up, r)
			_ = up.Close()
		})
		_, _ = io.Copy(c, up)
		_ = c.Close()
		wg.Wait()
	})
	cfg := testConfig()
	cfg.Proxy = func(*url.URL) (*url.URL, error) { return url.Parse("socks5" + where[len("http"):]) }
	c := newTestClient(t, cfg)
	for i := range 2 {
		resp, err := get(t, c, "http://example.com/")
		if err != nil || string(resp.Body) != "example.com" || resp.Reused != (i == 1) {
			t.Errorf("got %q, reused %v, %v", resp.Body, resp.Reused, err)
		}
	}
	if got := <-asked; got != "example.com" {
		t.Errorf("asked for %q", got)
	}
	c.Close()
}

func TestProxyFromEnvironment(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		t.Setenv(name, "")
	}
	if DefaultConfig().Proxy != nil {
		t.Error("a proxy without one in the environment")
	}
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:2")
	t.Setenv("NO_PROXY", "direct.test")
	transport, err := NewTransport(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		"http://a.test/":        "http://127.0.0.1:1",
		"https://a.test/":       "http://127.0.0.1:2",
		"http://direct.test/":   "",
		"http://127.0.0.1:999/": "",
	} {
		for range 2 {
			rt, err := transport.route(mustURL(t, target))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if rt.proxy != nil {
				got = rt.proxy.String()
			}
			if got != want {
				t.Errorf("%s goes by %q, want %q", target, got, want)
			}
		}
	}
}
