// Command target is a small web server to try load tests on. It has pages, a form, cookies, redirects, statuses, slow
// answers, and a recorder: /hit?i=N notes the id N with the time of its arrival, and /stats reports every id seen,
// those seen twice, and the count of each second.
//
//	target -addr 127.0.0.1:0    # prints the address it listens on
//	target -fast                # a few fixed answers, as cheap as can be: for measuring generators
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "host:port to listen on; port 0 takes a free one")
	cheap := flag.Bool("fast", false, "answer from memory with as little work as possible")
	secure := flag.Bool("tls", false, "speak TLS with a certificate of its own making")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *cheap, *secure, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "target:", err)
		os.Exit(1)
	}
}

// run listens on addr, prints the URL, and answers until ctx ends.
func run(ctx context.Context, addr string, cheap, secure bool, out io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	scheme := "http"
	if secure {
		conf, err := selfSigned()
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		scheme, listener = "https", tls.NewListener(listener, conf)
	}
	if _, err := fmt.Fprintf(out, "%s://%s\n", scheme, listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	if cheap {
		return newFast().serve(ctx, listener)
	}
	return serve(ctx, listener)
}

// serve answers as a site until ctx ends.
func serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: newSite(time.Now), ReadHeaderTimeout: 10 * time.Second}
	closed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { closed <- server.Close() })
	err := server.Serve(listener)
	if stop() { // ctx is alive: the server failed by itself
		return err
	}
	return <-closed
}
