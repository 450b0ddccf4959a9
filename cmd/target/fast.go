package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fast answers from memory with as little work as HTTP/1.1 allows, so that a generator measured against it is what is
// measured:
//
//	/gzip    a compressed body      /big       a body of 10 KB
//	/cookie  sets a cookie          /redirect  302 to /
//	else     48 bytes of JSON
type fast struct{ answers map[string][]byte }

func newFast() fast {
	const body = `{"hello":"world","id":12345,"items":[1,2,3,4,5]}`
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, strings.Repeat(body, 20)) // a buffer takes everything
	_ = z.Close()
	return fast{map[string][]byte{
		"/":         answer("200 OK", body, "Content-Type: application/json"),
		"/big":      answer("200 OK", strings.Repeat("0123456789", 1000), "Content-Type: text/plain"),
		"/gzip":     answer("200 OK", packed.String(), "Content-Type: application/json\r\nContent-Encoding: gzip"),
		"/cookie":   answer("200 OK", body, "Content-Type: application/json\r\nSet-Cookie: session=0123456789; Path=/"),
		"/redirect": answer("302 Found", "", "Location: /"),
	}}
}

func answer(status, body, headers string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\n%s\r\nContent-Length: %d\r\n\r\n%s", status, headers, len(body), body)
}

// serve answers on listener until ctx ends.
func (f fast) serve(ctx context.Context, listener net.Listener) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		c, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		conns.Go(func() {
			defer c.Close()
			stop := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer stop()
			// The end of a connection, however it comes, is the client's affair.
			_ = f.converse(c)
		})
	}
}

// converse answers the requests of one connection.
func (f fast) converse(c net.Conn) error {
	r := bufio.NewReaderSize(c, 4<<10)
	for {
		out, err := f.request(r)
		if err != nil {
			return err
		}
		if _, err := c.Write(out); err != nil {
			return err
		}
	}
}

// request reads one request, throws its body away and gives the answer.
func (f fast) request(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	_, rest, _ := bytes.Cut(line, []byte(" "))
	target, _, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return nil, errors.New("not a request")
	}
	path, _, _ := bytes.Cut(target, []byte("?"))
	out, ok := f.answers[string(path)]
	if !ok {
		out = f.answers["/"]
	}
	length := 0
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return nil, err
		}
		if len(line) <= len("\r\n") {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
	}
	_, err = r.Discard(length)
	return out, err
}

// selfSigned is a TLS configuration with a new certificate for loopback addresses, that nobody has reason to trust.
func selfSigned() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, nil
}
