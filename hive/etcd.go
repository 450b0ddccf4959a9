package hive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

const (
	loopback = "127.0.0.1"
	// etcdStart is how long a new embedded member may take to serve.
	etcdStart = 30 * time.Second
	// bindAttempts is how often free ports are chosen when another process
	// takes one in between.
	bindAttempts = 5
	// etcdQuota bounds the database: 2 GiB, etcd's own default made explicit.
	etcdQuota = 2 << 30
	// etcdTick and etcdElection are etcd's heartbeat and election timeout in
	// milliseconds: a member that dies is missed after one to two elections.
	// Shorter than etcd's own defaults, so that a death costs less than a second; an
	// election that is called in vain (an overloaded machine, a slow disk) costs as
	// little. Leases may be as short as 1 s.
	etcdTick, etcdElection = 40, 400
	// etcdCatchUp is how many of the last writes a member keeps in memory for others
	// that are behind; one that is further behind gets a copy of the database. An
	// archive is written in chunks of half a MiB, so that etcd's own default of 5,000
	// would be 2.5 GiB in each member after some large ones.
	etcdCatchUp = 1000
	// maxLearners lets a whole council of members be replaced at once.
	maxLearners = council
	// dialTimeout bounds the first contact with an etcd, unless a node may be without one for longer.
	dialTimeout = 5 * time.Second
	// connectTry bounds one attempt to connect to a member, and ackTimeout for how
	// long a host may leave what was sent without an acknowledgement.
	connectTry = time.Second
	ackTimeout = 2 * time.Second
	// waitingNotice is how often a node that waits for the others says so, after
	// it has waited for firstNotice.
	firstNotice   = 2 * time.Second
	waitingNotice = 10 * time.Second
)

// errStopped says that an embedded member stopped by itself, as it does when it
// was removed.
var errStopped = errors.New("embedded etcd: stopped")

// spot is where an embedded member of this node listens, and how others reach
// it: on the host of the node's API.
type spot struct {
	bind string // IP
	host string // that others dial
}

// spotOf is beside the API that listens on l.
func spotOf(l net.Listener, advertise string) spot {
	s := spot{bind: loopback, host: loopback}
	if addr, ok := l.Addr().(*net.TCPAddr); ok {
		s.bind = addr.IP.String()
	}
	if u, err := url.Parse(advertised(l, advertise)); err == nil {
		s.host = u.Hostname()
	}
	return s
}

func (d *dataDir) memberDir() string { return filepath.Join(d.path, "etcd") }

func (d *dataDir) clientURL() string { return memberURL(d.spot.host, d.known().ClientPort) }

// ownURL is where this node itself reaches its member.
func (d *dataDir) ownURL() string {
	host := d.spot.bind
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = loopback
		if ip.To4() == nil {
			host = net.IPv6loopback.String()
		}
	}
	return memberURL(host, d.known().ClientPort)
}

func (d *dataDir) peerURL() string { return memberURL(d.spot.host, d.known().PeerPort) }

func memberURL(host string, port int) string {
	return "http://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// dropMember forgets the member that this node held, with its data.
func (d *dataDir) dropMember() error {
	// In this order: a member whose data is gone is taken for damaged.
	if err := d.update(func(id *identity) { id.Member, id.MemberID = false, "" }); err != nil {
		return err
	}
	if err := os.RemoveAll(d.memberDir()); err != nil {
		return fmt.Errorf("embedded etcd: %w", err)
	}
	return nil
}

// keepMember notes the member that e is.
func (d *dataDir) keepMember(e *embed.Etcd) error {
	return d.update(func(id *identity) { id.Member, id.MemberID = true, e.Server.MemberID().String() })
}

// startMember starts the embedded etcd of a first node, or the member that the
// node was before, on the ports of its last life when they are still free, and
// waits for it to serve: a member among others needs one of them at least.
// waiting, when set, is called while it waits.
func startMember(ctx context.Context, d *dataDir, waiting ...func()) (*embed.Etcd, []string, error) {
	again := d.id.Member && d.hasMember()
	if d.hasMember() {
		if err := d.checkMember(); err != nil {
			return nil, nil, err
		}
	}
	e, err := launchMember(d, func(cfg *embed.Config) { cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name) })
	if err != nil {
		return nil, nil, err
	}
	limit := etcdStart
	if again {
		limit = 0
	}
	if err := awaitMember(ctx, e, limit, waiting...); err != nil {
		e.Close()
		return nil, nil, err
	}
	if err := d.keepMember(e); err != nil {
		e.Close()
		return nil, nil, err
	}
	return e, []string{d.clientURL()}, nil
}

