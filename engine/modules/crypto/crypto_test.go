package crypto

import (
	"os"
	"strings"
	"testing"

	"hive/engine/js"
	"hive/engine/metric"
)

// eval runs a script body whose value of `exports.r` is the result.
func eval(t *testing.T, script string) (any, error) {
	t.Helper()
	program, err := js.Compile("file:///s.js", []byte(script), nil)
	if err != nil {
		t.Fatal(err)
	}
	config := &js.Config{Program: program, Modules: []js.Module{New(), NewX509()}, Registry: metric.NewRegistry(), Files: disk{}}
	vu, err := js.NewVU(t.Context(), config, js.VUID{}, nil)
	if err != nil {
		return nil, err
	}
	defer vu.Close()
	return vu.Export("r").Export(), nil
}

type disk struct{}

func (disk) Open(path string) ([]byte, error) { return os.ReadFile(path) }

func TestCrypto(t *testing.T) {
	const bytes = "Array.from(new Uint8Array(%)).join()"
	tests := []struct {
		what, expr, want string
	}{
		{"md4", `c.md4("abc", "hex")`, "a448017aaf21d8525fc10ae87aa6729d"},
		{"md5", `c.md5("abc", "hex")`, "900150983cd24fb0d6963f7d28e17f72"},
		{"sha1", `c.sha1("abc", "hex")`, "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{"sha256", `c.sha256("abc", "hex")`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"sha384", `c.sha384("abc", "hex").slice(0, 16)`, "cb00753f45a35e8b"},
		{"sha512", `c.sha512("abc", "hex").slice(0, 16)`, "ddaf35a193617aba"},
		{"sha512_224", `c.sha512_224("abc", "hex")`, "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa"},
		{"sha512_256", `c.sha512_256("abc", "hex").slice(0, 16)`, "53048e2681941ef9"},
		{"ripemd160", `c.ripemd160("abc", "hex")`, "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"},
		{"text is UTF-8", `c.sha256("ü", "hex").slice(0, 16)`, "607474ca475a9724"},
		{"an ArrayBuffer", `c.md5(new Uint8Array([2]).buffer, "hex")`, "9e688c58a5487b8eaf69c9e1005ad0bf"},
		{"a part of a buffer", `c.md5(new Uint8Array([1, 2, 3]).subarray(1, 2), "hex")`, "9e688c58a5487b8eaf69c9e1005ad0bf"},
		{"base64", `c.md5("abc", "base64")`, "kAFQmDzST7DWlj99KOF/cg=="},
		{"base64url", `c.md5("abc", "base64url")`, "kAFQmDzST7DWlj99KOF_cg=="},
		{"base64rawurl", `c.md5("abc", "base64rawurl")`, "kAFQmDzST7DWlj99KOF_cg"},
		{"binary", strings.Replace(bytes, "%", `c.md5("abc", "binary")`, 1), "144,1,80,152,60,210,79,176,214,150,63,125,40,225,127,114"},
		{"hmac", `c.hmac("sha256", "k", "d", "hex")`, "e7ea21c3bcb63a4da3ad78503168d36bdca0be622382ea60a108fad4e4966679"},
		{"createHMAC", `(() => { const h = c.createHMAC("sha256", "k"); h.update("d"); return h.digest("hex") })()`, "e7ea21c3bcb63a4da3ad78503168d36bdca0be622382ea60a108fad4e4966679"},
		{"digest keeps the state", `(() => { const h = c.createHash("md5"); h.update("a"); const a = h.digest("hex"); h.update("b"); return a + h.digest("hex") + h.digest("hex") })()`,
			"0cc175b9c0f1b6a831c399e269772661187ef4436122d1cc2f40dc2b92f0eba0187ef4436122d1cc2f40dc2b92f0eba0"},
		{"hexEncode", `c.hexEncode("abc") + c.hexEncode(new Uint8Array([255]).buffer)`, "616263ff"},
		{"randomBytes", `c.randomBytes(5).byteLength + "," + (c.hexEncode(c.randomBytes(16)) !== c.hexEncode(c.randomBytes(16)))`, "5,true"},
		{"the exports", `Object.keys(c).sort().join()`, "createHMAC,createHash,hexEncode,hmac,md4,md5,randomBytes,ripemd160,sha1,sha256,sha384,sha512,sha512_224,sha512_256"},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			got, err := eval(t, `const c = require("k6/crypto"); exports.r = `+test.expr)
			if err != nil || got != test.want {
				t.Errorf("got %v, %v; want %s", got, err, test.want)
			}
		})
	}
}

func TestCryptoErrors(t *testing.T) {
	for expr, want := range map[string]string{
		`c.sha256("a")`:                      "sha256: the output encoding is undefined: want hex, base64",
		`c.sha256("a", "hex2")`:              "encoding is hex2",
		`c.sha256(5, "hex")`:                 "sha256: the data are int64: want a string or an ArrayBuffer",
		`c.sha256(undefined, "hex")`:         "the data are missing",
		`c.createHash("foo")`:                `the algorithm is "foo": want one of md4, md5`,
		`c.createHash()`:                     `the algorithm is "undefined"`,
		`c.hmac("sha256", null, "d", "hex")`: "the key: the data are missing",
		`c.createHash("md5").update({})`:     "update: the data are",
		`c.createHash("md5").digest()`:       "digest: the output encoding is undefined",
		`c.randomBytes(0)`:                   "randomBytes: the size is 0: want 1",
		`c.randomBytes("x")`:                 "the size is x",
		`c.randomBytes(1e15)`:                "the size is 1000000000000000",
	} {
		got, err := eval(t, `const c = require("k6/crypto"); try { `+expr+`; exports.r = "nothing" } catch (e) { exports.r = e.name + ": " + e.message }`)
		if s, _ := got.(string); err != nil || !strings.Contains(s, want) || !strings.HasPrefix(s, "GoError: ") {
			t.Errorf("%s: got %v, %v; want %s", expr, got, err, want)
		}
	}
}

func TestX509(t *testing.T) {
	for expr, want := range map[string]string{
		`c.subject.commonName + c.subject.postalCode + c.subject.organizationalUnitName.join()`:              "excouncil.com1234Dev,Dev2",
		`JSON.stringify(c.issuer).slice(0, 152)`:                                                             `{"commonName":"excouncil.com","country":"DE","stateOrProvinceName":"Bavaria","localityName":"Munich","organizationName":"Acme","names":[{"type":"2.5.4.6`,
		`c.notBefore + c.signatureAlgorithm + c.fingerPrint.length`:                                          "2026-11-21T21:14:50ZSHA256-RSA20",
		`x.getAltNames(pem).join()`:                                                                          "a.com,b.com,x@y.z,10.0.0.1,https://u.ri/x",
		`x.getSubject(pem).names.length + x.getIssuer(pem).country`:                                          "10DE",
		`c.publicKey.algorithm + typeof c.publicKey.key.n + c.publicKey.key.e`:                               "RSAbigint65537",
		`(k => k.algorithm + typeof k.key.x + k.key.curve.name)(x.parse(open("testdata/ec.pem")).publicKey)`: "ECDSAbigintP-256",
		`Object.keys(x).join()`: "getAltNames,getIssuer,getSubject,parse",
		`(() => { try { x.parse("x") } catch (e) { return e.message } })()`: "parse: this is not a certificate in PEM",
	} {
		got, err := eval(t, `const x = require("k6/crypto/x509"), pem = open("testdata/rsa.pem"), c = x.parse(pem); exports.r = `+expr)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v; want %s", expr, got, err, want)
		}
	}
}
