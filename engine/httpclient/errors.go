package httpclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// Error is the failure of an exchange: a measurement of the target, not a fault of ours.
type Error struct {
	// Code is one of the Error constants, or an HTTP/2 base of theirs plus 1 plus the HTTP/2 error code.
	Code int
	// Message is short and without addresses, so that it can be a tag.
	Message string
	// Err is the cause with all details.
	Err error
}

// Error returns the details.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Codes of Error, those that k6 documents.
const (
	ErrorGeneric          = 1000
	ErrorNonTCP           = 1010
	ErrorInvalidURL       = 1020
	ErrorTimeout          = 1050
	ErrorDNS              = 1100
	ErrorNoSuchHost       = 1101
	ErrorBlacklistedIP    = 1110
	ErrorBlockedHostname  = 1111
	ErrorTCP              = 1200
	ErrorBrokenPipe       = 1201
	ErrorTCPErrno         = 1202
	ErrorDial             = 1210
	ErrorDialTimeout      = 1211
	ErrorDialRefused      = 1212
	ErrorDialErrno        = 1213
	ErrorReset            = 1220
	ErrorTLS              = 1300
	ErrorTLSRecord        = 1301
	ErrorUnknownAuthority = 1310
	ErrorHostnameMismatch = 1311
	ErrorHTTP2            = 1600
	ErrorGoAway           = 1610
	ErrorStream           = 1630
	ErrorConnection       = 1650
	ErrorDecompression    = 1701
)

// ErrSwitchingProtocols is the cause when a server answers 101, which this client cannot follow.
var ErrSwitchingProtocols = errors.New("unsupported response status: 101 Switching Protocols")

// ErrGate is the failure of a request that its Gate held back.
var ErrGate = &Error{Code: ErrorGeneric, Message: "the request was held back"}

var errTimeout = &Error{Code: ErrorTimeout, Message: "request timeout"}

func generic(format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: ErrorGeneric, Message: err.Error(), Err: err}
}

func invalidURL(err error) *Error {
	err = fmt.Errorf("invalid URL: %w", err)
	return &Error{Code: ErrorInvalidURL, Message: err.Error(), Err: err}
}

// classify finds the code and the short message of a failure.
func classify(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if e := classifyHTTP2(err); e != nil {
		return e
	}
	code, message := ErrorGeneric, err.Error()
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		code, message = classifyDNS(dns)
	case isTLS(err):
		code, message = classifyTLS(err)
	case errors.As(err, &op):
		code, message = classifyOp(op)
	}
	return &Error{Code: code, Message: message, Err: err}
}

func classifyDNS(err *net.DNSError) (int, string) {
	if err.IsNotFound {
		return ErrorNoSuchHost, "lookup: no such host"
	}
	return ErrorDNS, err.Error()
}

func isTLS(err error) bool {
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	return errors.As(err, &record) || errors.As(err, &verify)
}

func classifyTLS(err error) (int, string) {
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	switch {
	case errors.As(err, &record):
		return ErrorTLSRecord, record.Error()
	case errors.As(err, &authority):
		return ErrorUnknownAuthority, "x509: unknown authority"
	case errors.As(err, &hostname):
		return ErrorHostnameMismatch, "x509: certificate doesn't match hostname"
	}
	return ErrorTLS, err.Error()
}

func classifyOp(op *net.OpError) (int, string) {
	if !strings.HasPrefix(op.Net, "tcp") {
		return ErrorNonTCP, op.Error()
	}
	if op.Op == "proxyconnect" {
		return ErrorTCP, op.Error()
	}
	var errno syscall.Errno
	known := errors.As(op.Err, &errno)
	if op.Op == "dial" {
		return classifyDial(op, errno, known)
	}
	switch {
	case !known:
		return ErrorTCP, op.Error()
	case errno == syscall.ECONNRESET:
		return ErrorReset, op.Op + ": connection reset by peer"
	case errno == syscall.EPIPE:
		return ErrorBrokenPipe, op.Op + ": broken pipe"
	}
	return ErrorTCPErrno, fmt.Sprintf("%s: unknown errno `%d` on %s with message `%s`", op.Op, errno, runtime.GOOS, errno)
}

func classifyDial(op *net.OpError, errno syscall.Errno, known bool) (int, string) {
	switch {
	case op.Timeout():
		return ErrorDialTimeout, "dial: i/o timeout"
	case !known:
		return ErrorDial, op.Error()
	case errno == syscall.ECONNREFUSED:
		return ErrorDialRefused, "dial: connection refused"
	}
	return ErrorDialErrno, fmt.Sprintf("dial: unknown errno %d error with msg `%s`", errno, errno)
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
