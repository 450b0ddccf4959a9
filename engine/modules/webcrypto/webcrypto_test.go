package webcrypto

import (
	"context"
	"errors"
	"strings"
	"testing"

	"hive/engine/js"
	"hive/engine/metric"
)

// prelude is what the tests' scripts have at hand.
const prelude = `
const S = crypto.subtle;
const hex = b => Array.from(new Uint8Array(b)).map(x => x.toString(16).padStart(2, "0")).join("");
const bin = s => new Uint8Array((s.match(/../g) || []).map(x => parseInt(x, 16)));
const text = s => new Uint8Array([...s].map(c => c.charCodeAt(0)));
const fails = async f => { try { await f() } catch (e) { return e.name + (e instanceof Error ? "" : " that is no Error") } return "nothing" };
const U = ["encrypt", "decrypt"];
const rsa = { modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" };
`

func newVU(t *testing.T, body string) *js.VU {
	t.Helper()
	program, err := js.Compile("file:///s.js", []byte(prelude+"exports.run = async () => {"+body+"}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	config := &js.Config{Program: program, Globals: []js.Global{Global()}, Registry: metric.NewRegistry()}
	vu, err := js.NewVU(t.Context(), config, js.VUID{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vu.Close)
	return vu
}

// eval runs the body of an async function and gives what it returns.
func eval(t *testing.T, body string) (any, error) {
	t.Helper()
	v, err := newVU(t, body).Call(t.Context(), js.StageSetup, "run")
	if err != nil {
		return nil, err
	}
	return v.Export(), nil
}

func TestWebCrypto(t *testing.T) {
	tests := []struct{ what, body, want string }{
		{"digests", `return hex(await S.digest("SHA-1", text("abc"))) + " " + hex(await S.digest({ name: "sha-256" }, text("abc").buffer)) + " " + (await S.digest("SHA-384", text(""))).byteLength + " " + (await S.digest("SHA-512", new DataView(new ArrayBuffer(3)))).byteLength`,
			"a9993e364706816aba3e25717850c26c9cd0d89d ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 48 64"},
		{"random values fill the array they are given", `const a = new Uint32Array(64); const b = crypto.getRandomValues(a); return (a === b) + "," + a.some(x => x > 65535)`, "true,true"},
		{"random values stay within a view", `const a = new Uint8Array(300); crypto.getRandomValues(a.subarray(100, 200)); return a.slice(0, 100).every(x => x === 0) + "," + a.slice(200).every(x => x === 0) + "," + a.some(x => x)`, "true,true,true"},
		{"UUIDs", `const u = crypto.randomUUID(); return /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(u) + "," + (u !== crypto.randomUUID())`, "true,true"},
		{"AES-CBC, a vector of SP 800-38A", `const k = await S.importKey("raw", bin("2b7e151628aed2a6abf7158809cf4f3c"), "AES-CBC", true, U), iv = bin("000102030405060708090a0b0c0d0e0f");
			const c = await S.encrypt({ name: "AES-CBC", iv }, k, bin("6bc1bee22e409f96e93d7e117393172a"));
			return hex(c).slice(0, 32) + " " + c.byteLength + " " + hex(await S.decrypt({ name: "AES-CBC", iv }, k, c))`,
			"7649abac8119b246cee98e9b12e9197d 32 6bc1bee22e409f96e93d7e117393172a"},
		{"AES-CTR, a vector of SP 800-38A", `const k = await S.importKey("raw", bin("2b7e151628aed2a6abf7158809cf4f3c"), "AES-CTR", true, U);
			return hex(await S.encrypt({ name: "AES-CTR", counter: bin("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"), length: 128 }, k, bin("6bc1bee22e409f96e93d7e117393172a")))`,
			"874d6191b620e3261bef6864990db6ce"},
		{"AES-CTR, a short counter starts again", `const k = await S.importKey("raw", bin("2b7e151628aed2a6abf7158809cf4f3c"), "AES-CTR", true, U), zeros = new Uint8Array(48);
			const of = async (counter, length, data) => hex(await S.encrypt({ name: "AES-CTR", counter: bin(counter), length }, k, data));
			const got = await of("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", 8, zeros), want = await of("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", 128, zeros.slice(16, 32)) + await of("f0f1f2f3f4f5f6f7f8f9fafbfcfdfe00", 64, zeros.slice(16));
			return String(got === want)`, "true"},
		{"AES-GCM, case 4 of the specification", `const k = await S.importKey("raw", bin("feffe9928665731c6d6a8f9467308308"), "AES-GCM", true, U), alg = { name: "AES-GCM", iv: bin("cafebabefacedbaddecaf888"), additionalData: bin("feedfacedeadbeeffeedfacedeadbeefabaddad2") };
			const c = await S.encrypt(alg, k, bin("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"));
			return hex(c).slice(-32) + " " + hex(await S.decrypt(alg, k, c)).slice(0, 8)`, "5bc94fbc3221a5db94fae95ae7121a47 d9313225"},
		{"AES-GCM, short tags and other vectors", `const k = await S.generateKey({ name: "AES-GCM", length: 192 }, true, U); let out = [];
			for (const tagLength of [32, 96, 128]) for (const n of [1, 12, 16]) { const alg = { name: "AES-GCM", iv: crypto.getRandomValues(new Uint8Array(n)), tagLength }; const c = await S.encrypt(alg, k, text("hello")); out.push(c.byteLength - 5 === tagLength / 8 && hex(await S.decrypt(alg, k, c)) === hex(text("hello"))) }
			return out.join()`, strings.Repeat("true,", 8) + "true"},
		{"HMAC", `const k = await S.importKey("raw", text("key"), { name: "HMAC", hash: "SHA-256" }, true, ["sign", "verify"]);
			const s = await S.sign("HMAC", k, text("The quick brown fox jumps over the lazy dog")); return hex(s) + await S.verify("HMAC", k, s, text("The quick brown fox jumps over the lazy dog")) + await S.verify("HMAC", k, s, text("x"))`,
			"f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8truefalse"},
		{"HMAC keys are as long as a block of their hash", `const k = await S.generateKey({ name: "HMAC", hash: { name: "SHA-512" } }, true, ["sign"]); return JSON.stringify(k.algorithm) + (await S.exportKey("raw", k)).byteLength`,
			`{"name":"HMAC","hash":{"name":"SHA-512"},"length":1024}128`},
		{"ECDSA", `let out = []; for (const namedCurve of ["P-256", "P-384", "P-521"]) { const p = await S.generateKey({ name: "ECDSA", namedCurve }, true, ["sign", "verify"]), alg = { name: "ECDSA", hash: "SHA-256" };
			const s = await S.sign(alg, p.privateKey, text("a")); out.push(s.byteLength, await S.verify(alg, p.publicKey, s, text("a")), await S.verify(alg, p.publicKey, s, text("b")), await S.verify(alg, p.publicKey, new Uint8Array(3), text("a"))) } return out.join()`,
			"64,true,false,false,96,true,false,false,132,true,false,false"},
		{"RSA signatures", `let out = []; for (const name of ["RSA-PSS", "RSASSA-PKCS1-v1_5"]) { const p = await S.generateKey({ name, ...rsa }, true, ["sign", "verify"]), alg = { name, saltLength: 32 };
			const s = await S.sign(alg, p.privateKey, text("a")); out.push(s.byteLength, await S.verify(alg, p.publicKey, s, text("a")), await S.verify(alg, p.publicKey, s, text("b"))) } return out.join()`,
			"128,true,false,128,true,false"},
		{"RSA-OAEP", `const p = await S.generateKey({ name: "RSA-OAEP", ...rsa }, false, U), alg = { name: "RSA-OAEP", label: text("l") };
			return hex(await S.decrypt(alg, p.privateKey, await S.encrypt(alg, p.publicKey, text("hi")))) + p.publicKey.usages + p.privateKey.usages + p.publicKey.extractable + p.privateKey.extractable`,
			"6869encryptdecrypttruefalse"},
		{"ECDH", `const g = () => S.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, ["deriveKey", "deriveBits"]); const a = await g(), b = await g();
			const x = await S.deriveBits({ name: "ECDH", public: b.publicKey }, a.privateKey, 256), y = await S.deriveBits({ name: "ECDH", public: a.publicKey }, b.privateKey), z = await S.deriveBits({ name: "ECDH", public: a.publicKey }, b.privateKey, 12);
			const k = await S.deriveKey({ name: "ECDH", public: b.publicKey }, a.privateKey, { name: "AES-GCM", length: 128 }, true, U);
			return [hex(x) === hex(y), hex(z).slice(0, 3) === hex(x).slice(0, 3), hex(z)[3], hex(await S.exportKey("raw", k)) === hex(x).slice(0, 32), k.algorithm.name].join()`,
			"true,true,0,true,AES-GCM"},
		{"PBKDF2, a vector of RFC 6070", `const k = await S.importKey("raw", text("password"), "PBKDF2", false, ["deriveBits", "deriveKey"]);
			const alg = { name: "PBKDF2", hash: "SHA-1", salt: text("salt"), iterations: 4096 }; const h = await S.deriveKey(alg, k, { name: "HMAC", hash: "SHA-256", length: 160 }, true, ["sign"]);
			return hex(await S.deriveBits(alg, k, 160)) + (hex(await S.exportKey("raw", h)) === "4b007901b765489abead49d926f721d065a429c1")`,
			"4b007901b765489abead49d926f721d065a429c1true"},
		{"the shape of a CryptoKey", `const k = await S.generateKey({ name: "aes-cbc", length: 256 }, true, ["decrypt", "encrypt"]); return JSON.stringify(k) + k`,
			`{"type":"secret","extractable":true,"algorithm":{"name":"AES-CBC","length":256},"usages":["encrypt","decrypt"]}[object CryptoKey]`},
		{"the members", `return Object.keys(crypto).join() + " " + Object.keys(S).join()`,
			"getRandomValues,randomUUID,subtle decrypt,deriveBits,deriveKey,digest,encrypt,exportKey,generateKey,importKey,sign,verify"},
		{"keys go out and come in, in all of their formats", `let out = [];
			const trip = async (format, key, alg, usages) => { const data = await S.exportKey(format, key), again = await S.importKey(format, data, alg, true, usages); const second = await S.exportKey(format, again); out.push(format === "jwk" ? JSON.stringify(data) === JSON.stringify(second) : hex(data) === hex(second)) };
			const ec = await S.generateKey({ name: "ECDSA", namedCurve: "P-521" }, true, ["sign", "verify"]), ecAlg = { name: "ECDSA", namedCurve: "P-521" };
			for (const f of ["raw", "spki", "jwk"]) await trip(f, ec.publicKey, ecAlg, ["verify"]);
			for (const f of ["pkcs8", "jwk"]) await trip(f, ec.privateKey, ecAlg, ["sign"]);
			const r = await S.generateKey({ name: "RSA-PSS", ...rsa }, true, ["sign", "verify"]), rAlg = { name: "RSA-PSS", hash: "SHA-256" };
			for (const f of ["spki", "jwk"]) await trip(f, r.publicKey, rAlg, ["verify"]);
			for (const f of ["pkcs8", "jwk"]) await trip(f, r.privateKey, rAlg, ["sign"]);
			const k = await S.generateKey({ name: "AES-GCM", length: 128 }, true, U), h = await S.generateKey({ name: "HMAC", hash: "SHA-1" }, true, ["sign"]);
			for (const f of ["raw", "jwk"]) { await trip(f, k, "AES-GCM", U); await trip(f, h, { name: "HMAC", hash: "SHA-1" }, ["sign"]) }
			out.push((await S.exportKey("jwk", k)).alg, (await S.exportKey("jwk", h)).alg, (await S.exportKey("jwk", r.privateKey)).alg, (await S.importKey("raw", new Uint8Array(16), "AES-KW", true, ["wrapKey"])).algorithm.name);
			return out.join()`, strings.Repeat("true,", 13) + "A128GCM,HS1,PS256,AES-KW"},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			got, err := eval(t, test.body)
			if err != nil || got != test.want {
				t.Errorf("got  %v, %v\nwant %s", got, err, test.want)
			}
		})
	}
}

func TestWebCryptoErrors(t *testing.T) {
	const keys = `const k = await S.importKey("raw", new Uint8Array(16), "AES-CBC", false, ["encrypt", "decrypt"]), iv = new Uint8Array(16), d = new Uint8Array(3);
		const g = await S.importKey("raw", new Uint8Array(16), "AES-GCM", true, ["decrypt"]), e = await S.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]);
		const o = await S.generateKey({ name: "ECDH", namedCurve: "P-384" }, true, ["deriveBits"]), p = await S.importKey("raw", d, "PBKDF2", false, ["deriveBits"]), pb = { name: "PBKDF2", hash: "SHA-1", salt: d, iterations: 1 };
		const jwk = { kty: "oct", k: "AAAAAAAAAAAAAAAAAAAAAA" };
		const tests = {`
	const tests = `
		"MD5": [() => S.digest("MD5", d), "NotSupportedError"], "no algorithm": [() => S.digest(undefined, d), "TypeError"], "no data": [() => S.digest("SHA-1", "abc"), "TypeError"], "a getter throws": [() => S.digest({ get name() { throw new RangeError("x") } }, d), "RangeError"],
		"no digest": [() => S.digest("HMAC", d), "NotSupportedError"], "HKDF": [() => S.generateKey({ name: "HKDF" }, true, ["deriveBits"]), "NotSupportedError"],
		"AES length": [() => S.generateKey({ name: "AES-CBC", length: 100 }, true, U), "OperationError"], "no usages": [() => S.generateKey({ name: "AES-CBC", length: 128 }, true, []), "SyntaxError"], "wrong usage": [() => S.generateKey({ name: "AES-CBC", length: 128 }, true, ["sign"]), "SyntaxError"], "unknown usage": [() => S.generateKey({ name: "AES-CBC", length: 128 }, true, ["foo"]), "SyntaxError"],
		"usages are no array": [() => S.generateKey({ name: "AES-CBC", length: 128 }, true, 5), "TypeError"], "endless usages": [() => S.generateKey({ name: "AES-CBC", length: 128 }, true, {}), "TypeError"],
		"HMAC without hash": [() => S.generateKey({ name: "HMAC" }, true, ["sign"]), "TypeError"], "HMAC of 0": [() => S.generateKey({ name: "HMAC", hash: "SHA-1", length: 0 }, true, ["sign"]), "OperationError"],
		"unknown curve": [() => S.generateKey({ name: "ECDSA", namedCurve: "P-1" }, true, ["sign"]), "NotSupportedError"], "RSA exponent": [() => S.generateKey({ name: "RSA-PSS", ...rsa, publicExponent: new Uint8Array([3]) }, true, ["sign"]), "OperationError"], "RSA size": [() => S.generateKey({ name: "RSA-PSS", ...rsa, modulusLength: 1e6 }, true, ["sign"]), "OperationError"],
		"iv": [() => S.encrypt({ name: "AES-CBC", iv: d }, k, d), "OperationError"], "no iv": [() => S.encrypt({ name: "AES-CBC" }, k, d), "TypeError"], "key of another algorithm": [() => S.encrypt({ name: "AES-GCM", iv }, k, d), "InvalidAccessError"], "key for other use": [() => S.encrypt({ name: "AES-GCM", iv }, g, d), "InvalidAccessError"], "no key": [() => S.encrypt({ name: "AES-CBC", iv }, {}, d), "TypeError"], "no cipher": [() => S.encrypt("HMAC", k, d), "NotSupportedError"],
		"no whole blocks": [() => S.decrypt({ name: "AES-CBC", iv }, k, d), "OperationError"], "wrong padding": [() => S.decrypt({ name: "AES-CBC", iv }, k, new Uint8Array(32)), "OperationError"], "wrong tag": [() => S.decrypt({ name: "AES-GCM", iv }, g, new Uint8Array(32)), "OperationError"], "short": [() => S.decrypt({ name: "AES-GCM", iv }, g, d), "OperationError"], "tag length": [() => S.decrypt({ name: "AES-GCM", iv, tagLength: 95 }, g, d), "OperationError"],
		"not extractable": [() => S.exportKey("raw", k), "InvalidAccessError"], "format": [() => S.exportKey("foo", g), "NotSupportedError"], "spki of a secret": [() => S.exportKey("spki", g), "NotSupportedError"], "pkcs8 of a public key": [() => S.exportKey("pkcs8", e.publicKey), "InvalidAccessError"], "raw of a private key": [() => S.exportKey("raw", e.privateKey), "InvalidAccessError"],
		"AES of 15 bytes": [() => S.importKey("raw", new Uint8Array(15), "AES-CBC", true, U), "DataError"], "empty HMAC": [() => S.importKey("raw", new Uint8Array(0), { name: "HMAC", hash: "SHA-1" }, true, ["sign"]), "DataError"], "extractable PBKDF2": [() => S.importKey("raw", d, "PBKDF2", true, ["deriveBits"]), "SyntaxError"], "no spki": [() => S.importKey("spki", d, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]), "DataError"], "import format": [() => S.importKey("spki", d, "AES-CBC", true, U), "NotSupportedError"],
		"jwk: kty": [() => S.importKey("jwk", { ...jwk, kty: "RSA" }, "AES-CBC", true, U), "DataError"], "jwk: alg": [() => S.importKey("jwk", { ...jwk, alg: "A256CBC" }, "AES-CBC", true, U), "DataError"], "jwk: ext": [() => S.importKey("jwk", { ...jwk, ext: false }, "AES-CBC", true, U), "DataError"], "jwk: key_ops": [() => S.importKey("jwk", { ...jwk, key_ops: ["encrypt"] }, "AES-CBC", true, U), "DataError"], "jwk: k": [() => S.importKey("jwk", { kty: "oct" }, "AES-CBC", true, U), "DataError"], "jwk: a buffer": [() => S.importKey("jwk", 5, "AES-CBC", true, U), "TypeError"], "jwk: no point": [() => S.importKey("jwk", { kty: "EC", crv: "P-256", x: "AA", y: "AA" }, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]), "DataError"],
		"jwk: RSA of nothing": [() => S.importKey("jwk", { kty: "RSA", n: "AA", e: "AQAB", d: "AA", p: "AA", q: "AA" }, { name: "RSA-PSS", hash: "SHA-1" }, true, ["sign"]), "DataError"],
		"too many bits": [() => S.deriveBits({ name: "ECDH", public: e.publicKey }, e.privateKey, 512), "OperationError"], "two curves": [() => S.deriveBits({ name: "ECDH", public: o.publicKey }, e.privateKey, 8), "InvalidAccessError"], "two private keys": [() => S.deriveBits({ name: "ECDH", public: o.privateKey }, e.privateKey, 8), "InvalidAccessError"],
		"no iterations": [() => S.deriveBits({ ...pb, iterations: 0 }, p, 8), "OperationError"], "7 bits": [() => S.deriveBits(pb, p, 7), "OperationError"], "all bits": [() => S.deriveBits(pb, p, null), "OperationError"], "nothing": [() => S.sign(), "TypeError"],
	}; let out = []; for (const name in tests) { const got = await fails(tests[name][0]); if (got !== tests[name][1]) out.push(name + ": got " + got + ", want " + tests[name][1]) } return out.join("\n")`
	if got, err := eval(t, keys+tests); err != nil || got != "" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestGetRandomValuesErrors(t *testing.T) {
	for arg, want := range map[string]string{
		"new Float32Array(2)":                    "TypeMismatchError",
		"[1]":                                    "TypeMismatchError",
		"undefined":                              "TypeMismatchError",
		"new ArrayBuffer(4)":                     "TypeMismatchError",
		"new DataView(new ArrayBuffer(4))":       "TypeMismatchError",
		`{ [Symbol.toStringTag]: "Uint8Array" }`: "TypeMismatchError",
		"new Uint8Array(65537)":                  "QuotaExceededError: getRandomValues: 65537 bytes are more than 65536",
	} {
		got, err := eval(t, "try { crypto.getRandomValues("+arg+"); return 'nothing' } catch (e) { return e.message }")
		if s, _ := got.(string); err != nil || !strings.HasPrefix(s, want) {
			t.Errorf("%s: got %v, %v; want %s", arg, got, err, want)
		}
	}
}

func TestLongOperationsEndWithTheirContext(t *testing.T) {
	vu := newVU(t, `const k = await S.importKey("raw", text("p"), "PBKDF2", false, ["deriveBits"]); started();
		await S.deriveBits({ name: "PBKDF2", hash: "SHA-512", salt: text("s"), iterations: 2147483647 }, k, 512)`)
	ctx, cancel := context.WithCancel(t.Context())
	if err := vu.Runtime().Set("started", cancel); err != nil {
		t.Fatal(err)
	}
	if _, err := vu.Call(ctx, js.StageSetup, "run"); !errors.Is(err, js.ErrInterrupted) {
		t.Errorf("error %v, want an interruption", err)
	}
}
