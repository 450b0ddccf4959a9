package http

import (
	"context"
	"errors"
	"log/slog"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"hive/engine/httpclient"
	"hive/engine/js"
	"hive/engine/metric"
)

// TestExchanges compares the tags of what is recorded. In them B stands for the server's URL.
func TestExchanges(t *testing.T) {
	server := startServer(t)
	tests := []struct {
		what, body string
		tags       string
		want       []string
	}{
		{"a plain request", `http.get(B + '/json')`, "name method status proto tls_version expected_response error error_code group",
			[]string{"B/json GET 200 HTTP/1.1 - true - - "}},
		{"an HTTP error", `http.get(B + '/status?n=404')`, "status expected_response error error_code", []string{"404 false - 1404"}},
		{"nobody listens", `http.get('http://127.0.0.1:1/x')`, "name status proto expected_response error error_code",
			[]string{"http://127.0.0.1:1/x 0 - false dial: connection refused 1212"}},
		{"a scheme that is unknown", `http.get('ftp://x')`, "name status error error_code", []string{`ftp://x 0 unsupported protocol scheme "ftp" 1000`}},
		{"no request, no exchange", `http.get('http://a b'); http.post(B, [1])`, "name", nil},
		{"a response that cannot be decoded", `http.get(B + '/raw?encoding=gzip&body=x')`, "status proto error_code expected_response", []string{"0 - 1701 false"}},
		{"every hop of a redirect", `http.get(B + '/redirect?n=2')`, "name status expected_response",
			[]string{"B/redirect?n=2 302 true", "B/redirect?n=1&code=302 302 true", "B/echo 200 true"}},
		{"a name is for all hops", `http.get(B + '/redirect?n=1', {tags: {name: 'n'}})`, "name status", []string{"n 302", "n 200"}},
		{"a bad redirect is one failure", `http.get(B + '/status?n=302&to=' + encodeURIComponent('http://a b/'))`, "status error_code", []string{"0 1000"}},
		{"a redirect into the void", `http.get(B + '/status?n=302&to=' + encodeURIComponent('http://127.0.0.1:1/z'))`, "status error_code",
			[]string{"302 -", "0 1212"}},
		{"a template is a name", "http.get(http.url`${B}/json?x=${1}`)", "name", []string{"${}/json?x=${}"}},
		{"a name goes before a template", "http.get(http.url`${B}/json?x=${1}`, {tags: {name: 'mine'}})", "name", []string{"mine"}},
		{"a template", "http.get(http.url`${B}/json?x=${1}`, {tags: {a: 1}})", "a name", []string{"1 ${}/json?x=${}"}},
		{"tags of the request", `http.get(B + '/json', {tags: {a: 1, b: true, c: 'x', status: 'mine', url: 'u'}})`, "a b c status url", []string{"1 true x 200 -"}},
		{"credentials are masked", `http.get(B.replace('http://', 'http://user:pass@') + '/json')`, "name", []string{"http://****:****@H/json"}},
		{"digest expects a challenge", `http.get(B.replace('http://', 'http://user:pass@') + '/digest', {auth: 'digest'})`, "name status expected_response error_code",
			[]string{"B/digest 401 true 1401", "B/digest 200 true -"}},
		{"digest without a challenge failed", `http.get(B.replace('http://', 'http://user:pass@') + '/json', {auth: 'digest'})`, "status expected_response", []string{"200 false"}},
		{"ntlm", `http.get(B.replace('http://', 'http://user:pass@') + '/ntlm', {auth: 'ntlm'})`, "status expected_response", []string{"401 true", "401 false", "200 true"}},
		{"ntlm that is not asked for", `http.get(B + '/json', {auth: 'ntlm'})`, "status expected_response", []string{"200 true"}},
		{"a callback of the request", `http.get(B + '/redirect?n=1', {responseCallback: http.expectedStatuses(200)})`, "status expected_response", []string{"302 false", "200 true"}},
		{"no callback, no expectation", `http.get(B + '/json', {responseCallback: null})`, "status expected_response", []string{"200 -"}},
		{"a callback that expects failure", `http.get('http://127.0.0.1:1', {responseCallback: http.expectedStatuses(0)})`, "status expected_response", []string{"0 true"}},
		{"a callback of the VU", `http.setResponseCallback(http.expectedStatuses(404)); http.get(B + '/json'); http.get(B + '/status?n=404'); http.setResponseCallback(null); http.get(B + '/json')`,
			"expected_response", []string{"false", "true", "-"}},
		{"a batch is recorded in its order", `http.batch([B + '/json?1', B + '/json?2', B + '/json?3'])`, "name", []string{"B/json?1", "B/json?2", "B/json?3"}},
		{"a bad batch sends nothing", `http.batch([B + '/json', 5])`, "name", nil},
		{"asynchronous requests", `await http.asyncRequest('GET', B + '/json', null, {tags: {a: 'b'}})`, "a status", []string{"b 200"}},
		{"a connection that is cut", `http.get(B + '/cut')`, "status error error_code", []string{"0 EOF 1000"}},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			s := newScript(t, server.URL, "", test.body, defaults())
			s.iterate()
			got := s.exchanges(strings.Fields(test.tags)...)
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], server.URL, "B")
				got[i] = strings.ReplaceAll(got[i], strings.TrimPrefix(server.URL, "http://"), "H")
			}
			equal(t, got, test.want)
		})
	}
}

