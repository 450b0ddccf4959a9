// Package crypto is the modules k6/crypto (hashes, HMAC, random bytes) and k6/crypto/x509
// (certificates). The global crypto of the Web Cryptography API is another package.
package crypto

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// functions are the exports of k6/crypto.
var functions = js.NewTable(exports()...)

func exports() []js.Entry[*js.VU] {
	entries := []js.Entry[*js.VU]{
		js.Method("createHash", createHash),
		js.Method("createHMAC", createHMAC),
		js.Method("hmac", hmacOnce),
		js.Method("randomBytes", randomBytes),
		js.Method("hexEncode", hexEncode),
	}
	for _, name := range algorithmNames() {
		entries = append(entries, js.Method(name, func(vu *js.VU, call goja.FunctionCall) goja.Value {
			return hashOnce(vu, name, call)
		}))
	}
	return entries
}

// New returns the module k6/crypto.
func New() js.Module {
	return js.Module{
		Path:  "k6/crypto",
		Names: functions.Names(),
		Open:  func(vu *js.VU) *goja.Object { return functions.Object(vu.Runtime(), vu) },
	}
}

// hashOnce is sha256(data, encoding) and its like.
func hashOnce(vu *js.VU, algorithm string, call goja.FunctionCall) goja.Value {
	h := newHash(vu, algorithm)
	write(vu, algorithm, h, call.Argument(0))
	return encode(vu, algorithm, h.Sum(nil), call.Argument(1))
}

// hmacOnce is hmac(algorithm, key, data, encoding).
func hmacOnce(vu *js.VU, call goja.FunctionCall) goja.Value {
	h := newHMAC(vu, "hmac", call.Argument(0).String(), call.Argument(1))
	write(vu, "hmac", h, call.Argument(2))
	return encode(vu, "hmac", h.Sum(nil), call.Argument(3))
}

// randomBytes is randomBytes(n): an ArrayBuffer of n bytes, n at least 1.
func randomBytes(vu *js.VU, call goja.FunctionCall) goja.Value {
	n := call.Argument(0).ToInteger()
	if n < 1 || n > maxRandom {
		js.Throw(vu.Runtime(), fmt.Errorf("randomBytes: the size is %s: want 1 to %d", call.Argument(0), maxRandom))
	}
	data := make([]byte, n)
	rand.Read(data) // never fails
	return vu.Runtime().ToValue(vu.Runtime().NewArrayBuffer(data))
}

// maxRandom bounds what one call of randomBytes may allocate, in bytes.
const maxRandom = 1 << 30

// hexEncode is hexEncode(data).
func hexEncode(vu *js.VU, call goja.FunctionCall) goja.Value {
	data, err := js.Input(call.Argument(0))
	if err != nil {
		js.Throw(vu.Runtime(), fmt.Errorf("hexEncode: %w", err))
	}
	return vu.Runtime().ToValue(hex.EncodeToString(data))
}

// write adds a script's data to a hash.
func write(vu *js.VU, what string, h hash.Hash, v goja.Value) {
	data, err := js.Input(v)
	if err != nil {
		js.Throw(vu.Runtime(), fmt.Errorf("%s: %w", what, err))
	}
	h.Write(data) // never fails
}
