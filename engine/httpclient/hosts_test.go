package httpclient

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAddress(t *testing.T) {
	cfg := testConfig()
	cfg.Hosts = map[string]string{
		"mapped.test":    "192.0.2.1",
		"p.test:80":      "192.0.2.2:8080",
		"p.test":         "192.0.2.3",
		"*.wild.test":    "192.0.2.4:81",
		"*.wild.test:88": "192.0.2.5",
		"a.wild.test":    "192.0.2.6",
		"*.b.wild.test":  "192.0.2.7",
		"Upper.Test":     "2001:db8::1",
		"v6.test":        "[2001:db8::2]:99",
		"192.0.2.99":     "192.0.2.8",
		"bad.test":       "10.0.0.1",
	}
	cfg.BlacklistIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	cfg.BlockHostnames = []string{"*.blocked.test", "Exact.test", "*suffix.test"}
	cfg.DNS.Lookup = names(map[string][]string{"known.test": {"192.0.2.50"}, "inner.test": {"10.1.1.1"}, "mixed.test": {"2001:db8::5", "192.0.2.51"}})
	transport, err := NewTransport(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		url, want string
		code      int
		text      string
	}{
		{"http://192.0.2.10/", "192.0.2.10:80", 0, ""},
		{"https://[2001:db8::9]/", "[2001:db8::9]:443", 0, ""},
		{"http://mapped.test/", "192.0.2.1:80", 0, ""},
		{"https://mapped.test:8443/", "192.0.2.1:8443", 0, ""},
		{"http://p.test/", "192.0.2.2:8080", 0, ""},
		{"http://p.test:81/", "192.0.2.3:81", 0, ""},
		{"http://x.wild.test/", "192.0.2.4:81", 0, ""},
		{"http://x.wild.test:88/", "192.0.2.5:88", 0, ""},
		{"http://a.wild.test/", "192.0.2.6:80", 0, ""},
		{"http://x.b.wild.test/", "192.0.2.7:80", 0, ""},
		{"http://UPPER.test/", "[2001:db8::1]:80", 0, ""},
		{"http://v6.test/", "[2001:db8::2]:99", 0, ""},
		{"http://192.0.2.99/", "192.0.2.8:80", 0, ""},
		{"http://known.test/", "192.0.2.50:80", 0, ""},
		{"http://mixed.test/", "192.0.2.51:80", 0, ""},
		{"http://wild.test/", "", 1101, "lookup: no such host"},
		{"http://10.1.2.3/", "", 1110, "ip is blacklisted"},
		{"http://[::ffff:10.1.2.3]/", "", 1110, "ip is blacklisted"},
		{"http://[fd00::1]/", "", 1110, "ip is blacklisted"},
		{"http://bad.test/", "", 1110, "ip is blacklisted"},
		{"http://inner.test/", "", 1110, "ip is blacklisted"},
		{"http://x.blocked.test/", "", 1111, "hostname is blocked"},
		{"http://EXACT.test/", "", 1111, "hostname is blocked"},
		{"http://anysuffix.test/", "", 1111, "hostname is blocked"},
		{"http://nosuch.test/", "", 1101, "lookup: no such host"},
		{"http://192.0.2.1:99999/", "", 1210, "dial tcp: address 99999: invalid port"},
	} {
		addr, err := transport.address(context.Background(), &mustURL(t, tt.url).direct, 0)
		if tt.code != 0 {
			if e := classify(err); e.Code != tt.code || e.Message != tt.text {
				t.Errorf("%s: %d %q, want %d %q", tt.url, e.Code, e.Message, tt.code, tt.text)
			}
			continue
		}
		if err != nil || addr.String() != tt.want {
			t.Errorf("%s: %v, %v, want %s", tt.url, addr, err, tt.want)
		}
	}
	_, err = transport.address(context.Background(), &mustURL(t, "http://bad.test/").direct, 0)
	if want := "IP (10.0.0.1) is in a blacklisted range (10.0.0.0/8)"; err.Error() != want {
		t.Errorf("details %q, want %q", err, want)
	}
}

