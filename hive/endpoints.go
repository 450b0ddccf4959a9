package hive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// probeTry bounds one look at an etcd that did not answer.
const probeTry = 3 * time.Second

// checkEndpoints refuses what cannot be the client endpoint of an etcd that this node can speak to.
func checkEndpoints(endpoints []string) error {
	var errs []error
	for _, e := range endpoints {
		if err := checkEndpoint(e); err != nil {
			errs = append(errs, fmt.Errorf("etcd endpoint %q: %w", withoutUser(e), err))
		}
	}
	return errors.Join(errs...)
}

func checkEndpoint(endpoint string) error {
	scheme, rest, ok := strings.Cut(endpoint, "://")
	if !ok {
		scheme, rest = "http", endpoint
	}
	switch {
	case scheme == "https":
		return errNoTLS
	case scheme != "http":
		return errors.New("want host:port or http://host:port")
	case strings.Contains(rest, "@"):
		return errNoPassword
	}
	host, port, err := net.SplitHostPort(strings.TrimSuffix(rest, "/"))
	if err != nil || host == "" {
		return errors.New("want host:port or http://host:port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return nil
}

// withoutUser hides a user and password in an endpoint.
func withoutUser(endpoint string) string {
	i := strings.LastIndex(endpoint, "@")
	if i < 0 {
		return endpoint
	}
	scheme, _, ok := strings.Cut(endpoint[:i], "://")
	if !ok {
		return "…" + endpoint[i:]
	}
	return scheme + "://…" + endpoint[i:]
}

var (
	errNoTLS = errors.New("hive speaks to etcd without TLS and has no certificates for it: " +
		"give it an etcd that listens without TLS where only the hive's nodes reach it, or leave --etcd out")
	errNoPassword = errors.New("hive has no user and password for etcd: " +
		"give it an etcd without authentication that only the hive's nodes reach, or leave --etcd out")
)

// explainEtcd adds to the failure of a first contact what can be seen of the reason.
func explainEtcd(ctx context.Context, endpoints []string, err error) error {
	if errors.Is(err, rpctypes.ErrUserEmpty) {
		return fmt.Errorf("the etcd at %s asks for a user: %w", strings.Join(endpoints, ", "), errNoPassword)
	}
	var seen []string
	for _, e := range endpoints {
		seen = append(seen, fmt.Sprintf("%s %s", e, probe(ctx, e)))
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(seen, "; "))
}

// probe says what is seen at an endpoint from which no etcd answered.
func probe(ctx context.Context, endpoint string) string {
	ctx, cancel := context.WithTimeout(ctx, probeTry)
	defer cancel()
	addr := strings.TrimSuffix(strings.TrimPrefix(endpoint, "http://"), "/")
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "is not reached: " + err.Error()
	}
	defer conn.Close()
	// The connection is for its greeting alone, so it need not be known who answers.
	err = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
	if op, ok := errors.AsType[*net.OpError](err); err == nil || ok && op.Op == "remote error" { // an alert is TLS, too
		return "speaks TLS: " + errNoTLS.Error()
	}
	return "takes connections, but no etcd answers there"
}
