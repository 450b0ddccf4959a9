package httpclient

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// tlsServer answers with the protocol and the client certificate's name, in HTTP/2 if the client offers it.
func tlsServer(t testing.TB, cfg *tls.Config) *httptest.Server {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto)
		for _, c := range r.TLS.PeerCertificates {
			fmt.Fprint(w, " ", c.Subject.CommonName)
		}
	}))
	srv.EnableHTTP2 = true
	srv.TLS = cfg
	srv.Config.ErrorLog = quietLog()
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// trusting is a configuration that knows the server's certificate.
func trusting(srv *httptest.Server) Config {
	cfg := testConfig()
	cfg.TLS.RootCAs = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	return cfg
}

func TestTLS(t *testing.T) {
	for _, tt := range []struct {
		name    string
		server  *tls.Config
		client  TLS
		http2   bool
		proto   string
		version string
		cipher  string
		code    int
	}{
		{"1.3 over HTTP/1.1", nil, TLS{}, false, "HTTP/1.1", "tls1.3", "TLS_AES_128_GCM_SHA256", 0},
		{"1.3 over HTTP/2", nil, TLS{}, true, "HTTP/2.0", "tls1.3", "TLS_AES_128_GCM_SHA256", 0},
		{"1.2 at most", nil, TLS{MaxVersion: tls.VersionTLS12}, false, "HTTP/1.1", "tls1.2", "", 0},
		{"cipher suite", nil, TLS{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}}, false,
			"HTTP/1.1", "tls1.2", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", 0},
		{"too old a server", &tls.Config{MaxVersion: tls.VersionTLS12}, TLS{MinVersion: tls.VersionTLS13}, false, "", "", "", ErrorNonTCP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := tlsServer(t, tt.server)
			cfg := trusting(srv)
			tt.client.RootCAs, cfg.HTTP2 = cfg.TLS.RootCAs, tt.http2
			cfg.TLS = tt.client
			c := newTestClient(t, cfg)
			for i := range 2 {
				resp, err := get(t, c, srv.URL)
				if code(err) != tt.code {
					t.Fatalf("error %d %v, want %d", code(err), err, tt.code)
				}
				if err != nil {
					return
				}
				if string(resp.Body) != tt.proto || resp.Proto != tt.proto || resp.TLSVersion != tt.version {
					t.Errorf("protocol %q %q, TLS %q, want %q and %q", resp.Body, resp.Proto, resp.TLSVersion, tt.proto, tt.version)
				}
				if tt.cipher != "" && resp.CipherSuite != tt.cipher {
					t.Errorf("cipher suite %s, want %s", resp.CipherSuite, tt.cipher)
				}
				if (resp.Timings.TLSHandshaking > 0) != (i == 0) || resp.Reused != (i == 1) {
					t.Errorf("request %d: handshake %v, reused %v", i, resp.Timings.TLSHandshaking, resp.Reused)
				}
				if resp.Timings.Blocked < resp.Timings.TLSHandshaking+resp.Timings.Connecting {
					t.Errorf("request %d: blocked for less than its parts: %+v", i, resp.Timings)
				}
			}
		})
	}
}