func TestBadHosts(t *testing.T) {
	for _, change := range []func(*Config){
		func(c *Config) { c.Hosts = map[string]string{"a.test": "b.test"} },
		func(c *Config) { c.Hosts = map[string]string{"a.*.test": "127.0.0.1"} },
		func(c *Config) { c.Hosts = map[string]string{"": "127.0.0.1"} },
		func(c *Config) { c.BlockHostnames = []string{"a.*"} },
		func(c *Config) { c.BlockHostnames = []string{""} },
		func(c *Config) { c.DNS.Select = "best" },
		func(c *Config) { c.DNS.Policy = "ipv5" },
		func(c *Config) { c.TLS.RootCAs = []byte("x") },
	} {
		cfg := testConfig()
		change(&cfg)
		if _, err := NewTransport(cfg); err == nil || !strings.Contains(err.Error(), "want") && !strings.Contains(err.Error(), "PEM") {
			t.Errorf("error %v, want one that says what would be right", err)
		}
	}
}

func TestHostMappingKeepsTheHostHeader(t *testing.T) {
	url := serve(t, func(c net.Conn, r *bufio.Reader) {
		if head, err := readHead(r); err == nil {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(head), head)
		}
	})
	cfg := testConfig()
	cfg.Hosts = map[string]string{"*.test": strings.TrimPrefix(url, "http://")}
	for target, host := range map[string]string{"http://Some.test/": "Some.test", "http://ünï.test:99/": "xn--n-nga1b.test:99"} {
		resp, err := get(t, newTestClient(t, cfg), target)
		if err != nil || !strings.Contains(string(resp.Body), "Host: "+host+"\r\n") {
			t.Errorf("%s: %q, %v", target, resp.Body, err)
		}
	}
}

func TestDialRefused(t *testing.T) {
	resp, err := get(t, newTestClient(t, testConfig()), "http://127.0.0.1:1/")
	if code(err) != 1212 || message(err) != "dial: connection refused" || err.Error() != "dial tcp 127.0.0.1:1: connect: connection refused" {
		t.Errorf("%d %q %v", code(err), message(err), err)
	}
	if resp.Timings != (Timings{}) || resp.RemoteIP != "" {
		t.Errorf("%+v", resp)
	}
}

func TestDNSSelectAndPolicy(t *testing.T) {
	all := []string{"2001:db8::1", "192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3"}
	for _, tt := range []struct {
		name string
		dns  DNS
		want string // the first answers
	}{
		{"first, IPv4 preferred", DNS{Select: SelectFirst}, "192.0.2.1 192.0.2.1"},
		{"first, IPv6 preferred", DNS{Select: SelectFirst, Policy: PreferIPv6}, "2001:db8::1 2001:db8::1"},
		{"first of any", DNS{Select: SelectFirst, Policy: AnyIP}, "2001:db8::1 2001:db8::1"},
		{"in turn", DNS{Select: SelectRoundRobin, Policy: OnlyIPv4}, "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.1"},
		{"IPv6 only", DNS{Select: SelectRandom, Policy: OnlyIPv6}, "2001:db8::1 2001:db8::1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.dns.TTL = Forever
			tt.dns.Lookup = names(map[string][]string{"a": all, "four": {"192.0.2.1"}})
			r, err := newResolver(tt.dns)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range strings.Fields(tt.want) {
				if got, err := r.resolve(context.Background(), "a"); err != nil || got.String() != want {
					t.Errorf("answer %d is %v, %v, want %s", i, got, err, want)
				}
			}
			_, err = r.resolve(context.Background(), "four")
			if wantErr := tt.dns.Policy == OnlyIPv6; (err != nil) != wantErr || err != nil && classify(err).Code != ErrorNoSuchHost {
				t.Errorf("a name with IPv4 alone: %v", err)
			}
		})
	}
	r, err := newResolver(DNS{Lookup: names(map[string][]string{"a": all}), TTL: Forever})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 500 {
		addr, err := r.resolve(context.Background(), "a")
		if err != nil {
			t.Fatal(err)
		}
		seen[addr.String()] = true
	}
	if len(seen) != 3 {
		t.Errorf("random selection gave %v, want the three IPv4 addresses", seen)
	}
}

