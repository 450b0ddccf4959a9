package webcrypto

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"slices"
	"strings"

	"github.com/dop251/goja"
)

// The types of keys.
const (
	secretKey  = "secret"
	publicKey  = "public"
	privateKey = "private"
)

// key is what a CryptoKey stands for. It does not change once a script has it.
type key struct {
	kind        string
	extractable bool
	algorithm   string
	usages      []string
	hash        string // of HMAC and RSA keys
	length      int    // bits of an HMAC key

	secret     []byte
	ecPublic   *ecdsa.PublicKey
	ecPrivate  *ecdsa.PrivateKey
	rsaPublic  *rsa.PublicKey
	rsaPrivate *rsa.PrivateKey
}

// pair is a CryptoKeyPair.
type pair struct{ public, private *key }

// material is the hidden property by which a CryptoKey leads to its key.
var material = goja.NewSymbol("CryptoKey")

// handle keeps the runtime from showing the key's fields to scripts.
type handle struct{ key *key }

func allUsages() []string {
	return []string{"encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey"}
}

// usable gives what keys of an algorithm may be used for, by type.
func usable(algorithm, kind string) []string {
	switch algorithm {
	case "AES-CBC", "AES-CTR", "AES-GCM":
		return []string{"encrypt", "decrypt", "wrapKey", "unwrapKey"}
	case "AES-KW":
		return []string{"wrapKey", "unwrapKey"}
	case "HMAC":
		return []string{"sign", "verify"}
	case "PBKDF2":
		return []string{"deriveKey", "deriveBits"}
	case "ECDH":
		if kind == publicKey {
			return nil
		}
		return []string{"deriveKey", "deriveBits"}
	case "RSA-OAEP":
		if kind == publicKey {
			return []string{"encrypt", "wrapKey"}
		}
		return []string{"decrypt", "unwrapKey"}
	}
	if kind == publicKey {
		return []string{"verify"}
	}
	return []string{"sign"}
}

// checkUsages makes sure that usages suit a key that is imported or generated.
func (k *key) checkUsages() error {
	allowed := usable(k.algorithm, k.kind)
	for _, u := range k.usages {
		if !slices.Contains(allowed, u) {
			return failf(syntaxError, "a %s key of %s cannot be used for %s, only for: %s", k.kind, k.algorithm, u, strings.Join(allowed, ", "))
		}
	}
	if len(k.usages) == 0 && k.kind != publicKey {
		return failf(syntaxError, "a %s key needs usages", k.kind)
	}
	return nil
}

// split deals the usages of a key pair to its two keys.
func split(public, private *key, usages []string) (*pair, error) {
	forPublic, forPrivate := usable(public.algorithm, publicKey), usable(private.algorithm, privateKey)
	for _, u := range usages {
		switch {
		case slices.Contains(forPublic, u):
			public.usages = append(public.usages, u)
		case slices.Contains(forPrivate, u):
			private.usages = append(private.usages, u)
		default:
			return nil, failf(syntaxError, "a key of %s cannot be used for %s", public.algorithm, u)
		}
	}
	if len(usages) == 0 {
		return nil, failf(syntaxError, "a key pair needs usages")
	}
	return &pair{public, private}, nil
}

// object makes the CryptoKey.
func (k *key) object(rt *goja.Runtime) *goja.Object {
	o := rt.NewObject()
	set(o, "type", k.kind)
	set(o, "extractable", k.extractable)
	set(o, "algorithm", k.algorithmObject(rt))
	usages := make([]any, len(k.usages))
	for i, u := range k.usages {
		usages[i] = u
	}
	set(o, "usages", rt.NewArray(usages...))
	// Neither fails on an object of ours.
	_ = o.DefineDataPropertySymbol(goja.SymToStringTag, rt.ToValue("CryptoKey"), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
	_ = o.DefineDataPropertySymbol(material, rt.ToValue(&handle{k}), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
	return o
}

func (k *key) algorithmObject(rt *goja.Runtime) *goja.Object {
	o := rt.NewObject()
	set(o, "name", k.algorithm)
	if k.hash != "" {
		hash := rt.NewObject()
		set(hash, "name", k.hash)
		set(o, "hash", hash)
	}
	switch {
	case k.algorithm == "HMAC":
		set(o, "length", k.length)
	case strings.HasPrefix(k.algorithm, "AES"):
		set(o, "length", 8*len(k.secret))
	case k.ecPublic != nil:
		set(o, "namedCurve", k.ecPublic.Curve.Params().Name)
	case k.rsaPublic != nil:
		set(o, "modulusLength", k.rsaPublic.N.BitLen())
		set(o, "publicExponent", uint8Array(rt, exponent(k.rsaPublic)))
	}
	return o
}

func uint8Array(rt *goja.Runtime, data []byte) goja.Value {
	class := rt.GlobalObject().Get("Uint8Array")
	buffer := rt.ToValue(rt.NewArrayBuffer(data))
	o, err := rt.New(class, buffer)
	if err != nil {
		return buffer // the script has put something else in the class's place
	}
	return o
}

// keyOf gives the key behind a CryptoKey.
func keyOf(v goja.Value) (*key, error) {
	if o, ok := v.(*goja.Object); ok {
		if m := o.GetSymbol(material); m != nil {
			if h, ok := m.Export().(*handle); ok {
				return h.key, nil
			}
		}
	}
	return nil, failf(typeError, "the key is not a CryptoKey")
}
