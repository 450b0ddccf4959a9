// Package httpclient sends one HTTP request and says how long each phase took.
//
// It is the hot path of a load generator: the HTTP/1.1 exchange is written by hand over a net.Conn, with buffers that
// are held only while a request is in flight, no goroutine per connection and no timer per request. Connections whose
// ALPN chose HTTP/2 are driven by golang.org/x/net/http2.
//
// A Transport holds what a whole run shares (options, resolved names, TLS settings). A Client is one virtual user's
// pool of connections; pools are never shared. One call of Do is one exchange: redirects, cookies and authentication
// are the caller's, built from NewDigest, NewNTLM and BasicAuth.
//
//	t, err := httpclient.NewTransport(httpclient.DefaultConfig())
//	c := t.Client(1)
//	defer c.Close()
//	u, err := httpclient.ParseURL("http://127.0.0.1:8080/items")
//	var resp httpclient.Response
//	err = c.Do(ctx, &httpclient.Request{Method: "GET", URL: u}, httpclient.BodyKeep, &resp)
package httpclient