func TestDNSCache(t *testing.T) {
	for _, tt := range []struct {
		ttl  time.Duration
		want int64 // lookups in three minutes, asked each minute, and 10 times at once at first
	}{{0, 13}, {90 * time.Second, 2}, {Forever, 1}} {
		t.Run(tt.ttl.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lookups atomic.Int64
				r, err := newResolver(DNS{TTL: tt.ttl, Lookup: func(context.Context, string) ([]netip.Addr, error) {
					lookups.Add(1)
					time.Sleep(time.Second)
					return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
				}})
				if err != nil {
					t.Fatal(err)
				}
				for range 10 {
					go func() { _, _ = r.resolve(context.Background(), "a") }()
				}
				time.Sleep(2 * time.Second)
				for range 3 {
					if _, err := r.resolve(context.Background(), "a"); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Minute)
				}
				if got := lookups.Load(); got != tt.want {
					t.Errorf("%d lookups, want %d", got, tt.want)
				}
			})
		})
	}
}

// The interruption of the one who looks a name up is no answer for those who wait with him.
func TestDNSInterruptedLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := newResolver(DNS{TTL: Forever, Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Minute):
				return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		go func() { _, _ = r.resolve(ctx, "a") }()
		synctest.Wait()
		if addr, err := r.resolve(context.Background(), "a"); err != nil || addr.String() != "192.0.2.1" {
			t.Errorf("%v, %v", addr, err)
		}
		if _, err := r.resolve(ctx, "b"); err == nil {
			t.Error("a lookup under an ended context succeeds")
		}
	})
}

func TestLocalIPs(t *testing.T) {
	for _, tt := range []struct {
		list, want string // for virtual users 1, 2, …
	}{
		{"192.0.2.1", "192.0.2.1 192.0.2.1"},
		{"192.0.2.1,192.0.2.9", "192.0.2.1 192.0.2.9 192.0.2.1"},
		{"192.0.2.254-192.0.3.1, 2001:db8::1", "192.0.2.254 192.0.2.255 192.0.3.0 192.0.3.1 2001:db8::1 192.0.2.254"},
		{"192.0.2.8/30", "192.0.2.9 192.0.2.10 192.0.2.9"},
		{"192.0.2.8/31", "192.0.2.8 192.0.2.9 192.0.2.8"},
		{"192.0.2.8/32", "192.0.2.8 192.0.2.8"},
		{"2001:db8::fffe/126", "2001:db8::fffc 2001:db8::fffd 2001:db8::fffe 2001:db8::ffff 2001:db8::fffc"},
		{"2001:db8::/32", "2001:db8:: 2001:db8::1"},
		{"2001:db8::ffff:ffff:ffff:ffff-2001:db8:0:1::1", "2001:db8::ffff:ffff:ffff:ffff 2001:db8:0:1:: 2001:db8:0:1::1 2001:db8::ffff:ffff:ffff:ffff"},
	} {
		pool, err := ParseLocalIPs(tt.list)
		if err != nil {
			t.Errorf("%s: %v", tt.list, err)
			continue
		}
		for i, want := range strings.Fields(tt.want) {
			if got := pool.At(int64(i + 1)).String(); got != want {
				t.Errorf("%s: virtual user %d has %s, want %s", tt.list, i+1, got, want)
			}
		}
	}
	for _, list := range []string{"", "x", "192.0.2.1-", "192.0.2.9-192.0.2.1", "192.0.2.1-2001:db8::1", "192.0.2.0/33", "::/0,::/0"} {
		if _, err := ParseLocalIPs(list); err == nil {
			t.Errorf("%q is accepted", list)
		}
	}
}

func TestLocalIPIsUsed(t *testing.T) {
	from := make(chan string, 1)
	url := serve(t, func(c net.Conn, r *bufio.Reader) {
		_, _ = readHead(r)
		from <- c.RemoteAddr().(*net.TCPAddr).IP.String()
		fmt.Fprint(c, okAnswer)
	})
	pool, err := ParseLocalIPs("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.LocalIPs = pool
	if _, err := get(t, newTestClient(t, cfg), url); err != nil {
		t.Fatal(err)
	}
	if got := <-from; got != "127.0.0.1" {
		t.Errorf("connected from %s", got)
	}
}
