package html

import "testing"

// anchors is the document of the tests below.
const anchors = `<a id=a1 href="http://user:pass%20w@example.com:80/path/x%20y?q=1&z#frag%20a" rel="prev  next" target=_self hreflang=en>t <b>u</b></a><a id=a2 href="https://example.com:8443"></a><a id=a3 href="/rel?x"></a><a id=a4 href="mailto:a@b.c"></a><a id=a5></a><a id=a6 href="http://[::1]:90/"></a><a id=a7 href="http://bad host/%zz"></a><a id=a8 href="file:///x/y"></a><link id=lk href=l.css rel=stylesheet crossorigin=anonymous><base id=ba href=/b/><a id=a9 href="ftp://f:21/" referrerpolicy=origin></a>`

// TestLinks holds what k6 v2.2.0 answers.
func TestLinks(t *testing.T) {
	check(t, anchors, []answer{
		{`['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8', 'a9'].map((i) => get(i).href())`, `["http://user:pass%20w@example.com:80/path/x%20y?q=1&z#frag%20a","https://example.com:8443","/rel?x","mailto:a@b.c","","http://[::1]:90/","http://bad host/%zz","file:///x/y","ftp://f:21/"]`},
		{`['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8', 'a9'].map((i) => get(i).host())`, `["example.com","example.com:8443","","","","[::1]:90","","","f"]`},
		{`['a1', 'a2', 'a3', 'a6'].map((i) => get(i).hostname() + ' ' + get(i).port())`, `["example.com 80","example.com 8443"," ","::1 90"]`},
		{`['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8', 'a9'].map((i) => get(i).origin())`, `["http://example.com:80","https://example.com:8443","","mailto://","","http://[::1]:90","","file:///x/y","ftp://f:21"]`},
		{`['a1', 'a2', 'a3', 'a4', 'a5', 'a7'].map((i) => get(i).protocol())`, `["http","https",":","mailto",":",":"]`},
		{`['a1', 'a2', 'a3'].map((i) => [get(i).pathname(), get(i).search(), get(i).hash(), get(i).username(), get(i).password()])`, `[["/path/x y","?q=1&z","#frag a","user","pass w"],["","","","",""],["/rel","?x","","",""]]`},
		{`[get('a1').text(), get('a1').relList(), get('a5').relList(), get('a1').rel(), get('a1').target(), get('a1').hrefLang(), get('a1').type(), get('a9').referrerPolicy(), get('a1').referrerPolicy()]`, `["t u",["prev","","next"],[],"prev  next","_self","en","","origin",""]`},
		{`[get('lk').href(), get('lk').relList(), get('lk').crossOrigin(), get('ba').href()]`, `["l.css",["stylesheet"],"anonymous","/b/"]`},
	})
}
