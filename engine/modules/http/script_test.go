package http

import (
	"strings"
	"testing"
)

// TestScripts runs small scripts and compares what they see. In what they put out, B stands for the server's URL.
func TestScripts(t *testing.T) {
	server := startServer(t)
	tests := []struct {
		what, body, want string
	}{
		// Responses.
		{"a plain response", `const r = http.get(B + '/json'); out([r.status, r.status_text, r.proto, r.error, r.error_code, r.url, r.remote_ip, typeof r.body])`,
			"200,200 OK,HTTP/1.1,,0,B/json,127.0.0.1,string"},
		{"the keys of a response", `out(Object.keys(http.get(B + '/json')))`, strings.Join(responseFields, ",")},
		{"for…in and in", `const r = http.get(B + '/json'); let n = 0; for (const k in r) n++; out([n, 'json' in r, 'nope' in r, r.hasOwnProperty('status')])`, "20,true,false,true"},
		{"a response goes through JSON.stringify", `const r = http.get(B + '/cookies'); const o = JSON.parse(JSON.stringify(r));
			out([o.status, o.body, o.headers['X-Multi'], o.cookies.a[0].http_only, o.request.method, o.ocsp.status === '', o.timings.duration > 0, o.json])`,
			"200,ok,1, 2,true,GET,true,true,"},
		{"a response spreads", `const r = {...http.get(B + '/json')}; out([r.status, typeof r.json])`, "200,function"},
		{"fields take assignments of their type", `const r = http.get(B + '/json'); r.status = 5; r.url = 6; r.error_code = 'x'; r.timings.waiting = 7; r.headers.Foo = '8';
			out([r.status, typeof r.url, r.error_code, r.timings.waiting, r.headers.Foo])`, "5,string,0,7,8"},
		{"an assigned body is the one that json reads", `const r = http.get(B + '/cookies'); r.body = '{"q":1}'; out(r.json('q'))`, "1"},
		{"new fields are refused", `const r = http.get(B + '/json'); try { r.foo = 1; out('set') } catch (e) { out(e.name) }`, "TypeError"},
		{"fields cannot be deleted", `const r = http.get(B + '/json'); try { delete r.status; out('deleted') } catch (e) { out(e.name) } out(r.status)`, "TypeError\n200"},
		{"headers are joined and canonical", `const r = http.get(B + '/cookies'); out([r.headers['X-Multi'], r.headers['Content-Length']])`, "1, 2,2"},
		{"cookies of a response", `const c = http.get(B + '/cookies').cookies; out(JSON.stringify(c.a)); out(c.b[0].value)`,
			`[{"name":"a","value":"1","domain":"","path":"/","http_only":true,"secure":false,"max_age":100,"expires":-6795364578871}]` + "\n2"},
		{"timings", `const t = http.get(B + '/json').timings; out(Object.keys(t)); out(Math.abs(t.duration - t.sending - t.waiting - t.receiving) < 1e-6); out([t.connecting > 0, t.blocked >= t.connecting, t.looking_up])`,
			"duration,blocked,looking_up,connecting,tls_handshaking,sending,waiting,receiving\ntrue\ntrue,true,0"},
		{"a connection is used again", `http.get(B + '/json'); out(http.get(B + '/json').timings.connecting)`, "0"},
		{"the request", `const q = http.post(B + '/echo?x=1', 'abc', {headers: {'x-a': 1}, cookies: {c: 'd'}}).request; out(JSON.stringify(q))`,
			`{"method":"POST","url":"B/echo?x=1","headers":{"User-Agent":["hive/test"],"X-A":["1"],"Cookie":["c=d"]},"body":"abc","cookies":{"c":[{"name":"c","value":"d","replace":false}]}}`},
		{"no body for 204 and 304", `out([http.get(B + '/status?n=204').body, http.get(B + '/status?n=304').body].map(String))`, "null,null"},
		{"an empty body is a string", `const r = http.get(B + '/raw'); out(r.body === '')`, "true"},
		{"head", `const r = http.head(B + '/json'); out([r.status, r.body === '', r.request.method])`, "200,true,HEAD"},
		{"an HTTP error", `const r = http.get(B + '/status?n=404'); out([r.status, r.error, r.error_code, r.body])`, "404,,1404,status 404"},

		// Response types.
		{"binary", `const r = http.get(B + '/json', {responseType: 'binary'}); out([r.body instanceof ArrayBuffer, r.body.byteLength, r.body === r.body, r.json('z')])`, "true,66,true,1"},
		{"none", `const r = http.get(B + '/json', {responseType: 'none'}); out(r.body === null); try { r.json() } catch (e) { out(e.name) }`, "true\nGoError"},

		// JSON.
		{"json parses once", `const r = http.get(B + '/json'); out(JSON.stringify(r.json())); out(r.json() === r.json())`,
			`{"z":1,"a":{"b":[1,2.5,"x",null,true]},"big":12345678901234567000}` + "\ntrue"},
		{"json with selectors", `const r = http.get(B + '/json'); out(JSON.stringify([r.json('a.b'), r.json('a.b.1'), r.json('a.b.#'), r.json('a.b.3'), r.json('nope') === undefined, r.json('a.b.2')]))`,
			`[[1,2.5,"x",null,true],2.5,5,null,true,"x"]`},
		{"bad JSON", `const r = http.get(B + '/cookies'); out(r.json('a') === undefined); try { r.json() } catch (e) { out(e) }`,
			"true\nGoError: cannot parse json at line 1, character 1: invalid character 'o' looking for beginning of value"},
		{"a method taken off its response", `const {json} = http.get(B + '/json'); out(json('z'))`, "1"},
		{"keys that are special in JS", `const r = http.get(B + '/json'); r.body = '{"__proto__":1,"constructor":2}'; out(JSON.stringify(r.json()))`, `{"__proto__":1,"constructor":2}`},
		{"html", `const r = http.get(B + '/page'), d = r.html(); out([d.find('form').size(), r.html('a').size(), r.html('##').size(), d.url, r.html('#two').get(0).href()])`,
			"2,3,0,B/page,B/echo?y=2"},
		{"html of other bodies", `const r = http.get(B + '/page', {responseType: 'binary'}); out(r.html('#two').text()); r.body = '<p>mine'; out(r.html().text());
			try { http.get(B + '/page', {responseType: 'none'}).html() } catch (e) { out(e) }`,
			"m\nmine\nGoError: the body is null, so it cannot be read as HTML: the request failed, or its responseType is \"none\""},

		// Methods and bodies.
		{"methods", `for (const m of ['post', 'put', 'patch', 'del', 'options']) { const r = http[m](B + '/echo', 'x').json(); out(r.method + r.body) }`,
			"POSTx\nPUTx\nPATCHx\nDELETEx\nOPTIONSx"},
		{"request sends the method as it is written", `out(http.request('post', B + '/echo', 'x').json('method')); out(http.request(null, B + '/echo').json('method'))`, "post\nGET"},
		{"a string has no content type", `out(http.post(B + '/echo', 'abc').json('headers.Content-Type') === undefined)`, "true"},
		{"a form", `const r = http.post(B + '/echo', {b: 'x y&', a: 1, c: [1, '2'], d: null, e: {q: 1}, t: true, 'ä': 'ü'}).json(); out(r.body); out(r.headers['Content-Type'])`,
			"a=1&b=x+y%26&c=1&c=2&d=%3Cnil%3E&e=map%5Bq%3A1%5D&t=true&%C3%A4=%C3%BC\napplication/x-www-form-urlencoded"},
		{"a form with a content type of its own", `out(http.post(B + '/echo', {a: 1}, {headers: {'content-type': 'text/x'}}).json('headers.Content-Type'))`, `text/x`},
		{"bytes", `out(http.post(B + '/echo', new Uint8Array([65, 66]).buffer).json('body')); out(http.post(B + '/echo', new Uint8Array([65, 66, 67]).subarray(1)).json('body'))`, "AB\nBC"},
		{"null and undefined are no body", `out(http.post(B + '/echo', null).json('headers.Content-Length')); out(http.post(B + '/echo').json('body') === '')`, "0\ntrue"},
		{"bodies that cannot be sent", `for (const b of [[1], 5, true, new Date(0), () => 1, new Uint16Array(1), http.file('x')]) { const r = http.post(B + '/echo', b); out([r.status, r.error_code, r.error !== '', r.request]) }`,
			strings.Repeat("0,0,true,\n", 6) + "0,0,true,"},
		{"parts", `const f = http.file('data', 'a"b.txt', 'text/x'); out([f.data, f.filename, f.content_type, Object.keys(f)]);
			const r = http.post(B + '/echo', {f, n: 5}).json(); const m = /boundary=(.*)/.exec(r.headers['Content-Type'])[1]; out(r.body.split(m).join('M').split('\r\n').join('|'))`,
			"data,a\"b.txt,text/x,data,filename,content_type\n" +
				`--M|Content-Disposition: form-data; name="f"; filename="a\"b.txt"|Content-Type: text/x||data|--M|Content-Disposition: form-data; name="n"||5|--M--|`},
		{"a file of bytes", `const f = http.file(new Uint8Array([104, 105]).buffer); out(/^\d+$/.test(f.filename) + f.content_type); out(http.post(B + '/echo', {f}).json('body').includes('\r\nhi\r\n'))`,
			"trueapplication/octet-stream\ntrue"},
		{"a file of something else", `try { http.file([1]) } catch (e) { out(e.name) }`, "GoError"},

		// Params.
		{"headers", `const r = http.post(B + '/echo', 'x', {headers: {'x-a': 1, 'X-A': 2, b: true, Host: 'foo.bar', 'User-Agent': 'me', 'Content-Length': '77'}}).json();
			out([r.host, r.headers['X-A'], r.headers.B, r.headers['User-Agent'], r.headers['Content-Length']])`, "foo.bar,2,true,me,1"},
		{"params that are no object are ignored", `out([http.get(B + '/json', 'x').status, http.get(B + '/json', null).status, http.get(B + '/json', 5).status])`, "200,200,200"},
		{"unknown params are ignored", `out(http.get(B + '/json', {nope: 1}).status)`, "200"},
		{"wrong params", `for (const p of [{timeout: 'x'}, {timeout: null}, {timeout: {}}, {responseType: 'json'}, {responseType: null}, {compression: 'lz4'}, {tags: {a: {}}}, {tags: {a: null}}, {responseCallback: 5}]) {
			const r = http.post(B + '/echo', 'x', p); out([r.status, r.error_code, r.error !== '']) }`, strings.TrimSuffix(strings.Repeat("0,0,true\n", 9), "\n")},
		{"timeouts", `out([http.get(B + '/json', {timeout: '2s'}).status, http.get(B + '/json', {timeout: 2000}).status, http.get(B + '/json', {timeout: '2000'}).status]);
			const r = http.get(B + '/slow', {timeout: 30}); out([r.status, r.error, r.error_code, r.body === null])`, "200,200,200\n0,request timeout,1050,true"},
		{"compressed bodies", `for (const c of ['gzip', 'deflate', 'br', 'zstd', 'gzip, deflate']) { const r = http.post(B + '/echo', 'abc', {compression: c}); out(r.json('headers.Content-Encoding') + r.request.body) }`,
			"gzipabc\ndeflateabc\nbrabc\nzstdabc\ngzip, deflateabc"},
		{"responses are decoded", `for (const c of ['gzip', 'deflate', 'br', 'zstd']) out(http.get(B + '/raw?body=hello&compress=' + c).body)`, "hello\nhello\nhello\nhello"},
		{"unknown encodings stay", `out(http.get(B + '/raw?body=abc&encoding=foo').body)`, "abc"},
		{"responses that cannot be decoded", `const r = http.get(B + '/raw?body=abc&encoding=gzip'); out([r.status, r.error_code, r.error.startsWith('error decompressing response body'), r.body === null])`, "0,1701,true,true"},

		// URLs.
		{"URLs that are none", `for (const u of ['http://exa mple/', 5, null, undefined, {url: B}]) { const r = http.get(u); out([r.status, r.error_code, r.url, r.request]) }`,
			strings.TrimSuffix(strings.Repeat("0,1020,,\n", 5), "\n")},
		{"URLs that lead nowhere", `for (const u of ['/x', 'ftp://x/']) { const r = http.get(u); out([r.status, r.error_code, r.error, r.url]) }`,
			`0,1000,unsupported protocol scheme "",/x` + "\n" + `0,1000,unsupported protocol scheme "ftp",ftp://x/`},
		{"templates", "const u = http.url`${B}/echo?a=${1}${null}&b=${undefined}`; out(JSON.stringify(u)); out(http.get(u).json('uri'))",
			`{"name":"${}/echo?a=${}${}&b=${}","url":"B/echo?a=1&b=","clean_url":"B/echo?a=1&b="}` + "\n/echo?a=1&b="},
		{"credentials", `const r = http.get(B.replace('http://', 'http://us%40er:pass@') + '/echo'); out([r.json('headers.Authorization'), r.url, r.request.headers.Authorization])`,
			"Basic dXNAZXI6cGFzcw==,http://us%40er:pass@H/echo,"},
		{"paths are escaped", `out(http.get(B + '/é x').url)`, "B/%C3%A9%20x"},

		// Redirects.
		{"redirects", `const r = http.get(B + '/redirect?n=2'); out([r.status, r.url, r.request.url, r.json('headers.Cookie'), r.json('headers.Referer')])`,
			"200,B/echo,B/redirect?n=2,hop2=v; hop1=v,B/redirect?n=1&code=302"},
		{"too many redirects", `const r = http.get(B + '/redirect?n=20'); out([r.status, r.url, r.error_code])`, "302,B/redirect?n=10&code=302,0"},
		{"redirects of the params", `const r = http.get(B + '/redirect?n=20', {redirects: 1}); out([r.status, r.url]); out(http.get(B + '/redirect?n=20', {redirects: 0}).url)`,
			"302,B/redirect?n=19&code=302\nB/redirect?n=20"},
		{"302 makes a GET", `const r = http.post(B + '/redirect?n=1', 'abc', {headers: {'Content-Type': 'x/y', Authorization: 'q'}}).json(); out([r.method, r.body, r.headers['Content-Type'], r.headers.Authorization])`, "GET,,,q"},
		{"307 and 308 repeat", `for (const c of [307, 308]) { const r = http.post(B + '/redirect?n=1&code=' + c, {a: 1}).json(); out([r.method, r.body, r.headers['Content-Type']]) }`,
			"POST,a=1,application/x-www-form-urlencoded\nPOST,a=1,application/x-www-form-urlencoded"},
		{"a redirect without a place", `out(http.get(B + '/status?n=302').status)`, "302"},
		{"a redirect to a bad place", `const r = http.get(B + '/status?n=302&to=' + encodeURIComponent('http://a b/')); out([r.status, r.error_code, r.error])`,
			`0,1000,failed to parse Location header "http://a b/": parse "http://a b/": invalid character " " in host name`},

		// Authentication.
		{"digest", `const r = http.get(B.replace('http://', 'http://user:pass@') + '/digest', {auth: 'digest'}); out([r.status, r.body, r.url])`, "200,in,B/digest"},
		{"ntlm", `const r = http.post(B.replace('http://', 'http://user:pass@') + '/ntlm', 'x', {auth: 'ntlm'}); out([r.status, r.body])`, "200,in"},

		// Cookies.
		{"cookies of params are added to the jar's", `const j = http.cookieJar(); j.set(B, 'a', 'jar'); const sent = (p) => http.get(B + '/echo', p).json('headers.Cookie.0');
			out(sent({cookies: {a: 'req', b: 'x y', n: 5, z: null}})); out(sent({cookies: {a: {value: 'rep', replace: true}}})); out(sent({cookies: {a: 'q'}, headers: {Cookie: 'h=1'}}))`,
			"a=req; b=\"x y\"; n=5; a=jar\na=rep\nh=1; a=q; a=jar"},
		{"a jar of its own", `const j = new http.CookieJar(); out(Object.keys(j)); j.set(B, 'a', '1', {path: '/echo', max_age: 60, expires: 'Mon, 02 Jan 2040 15:04:05 GMT'});
			out(JSON.stringify([j.cookiesForURL(B), j.cookiesForURL(B + '/echo')])); out(http.get(B + '/echo', {jar: j}).json('headers.Cookie.0')); out(http.get(B + '/echo').json('headers.Cookie') === undefined)`,
			"clear,cookiesForURL,delete,set\n" + `[{},{"a":["1"]}]` + "\na=1\ntrue"},
		{"clear and delete", `const j = http.cookieJar(); j.set(B, 'a', '1'); j.set(B, 'b', '2'); j.set(B, 'c', '3'); j.delete(B, 'b'); out(Object.keys(j.cookiesForURL(B))); j.clear(B); out(Object.keys(j.cookiesForURL(B)).length)`, "a,c\n0"},
		{"bad cookies", `const j = http.cookieJar(); for (const f of [() => j.set('http://exa mple', 'a', 'b'), () => j.set(B, 'a', 'b', {expires: 'x'})]) { try { f() } catch (e) { out(e.name) } }`, "GoError\nGoError"},
		{"the server's cookies come back", `http.get(B + '/cookies'); out(http.get(B + '/echo').json('headers.Cookie.0'))`, "a=1; b=2"},

		// Batches.
		{"a batch as an array", `const rs = http.batch([B + '/echo', ['POST', B + '/echo', 'x'], ['post', B + '/echo', 'y'], {method: 'get', url: B + '/echo', body: 'z'}, {method: 'put', url: B + '/echo', body: {a: 1}}, http.url` + "`${B}/echo`" + `]);
			out(Array.isArray(rs)); out(rs.map((r) => r.request.method + r.json('body')))`, "true\nGET,POSTx,posty,GET,PUTa=1,GET"},
		{"a batch as an object", `const rs = http.batch({a: B + '/echo', b: ['DELETE', B + '/echo']}); out(Object.keys(rs)); out(rs.b.json('method'))`, "a,b\nDELETE"},
		{"a batch with a bad element", `const rs = http.batch([B + '/echo', 5, B + '/echo']); out([rs.length, rs[0].status, rs[1].error_code, rs[2]])`, "3,0,1020,"},
		{"a batch that is none", `for (const f of [() => http.batch(), () => http.batch(5), () => http.batch(null), () => http.batch([], [])]) { try { f() } catch (e) { out(e.name) } }`, "GoError\nGoError\nGoError\nGoError"},
		{"an empty batch", `out(JSON.stringify([http.batch([]), http.batch({})]))`, "[[],{}]"},

		// Asynchronous requests.
		{"a promise", `const r = await http.asyncRequest('POST', B + '/echo', 'x'); out(r.json('body'))`, "x"},
		{"several promises", `const rs = await Promise.all([1, 2, 3].map((i) => http.asyncRequest('GET', B + '/echo?i=' + i))); out(rs.map((r) => r.json('uri')))`, "/echo?i=1,/echo?i=2,/echo?i=3"},
		{"a promise of a failure", `const r = await http.asyncRequest('GET', 'http://a b'); out(r.error_code); try { await http.asyncRequest('GET', 'ftp://x', null, {throw: true}); } catch (e) { out(e.name) }`, "1020\nGoError"},

		// Expectations.
		{"expectedStatuses", `for (const f of [() => http.expectedStatuses(200, {min: 1, max: 2}), () => http.expectedStatuses(), () => http.expectedStatuses('200'), () => http.expectedStatuses(1.5), () => http.expectedStatuses({min: 1}), () => http.setResponseCallback(5)]) {
			try { out(JSON.stringify(f())) } catch (e) { out(e.name) } }`, "{}\nGoError\nGoError\nGoError\nGoError\nGoError"},

		// Forms and links.
		{"submitForm", `const p = http.get(B + '/page'), r = p.submitForm({fields: {a: 'zz', extra: 'n'}, params: {headers: {x: 'y'}}}); out([r.request.method, r.request.url, r.request.body, r.json('headers.X')])`,
			"POST,B/echo,a=zz&c1=on&empty=&extra=n&go=Go&h=hid&r=r2&s=vo2&t=tt,y"},
		{"submitForm with selectors", `const p = http.get(B + '/page'); out(p.submitForm({submitSelector: '[name=btn]'}).request.body); out(p.submitForm({formSelector: '#g'}).url)`,
			"a=1&btn=B&c1=on&empty=&h=hid&r=r2&s=vo2&t=tt\nB/page?q=1+2"},
		{"clickLink", `const p = http.get(B + '/page'); out(p.clickLink().url); out(p.clickLink({selector: '#two'}).url)`, "B/echo?x=1\nB/echo?y=2"},
		{"forms and links that are not there", `const p = http.get(B + '/page'); for (const f of [() => p.submitForm({formSelector: '#no'}), () => p.clickLink({selector: '#no'}), () => p.clickLink({selector: 'form'}), () => http.get(B + '/page', {responseType: 'none'}).clickLink()]) {
			try { f(); out('?') } catch (e) { out(e.name) } }`, "GoError\nGoError\nGoError\nGoError"},

		// The module.
		{"the module's properties can be replaced", `const get = http.get; http.get = (u) => 'mine'; out(http.get('x')); http.get = get; out(http.get(B + '/json').status)`, "mine\n200"},
		{"constants", `out([http.TLS_1_3, http.OCSP_STATUS_GOOD, http.OCSP_REASON_AA_COMPROMISE])`, "tls1.3,good,aa_compromise"},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			s := newScript(t, server.URL, "", test.body, defaults())
			s.iterate()
			got := strings.ReplaceAll(s.result(), server.URL, "B")
			got = strings.ReplaceAll(got, strings.TrimPrefix(server.URL, "http://"), "H")
			if got != test.want {
				t.Errorf("got\n%s\nwant\n%s\nlog: %s", got, test.want, s.log)
			}
		})
	}
}