func TestValuesOfAnExchange(t *testing.T) {
	s := newScript(t, startServer(t).URL, "", `http.get(B + '/json'); http.get(B + '/status?n=500')`, defaults())
	s.iterate()
	sum, count := s.sums()
	for _, name := range []string{"http_reqs", "http_req_duration", "http_req_blocked", "http_req_connecting", "http_req_tls_handshaking",
		"http_req_sending", "http_req_waiting", "http_req_receiving", "http_req_failed"} {
		if count[name] != 2 {
			t.Errorf("%s has %d samples, want 2", name, count[name])
		}
	}
	if sum["http_reqs"] != 2 || sum["http_req_failed"] != 1 {
		t.Errorf("http_reqs %v, http_req_failed %v; want 2, 1", sum["http_reqs"], sum["http_req_failed"])
	}
	parts := sum["http_req_sending"] + sum["http_req_waiting"] + sum["http_req_receiving"]
	if d := sum["http_req_duration"] - parts; d > 1e-6 || d < -1e-6 {
		t.Errorf("duration %v is not the sum of its parts %v", sum["http_req_duration"], parts)
	}
	for i := range s.samples {
		x := s.samples[i].Extra
		if x.VU != 7 || !strings.HasSuffix(x.URL, "/json") && !strings.HasSuffix(x.URL, "/status?n=500") {
			t.Errorf("sample %d has VU %d and URL %q", i, x.VU, x.URL)
		}
	}
}

func TestURLTagFollowsTheName(t *testing.T) {
	s := newScript(t, startServer(t).URL, "", `http.get(B + '/json', {tags: {name: 'n'}})`, defaults())
	s.iterate()
	if s.sums(); s.samples[0].Extra.URL != "n" {
		t.Errorf("url is %q, want n", s.samples[0].Extra.URL)
	}
}

func TestOnlyWantedTags(t *testing.T) {
	with := defaults()
	with.system = metric.TagStatus | metric.TagIP
	s := newScript(t, startServer(t).URL, "", `http.get(B + '/json')`, with)
	s.iterate()
	equal(t, s.exchanges("status", "ip", "method", "name", "proto", "expected_response"), []string{"200 127.0.0.1 - - - -"})
	if s.samples[0].Extra.URL != "" {
		t.Errorf("url is %q, want none", s.samples[0].Extra.URL)
	}
}

