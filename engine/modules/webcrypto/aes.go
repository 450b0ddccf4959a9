package webcrypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"math/big"
	"slices"
)

func aesLength(alg algorithm) (int, error) {
	length, err := alg.int("length", -1)
	if err != nil {
		return 0, err
	}
	if !slices.Contains([]int{128, 192, 256}, length) {
		return 0, failf(operationFail, "an AES key of %d bits: want 128, 192 or 256", length)
	}
	return length, nil
}

func generateAES(alg algorithm, k *key) (any, error) {
	length, err := aesLength(alg)
	if err != nil {
		return nil, err
	}
	if err := k.checkUsages(); err != nil {
		return nil, err
	}
	k.secret = make([]byte, length/8)
	rand.Read(k.secret) // never fails
	return k, nil
}

// vector reads a parameter of one block.
func vector(alg algorithm, name string) ([]byte, error) {
	iv, err := alg.bytes(name)
	if err != nil {
		return nil, err
	}
	if len(iv) != aes.BlockSize {
		return nil, failf(operationFail, "%s has %d bytes: want %d", name, len(iv), aes.BlockSize)
	}
	return iv, nil
}

func cbcEncrypt(alg algorithm, k *key, data []byte) (any, error) {
	iv, err := vector(alg, "iv")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k.secret)
	if err != nil {
		return nil, err
	}
	n := aes.BlockSize - len(data)%aes.BlockSize
	data = append(data, bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	return data, nil
}

func cbcDecrypt(alg algorithm, k *key, data []byte) (any, error) {
	iv, err := vector(alg, "iv")
	if err != nil {
		return nil, err
	}
	if len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, failf(operationFail, "%d bytes are not whole blocks of %d", len(data), aes.BlockSize)
	}
	block, err := aes.NewCipher(k.secret)
	if err != nil {
		return nil, err
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(data, data)
	n := int(data[len(data)-1])
	if n == 0 || n > aes.BlockSize || !bytes.Equal(data[len(data)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, failf(operationFail, "the data cannot be decrypted with this key")
	}
	return data[:len(data)-n], nil
}

// ctr encrypts and decrypts. Only the lowest bits of the counter block, as many as the parameter
// length says, count; they start again at zero after their highest value.
func ctr(alg algorithm, k *key, data []byte) (any, error) {
	counter, err := vector(alg, "counter")
	if err != nil {
		return nil, err
	}
	length, err := alg.int("length", -1)
	if err != nil {
		return nil, err
	}
	if length < 1 || length > 128 {
		return nil, failf(operationFail, "the counter's length is %d bits: want 1 to 128", length)
	}
	block, err := aes.NewCipher(k.secret)
	if err != nil {
		return nil, err
	}
	values := new(big.Int).Lsh(big.NewInt(1), uint(length))
	start := new(big.Int).SetBytes(counter)
	low := new(big.Int).Mod(start, values)
	blocks := big.NewInt(int64((len(data) + aes.BlockSize - 1) / aes.BlockSize))
	if blocks.Cmp(values) > 0 {
		return nil, failf(operationFail, "%d bytes need more blocks than a counter of %d bits has", len(data), length)
	}
	first := len(data) // bytes before the counter starts again
	if left := new(big.Int).Sub(values, low); left.Cmp(blocks) < 0 {
		first = int(left.Int64()) * aes.BlockSize
	}
	cipher.NewCTR(block, counter).XORKeyStream(data[:first], data[:first])
	if first < len(data) {
		again := start.Sub(start, low).FillBytes(make([]byte, aes.BlockSize))
		cipher.NewCTR(block, again).XORKeyStream(data[first:], data[first:])
	}
	return data, nil
}

// gcm reads the parameters of AES-GCM. tag is in bytes.
func gcm(alg algorithm, k *key) (aead cipher.AEAD, iv, extra []byte, tag int, err error) {
	if iv, err = alg.bytes("iv"); err != nil {
		return
	}
	if len(iv) == 0 {
		err = failf(operationFail, "iv is empty")
		return
	}
	if extra, err = alg.optional("additionalData"); err != nil {
		return
	}
	if tag, err = alg.int("tagLength", 128); err != nil {
		return
	}
	if !slices.Contains([]int{32, 64, 96, 104, 112, 120, 128}, tag) {
		err = failf(operationFail, "tagLength is %d: want 32, 64, 96, 104, 112, 120 or 128", tag)
		return
	}
	block, err := aes.NewCipher(k.secret)
	if err != nil {
		return
	}
	aead, err = cipher.NewGCMWithNonceSize(block, len(iv))
	return aead, iv, extra, tag / 8, err
}

func gcmEncrypt(alg algorithm, k *key, data []byte) (any, error) {
	aead, iv, extra, tag, err := gcm(alg, k)
	if err != nil {
		return nil, err
	}
	sealed := aead.Seal(nil, iv, data, extra)
	return sealed[:len(data)+tag], nil // a short tag is the start of the long one
}

func gcmDecrypt(alg algorithm, k *key, data []byte) (any, error) {
	aead, iv, extra, tag, err := gcm(alg, k)
	if err != nil {
		return nil, err
	}
	if len(data) < tag {
		return nil, failf(operationFail, "the data are shorter than their tag of %d bytes", tag)
	}
	// The library knows no tag of less than 12 bytes, nor other lengths with every iv: the text is had
	// from the key stream, and encrypted again to compare the tag.
	text, want := data[:len(data)-tag], data[len(data)-tag:]
	stream := aead.Seal(nil, iv, make([]byte, len(text)), extra)
	subtle.XORBytes(text, text, stream[:len(text)])
	sealed := aead.Seal(nil, iv, text, extra)
	if subtle.ConstantTimeCompare(sealed[len(text):len(text)+tag], want) != 1 {
		return nil, failf(operationFail, "the data cannot be decrypted: the tag does not fit")
	}
	return text, nil
}
