package httpclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestClassify(t *testing.T) {
	op := func(name, network string, err error) error {
		return &net.OpError{Op: name, Net: network, Err: err}
	}
	errno := func(call string, e syscall.Errno) error { return os.NewSyscallError(call, e) }
	for _, tt := range []struct {
		err  error
		code int
		text string
	}{
		{io.EOF, 1000, "EOF"},
		{op("remote error", "", errors.New("tls: bad certificate")), 1010, "remote error: tls: bad certificate"},
		{op("dial", "unix", errno("connect", syscall.ECONNREFUSED)), 1010, "dial unix: connect: connection refused"},
		{&net.DNSError{Err: "server misbehaving", Name: "a.test"}, 1100, "lookup a.test: server misbehaving"},
		{op("dial", "tcp", &net.DNSError{Err: "no such host", Name: "a.test", IsNotFound: true}), 1101, "lookup: no such host"},
		{op("write", "tcp", net.ErrClosed), 1200, "write tcp: use of closed network connection"},
		{op("write", "tcp", errno("write", syscall.EPIPE)), 1201, "write: broken pipe"},
		{op("read", "tcp", errno("read", syscall.ENETDOWN)), 1202, "read: unknown errno `100` on linux with message `network is down`"},
		{op("dial", "tcp", &net.AddrError{Err: "invalid port", Addr: "99999"}), 1210, "dial tcp: address 99999: invalid port"},
		{op("dial", "tcp", os.ErrDeadlineExceeded), 1211, "dial: i/o timeout"},
		{op("dial", "tcp", errno("connect", syscall.ETIMEDOUT)), 1211, "dial: i/o timeout"},
		{op("dial", "tcp", errno("connect", syscall.ECONNREFUSED)), 1212, "dial: connection refused"},
		{op("dial", "tcp6", errno("connect", syscall.EINVAL)), 1213, "dial: unknown errno 22 error with msg `invalid argument`"},
		{op("read", "tcp", errno("read", syscall.ECONNRESET)), 1220, "read: connection reset by peer"},
		{op("write", "tcp", errno("write", syscall.ECONNRESET)), 1220, "write: connection reset by peer"},
		{&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}}, 1300, ""},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, 1301, "tls: first record does not look like a TLS handshake"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, 1310, "x509: unknown authority"},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "a"}}, 1311, "x509: certificate doesn't match hostname"},
	} {
		if strings.Contains(tt.text, "errno") && runtime.GOOS != "linux" {
			continue
		}
		got := classify(tt.err)
		if got.Code != tt.code || tt.text != "" && got.Message != tt.text {
			t.Errorf("%v: %d %q, want %d %q", tt.err, got.Code, got.Message, tt.code, tt.text)
		}
		if !errors.Is(got, tt.err) && tt.code != 1300 {
			t.Errorf("%v does not lead to its cause", got)
		}
	}
}
