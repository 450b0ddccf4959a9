package webcrypto

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
)

// The sizes, in bits, of RSA keys that are made. Larger ones take so long that no VU should wait.
const (
	minModulus = 1024
	maxModulus = 4096
)

// exponent gives the bytes of a public exponent.
func exponent(k *rsa.PublicKey) []byte { return big.NewInt(int64(k.E)).Bytes() }

func generateRSA(alg algorithm, k key) (any, error) {
	var err error
	if k.hash, err = alg.hash(); err != nil {
		return nil, err
	}
	bits, err := alg.int("modulusLength", -1)
	if err != nil {
		return nil, err
	}
	if bits < minModulus || bits > maxModulus {
		return nil, failf(operationFail, "modulusLength is %d: want %d to %d", bits, minModulus, maxModulus)
	}
	e, err := alg.bytes("publicExponent")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(bytes.TrimLeft(e, "\x00"), []byte{1, 0, 1}) {
		return nil, failf(operationFail, "publicExponent is %x: only 010001 is known", e)
	}
	usages := k.usages
	k.usages = nil
	public := k
	pair, err := split(&public, &k, usages)
	if err != nil {
		return nil, err
	}
	return later(func(context.Context) (any, error) {
		private, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			return nil, err
		}
		public.kind, public.extractable, public.rsaPublic = publicKey, true, &private.PublicKey
		k.kind, k.rsaPublic, k.rsaPrivate = privateKey, &private.PublicKey, private
		return pair, nil
	}), nil
}

func oaepEncrypt(alg algorithm, k *key, data []byte) (any, error) {
	label, err := alg.optional("label")
	if err != nil {
		return nil, err
	}
	return rsa.EncryptOAEP(hashes(k.hash).New(), rand.Reader, k.rsaPublic, data, label)
}

func oaepDecrypt(alg algorithm, k *key, data []byte) (any, error) {
	label, err := alg.optional("label")
	if err != nil {
		return nil, err
	}
	return rsa.DecryptOAEP(hashes(k.hash).New(), nil, k.rsaPrivate, data, label)
}

// pss reads the parameter saltLength, in bytes.
func pss(alg algorithm) (*rsa.PSSOptions, error) {
	salt, err := alg.int("saltLength", -1)
	if err != nil {
		return nil, err
	}
	if salt == 0 { // means another thing to the library
		return nil, failf(notSupported, "saltLength is 0: want at least 1")
	}
	return &rsa.PSSOptions{SaltLength: salt}, nil
}

func rsaSign(alg algorithm, k *key, digest []byte) (any, error) {
	hash := hashes(k.hash)
	if alg.name != "RSA-PSS" {
		return rsa.SignPKCS1v15(rand.Reader, k.rsaPrivate, hash, digest)
	}
	opts, err := pss(alg)
	if err != nil {
		return nil, err
	}
	return rsa.SignPSS(rand.Reader, k.rsaPrivate, hash, digest, opts)
}

func rsaVerify(alg algorithm, k *key, digest, signature []byte) (any, error) {
	hash := hashes(k.hash)
	if alg.name != "RSA-PSS" {
		return rsa.VerifyPKCS1v15(k.rsaPublic, hash, digest, signature) == nil, nil
	}
	opts, err := pss(alg)
	if err != nil {
		return nil, err
	}
	return rsa.VerifyPSS(k.rsaPublic, hash, digest, signature, opts) == nil, nil
}