func TestTLSFailures(t *testing.T) {
	srv := tlsServer(t, nil)
	wrong := serve(t, func(c net.Conn, _ *bufio.Reader) { fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	cfg := trusting(srv)
	cfg.Hosts = map[string]string{"other.test": strings.TrimPrefix(srv.URL, "https://")}
	for _, tt := range []struct {
		name, url string
		cfg       Config
		code      int
		message   string
	}{
		{"unknown authority", srv.URL, testConfig(), 1310, "x509: unknown authority"},
		{"hostname", "https://other.test/", cfg, 1311, "x509: certificate doesn't match hostname"},
		{"no TLS", "https" + wrong[len("http"):], cfg, 1301, "tls: first record does not look like a TLS handshake"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := get(t, newTestClient(t, tt.cfg), tt.url)
			if code(err) != tt.code || message(err) != tt.message {
				t.Errorf("error %d %q, want %d %q", code(err), message(err), tt.code, tt.message)
			}
			if resp.Timings.Connecting == 0 || resp.Timings.TLSHandshaking != 0 {
				t.Errorf("timings %+v", resp.Timings)
			}
		})
	}
	skip := testConfig()
	skip.TLS.InsecureSkipVerify = true
	if _, err := get(t, newTestClient(t, skip), srv.URL); err != nil {
		t.Errorf("with InsecureSkipVerify: %v", err)
	}
}

// identity makes a self-signed client certificate in PEM.
func identity(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
}

func TestClientCertificate(t *testing.T) {
	srv := tlsServer(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12})
	cfg := trusting(srv)
	if _, err := get(t, newTestClient(t, cfg), srv.URL); code(err) != ErrorNonTCP || !strings.HasPrefix(message(err), "remote error: tls: ") {
		t.Errorf("without a certificate: %d %q", code(err), message(err))
	}
	cert, key := identity(t, "alice")
	pair, err := ParseCertificate(cert, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.TLS.Certificates = []tls.Certificate{pair}
	resp, err := get(t, newTestClient(t, cfg), srv.URL)
	if err != nil || string(resp.Body) != "HTTP/2.0 alice" {
		t.Errorf("got %q, %v", resp.Body, err)
	}
}

func TestParseCertificate(t *testing.T) {
	cert, key := identity(t, "bob")
	block, _ := pem.Decode(key)
	//lint:ignore SA1019 the form under test
	locked, err := x509.EncryptPEMBlock(rand.Reader, block.Type, block.Bytes, []byte("secret"), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		key      []byte
		password string
		want     string
	}{
		{"plain", key, "", ""},
		{"encrypted", pem.EncodeToMemory(locked), "secret", ""},
		{"wrong password", pem.EncodeToMemory(locked), "guess", "decrypting the key"},
		{"no PEM", []byte("x"), "", "not PEM"},
		{"encrypted PKCS #8", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY"}), "secret", "not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseCertificate(cert, tt.key, []byte(tt.password))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTLSNames(t *testing.T) {
	for name, want := range map[string]uint16{"tls1.0": tls.VersionTLS10, "tls1.3": tls.VersionTLS13} {
		if v, err := ParseTLSVersion(name); err != nil || v != want || tlsVersion(v) != name {
			t.Errorf("%s: %x, %v", name, v, err)
		}
	}
	if _, err := ParseTLSVersion("tls2"); err == nil {
		t.Error("tls2 is accepted")
	}
	if id, err := ParseCipherSuite("TLS_RSA_WITH_RC4_128_SHA"); err != nil || id != tls.TLS_RSA_WITH_RC4_128_SHA {
		t.Errorf("cipher suite %x, %v", id, err)
	}
	if _, err := ParseCipherSuite("ROT13"); err == nil {
		t.Error("ROT13 is accepted")
	}
	cfg := testConfig()
	cfg.TLS.MinVersion, cfg.TLS.MaxVersion = tls.VersionTLS13, tls.VersionTLS12
	if _, err := NewTransport(cfg); err == nil {
		t.Error("lowest version above highest is accepted")
	}
}

func TestKeyLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	log, err := OpenKeyLog(path)
	if err != nil {
		t.Fatal(err)
	}
	srv := tlsServer(t, nil)
	cfg := trusting(srv)
	cfg.TLS.KeyLog = log
	if _, err := get(t, newTestClient(t, cfg), srv.URL); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || !bytes.Contains(text, []byte("CLIENT_TRAFFIC_SECRET_0 ")) {
		t.Errorf("key log %q, %v", text, err)
	}
}

func TestOCSP(t *testing.T) {
	cert, key := identity(t, "server")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Minute)
	for _, tt := range []struct {
		name   string
		answer ocsp.Response
		want   OCSP
	}{
		{"good", ocsp.Response{Status: ocsp.Good}, OCSP{Status: "good"}},
		{"revoked", ocsp.Response{Status: ocsp.Revoked, RevokedAt: at, RevocationReason: ocsp.KeyCompromise},
			OCSP{Status: "revoked", RevocationReason: "key_compromise", RevokedAt: at}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.answer.SerialNumber, tt.answer.ThisUpdate, tt.answer.NextUpdate = pair.Leaf.SerialNumber, at, at.Add(24*time.Hour)
			pair.OCSPStaple, err = ocsp.CreateResponse(pair.Leaf, pair.Leaf, tt.answer, pair.PrivateKey.(*ecdsa.PrivateKey))
			if err != nil {
				t.Fatal(err)
			}
			srv := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{pair}})
			cfg := testConfig()
			cfg.TLS.InsecureSkipVerify = true
			resp, err := get(t, newTestClient(t, cfg), srv.URL)
			if err != nil || resp.OCSP == nil {
				t.Fatalf("OCSP %v, error %v", resp.OCSP, err)
			}
			got := *resp.OCSP
			if got.Status != tt.want.Status || got.RevocationReason != tt.want.RevocationReason || !got.RevokedAt.Equal(tt.want.RevokedAt) ||
				!got.ThisUpdate.Equal(at) || got.ProducedAt.IsZero() {
				t.Errorf("OCSP %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestTLSBytesAreCounted(t *testing.T) {
	srv := tlsServer(t, nil)
	c := newTestClient(t, trusting(srv))
	if _, err := get(t, c, srv.URL); err != nil {
		t.Fatal(err)
	}
	if sent, received := c.Bytes(); sent < 200 || received < 800 {
		t.Errorf("sent %d, received %d: the handshake is missing", sent, received)
	}
}

func TestLargeBodiesOverTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer srv.Close()
	body := bytes.Repeat([]byte("0123456789"), 30_000)
	resp, err := send(t, newTestClient(t, trusting(srv)), &Request{Method: "POST", URL: mustURL(t, srv.URL), Body: Bytes(body)})
	if err != nil || !bytes.Equal(resp.Body, body) {
		t.Errorf("%d bytes came back of %d, %v", len(resp.Body), len(body), err)
	}
}
