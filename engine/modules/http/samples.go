package http

import (
	"strconv"

	"hive/engine/js"
	"hive/engine/metric"
)

// maxSeries bounds the tag sets that a VU remembers; most scripts make a handful of different requests.
const maxSeries = 16

// sampler turns exchanges into samples. It remembers the tag sets of the last exchanges, so that a request like an
// earlier one costs a comparison.
type sampler struct {
	vu     *js.VU
	system metric.SystemTags
	known  []series
	oldest int // the one that makes room
	values [9]metric.Value
}

// series is the tag set of exchanges that agree in key.
type series struct {
	key  seriesKey
	tags *metric.TagSet
}

// seriesKey is all that tags are made of.
type seriesKey struct {
	base                                    *metric.TagSet
	status, code                            int
	expected                                trilean
	name, method, proto, tls, err, ip, ocsp string
}

func newSampler(vu *js.VU) sampler {
	m := vu.Registry().Builtin()
	return sampler{vu: vu, system: vu.SystemTags(), values: [9]metric.Value{
		{Metric: m.HTTPReqs, V: 1},
		{Metric: m.HTTPReqDuration},
		{Metric: m.HTTPReqBlocked},
		{Metric: m.HTTPReqConnecting},
		{Metric: m.HTTPReqTLSHandshaking},
		{Metric: m.HTTPReqSending},
		{Metric: m.HTTPReqWaiting},
		{Metric: m.HTTPReqReceiving},
		{Metric: m.HTTPReqFailed},
	}}
}

// record emits the samples of a call's exchanges.
func (p *sampler) record(c *call) {
	for i := range c.exchanges {
		p.exchange(c.tags, &c.exchanges[i])
	}
}

func (p *sampler) exchange(base *metric.TagSet, e *exchange) {
	name, named := base.Get("name")
	if !named {
		name = e.to.name
	}
	url := ""
	if p.system.Has(metric.TagURL) {
		url = name
	}
	p.vu.Record(p.tags(base, name, e), url, e.at, p.measured(e)...)
}

// measured are the values of an exchange; the slice is used again.
func (p *sampler) measured(e *exchange) []metric.Value {
	t, v := &e.timings, &p.values
	v[1].V = milliseconds(t.Duration())
	v[2].V = milliseconds(t.Blocked)
	v[3].V = milliseconds(t.Connecting)
	v[4].V = milliseconds(t.TLSHandshaking)
	v[5].V = milliseconds(t.Sending)
	v[6].V = milliseconds(t.Waiting)
	v[7].V = milliseconds(t.Receiving)
	if e.expected == unknown {
		return v[:8]
	}
	v[8].V = 0
	if e.expected == no {
		v[8].V = 1
	}
	return v[:]
}

// tags returns the tag set of an exchange: base with the system tags laid over.
func (p *sampler) tags(base *metric.TagSet, name string, e *exchange) *metric.TagSet {
	key := seriesKey{
		base: base, status: e.status, code: e.code, expected: e.expected, name: name, method: e.method,
		proto: e.proto, tls: e.tls, err: e.err, ip: e.ip, ocsp: e.ocsp,
	}
	for i := range p.known {
		if p.known[i].key == key {
			return p.known[i].tags
		}
	}
	s := series{key, p.resolve(&key)}
	if len(p.known) < maxSeries {
		p.known = append(p.known, s)
	} else {
		p.known[p.oldest] = s
		p.oldest = (p.oldest + 1) % maxSeries
	}
	return s.tags
}

func (p *sampler) resolve(k *seriesKey) *metric.TagSet {
	var room [10]metric.Tag
	list := room[:0]
	add := func(t metric.SystemTags, key, value string) {
		if value != "" && p.system.Has(t) {
			list = append(list, metric.Tag{Key: key, Value: value})
		}
	}
	add(metric.TagMethod, "method", k.method)
	add(metric.TagStatus, "status", strconv.Itoa(k.status))
	add(metric.TagName, "name", k.name)
	add(metric.TagProto, "proto", k.proto)
	add(metric.TagTLSVersion, "tls_version", k.tls)
	add(metric.TagError, "error", k.err)
	add(metric.TagIP, "ip", k.ip)
	add(metric.TagOCSPStatus, "ocsp_status", k.ocsp)
	if k.code != 0 {
		add(metric.TagErrorCode, "error_code", strconv.Itoa(k.code))
	}
	if k.expected != unknown {
		add(metric.TagExpectedResponse, "expected_response", strconv.FormatBool(k.expected == yes))
	}
	base := k.base
	if p.system.Has(metric.TagURL) {
		if _, own := base.Get("url"); own {
			base = base.Without("url")
		}
	}
	return base.WithAll(list)
}
