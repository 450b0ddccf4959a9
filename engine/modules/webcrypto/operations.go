package webcrypto

import (
	"context"
	"slices"
	"strings"

	"github.com/dop251/goja"
)

// digest is digest(algorithm, data).
func digest(a args) (any, error) {
	alg, err := a.algorithm(0)
	if err != nil {
		return nil, err
	}
	data, err := a.data(1, "the data")
	if err != nil {
		return nil, err
	}
	if hashes(alg.name) == 0 {
		return nil, alg.unsupported()
	}
	return sum(alg.name, data), nil
}

// cipher reads the arguments (algorithm, key, data) of encrypt and decrypt.
func cipherArgs(a args, usage string) (alg algorithm, k *key, data []byte, err error) {
	if alg, err = a.algorithm(0); err != nil {
		return
	}
	if !slices.Contains([]string{"AES-CBC", "AES-CTR", "AES-GCM", "RSA-OAEP"}, alg.name) {
		return alg, nil, nil, alg.unsupported()
	}
	if k, err = a.key(1, alg.name, usage); err != nil {
		return
	}
	data, err = a.data(2, "the data")
	return
}

// encrypt is encrypt(algorithm, key, data).
func encrypt(a args) (any, error) {
	alg, k, data, err := cipherArgs(a, "encrypt")
	if err != nil {
		return nil, err
	}
	switch alg.name {
	case "AES-CBC":
		return cbcEncrypt(alg, k, data)
	case "AES-CTR":
		return ctr(alg, k, data)
	case "AES-GCM":
		return gcmEncrypt(alg, k, data)
	}
	return oaepEncrypt(alg, k, data)
}

// decrypt is decrypt(algorithm, key, data).
func decrypt(a args) (any, error) {
	alg, k, data, err := cipherArgs(a, "decrypt")
	if err != nil {
		return nil, err
	}
	switch alg.name {
	case "AES-CBC":
		return cbcDecrypt(alg, k, data)
	case "AES-CTR":
		return ctr(alg, k, data)
	case "AES-GCM":
		return gcmDecrypt(alg, k, data)
	}
	return oaepDecrypt(alg, k, data)
}

// signArgs reads the arguments (algorithm, key) of sign and verify, and the hash that counts.
func signArgs(a args, usage string) (alg algorithm, k *key, hash string, err error) {
	if alg, err = a.algorithm(0); err != nil {
		return
	}
	if !slices.Contains([]string{"HMAC", "ECDSA", "RSA-PSS", "RSASSA-PKCS1-v1_5"}, alg.name) {
		return alg, nil, "", alg.unsupported()
	}
	if k, err = a.key(1, alg.name, usage); err != nil {
		return
	}
	hash = k.hash
	if alg.name == "ECDSA" {
		hash, err = alg.hash()
	}
	return
}

// sign is sign(algorithm, key, data).
func sign(a args) (any, error) {
	alg, k, hash, err := signArgs(a, "sign")
	if err != nil {
		return nil, err
	}
	data, err := a.data(2, "the data")
	if err != nil {
		return nil, err
	}
	switch alg.name {
	case "HMAC":
		return mac(k, data), nil
	case "ECDSA":
		return ecSign(k, sum(hash, data))
	}
	return rsaSign(alg, k, sum(hash, data))
}

// verify is verify(algorithm, key, signature, data).
func verify(a args) (any, error) {
	alg, k, hash, err := signArgs(a, "verify")
	if err != nil {
		return nil, err
	}
	signature, err := a.data(2, "the signature")
	if err != nil {
		return nil, err
	}
	data, err := a.data(3, "the data")
	if err != nil {
		return nil, err
	}
	switch alg.name {
	case "HMAC":
		return sameMAC(k, data, signature), nil
	case "ECDSA":
		return ecVerify(k, sum(hash, data), signature), nil
	}
	return rsaVerify(alg, k, sum(hash, data), signature)
}

// generateKey is generateKey(algorithm, extractable, usages).
func generateKey(a args) (any, error) {
	alg, err := a.algorithm(0)
	if err != nil {
		return nil, err
	}
	usages, err := a.usages(2)
	if err != nil {
		return nil, err
	}
	k := key{kind: secretKey, algorithm: alg.name, extractable: a.at(1).ToBoolean(), usages: usages}
	switch alg.name {
	case "AES-CBC", "AES-CTR", "AES-GCM", "AES-KW":
		return generateAES(alg, &k)
	case "HMAC":
		return generateHMAC(alg, &k)
	case "ECDSA", "ECDH":
		return generateEC(alg, k)
	case "RSA-OAEP", "RSA-PSS", "RSASSA-PKCS1-v1_5":
		return generateRSA(alg, k)
	}
	return nil, alg.unsupported()
}

// deriveBits is deriveBits(algorithm, key, length), length in bits.
func deriveBits(a args) (any, error) {
	length := -1 // as many as there are
	if v := a.at(2); !goja.IsUndefined(v) && !goja.IsNull(v) {
		length = int(v.ToInteger())
		if length < 0 {
			return nil, failf(operationFail, "the length is %d", length)
		}
	}
	return derive(a, "deriveBits", length)
}

// derive gives length bits made of the key at 1.
func derive(a args, usage string, length int) (any, error) {
	alg, err := a.algorithm(0)
	if err != nil {
		return nil, err
	}
	if alg.name != "ECDH" && alg.name != "PBKDF2" {
		return nil, alg.unsupported()
	}
	k, err := a.key(1, alg.name, usage)
	if err != nil {
		return nil, err
	}
	if alg.name == "ECDH" {
		return ecdhBits(alg, k, length)
	}
	return pbkdf2Bits(alg, k, length)
}

// deriveKey is deriveKey(algorithm, key, derived algorithm, extractable, usages).
func deriveKey(a args) (any, error) {
	target, err := a.algorithm(2)
	if err != nil {
		return nil, err
	}
	length, err := derivedLength(target)
	if err != nil {
		return nil, err
	}
	usages, err := a.usages(4)
	if err != nil {
		return nil, err
	}
	k := &key{kind: secretKey, algorithm: target.name, extractable: a.at(3).ToBoolean(), usages: usages}
	if target.name == "HMAC" {
		if k.hash, err = target.hash(); err != nil {
			return nil, err
		}
		k.length = length
	}
	if err := k.checkUsages(); err != nil {
		return nil, err
	}
	bits, err := derive(a, "deriveKey", length)
	if err != nil {
		return nil, err
	}
	if slow, ok := bits.(later); ok {
		return later(func(ctx context.Context) (any, error) {
			bits, err := slow(ctx)
			if err != nil {
				return nil, err
			}
			return k.with(bits)
		}), nil
	}
	return k.with(bits)
}

// with gives the key its bytes.
func (k *key) with(bits any) (any, error) {
	k.secret, _ = bits.([]byte)
	return k, nil
}

// derivedLength is how many bits a derived key has.
func derivedLength(target algorithm) (int, error) {
	switch {
	case target.name == "HMAC":
		return hmacLength(target)
	case strings.HasPrefix(target.name, "AES"):
		return aesLength(target)
	}
	return 0, target.unsupported()
}
