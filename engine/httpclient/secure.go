package httpclient

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// secure makes the TLS settings of connections. Those of one server name are shared.
type secure struct {
	base  *tls.Config
	mu    sync.Mutex // guards names
	names map[string]*tls.Config
}

// maxNames bounds the settings that are kept for sharing.
const maxNames = 4096

func newSecure(cfg TLS, http2 bool) (*secure, error) {
	if cfg.MaxVersion != 0 && cfg.MinVersion > cfg.MaxVersion {
		return nil, fmt.Errorf("lowest version %s is above the highest, %s", tlsVersion(cfg.MinVersion), tlsVersion(cfg.MaxVersion))
	}
	base := &tls.Config{
		InsecureSkipVerify: cfg.InsecureSkipVerify,
		MinVersion:         cfg.MinVersion,
		MaxVersion:         cfg.MaxVersion,
		CipherSuites:       cfg.CipherSuites,
		Certificates:       cfg.Certificates,
		Renegotiation:      tls.RenegotiateFreelyAsClient,
	}
	if cfg.KeyLog != nil {
		base.KeyLogWriter = &lockedWriter{w: cfg.KeyLog}
	}
	if http2 {
		base.NextProtos = []string{"h2", "http/1.1"}
	}
	if len(cfg.RootCAs) > 0 {
		base.RootCAs = x509.NewCertPool()
		if !base.RootCAs.AppendCertsFromPEM(cfg.RootCAs) {
			return nil, errors.New("no certificate in the PEM data of the root CAs")
		}
	}
	return &secure{base: base, names: map[string]*tls.Config{}}, nil
}

// config returns the settings for a server of that name.
func (s *secure) config(name string) *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.names[name]; c != nil {
		return c
	}
	c := s.base.Clone()
	c.ServerName = name
	if len(s.names) < maxNames {
		s.names[name] = c
	}
	return c
}

// proxyConfig returns the settings for a proxy, which is spoken to in HTTP/1.1.
func (s *secure) proxyConfig(name string) *tls.Config {
	c := s.base.Clone()
	c.ServerName, c.NextProtos = name, nil
	return c
}

// lockedWriter lets connections with different settings log to one writer.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// OpenKeyLog opens a file for TLS.KeyLog and appends to what is there, as programs do with the file named by
// SSLKEYLOGFILE.
func OpenKeyLog(path string) (io.WriteCloser, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

var tlsVersions = map[string]uint16{
	"ssl3.0": tls.VersionTLS10, // what crypto/tls no longer speaks is the lowest it does
	"tls1.0": tls.VersionTLS10,
	"tls1.1": tls.VersionTLS11,
	"tls1.2": tls.VersionTLS12,
	"tls1.3": tls.VersionTLS13,
}

// ParseTLSVersion reads "tls1.0" to "tls1.3".
func ParseTLSVersion(name string) (uint16, error) {
	if v, ok := tlsVersions[name]; ok {
		return v, nil
	}
	return 0, fmt.Errorf("unknown TLS version %q, want \"tls1.0\", \"tls1.1\", \"tls1.2\" or \"tls1.3\"", name)
}

// tlsVersion returns the name that ParseTLSVersion reads.
func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS10:
		return "tls1.0"
	case tls.VersionTLS11:
		return "tls1.1"
	case tls.VersionTLS12:
		return "tls1.2"
	case tls.VersionTLS13:
		return "tls1.3"
	}
	return fmt.Sprintf("0x%04x", v)
}

// ParseCipherSuite finds a cipher suite by the name of its constant in crypto/tls, the insecure ones included.
func ParseCipherSuite(name string) (uint16, error) {
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if s.Name == name {
			return s.ID, nil
		}
	}
	return 0, fmt.Errorf("unknown TLS cipher suite %q, want the name of a constant of Go's crypto/tls such as %q",
		name, tls.CipherSuiteName(tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256))
}

// ParseCertificate reads a client certificate and its key from PEM. A key in the old encrypted form (with a Proc-Type
// header) is opened with the password; encrypted PKCS #8 is not supported.
func ParseCertificate(cert, key, password []byte) (tls.Certificate, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return tls.Certificate{}, errors.New("the key is not PEM")
	}
	if block.Type == "ENCRYPTED PRIVATE KEY" {
		return tls.Certificate{}, errors.New("the key is encrypted PKCS #8, which is not supported: decrypt it, or use the traditional form")
	}
	//lint:ignore SA1019 scripts carry such keys; that the form is weak is the concern of whoever made them
	if x509.IsEncryptedPEMBlock(block) {
		//lint:ignore SA1019 likewise
		der, err := x509.DecryptPEMBlock(block, password)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("decrypting the key: %w", err)
		}
		key = pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der})
	}
	return tls.X509KeyPair(cert, key)
}
