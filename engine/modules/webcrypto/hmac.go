package webcrypto

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
)

// hmacLength is how many bits a key of HMAC has: those of a block of its hash, unless it says otherwise.
func hmacLength(alg algorithm) (int, error) {
	hash, err := alg.hash()
	if err != nil {
		return 0, err
	}
	length, err := alg.int("length", 8*hashes(hash).New().BlockSize())
	if err != nil {
		return 0, err
	}
	if length == 0 || length%8 != 0 || length > maxHMACKey {
		return 0, failf(operationFail, "an HMAC key of %d bits: want a multiple of 8 from 8 to %d", length, maxHMACKey)
	}
	return length, nil
}

const maxHMACKey = 1 << 20 // bits

func generateHMAC(alg algorithm, k *key) (any, error) {
	var err error
	if k.length, err = hmacLength(alg); err != nil {
		return nil, err
	}
	if k.hash, err = alg.hash(); err != nil {
		return nil, err
	}
	if err := k.checkUsages(); err != nil {
		return nil, err
	}
	k.secret = make([]byte, k.length/8)
	rand.Read(k.secret) // never fails
	return k, nil
}

func mac(k *key, data []byte) []byte {
	h := hmac.New(hashes(k.hash).New, k.secret)
	h.Write(data)
	return h.Sum(nil)
}

func sameMAC(k *key, data, signature []byte) bool { return hmac.Equal(mac(k, data), signature) }

// pbkdf2Bits makes length bits of a password. It counts to iterations beside the VU.
func pbkdf2Bits(alg algorithm, k *key, length int) (any, error) {
	hash, err := alg.hash()
	if err != nil {
		return nil, err
	}
	salt, err := alg.bytes("salt")
	if err != nil {
		return nil, err
	}
	iterations, err := alg.int("iterations", -1)
	if err != nil {
		return nil, err
	}
	if iterations == 0 {
		return nil, failf(operationFail, "iterations is 0")
	}
	if length <= 0 || length%8 != 0 || length > maxHMACKey {
		return nil, failf(operationFail, "the length must be a multiple of 8 from 8 to %d", maxHMACKey)
	}
	return later(func(ctx context.Context) (any, error) { return pbkdf2(ctx, hash, k.secret, salt, iterations, length/8) }), nil
}

// checkEvery is after how many iterations pbkdf2 looks whether it is to end.
const checkEvery = 4096

// pbkdf2 is the function of RFC 8018, 5.2. The standard library's cannot be interrupted.
func pbkdf2(ctx context.Context, hash string, password, salt []byte, iterations, size int) ([]byte, error) {
	h := hmac.New(hashes(hash).New, password)
	var out, u []byte
	for block := uint32(1); len(out) < size; block++ {
		h.Reset()
		h.Write(salt)
		h.Write(binary.BigEndian.AppendUint32(nil, block))
		out = h.Sum(out)
		t := out[len(out)-h.Size():]
		u = append(u[:0], t...)
		for n := 1; n < iterations; n++ {
			if n%checkEvery == 0 && ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			h.Reset()
			h.Write(u)
			u = h.Sum(u[:0])
			for i := range t {
				t[i] ^= u[i]
			}
		}
	}
	return out[:size], nil
}
