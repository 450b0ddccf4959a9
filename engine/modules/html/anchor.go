package html

import "net/url"

// urlParts are the methods that take a href apart. Texts are decoded, except for the query.
func urlParts() []member {
	return []member{
		urlPart("hash", func(u *url.URL) string { return marked("#", u.Fragment) }),
		urlPart("host", host),
		urlPart("hostname", (*url.URL).Hostname),
		urlPart("port", (*url.URL).Port),
		urlPart("username", func(u *url.URL) string { return u.User.Username() }),
		urlPart("password", password),
		urlPart("origin", origin),
		urlPart("pathname", func(u *url.URL) string { return u.Path }),
		urlPart("protocol", protocol),
		urlPart("search", func(u *url.URL) string { return marked("?", u.RawQuery) }),
	}
}

// urlPart is a method about the href; one that is no URL is like an empty one.
func urlPart(name string, f func(*url.URL) string) member {
	return calc(name, func(e *element) any {
		u, err := url.Parse(e.link("href"))
		if err != nil {
			u = new(url.URL)
		}
		return f(u)
	})
}

func marked(mark, text string) string {
	if text == "" {
		return ""
	}
	return mark + text
}

// defaultPorts are left out of a host.
var defaultPorts = map[string]string{"http": "80", "https": "443", "ftp": "21"}

func host(u *url.URL) string {
	if port := u.Port(); port != "" && port == defaultPorts[u.Scheme] {
		return u.Hostname()
	}
	return u.Host
}

func password(u *url.URL) string {
	p, _ := u.User.Password()
	return p
}

func origin(u *url.URL) string {
	switch u.Scheme {
	case "":
		return ""
	case "file":
		return u.String()
	}
	return u.Scheme + "://" + u.Host
}

// protocol is the scheme, and a lone colon when there is none.
func protocol(u *url.URL) string {
	if u.Scheme == "" {
		return ":"
	}
	return u.Scheme
}
