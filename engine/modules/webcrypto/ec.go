package webcrypto

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"math/big"
)

// curve gives the elliptic curve that the parameter namedCurve names.
func curve(alg algorithm) (elliptic.Curve, error) {
	v := alg.param("namedCurve")
	if v == nil {
		return nil, failf(typeError, "%s needs the parameter namedCurve", alg.name)
	}
	c := curveNamed(v.String())
	if c == nil {
		return nil, failf(notSupported, "the curve is %q: want P-256, P-384 or P-521", v)
	}
	return c, nil
}

func curveNamed(name string) elliptic.Curve {
	switch name {
	case "P-256":
		return elliptic.P256()
	case "P-384":
		return elliptic.P384()
	case "P-521":
		return elliptic.P521()
	}
	return nil
}

// coordinate is how many bytes a coordinate or a scalar of the curve has.
func coordinate(c elliptic.Curve) int { return (c.Params().BitSize + 7) / 8 }

func generateEC(alg algorithm, k key) (any, error) {
	c, err := curve(alg)
	if err != nil {
		return nil, err
	}
	usages := k.usages
	k.usages = nil
	private, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		return nil, err
	}
	public := k
	public.kind, public.extractable, public.ecPublic = publicKey, true, &private.PublicKey
	k.kind, k.ecPublic, k.ecPrivate = privateKey, &private.PublicKey, private
	return split(&public, &k, usages)
}

// ecSign gives r and s, each as long as a coordinate.
func ecSign(k *key, digest []byte) (any, error) {
	der, err := ecdsa.SignASN1(rand.Reader, k.ecPrivate, digest)
	if err != nil {
		return nil, err
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return nil, err
	}
	n := coordinate(k.ecPublic.Curve)
	out := make([]byte, 2*n)
	sig.R.FillBytes(out[:n])
	sig.S.FillBytes(out[n:])
	return out, nil
}

func ecVerify(k *key, digest, signature []byte) bool {
	n := coordinate(k.ecPublic.Curve)
	if len(signature) != 2*n {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:n]), new(big.Int).SetBytes(signature[n:])
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	return err == nil && ecdsa.VerifyASN1(k.ecPublic, digest, der)
}

// ecdhBits gives the first length bits of the secret that two keys share; all for a negative length.
func ecdhBits(alg algorithm, k *key, length int) (any, error) {
	v := alg.param("public")
	if v == nil {
		return nil, failf(typeError, "ECDH needs the parameter public")
	}
	other, err := keyOf(v)
	if err != nil {
		return nil, err
	}
	switch {
	case k.kind != privateKey:
		return nil, failf(accessError, "the base key must be a private key, not a %s one", k.kind)
	case other.kind != publicKey:
		return nil, failf(accessError, "the parameter public must be a public key, not a %s one", other.kind)
	case other.algorithm != "ECDH" || other.ecPublic.Curve != k.ecPublic.Curve:
		return nil, failf(accessError, "the two keys are not of ECDH with the same curve")
	}
	mine, err := k.ecPrivate.ECDH()
	if err != nil {
		return nil, err
	}
	theirs, err := other.ecPublic.ECDH()
	if err != nil {
		return nil, err
	}
	secret, err := mine.ECDH(theirs)
	if err != nil {
		return nil, err
	}
	if length < 0 {
		return secret, nil
	}
	if length > 8*len(secret) {
		return nil, failf(operationFail, "%d bits are more than the %d that the keys share", length, 8*len(secret))
	}
	return firstBits(secret, length), nil
}

// firstBits gives length bits; those of the last byte that are beyond are zero.
func firstBits(data []byte, length int) []byte {
	data = data[:(length+7)/8]
	if rest := length % 8; rest != 0 {
		data[len(data)-1] &= ^byte(0) << (8 - rest)
	}
	return data
}
