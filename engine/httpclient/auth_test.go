package httpclient

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/icholy/digest"
)

func TestBasicAuth(t *testing.T) {
	r := &http.Request{Header: http.Header{"Authorization": {BasicAuth("us:er", "p:w")}}}
	if user, password, ok := r.BasicAuth(); user != "us" || password != "er:p:w" || !ok {
		t.Errorf("%q %q %v", user, password, ok)
	}
}

func TestDigest(t *testing.T) {
	const challenge = `Digest realm="r", nonce="n", qop="auth", algorithm=MD5, opaque="o"`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := digest.ParseCredentials(r.Header.Get("Authorization"))
		if err == nil {
			chal, _ := digest.ParseChallenge(challenge)
			want, _ := digest.Digest(chal, digest.Options{Method: r.Method, URI: r.RequestURI, Username: "u", Password: "p", Cnonce: got.Cnonce, Count: got.Nc})
			if got.Response == want.Response && got.Nc == 1 {
				fmt.Fprint(w, "welcome")
				return
			}
		}
		w.Header().Add("WWW-Authenticate", "Basic realm=x")
		w.Header().Add("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer srv.Close()
	c := newTestClient(t, testConfig())
	req := &Request{Method: "POST", URL: mustURL(t, srv.URL+"/x?y"), Body: Text("abc")}
	resp, err := send(t, c, req)
	if err != nil || resp.Status != 401 {
		t.Fatalf("%d, %v", resp.Status, err)
	}
	value, err := DigestAuth(resp, req, "u", "p")
	if err != nil {
		t.Fatal(err)
	}
	req.Header = []Field{{"Authorization", value}}
	if resp, err = send(t, c, req); err != nil || string(resp.Body) != "welcome" {
		t.Errorf("%d %q, %v", resp.Status, resp.Body, err)
	}
	if _, err := DigestAuth(resp, req, "u", "p"); !errors.Is(err, ErrNoChallenge) {
		t.Errorf("without a challenge: %v", err)
	}
}

// ntlmChallenge is a type 2 message of MS-NLMP section 2.2.1.2 with a target and its information.
func ntlmChallenge() string {
	m := make([]byte, 56)
	copy(m, "NTLMSSP\x00")
	binary.LittleEndian.PutUint32(m[8:], 2)
	const unicode, targetInfo, ntlm, target = 1, 1 << 23, 1 << 9, 1 << 2
	binary.LittleEndian.PutUint32(m[20:], unicode|targetInfo|ntlm|target)
	copy(m[24:], "12345678")
	name := []byte("D\x00")
	info := []byte("\x02\x00\x02\x00D\x00\x00\x00\x00\x00")
	binary.LittleEndian.PutUint16(m[12:], uint16(len(name)))
	binary.LittleEndian.PutUint16(m[14:], uint16(len(name)))
	binary.LittleEndian.PutUint32(m[16:], uint32(len(m)))
	binary.LittleEndian.PutUint16(m[40:], uint16(len(info)))
	binary.LittleEndian.PutUint16(m[42:], uint16(len(info)))
	binary.LittleEndian.PutUint32(m[44:], uint32(len(m)+len(name)))
	return "NTLM " + base64.StdEncoding.EncodeToString(append(append(m, name...), info...))
}

// ntlmServer lets a connection in that has gone through the three messages.
func ntlmServer(t *testing.T) string {
	return serve(t, func(c net.Conn, r *bufio.Reader) {
		for step := 0; ; {
			head, err := readHead(r)
			if err != nil {
				return
			}
			token, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(fieldOf(head, "Authorization"), "NTLM "))
			message := uint32(0)
			if len(token) > 12 {
				message = binary.LittleEndian.Uint32(token[8:])
			}
			switch {
			case step == 0 && message == 1:
				step = 1
				fmt.Fprintf(c, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: %s\r\nContent-Length: 0\r\n\r\n", ntlmChallenge())
			case step == 1 && message == 3, step == 2:
				step = 2
				fmt.Fprint(c, okAnswer)
			default:
				fmt.Fprint(c, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n")
			}
		}
	})
}

func TestNTLM(t *testing.T) {
	url := ntlmServer(t)
	c := newTestClient(t, testConfig())
	var wg sync.WaitGroup
	for range 4 { // side by side, so that only Affinity can keep them apart
		wg.Go(func() { negotiate(t, c, url) })
	}
	wg.Wait()
	if resp, err := get(t, c, url); err != nil || resp.Status != 200 || !resp.Reused {
		t.Errorf("on a connection that is let in: %d, reused %v, %v", resp.Status, resp.Reused, err)
	}
}

func negotiate(t *testing.T, c *Client, url string) {
	var series Affinity
	defer series.Release()
	hello, err := NTLMNegotiate()
	if err != nil {
		t.Error(err)
		return
	}
	req := &Request{URL: mustURL(t, url), Affinity: &series, Header: []Field{{"Authorization", hello}}}
	resp, err := send(t, c, req)
	if err == nil && resp.Status == 200 && resp.Reused {
		return // on a connection that another series has got let in
	}
	if err != nil || resp.Status != 401 {
		t.Errorf("first: %d, %v", resp.Status, err)
		return
	}
	answer, err := NTLMAuth(resp, `D\user`, "password")
	if err != nil {
		t.Error(err)
		return
	}
	req.Header[0].Value = answer
	if resp, err = send(t, c, req); err != nil || resp.Status != 200 || !resp.Reused {
		t.Errorf("second: %d, reused %v, %v", resp.Status, resp.Reused, err)
	}
}

func TestNTLMBadChallenges(t *testing.T) {
	for _, value := range []string{"", "Basic realm=x", "NTLM", "NTLM ???", "NTLM AAAA"} {
		resp := &Response{Header: []Field{{"Www-Authenticate", value}}}
		if answer, err := NTLMAuth(resp, "u", "p"); err == nil {
			t.Errorf("%q: answered %q", value, answer)
		}
	}
}
