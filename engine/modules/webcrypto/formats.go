package webcrypto

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"slices"

	"github.com/dop251/goja"
)

// importKey is importKey(format, data, algorithm, extractable, usages).
func importKey(a args) (any, error) {
	format := a.at(0).String()
	alg, err := a.algorithm(2)
	if err != nil {
		return nil, err
	}
	usages, err := a.usages(4)
	if err != nil {
		return nil, err
	}
	k := &key{kind: secretKey, algorithm: alg.name, extractable: a.at(3).ToBoolean(), usages: usages}
	switch alg.name {
	case "AES-CBC", "AES-CTR", "AES-GCM", "AES-KW", "HMAC", "PBKDF2":
		err = k.importSecret(a, format, alg)
	case "ECDSA", "ECDH":
		err = k.importEC(a, format, alg)
	case "RSA-OAEP", "RSA-PSS", "RSASSA-PKCS1-v1_5":
		err = k.importRSA(a, format, alg)
	default:
		err = alg.unsupported()
	}
	if err != nil {
		return nil, err
	}
	if err := k.checkUsages(); err != nil {
		return nil, err
	}
	return k, nil
}

// badFormat is the error for a format that an algorithm's keys do not have.
func badFormat(format string, algorithm string) error {
	return failf(notSupported, "keys of %s do not have the format %q", algorithm, format)
}

func (k *key) importSecret(a args, format string, alg algorithm) (err error) {
	switch {
	case format == "raw":
		k.secret, err = a.data(1, "the key's data")
	case format == "jwk" && alg.name != "PBKDF2":
		k.secret, err = a.jwkSecret(1, alg, k)
	default:
		err = badFormat(format, alg.name)
	}
	if err != nil {
		return err
	}
	switch alg.name {
	case "PBKDF2":
		if k.extractable {
			return failf(syntaxError, "a key of PBKDF2 cannot be extractable")
		}
	case "HMAC":
		return k.importHMAC(alg)
	default:
		if !slices.Contains([]int{16, 24, 32}, len(k.secret)) {
			return failf(dataError, "an AES key of %d bytes: want 16, 24 or 32", len(k.secret))
		}
	}
	return nil
}

func (k *key) importHMAC(alg algorithm) (err error) {
	if k.hash, err = alg.hash(); err != nil {
		return err
	}
	if len(k.secret) == 0 {
		return failf(dataError, "the key is empty")
	}
	if k.length, err = alg.int("length", 8*len(k.secret)); err != nil {
		return err
	}
	if k.length <= 8*(len(k.secret)-1) || k.length > 8*len(k.secret) {
		return failf(dataError, "the key has %d bits, not %d", 8*len(k.secret), k.length)
	}
	return nil
}

func (k *key) importEC(a args, format string, alg algorithm) error {
	c, err := curve(alg)
	if err != nil {
		return err
	}
	if format == "jwk" {
		return a.jwkEC(1, c, k)
	}
	data, err := a.data(1, "the key's data")
	if err != nil {
		return err
	}
	parsed, err := parseKey(format, data, alg, func(data []byte) (any, error) { return ecdsa.ParseUncompressedPublicKey(c, data) })
	if err != nil {
		return err
	}
	switch parsed := parsed.(type) {
	case *ecdsa.PublicKey:
		k.kind, k.ecPublic = publicKey, parsed
	case *ecdsa.PrivateKey:
		k.kind, k.ecPrivate, k.ecPublic = privateKey, parsed, &parsed.PublicKey
	default:
		return failf(dataError, "the data are not a key of an elliptic curve")
	}
	if k.ecPublic.Curve != c {
		return failf(dataError, "the key is on the curve %s, not %s", k.ecPublic.Curve.Params().Name, c.Params().Name)
	}
	return nil
}

func (k *key) importRSA(a args, format string, alg algorithm) (err error) {
	if k.hash, err = alg.hash(); err != nil {
		return err
	}
	if format == "jwk" {
		return a.jwkRSA(1, k)
	}
	data, err := a.data(1, "the key's data")
	if err != nil {
		return err
	}
	parsed, err := parseKey(format, data, alg, nil)
	if err != nil {
		return err
	}
	switch parsed := parsed.(type) {
	case *rsa.PublicKey:
		k.kind, k.rsaPublic = publicKey, parsed
	case *rsa.PrivateKey:
		k.kind, k.rsaPrivate, k.rsaPublic = privateKey, parsed, &parsed.PublicKey
	default:
		return failf(dataError, "the data are not an RSA key")
	}
	return nil
}

// parseKey reads half of a key pair; raw is nil for algorithms whose keys have no raw format.
func parseKey(format string, data []byte, alg algorithm, raw func([]byte) (any, error)) (parsed any, err error) {
	switch {
	case format == "raw" && raw != nil:
		parsed, err = raw(data)
	case format == "spki":
		parsed, err = x509.ParsePKIXPublicKey(data)
	case format == "pkcs8":
		parsed, err = x509.ParsePKCS8PrivateKey(data)
	default:
		return nil, badFormat(format, alg.name)
	}
	if err != nil {
		return nil, failf(dataError, "%v", err)
	}
	return parsed, nil
}

// exportKey is exportKey(format, key).
func exportKey(a args) (any, error) {
	k, err := keyOf(a.at(1))
	if err != nil {
		return nil, err
	}
	if !k.extractable {
		return nil, failf(accessError, "the key is not extractable")
	}
	format := a.at(0)
	if goja.IsUndefined(format) {
		return nil, failf(typeError, "the format is missing")
	}
	switch format.String() {
	case "jwk":
		return k.jwk()
	case "raw":
		return k.raw()
	case "spki":
		return k.spki()
	case "pkcs8":
		return k.pkcs8()
	}
	return nil, badFormat(format.String(), k.algorithm)
}

func (k *key) raw() (any, error) {
	switch {
	case k.kind == secretKey:
		return slices.Clone(k.secret), nil
	case k.ecPublic != nil && k.kind == publicKey:
		return k.ecPublic.Bytes()
	case k.ecPublic != nil:
		return nil, failf(accessError, "only public keys can be exported as raw")
	}
	return nil, badFormat("raw", k.algorithm)
}

func (k *key) spki() (any, error) {
	switch {
	case k.kind == secretKey:
		return nil, badFormat("spki", k.algorithm)
	case k.kind == privateKey:
		return nil, failf(accessError, "only public keys can be exported as spki")
	case k.ecPublic != nil:
		return x509.MarshalPKIXPublicKey(k.ecPublic)
	}
	return x509.MarshalPKIXPublicKey(k.rsaPublic)
}

func (k *key) pkcs8() (any, error) {
	switch {
	case k.kind == secretKey:
		return nil, badFormat("pkcs8", k.algorithm)
	case k.kind == publicKey:
		return nil, failf(accessError, "only private keys can be exported as pkcs8")
	case k.ecPrivate != nil:
		return x509.MarshalPKCS8PrivateKey(k.ecPrivate)
	}
	return x509.MarshalPKCS8PrivateKey(k.rsaPrivate)
}
