package http

import (
	nethttp "net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"

	"github.com/dop251/goja"
	"golang.org/x/net/publicsuffix"

	"hive/engine/httpclient"
)

// jar holds cookies. It is empty and small until the first one comes, and safe for concurrent use.
type jar struct {
	mu    sync.Mutex
	store *cookiejar.Jar // guarded by mu; nil as long as there was no cookie
}

// used tells whether there may be cookies.
func (j *jar) used() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.store != nil
}

// cookies are those to be sent to a URL.
func (j *jar) cookies(u *url.URL) []*nethttp.Cookie {
	j.mu.Lock()
	store := j.store
	j.mu.Unlock()
	if store == nil {
		return nil
	}
	return store.Cookies(u)
}

func (j *jar) set(u *url.URL, cookies []*nethttp.Cookie) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.store == nil {
		store, err := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List})
		if err != nil {
			return err
		}
		j.store = store
	}
	j.store.SetCookies(u, cookies)
	return nil
}

// cookie is one that a request brings itself.
type cookie struct {
	name, value string
	replace     bool // instead of those of that name in the jar
}

// cookieArgument reads a value of params.cookies: a string, or {value, replace}. null gives none.
func cookieArgument(name string, v goja.Value) (cookie, bool) {
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return cookie{}, false
	}
	obj, ok := v.(*goja.Object)
	if !ok {
		return cookie{name: name, value: v.String()}, true
	}
	c := cookie{name: name}
	if value := obj.Get("value"); value != nil {
		c.value = value.String()
	}
	if replace := obj.Get("replace"); replace != nil {
		c.replace = replace.ToBoolean()
	}
	return c, true
}

// cookieHeader gives the Cookie header of a call's request to a URL, "" for none: what the script wrote there itself,
// the request's own cookies, then the jar's.
func (c *call) cookieHeader(to *target, written string) string {
	var kept []*nethttp.Cookie
	if c.jar.used() {
		kept = c.jar.cookies(to.url.Parsed())
	}
	if len(kept) == 0 && len(c.cookies) == 0 {
		return written
	}
	var b strings.Builder
	b.WriteString(written)
	replaced := make(map[string]bool)
	for _, own := range c.cookies {
		writeCookie(&b, own.name, own.value)
		replaced[own.name] = replaced[own.name] || own.replace
	}
	for _, k := range kept {
		if !replaced[k.Name] {
			writeCookie(&b, k.Name, k.Value)
		}
	}
	return b.String()
}

// writeCookie appends a cookie, leaving out what may not stand in one.
func writeCookie(b *strings.Builder, name, value string) {
	if b.Len() > 0 {
		b.WriteString("; ")
	}
	b.WriteString(cookieName.Replace(name))
	b.WriteByte('=')
	value = strings.Map(cookieByte, value)
	if strings.ContainsAny(value, " ,") {
		value = `"` + value + `"`
	}
	b.WriteString(value)
}

var cookieName = strings.NewReplacer("\r", "-", "\n", "-")

// cookieByte drops the characters that RFC 6265 does not allow in a value; spaces and commas pass, between quotes.
func cookieByte(r rune) rune {
	if r < 0x20 || r >= 0x7f || r == '"' || r == ';' || r == '\\' {
		return -1
	}
	return r
}

// keepCookies puts the cookies of a response into the jar.
func (c *call) keepCookies(to *target, resp *httpclient.Response) error {
	cookies := setCookies(resp.Header)
	if len(cookies) == 0 {
		return nil
	}
	return c.jar.set(to.url.Parsed(), cookies)
}

// setCookies parses the Set-Cookie fields of a response.
func setCookies(header []httpclient.Field) []*nethttp.Cookie {
	var cookies []*nethttp.Cookie
	for i := range header {
		if header[i].Name != "Set-Cookie" {
			continue
		}
		if c, err := nethttp.ParseSetCookie(header[i].Value); err == nil {
			cookies = append(cookies, c)
		}
	}
	return cookies
}
