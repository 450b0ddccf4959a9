package http

import (
	"errors"
	nethttp "net/http"
	"strings"

	"hive/engine/httpclient"
)

// authenticate performs the hop's request with the credentials of the call's URL, as the call wants them used. Every
// challenge is an exchange of its own.
func (h *hop) authenticate() (ok bool) {
	c := h.call
	if h.foreign || c.auth == authBasic {
		h.basic()
		return h.exchange(c.expect)
	}
	user, password, _ := c.to.url.User()
	if c.auth == authDigest {
		return h.digest(user, password)
	}
	return h.ntlm(user, password)
}

// basic adds the credentials of the hop's URL, unless the script sets the header itself.
func (h *hop) basic() {
	user, password, ok := h.to.url.User()
	if ok && field(h.req.Header, "Authorization") == "" {
		h.req.Header = with(h.req.Header, "Authorization", httpclient.BasicAuth(user, password))
	}
}

// digest asks for a challenge, which is to be expected, and answers it.
func (h *hop) digest(user, password string) (ok bool) {
	c := h.call
	h.to = h.to.bare()
	h.req.URL, c.final = h.to.url, h.to
	first := c.expect
	if first != nil {
		first = unauthorized
	}
	if !h.exchange(first) {
		return false
	}
	if c.resp.Status != nethttp.StatusUnauthorized {
		return true
	}
	answer, err := httpclient.DigestAuth(&c.resp, &h.req, user, password)
	return h.answer(answer, err)
}

// answer sends the request again with an answer to the challenge that came; without one the 401 stands.
func (h *hop) answer(authorization string, err error) (ok bool) {
	if errors.Is(err, httpclient.ErrNoChallenge) {
		return true
	}
	if err != nil {
		h.call.fail(err)
		return false
	}
	h.req.Header = with(h.req.Header, "Authorization", authorization)
	return h.exchange(h.call.expect)
}

// ntlm tries without credentials and then shakes hands on the same connection, which is what gets authenticated.
func (h *hop) ntlm(user, password string) (ok bool) {
	c := h.call
	h.req.Affinity = new(httpclient.Affinity)
	defer func() {
		h.req.Affinity.Release()
		h.req.Affinity = nil
	}()
	if !h.exchange(c.expect.or(nethttp.StatusUnauthorized)) {
		return false
	}
	if c.resp.Status != nethttp.StatusUnauthorized || !offersNTLM(&c.resp) {
		return true
	}
	negotiate, err := httpclient.NTLMNegotiate()
	if !h.answer(negotiate, err) {
		return false
	}
	if c.resp.Status != nethttp.StatusUnauthorized {
		return true
	}
	authenticate, err := httpclient.NTLMAuth(&c.resp, user, password)
	return h.answer(authenticate, err)
}

func offersNTLM(r *httpclient.Response) bool {
	for _, f := range r.Header {
		scheme, _, _ := strings.Cut(f.Value, " ")
		if f.Name == "Www-Authenticate" && (strings.EqualFold(scheme, "NTLM") || strings.EqualFold(scheme, "Negotiate")) {
			return true
		}
	}
	return false
}
