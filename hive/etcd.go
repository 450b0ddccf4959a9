package hive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

const (
	loopback = "127.0.0.1"
	// etcdStart is how long an embedded member may take to serve.
	etcdStart = 30 * time.Second
	// bindAttempts is how often free ports are chosen when another process
	// takes one in between.
	bindAttempts = 5
	// etcdQuota bounds the database: 2 GiB, etcd's own default made explicit.
	etcdQuota = 2 << 30
	// dialTimeout bounds the first contact with an etcd.
	dialTimeout = 5 * time.Second
)

// startMember starts the embedded etcd of a first node, on the ports of its
// last life when they are still free.
func startMember(ctx context.Context, d *dataDir) (*embed.Etcd, []string, error) {
	var last error
	for range bindAttempts {
		if err := choosePorts(&d.id); err != nil {
			return nil, nil, err
		}
		e, err := embed.StartEtcd(memberConfig(d))
		if errors.Is(err, syscall.EADDRINUSE) {
			last = err
			d.id.ClientPort, d.id.PeerPort = 0, 0
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("embedded etcd: %w", err)
		}
		if err := awaitMember(ctx, e); err != nil {
			e.Close()
			return nil, nil, err
		}
		d.id.Member = true
		return e, []string{"http://" + net.JoinHostPort(loopback, strconv.Itoa(d.id.ClientPort))}, d.save()
	}
	return nil, nil, fmt.Errorf("embedded etcd: no free port: %w", last)
}

func awaitMember(ctx context.Context, e *embed.Etcd) error {
	t := time.NewTimer(etcdStart)
	defer t.Stop()
	select {
	case <-e.Server.ReadyNotify():
		return nil
	case err := <-e.Err():
		return fmt.Errorf("embedded etcd: %w", err)
	case <-t.C:
		return fmt.Errorf("embedded etcd: not ready after %s", etcdStart)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func memberConfig(d *dataDir) *embed.Config {
	at := func(port int) []url.URL {
		return []url.URL{{Scheme: "http", Host: net.JoinHostPort(loopback, strconv.Itoa(port))}}
	}
	cfg := embed.NewConfig()
	cfg.Name = d.id.Node
	cfg.Dir = filepath.Join(d.path, "etcd")
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = at(d.id.ClientPort), at(d.id.ClientPort)
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = at(d.id.PeerPort), at(d.id.PeerPort)
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.EnableGRPCGateway = false
	cfg.AutoCompactionMode = embed.CompactorModePeriodic
	cfg.AutoCompactionRetention = "5m"
	cfg.QuotaBackendBytes = etcdQuota
	return cfg
}

// choosePorts keeps the ports of the identity if both are free, and otherwise
// takes two that are. etcd advertises what it is told, so port 0 will not do.
func choosePorts(id *identity) error {
	if id.ClientPort != 0 && portFree(id.ClientPort) && portFree(id.PeerPort) {
		return nil
	}
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for _, port := range []*int{&id.ClientPort, &id.PeerPort} {
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		if err != nil {
			return fmt.Errorf("embedded etcd: %w", err)
		}
		held = append(held, l)
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return nil
}

func portFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// dialEtcd connects a client and sees that there is an etcd that answers.
func dialEtcd(ctx context.Context, endpoints []string) (*clientv3.Client, error) {
	c, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		DialTimeout:          dialTimeout,
		DialKeepAliveTime:    5 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		Logger:               zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("etcd at %v: %w", endpoints, err)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if _, err := c.Get(ctx, "/hive/", clientv3.WithCountOnly()); err != nil {
		c.Close()
		return nil, fmt.Errorf("no etcd answers at %v within %s: %w", endpoints, dialTimeout, err)
	}
	return c, nil
}
