package webcrypto

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // hashes are asked for by number
	_ "crypto/sha256"
	_ "crypto/sha512"
	"math"
	"slices"
	"strings"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// args are the arguments of a call from a script.
type args struct {
	rt   *goja.Runtime
	list []goja.Value
}

func (a args) at(i int) goja.Value {
	if i < len(a.list) {
		return a.list[i]
	}
	return goja.Undefined()
}

// data gives a copy of the bytes of a buffer or a view of one.
func (a args) data(i int, what string) ([]byte, error) { return copied(a.at(i), what) }

func copied(v goja.Value, what string) ([]byte, error) {
	data, ok := js.Bytes(v)
	if !ok {
		return nil, failf(typeError, "%s must be an ArrayBuffer, a typed array or a DataView", what)
	}
	return bytes.Clone(data), nil
}

// key gives the CryptoKey at i; usage is what it must be for, and name of which algorithm.
func (a args) key(i int, algorithm, usage string) (*key, error) {
	k, err := keyOf(a.at(i))
	if err != nil {
		return nil, err
	}
	if k.algorithm != algorithm {
		return nil, failf(accessError, "the key is for %s, not for %s", k.algorithm, algorithm)
	}
	if !slices.Contains(k.usages, usage) {
		return nil, failf(accessError, "the key may not be used for %s, only for: %s", usage, strings.Join(k.usages, ", "))
	}
	return k, nil
}

// usages gives the array of key usages at i.
func (a args) usages(i int) ([]string, error) {
	o, ok := a.at(i).(*goja.Object)
	if !ok {
		return nil, failf(typeError, "the key usages must be an array")
	}
	var all []string
	a.rt.ForOf(o, func(v goja.Value) bool {
		all = append(all, v.String())
		return true
	})
	for _, u := range all {
		if !slices.Contains(allUsages(), u) {
			return nil, failf(syntaxError, "%q is not a key usage", u)
		}
	}
	known := slices.DeleteFunc(allUsages(), func(u string) bool { return !slices.Contains(all, u) })
	return known, nil
}

// algorithm is an AlgorithmIdentifier: a name, and the object with its parameters if it was one.
type algorithm struct {
	name   string
	params *goja.Object
}

// algorithms are the names that are known, as they are written.
func algorithms() []string {
	return []string{"AES-CBC", "AES-CTR", "AES-GCM", "AES-KW", "HMAC", "ECDSA", "ECDH",
		"RSA-OAEP", "RSA-PSS", "RSASSA-PKCS1-v1_5", "PBKDF2", "SHA-1", "SHA-256", "SHA-384", "SHA-512"}
}

// algorithm gives the one at i.
func (a args) algorithm(i int) (algorithm, error) { return algorithmOf(a.at(i)) }

func algorithmOf(v goja.Value) (algorithm, error) {
	var alg algorithm
	if o, ok := v.(*goja.Object); ok {
		alg.params, v = o, o.Get("name")
	}
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return alg, failf(typeError, "the algorithm has no name")
	}
	for _, known := range algorithms() {
		if strings.EqualFold(known, v.String()) {
			alg.name = known
			return alg, nil
		}
	}
	return alg, failf(notSupported, "the algorithm %q is not known", v)
}

// unsupported is the error for an algorithm that does not have an operation.
func (alg algorithm) unsupported() error {
	return failf(notSupported, "%s does not have this operation", alg.name)
}

func (alg algorithm) param(name string) goja.Value {
	if alg.params == nil {
		return nil
	}
	v := alg.params.Get(name)
	if v == nil || goja.IsUndefined(v) {
		return nil
	}
	return v
}

// int gives an integer parameter; fallback when there is none, an error when that is negative.
func (alg algorithm) int(name string, fallback int) (int, error) {
	v := alg.param(name)
	if v == nil {
		if fallback < 0 {
			return 0, failf(typeError, "%s needs the parameter %s", alg.name, name)
		}
		return fallback, nil
	}
	f := v.ToFloat()
	if !(f >= 0 && f <= math.MaxInt32) {
		return 0, failf(typeError, "the parameter %s is %s: want a number from 0 to %d", name, v, math.MaxInt32)
	}
	return int(f), nil
}

// bytes gives a parameter that is a buffer.
func (alg algorithm) bytes(name string) ([]byte, error) {
	v := alg.param(name)
	if v == nil {
		return nil, failf(typeError, "%s needs the parameter %s", alg.name, name)
	}
	return copied(v, "the parameter "+name)
}

// optional is bytes for a parameter that may be left out.
func (alg algorithm) optional(name string) ([]byte, error) {
	if alg.param(name) == nil {
		return nil, nil
	}
	return alg.bytes(name)
}

// hash gives the parameter hash: a name or an object with one.
func (alg algorithm) hash() (string, error) {
	v := alg.param("hash")
	if v == nil {
		return "", failf(typeError, "%s needs the parameter hash", alg.name)
	}
	h, err := algorithmOf(v)
	if err != nil {
		return "", err
	}
	if hashes(h.name) == 0 {
		return "", failf(notSupported, "%s is not a hash", h.name)
	}
	return h.name, nil
}

// hashes gives the hash function of a name; 0 for other names.
func hashes(name string) crypto.Hash {
	switch name {
	case "SHA-1":
		return crypto.SHA1
	case "SHA-256":
		return crypto.SHA256
	case "SHA-384":
		return crypto.SHA384
	case "SHA-512":
		return crypto.SHA512
	}
	return 0
}

func sum(hash string, data []byte) []byte {
	h := hashes(hash).New()
	h.Write(data)
	return h.Sum(nil)
}
