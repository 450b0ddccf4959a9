package httpclient

// Affinity keeps a series of exchanges on one connection, as NTLM needs, which authenticates connections. The zero
// value is ready; it is set in each Request of the series, which must be made one after the other. Release ends it.
//
// HTTP/2 connections are shared by nature, and an Affinity has no effect on them.
type Affinity struct {
	client *Client
	conn   *conn // idle, and in no pool; guarded by client.mu
}

// take returns the connection of the series if it leads where rt does. The client's mutex is held.
func (a *Affinity) take(rt *route) *conn {
	if a == nil || a.conn == nil || a.conn.route.key != rt.key {
		return nil
	}
	cn := a.conn
	a.conn = nil
	return cn
}

// keep holds a connection for the next exchange; false if it holds another. The client's mutex is held.
func (a *Affinity) keep(c *Client, cn *conn) bool {
	if a.conn != nil {
		return false
	}
	a.client, a.conn = c, cn
	return true
}

// Release gives the connection back to the client's pool, where any exchange may use it.
func (a *Affinity) Release() {
	c := a.client
	if c == nil {
		return
	}
	c.mu.Lock()
	cn := a.conn
	a.client, a.conn = nil, nil
	if cn != nil && !c.closed {
		cn = c.keep(cn)
	}
	c.mu.Unlock()
	if cn != nil {
		cn.close()
	}
}
