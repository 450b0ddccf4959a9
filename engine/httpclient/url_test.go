package httpclient

import "testing"

func TestParseURL(t *testing.T) {
	for _, tt := range []struct {
		in, full, clean, host, name, port, target string
	}{
		{"http://a.test", "http://a.test", "http://a.test", "a.test", "a.test", "80", "/"},
		{"HTTPS://A.test:8443/x/../y?z#f", "https://A.test:8443/x/../y?z#f", "https://A.test:8443/x/../y?z#f", "A.test:8443", "A.test", "8443", "/x/../y?z"},
		{"https://a.test:/", "https://a.test:/", "https://a.test:/", "a.test", "a.test", "443", "/"},
		{"http://u:p%40@a.test/a b", "http://u:p%40@a.test/a%20b", "http://****:****@a.test/a%20b", "a.test", "a.test", "80", "/a%20b"},
		{"http://u@a.test/", "http://u@a.test/", "http://****@a.test/", "a.test", "a.test", "80", "/"},
		{"http://[::1]:8080/", "http://[::1]:8080/", "http://[::1]:8080/", "[::1]:8080", "::1", "8080", "/"},
		{"http://[fe80::1%25lo]/", "http://[fe80::1%25lo]/", "http://[fe80::1%25lo]/", "[fe80::1]", "fe80::1%lo", "80", "/"},
		{"http://bücher.test/ü?ü", "http://b%C3%BCcher.test/%C3%BC?ü", "http://b%C3%BCcher.test/%C3%BC?ü", "xn--bcher-kva.test", "xn--bcher-kva.test", "80", "/%C3%BC?ü"},
	} {
		u, err := ParseURL(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		got := [...]string{u.Text(), u.String(), u.Clean(), u.Host(), u.Hostname(), u.Port(), u.RequestURI()}
		want := [...]string{tt.in, tt.full, tt.clean, tt.host, tt.name, tt.port, tt.target}
		if got != want {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.in, got, want)
		}
	}
	u := mustURL(t, "http://u:p%40@a.test/x/y?q")
	if name, password, ok := u.User(); name != "u" || password != "p@" || !ok {
		t.Errorf("user %q %q %v", name, password, ok)
	}
	if _, _, ok := mustURL(t, "http://a.test").User(); ok {
		t.Error("a user where there is none")
	}
	if next, err := u.Resolve("../z?r"); err != nil || next.String() != "http://u:p%40@a.test/z?r" {
		t.Errorf("resolved to %v, %v", next, err)
	}
	if p := u.Parsed(); p.Path != u.Path() || u.Scheme() != "http" {
		t.Errorf("path %q, scheme %q", p.Path, u.Scheme())
	}
}

func TestParseURLErrors(t *testing.T) {
	for in, want := range map[string]string{
		"http://a b/":          `invalid URL: parse "http://a b/": invalid character " " in host name`,
		"http://a.test/%zz":    `invalid URL: parse "http://a.test/%zz": invalid URL escape "%zz"`,
		"http://a.test:x/":     `invalid URL: parse "http://a.test:x/": invalid port ":x" after host`,
		"http://a.test/\x01":   `invalid URL: parse "http://a.test/\x01": net/url: invalid control character in URL`,
		"http://ü\u2028.test/": `invalid URL: parse "http://ü\u2028.test/": idna: disallowed rune U+2028`,
	} {
		if _, err := ParseURL(in); code(err) != ErrorInvalidURL || message(err) != want {
			t.Errorf("%s: %d %q, want 1020 %q", in, code(err), message(err), want)
		}
	}
	if _, err := mustURL(t, "http://a.test").Resolve("http://a b/"); code(err) != ErrorInvalidURL {
		t.Errorf("resolving: %v", err)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"http://a.test", "https://u:p@[::1]:8/x?y#z", "//x", "http://ü/", "http://%31/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURL(s)
		if err != nil || u.err != nil {
			return
		}
		if u.Port() == "" || u.Hostname() == "" || u.RequestURI() == "" {
			t.Errorf("%q: port %q, host %q, target %q", s, u.Port(), u.Hostname(), u.RequestURI())
		}
	})
}
