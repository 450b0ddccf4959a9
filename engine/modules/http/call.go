package http

import (
	"time"

	"hive/engine/httpclient"
	"hive/engine/metric"
)

// defaultTimeout bounds a call, redirects included, that names no other.
const defaultTimeout = 60 * time.Second

// call is one request of the script with everything that it needs, nothing of it JS: it can be performed on any
// goroutine. What comes of it is in outcome.
type call struct {
	method  string
	to      *target
	header  []httpclient.Field // canonical names, each once; no Host, Cookie as the script gave it
	host    string             // "" unless the script overrides the Host header
	hangUp  bool               // the script asked for "Connection: close"
	body    httpclient.Body    // as the script gave it; nil for none
	encoded httpclient.Body    // what is sent: body, compressed if so wished

	compression []string // of encoded, in the order in which they are applied

	cookies  []cookie
	jar      *jar
	tags     *metric.TagSet
	timeout  time.Duration
	hops     int  // redirects to follow
	hopsSet  bool // the script said so
	auth     authKind
	response responseType
	expect   *expectation // nil: not tracked
	throw    bool
	own      bool // header is the call's own, not the run's

	outcome
	shown response // the call as the script sees it
}

// outcome is what performing a call gave.
type outcome struct {
	final     *target             // where the last exchange went
	resp      httpclient.Response // the last exchange's
	failure   *httpclient.Error   // why there is no response
	cut       bool                // the VU was interrupted: nothing was measured
	overrun   bool                // there were more redirects than were followed
	sent      []httpclient.Field  // the header of the first exchange
	exchanges []exchange          // until they are recorded
	way       *hop                // likewise; it stores the first exchange
}

// exchange is one request and its response, or failure, as metrics see it.
type exchange struct {
	at       time.Time // when it ended
	method   string
	to       *target
	status   int
	proto    string
	tls      string
	ip       string
	ocsp     string
	timings  httpclient.Timings
	err      string // short
	code     int
	expected trilean
}

// trilean is a boolean that may be unknown.
type trilean uint8

const (
	unknown trilean = iota
	no
	yes
)

func known(b bool) trilean {
	if b {
		return yes
	}
	return no
}

type responseType uint8

const (
	responseText responseType = iota
	responseBinary
	responseNone
)

type authKind uint8

const (
	authBasic authKind = iota // also the one for credentials in a URL
	authDigest
	authNTLM
)