func TestTLS(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		server := httptest.NewUnstartedServer(handler())
		server.EnableHTTP2 = h2
		server.StartTLS()
		t.Cleanup(server.Close)
		with := defaults()
		with.client = func(c *httpclient.Config) { c.TLS.InsecureSkipVerify = true }
		s := newScript(t, server.URL, "", `const r = http.post(B + '/echo', 'x'); out([r.proto, r.json('proto'), r.json('body'), r.tls_version, r.tls_cipher_suite !== '', r.timings.tls_handshaking > 0])`, with)
		s.iterate()
		proto := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[h2]
		if want := proto + "," + proto + ",x,tls1.3,true,true"; s.result() != want {
			t.Errorf("got %s, want %s", s.result(), want)
		}
		equal(t, s.exchanges("proto", "tls_version", "status"), []string{proto + " tls1.3 200"})
	}
}

func TestUntrustedCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(handler())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	s := newScript(t, server.URL, "", `const r = http.get(B); out([r.status, r.error_code])`, defaults())
	s.iterate()
	if s.result() != "0,1310" {
		t.Errorf("got %s, want 0,1310", s.result())
	}
}

func TestThrow(t *testing.T) {
	with := defaults()
	with.throw = true
	s := newScript(t, startServer(t).URL, "", `
		for (const f of [() => http.get('http://127.0.0.1:1/'), () => http.get('http://a b'), () => http.post(B, [1]), () => http.batch([B, 5]), () => http.batch(['http://127.0.0.1:1/']),
			() => http.get(B + '/raw?encoding=gzip&body=x')]) {
			try { f(); out('no') } catch (e) { out(e.name + ' ' + e.message.slice(0, 12)) }
		}
		try { await http.asyncRequest('GET', 'http://a b'); out('no') } catch (e) { out(e.name) }
		out(http.get(B + '/status?n=404').status);
		out(http.get('http://127.0.0.1:1/', {throw: false}).status);`, with)
	s.iterate()
	want := []string{`GoError Get "http://`, "GoError invalid URL:", "GoError unknown type", "GoError invalid URL:", `GoError Get "http://`,
		"GoError error decomp", "GoError", "404", "0"}
	equal(t, s.out, want)
	if n := len(s.exchanges()); n != 5 {
		t.Errorf("%d exchanges were recorded, want 5: those that were sent", n)
	}
}

func TestFailuresAreLogged(t *testing.T) {
	s := newScript(t, startServer(t).URL, "", `http.get('http://u:p@127.0.0.1:1/'); http.get('http://a b'); http.get(B + '/redirect?n=20'); http.get(B, B, B)`, defaults())
	s.iterate()
	for _, want := range []string{
		`level=WARN msg="Request Failed" error="Get \"http://****:****@127.0.0.1:1/\": dial tcp `,
		`level=WARN msg="Request Failed" error="invalid URL: `,
		`level=WARN msg="stopped after 10 redirects`,
		`level=WARN msg="http.get takes a URL and params (2 arguments), but got 3"`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, s.log)
		}
	}
}

func TestNoRequestsInInit(t *testing.T) {
	for _, call := range []string{"http.get(B)", "http.post(B)", "http.request('GET', B)", "http.batch([B])", "http.asyncRequest('GET', B)", "http.cookieJar()"} {
		s := &script{t: t, log: new(lockedBuffer)}
		_, err := s.newVU("http://127.0.0.1:1", call, "", defaults())
		var ex *js.Exception
		if !errors.As(err, &ex) || !strings.Contains(ex.Message, "init context") {
			t.Errorf("%s in init gives %v, want an exception that says so", call, err)
		}
	}
	newScript(t, "http://127.0.0.1:1", "const j = new http.CookieJar(), f = http.file('x'), e = http.expectedStatuses(200), u = http.url`x`; http.setResponseCallback(e)", "", defaults())
}

