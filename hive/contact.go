package hive

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

const (
	// contactLook is how often a node looks whether it talks to the right member.
	contactLook = 200 * time.Millisecond
	// contactLeast bounds how often the member that a node talks to is asked
	// whether it answers: otherwise it is contactAsks times in a lease.
	contactLeast, contactAsks = 300 * time.Millisecond, 5
	// contactGrace is for how long calls under way may go on at a member that the
	// node leaves and that answers.
	contactGrace = time.Second
)

// contact is whom of the etcd's members a node talks to: its own, if that is a
// voter, and otherwise one of the voters, or another one when that does not
// answer. All of a node's calls and watches go to one member, so that a host
// that is cut off or stands still concerns only those that talk to it, and they
// notice.
type contact struct {
	client *clientv3.Client
	lines  *lines
	key    string // that is read to see whether a member answers
	every  time.Duration
	start  uint32 // where in the list the node begins, so that nodes spread over the members

	mu  sync.Mutex // guards what follows
	all []string   // client endpoints of the voters
	now string     // the one in use; empty while they are used in turn

	cutAt time.Time // when the connections to other members are cut; zero for none
}

// dialContact connects to an etcd and sees that it answers. lease is for how
// long a node may be without it, and so for how long it may be at first.
func dialContact(ctx context.Context, endpoints []string, node string, lease time.Duration) (*contact, error) {
	l := &lines{}
	client, err := dialEtcd(ctx, endpoints, max(dialTimeout, lease), grpc.WithContextDialer(l.dial))
	if err != nil {
		return nil, err
	}
	h := fnv.New32a()
	h.Write([]byte(node))
	return &contact{client: client, lines: l, key: "/hive/", every: max(lease/contactAsks, contactLeast),
		start: h.Sum32(), all: slices.Clone(endpoints)}, nil
}

// known are the client endpoints of the voters, as they were learned last.
func (c *contact) known() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// learn notes what the voters' endpoints are.
func (c *contact) learn(endpoints []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = slices.Clone(endpoints)
}

// forget takes an endpoint out of those that are known.
func (c *contact) forget(endpoint string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = slices.DeleteFunc(c.all, func(e string) bool { return e == endpoint })
}

// using is the endpoint in use, and whether it is still one of the voters'.
func (c *contact) using() (endpoint string, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now, slices.Contains(c.all, c.now)
}

// use turns to one endpoint. Calls under way at another one have the grace to
// come to their end.
func (c *contact) use(endpoint string, grace time.Duration) {
	c.mu.Lock()
	was := c.now
	c.now = endpoint
	c.mu.Unlock()
	if was == endpoint {
		return
	}
	c.client.SetEndpoints(endpoint)
	c.cutAt = time.Now().Add(grace)
	c.tidy()
}

// tidy cuts the connections to members that are not in use any more, and with
// them the watches, which begin anew at the one that is.
func (c *contact) tidy() {
	if c.cutAt.IsZero() || time.Now().Before(c.cutAt) {
		return
	}
	c.cutAt = time.Time{}
	now, _ := c.using()
	c.lines.only(hostPort(now))
}

// answers says whether the member in use answers, with a quorum behind it.
func (c *contact) answers(ctx context.Context, limit time.Duration) bool {
	return answers(ctx, c.client, c.key, limit)
}

// turn goes on to a member that answers. Without one it stays where it is: then
// there is no leader, or this host is the one that is cut off.
func (c *contact) turn(ctx context.Context, grace, limit time.Duration) (turned bool) {
	for _, endpoint := range c.others() {
		other, err := newEtcdClient([]string{endpoint})
		if err != nil {
			continue
		}
		ok := answers(ctx, other, c.key, limit)
		other.Close()
		if ok {
			c.use(endpoint, grace)
			return true
		}
	}
	return false
}

// others are the endpoints beside the one in use, in the order in which they
// are to be tried.
func (c *contact) others() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.all)
	if len(all) > 0 {
		k := int(c.start) % len(all)
		if at := slices.Index(all, c.now); at >= 0 {
			k = at
		}
		all = append(all[k:], all[:k]...)
	}
	return slices.DeleteFunc(all, func(e string) bool { return e == c.now })
}

func answers(ctx context.Context, client *clientv3.Client, key string, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := client.Get(ctx, key, clientv3.WithCountOnly())
	return err == nil
}

// keepContact sees to it, until ctx ends, that this node talks to a member that
// answers: to its own as soon as that votes.
func (n *Node) keepContact(ctx context.Context) error {
	c := n.contact
	look := time.NewTicker(contactLook)
	defer look.Stop()
	var asked time.Time
	for {
		now, known := c.using()
		limit := n.patience(c.every)
		switch {
		case n.part() == voterPart:
			c.use(n.dir.ownURL(), contactGrace)
		case now == n.dir.ownURL(): // it has been removed
			c.forget(n.dir.clientURL())
			c.turn(ctx, 0, limit)
		case !known:
			c.turn(ctx, contactGrace, limit)
		case time.Since(asked) >= c.every:
			asked = time.Now()
			if !c.answers(ctx, limit) && c.turn(ctx, 0, limit) {
				n.log.Info("a member of the etcd does not answer, and this node turns to another", "etcd", now)
			}
		}
		c.tidy()
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lines are the open connections of a client. They can be cut, which gRPC
// itself does only after ten seconds of silence.
type lines struct {
	mu   sync.Mutex
	open []line
}

type line struct {
	to   string // host:port
	conn net.Conn
}

func (l *lines) dial(ctx context.Context, to string) (net.Conn, error) {
	network, address := "tcp", to
	if path, ok := strings.CutPrefix(to, "unix:"); ok {
		network, address = "unix", strings.TrimPrefix(path, "//")
	}
	conn, err := (&net.Dialer{Timeout: connectTry}).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("connect to the etcd: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(slices.DeleteFunc(l.open, func(o line) bool { return isClosed(o.conn) }), line{to: to, conn: conn})
	return conn, nil
}

// only cuts all connections but those to one address.
func (l *lines) only(to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = slices.DeleteFunc(l.open, func(o line) bool {
		if o.to != to {
			o.conn.Close()
		}
		return o.to != to
	})
}

// isClosed says whether this side has closed the connection.
func isClosed(conn net.Conn) bool {
	s, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}

// hostPort is where an endpoint, a URL or host:port, is dialled.
func hostPort(endpoint string) string {
	if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
		return u.Host
	}
	return endpoint
}