// joinMembers starts a member that the others have added as a learner; theirs
// is the list of all, this one included.
func joinMembers(ctx context.Context, d *dataDir, id uint64, theirs []*etcdserverpb.Member) (*embed.Etcd, error) {
	var cluster []string
	for _, m := range theirs {
		name := orDefault(m.Name, fmt.Sprintf("%x", m.ID))
		if m.ID == id {
			name = d.id.Node
		}
		for _, u := range m.PeerURLs {
			cluster = append(cluster, name+"="+u)
		}
	}
	e, err := startEtcd(memberConfig(d, func(cfg *embed.Config) {
		cfg.ClusterState = embed.ClusterStateFlagExisting
		cfg.InitialCluster = strings.Join(cluster, ",")
	}))
	if err != nil {
		return nil, fmt.Errorf("embedded etcd: %w", err)
	}
	if err := awaitMember(ctx, e, etcdStart); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func launchMember(d *dataDir, more func(*embed.Config)) (*embed.Etcd, error) {
	var last error
	for range bindAttempts {
		if err := d.choosePorts(); err != nil {
			return nil, err
		}
		e, err := startEtcd(memberConfig(d, more))
		if errors.Is(err, syscall.EADDRINUSE) {
			last = err
			d.id.ClientPort, d.id.PeerPort = 0, 0
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("embedded etcd: %w", err)
		}
		return e, nil
	}
	return nil, fmt.Errorf("embedded etcd: no free port: %w", last)
}

// awaitMember returns when the member serves; limit 0 is none.
func awaitMember(ctx context.Context, e *embed.Etcd, limit time.Duration, waiting ...func()) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("embedded etcd: not ready after %s", limit))
		defer cancel()
	}
	notice := time.NewTicker(firstNotice)
	defer notice.Stop()
	for {
		select {
		case <-e.Server.ReadyNotify():
			return nil
		case err := <-e.Err():
			if stops(e) {
				return errStopped
			}
			return fmt.Errorf("embedded etcd: %w", err)
		case <-e.Server.StopNotify():
			return errStopped
		case <-notice.C:
			notice.Reset(waitingNotice)
			for _, f := range waiting {
				f()
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// stops says whether a member is stopping by itself, which may be heard of as an error of what it serves first.
func stops(e *embed.Etcd) bool {
	select {
	case <-e.Server.StoppingNotify():
		return true
	default:
		return false
	}
}

func memberConfig(d *dataDir, more func(*embed.Config)) *embed.Config {
	at := func(host string, port int) []url.URL {
		return []url.URL{{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(port))}}
	}
	cfg := embed.NewConfig()
	cfg.Name = d.id.Node
	cfg.Dir = d.memberDir()
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = at(d.spot.bind, d.id.ClientPort), at(d.spot.host, d.id.ClientPort)
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = at(d.spot.bind, d.id.PeerPort), at(d.spot.host, d.id.PeerPort)
	cfg.TickMs, cfg.ElectionMs = etcdTick, etcdElection
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(lastWords{log: d.log}))
	cfg.EnableGRPCGateway = false
	cfg.AutoCompactionMode = embed.CompactorModePeriodic
	cfg.AutoCompactionRetention = "5m"
	cfg.QuotaBackendBytes = d.quota
	cfg.MaxLearners = maxLearners
	cfg.SnapshotCatchUpEntries = etcdCatchUp
	// etcd's own check refuses a learner while one of three members is away,
	// which is when a learner is wanted. nextStep minds the quorum instead.
	cfg.StrictReconfigCheck = false
	more(cfg)
	return cfg
}

// choosePorts keeps the ports of the identity if both are free, and otherwise
// takes two that are. etcd advertises what it is told, so port 0 will not do.
func (d *dataDir) choosePorts() error {
	id := &d.id
	if id.ClientPort != 0 && d.portFree(id.ClientPort) && d.portFree(id.PeerPort) {
		return nil
	}
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for _, port := range []*int{&id.ClientPort, &id.PeerPort} {
		l, err := net.Listen("tcp", net.JoinHostPort(d.spot.bind, "0"))
		if err != nil {
			return fmt.Errorf("embedded etcd: %w", err)
		}
		held = append(held, l)
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return nil
}

func (d *dataDir) portFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(d.spot.bind, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// newEtcdClient makes a client that has not called anybody yet. Its calls ride
// out what passes; see [callAgain].
func newEtcdClient(endpoints []string, more ...grpc.DialOption) (*clientv3.Client, error) {
	c, err := clientv3.New(clientv3.Config{
		Endpoints:   endpoints,
		DialTimeout: dialTimeout,
		// gRPC takes no time shorter than 10 s; the timeout also bounds for how long
		// what was sent may remain unacknowledged.
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: ackTimeout,
		Logger:               zap.NewNop(),
		MaxUnaryRetries:      1, // callAgain does it
		DialOptions: append([]grpc.DialOption{
			grpc.WithChainUnaryInterceptor(callAgain),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: connectBackoff(), MinConnectTimeout: 2 * connectTry}),
		}, more...),
	})
	if err != nil {
		return nil, fmt.Errorf("etcd at %v: %w", endpoints, err)
	}
	return c, nil
}

// connectBackoff is how long a client waits between attempts to connect: not
// long, for a member that was away is wanted as soon as it is back.
func connectBackoff() backoff.Config {
	return backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond}
}

// dialEtcd connects a client and sees that there is an etcd that answers within limit.
func dialEtcd(ctx context.Context, endpoints []string, limit time.Duration, more ...grpc.DialOption) (*clientv3.Client, error) {
	c, err := newEtcdClient(endpoints, more...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if _, err := c.Get(ctx, "/hive/", clientv3.WithCountOnly()); err != nil {
		c.Close()
		return nil, fmt.Errorf("no etcd answers at %v within %s: %w", endpoints, limit, err)
	}
	return c, nil
}
