// Command target is a small web server to try load tests on. It has pages, a form, cookies, redirects, statuses, slow
// answers, and a recorder: /hit?i=N notes the id N with the time of its arrival, and /stats reports every id seen,
// those seen twice, and the count of each second.
//
//	target -addr 127.0.0.1:0    # prints the address it listens on
package main

import (
	"context"
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
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *addr, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "target:", err)
		os.Exit(1)
	}
}

// serve listens on addr, prints the URL, and answers until ctx ends.
func serve(ctx context.Context, addr string, out io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newSite(time.Now), ReadHeaderTimeout: 10 * time.Second}
	if _, err := fmt.Fprintf(out, "http://%s\n", listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	closed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { closed <- server.Close() })
	err = server.Serve(listener)
	if stop() { // ctx is alive: the server failed by itself
		return err
	}
	return <-closed
}
