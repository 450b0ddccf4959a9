package simulation

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// storeStart is how long a store may take to serve.
const storeStart = 30 * time.Second

// Store is an etcd of one or more members in this process.
type Store struct {
	members []*embed.Etcd
	clients []string
	metrics []string
}

// StartStore starts an etcd of some members, which keep their data under dir,
// and waits for it to serve. Its settings are those of the members that nodes
// embed.
func StartStore(dir string, members int) (*Store, error) {
	if members < 1 {
		return nil, fmt.Errorf("simulation: a store of %d members, want 1 or more", members)
	}
	addresses, err := freeAddresses(3 * members)
	if err != nil {
		return nil, fmt.Errorf("simulation: %w", err)
	}
	s := &Store{}
	var cluster []string
	for i := range members {
		cluster = append(cluster, fmt.Sprintf("m%d=http://%s", i, addresses[3*i+1]))
	}
	for i := range members {
		e, err := embed.StartEtcd(storeConfig(dir, i, strings.Join(cluster, ","), addresses[3*i:3*i+3]))
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("simulation: start etcd: %w", err)
		}
		s.members = append(s.members, e)
		s.clients = append(s.clients, "http://"+addresses[3*i])
		s.metrics = append(s.metrics, "http://"+addresses[3*i+2]+"/metrics")
	}
	limit := time.After(storeStart)
	for _, e := range s.members {
		select {
		case <-e.Server.ReadyNotify():
		case err := <-e.Err():
			s.Close()
			return nil, fmt.Errorf("simulation: start etcd: %w", err)
		case <-limit:
			s.Close()
			return nil, fmt.Errorf("simulation: etcd does not serve after %s", storeStart)
		}
	}
	return s, nil
}

// storeConfig takes the addresses for clients, for peers and for metrics.
func storeConfig(dir string, i int, cluster string, addresses []string) *embed.Config {
	at := func(k int) []url.URL { return []url.URL{{Scheme: "http", Host: addresses[k]}} }
	cfg := embed.NewConfig()
	cfg.Name = fmt.Sprintf("m%d", i)
	cfg.Dir = filepath.Join(dir, cfg.Name)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = at(0), at(0)
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = at(1), at(1)
	cfg.ListenMetricsUrls = at(2)
	cfg.InitialCluster = cluster
	cfg.TickMs, cfg.ElectionMs = 40, 400
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.EnableGRPCGateway = false
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModePeriodic, "5m"
	return cfg
}

// freeAddresses are addresses on loopback that nobody listens on.
func freeAddresses(n int) (addresses []string, err error) {
	var held []net.Listener
	for range n {
		l, listenErr := net.Listen("tcp", "127.0.0.1:0")
		if listenErr != nil {
			err = listenErr
			break
		}
		held = append(held, l)
		addresses = append(addresses, l.Addr().String())
	}
	for _, l := range held {
		err = errors.Join(err, l.Close())
	}
	return addresses, err
}

// Endpoints are for clients.
func (s *Store) Endpoints() []string { return s.clients }

// Metrics are the URLs of the members' metrics.
func (s *Store) Metrics() []string { return s.metrics }

// Close ends the store; its data stays.
func (s *Store) Close() {
	for _, e := range s.members {
		e.Close()
	}
}