func TestCookiesAreResetBetweenIterations(t *testing.T) {
	for _, keep := range []bool{false, true} {
		with := defaults()
		with.http.NoCookiesReset = keep
		s := newScript(t, startServer(t).URL, "const own = new http.CookieJar()", `
			out([http.get(B + '/echo').json('headers.Cookie.0') !== undefined, http.get(B + '/echo', {jar: own}).json('headers.Cookie.0') !== undefined]);
			http.get(B + '/cookies'); http.get(B + '/cookies', {jar: own});`, with)
		s.iterate()
		s.iterate()
		want := map[bool]string{false: "false,true", true: "true,true"}[keep]
		equal(t, s.out, []string{"false,false", want})
	}
}

func TestConnectionsOfAVU(t *testing.T) {
	var mu sync.Mutex
	opened := 0
	server := httptest.NewUnstartedServer(handler())
	server.Config.ConnState = func(_ net.Conn, state nethttp.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if state == nethttp.StateNew {
			opened++
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	for _, fresh := range []bool{false, true} {
		with := defaults()
		with.http.NoVUConnectionReuse = fresh
		mu.Lock()
		before := opened
		mu.Unlock()
		s := newScript(t, server.URL, "", `http.get(B + '/json'); http.get(B + '/json')`, with)
		s.iterate()
		s.iterate()
		want := map[bool]int{false: 1, true: 2}[fresh]
		mu.Lock()
		if opened-before != want {
			t.Errorf("with NoVUConnectionReuse %v two iterations opened %d connections, want %d", fresh, opened-before, want)
		}
		mu.Unlock()
	}
}

func TestBytes(t *testing.T) {
	s := newScript(t, startServer(t).URL, "", `http.get(B + '/json')`, defaults())
	if sent, received := s.state.Bytes(); sent != 0 || received != 0 {
		t.Errorf("before any request %d and %d bytes", sent, received)
	}
	s.iterate()
	if sent, received := s.state.Bytes(); sent < 50 || received < 66 {
		t.Errorf("a request took %d and %d bytes", sent, received)
	}
	if sent, received := s.state.Bytes(); sent != 0 || received != 0 {
		t.Errorf("asked again it is %d and %d bytes, want none", sent, received)
	}
}

func TestDiscardResponseBodies(t *testing.T) {
	with := defaults()
	with.http.DiscardResponseBodies = true
	s := newScript(t, startServer(t).URL, "", `out([http.get(B + '/json').body === null, http.get(B + '/json', {responseType: 'text'}).body.length])`, with)
	s.iterate()
	if s.result() != "true,66" {
		t.Errorf("got %s, want true,66", s.result())
	}
}

// TestBatchLimits has requests wait for each other: as many as may be in flight together arrive together.
func TestBatchLimits(t *testing.T) {
	for _, test := range []struct{ batch, perHost, want int }{{20, 6, 6}, {4, 6, 4}, {20, 0, 8}, {0, 0, 8}, {1, 6, 1}} {
		var mu sync.Mutex
		now, most := 0, 0
		arrived := sync.NewCond(&mu)
		server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
			mu.Lock()
			defer mu.Unlock()
			now++
			most = max(most, now)
			arrived.Broadcast()
			for most < test.want {
				arrived.Wait()
			}
			now--
		}))
		with := defaults()
		with.http.Batch, with.http.BatchPerHost = test.batch, test.perHost
		s := newScript(t, server.URL, "", `out(http.batch(Array.from({length: 8}, (_, i) => B + '/' + i)).map((r) => r.status))`, with)
		s.iterate()
		server.Close()
		if most != test.want || s.result() != "200,200,200,200,200,200,200,200" {
			t.Errorf("batch %d, per host %d: %d at a time, want %d; %s", test.batch, test.perHost, most, test.want, s.result())
		}
	}
}

