package crypto

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/dop251/goja"
	//lint:ignore SA1019 scripts may ask for it
	"golang.org/x/crypto/md4"
	//lint:ignore SA1019 scripts may ask for it
	"golang.org/x/crypto/ripemd160"

	"hive/engine/js"
)

// algorithmNames lists the hashes, which are functions of the module too.
func algorithmNames() []string {
	return []string{"md4", "md5", "sha1", "sha256", "sha384", "sha512", "sha512_224", "sha512_256", "ripemd160"}
}

// constructor gives what makes a hash; nil for an unknown name.
func constructor(algorithm string) func() hash.Hash {
	switch algorithm {
	case "md4":
		return md4.New
	case "md5":
		return md5.New
	case "sha1":
		return sha1.New
	case "sha256":
		return sha256.New
	case "sha384":
		return sha512.New384
	case "sha512":
		return sha512.New
	case "sha512_224":
		return sha512.New512_224
	case "sha512_256":
		return sha512.New512_256
	case "ripemd160":
		return ripemd160.New
	}
	return nil
}

func mustConstruct(vu *js.VU, what, algorithm string) func() hash.Hash {
	f := constructor(algorithm)
	if f == nil {
		js.Throw(vu.Runtime(), fmt.Errorf("%s: the algorithm is %q: want one of %s", what, algorithm, strings.Join(algorithmNames(), ", ")))
	}
	return f
}

func newHash(vu *js.VU, algorithm string) hash.Hash {
	return mustConstruct(vu, "createHash", algorithm)()
}

func newHMAC(vu *js.VU, what, algorithm string, key goja.Value) hash.Hash {
	f := mustConstruct(vu, what, algorithm)
	data, err := js.Input(key)
	if err != nil {
		js.Throw(vu.Runtime(), fmt.Errorf("%s: the key: %w", what, err))
	}
	return hmac.New(f, data)
}

// hasher is the state of the object that createHash and createHMAC return.
type hasher struct {
	vu   *js.VU
	hash hash.Hash
}

// hasherMethods are the functions of such an object. digest leaves the state as it is.
var hasherMethods = js.NewTable(
	js.Method("digest", func(h hasher, call goja.FunctionCall) goja.Value {
		return encode(h.vu, "digest", h.hash.Sum(nil), call.Argument(0))
	}),
	js.Method("update", func(h hasher, call goja.FunctionCall) goja.Value {
		write(h.vu, "update", h.hash, call.Argument(0))
		return goja.Undefined()
	}),
)

// createHash is createHash(algorithm).
func createHash(vu *js.VU, call goja.FunctionCall) goja.Value {
	return hasherMethods.Object(vu.Runtime(), hasher{vu, newHash(vu, call.Argument(0).String())})
}

// createHMAC is createHMAC(algorithm, key).
func createHMAC(vu *js.VU, call goja.FunctionCall) goja.Value {
	return hasherMethods.Object(vu.Runtime(), hasher{vu, newHMAC(vu, "createHMAC", call.Argument(0).String(), call.Argument(1))})
}

// encode gives a digest in the encoding that the script names; there is no default.
func encode(vu *js.VU, what string, sum []byte, encoding goja.Value) goja.Value {
	rt := vu.Runtime()
	switch encoding.String() {
	case "hex":
		return rt.ToValue(hex.EncodeToString(sum))
	case "base64":
		return rt.ToValue(base64.StdEncoding.EncodeToString(sum))
	case "base64url":
		return rt.ToValue(base64.URLEncoding.EncodeToString(sum))
	case "base64rawurl":
		return rt.ToValue(base64.RawURLEncoding.EncodeToString(sum))
	case "binary":
		return rt.ToValue(rt.NewArrayBuffer(sum))
	}
	js.Throw(rt, fmt.Errorf("%s: the output encoding is %s: want hex, base64, base64url, base64rawurl or binary", what, encoding))
	return nil
}