func TestBatchOrder(t *testing.T) {
	var mu sync.Mutex
	var order []string
	server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, r.URL.Path)
	}))
	t.Cleanup(server.Close)
	with := defaults()
	with.http.Batch = 1
	s := newScript(t, server.URL, "", `http.batch([1, 2, 3, 4].map((i) => B + '/' + i))`, with)
	s.iterate()
	mu.Lock()
	defer mu.Unlock()
	equal(t, order, []string{"/1", "/2", "/3", "/4"})
}

func TestInterruption(t *testing.T) {
	for _, body := range []string{`http.get(B + '/slow')`, `http.batch([B + '/slow', B + '/slow'])`, `await http.asyncRequest('GET', B + '/slow')`} {
		s := newScript(t, startServer(t).URL, "", body+"; out('on')", defaults())
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if err := s.vu.Iterate(ctx, nil); !errors.Is(err, js.ErrInterrupted) {
			t.Errorf("%s: got %v, want an interruption", body, err)
		}
		if n := len(s.exchanges()); n != 0 || s.result() != "" || strings.Contains(s.log.String(), "Failed") {
			t.Errorf("%s: %d exchanges, out %q, log %s; want nothing", body, n, s.result(), s.log)
		}
	}
}

func TestHTTPDebug(t *testing.T) {
	for _, mode := range []string{DebugHeaders, DebugFull} {
		with := defaults()
		with.http.HTTPDebug = mode
		s := newScript(t, startServer(t).URL, "", `http.post(B + '/redirect?n=1&code=307', 'hello', {headers: {a: 'b'}, responseType: 'none'})`, with)
		s.iterate()
		log := s.log.String()
		if n := strings.Count(log, "Request:\\nPOST "); n != 2 {
			t.Errorf("%s: %d requests were dumped, want 2:\n%s", mode, n, log)
		}
		for _, want := range []string{"A: b", "Response:\\nHTTP/1.1 307 Temporary Redirect", "source=http-debug", "request_id=", "vu=7", "iter=0", "group="} {
			if !strings.Contains(log, want) {
				t.Errorf("%s: the log lacks %q:\n%s", mode, want, log)
			}
		}
		if got := strings.Contains(log, "\\n\\nhello\\n"); got != (mode == DebugFull) {
			t.Errorf("%s: the body was dumped: %v", mode, got)
		}
	}
}

func TestSwitchingProtocols(t *testing.T) {
	server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		conn, _, err := nethttp.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
		conn.Close()
	}))
	t.Cleanup(server.Close)
	s := newScript(t, server.URL, "", `try { http.get(B) } catch (e) { out(e) }`, defaults())
	s.iterate()
	if want := "GoError: unsupported response status: 101 Switching Protocols"; s.result() != want {
		t.Errorf("got %s, want %s", s.result(), want)
	}
}

func TestPaceOfARun(t *testing.T) {
	with := defaults()
	with.http.Pace = NewPace(Fixed(1000))
	s := newScript(t, startServer(t).URL, "", `http.batch([B + '/json', B + '/redirect?n=1', B + '/json']); out(http.get(B + '/json').status)`, with)
	began := time.Now()
	s.iterate()
	if took := time.Since(began); took < 3*time.Millisecond {
		t.Errorf("4 calls took %v, want at least 3ms at 1000 a second", took)
	}
}

// TestScenarioNames: a name that scenario or VU tags give goes before the URL's own and before a template.
func TestScenarioNames(t *testing.T) {
	s := newScript(t, startServer(t).URL, "", "http.get(B + '/json'); http.get(http.url`${B}/json`); http.get(B + '/json', {tags: {name: 'mine'}})", defaults())
	tags := s.vu.Registry().Root().With("name", "scenario")
	if err := s.vu.Activate(js.Activation{Exec: "default", Tags: tags, Scenario: "s"}); err != nil {
		t.Fatal(err)
	}
	s.iterate()
	equal(t, s.exchanges("name", "scenario"), []string{"scenario s", "scenario s", "mine s"})
}
