package webcrypto

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/dop251/goja"
)

// jwk is a JSON Web Key (RFC 7517) with the order of its members.
type jwk struct {
	names  []string
	values map[string]any
}

func (j *jwk) add(name string, v any) {
	if j.values == nil {
		j.values = map[string]any{}
	}
	if data, ok := v.([]byte); ok {
		v = base64.RawURLEncoding.EncodeToString(data)
	}
	j.names = append(j.names, name)
	j.values[name] = v
}

func (j jwk) object(rt *goja.Runtime) *goja.Object {
	o := rt.NewObject()
	for _, name := range j.names {
		v := j.values[name]
		if list, ok := v.([]string); ok {
			items := make([]any, len(list))
			for i, s := range list {
				items[i] = s
			}
			v = rt.NewArray(items...)
		}
		set(o, name, v)
	}
	return o
}

// jwk exports the key.
func (k *key) jwk() (any, error) {
	var j jwk
	var err error
	switch {
	case k.kind == secretKey:
		j.add("kty", "oct")
		j.add("k", k.secret)
	case k.ecPublic != nil:
		err = k.ecJWK(&j)
	default:
		k.rsaJWK(&j)
	}
	if err != nil {
		return nil, err
	}
	if alg := k.jwkAlgorithm(); alg != "" {
		j.add("alg", alg)
	}
	j.add("ext", k.extractable)
	j.add("key_ops", k.usages)
	return j, nil
}

// jwkAlgorithm is the key's algorithm in the names of RFC 7518; empty for one that has none there.
func (k *key) jwkAlgorithm() string {
	digits := strings.TrimPrefix(k.hash, "SHA-")
	switch k.algorithm {
	case "HMAC":
		return "HS" + digits
	case "RSASSA-PKCS1-v1_5":
		return "RS" + digits
	case "RSA-PSS":
		return "PS" + digits
	case "RSA-OAEP":
		if digits == "1" {
			return "RSA-OAEP"
		}
		return "RSA-OAEP-" + digits
	case "AES-CBC", "AES-CTR", "AES-GCM", "AES-KW":
		return fmt.Sprintf("A%d%s", 8*len(k.secret), strings.TrimPrefix(k.algorithm, "AES-"))
	}
	return ""
}

func (k *key) ecJWK(j *jwk) error {
	point, err := k.ecPublic.Bytes()
	if err != nil {
		return err
	}
	n := coordinate(k.ecPublic.Curve)
	j.add("kty", "EC")
	j.add("crv", k.ecPublic.Curve.Params().Name)
	j.add("x", point[1:1+n])
	j.add("y", point[1+n:])
	if k.ecPrivate == nil {
		return nil
	}
	d, err := k.ecPrivate.Bytes()
	if err != nil {
		return err
	}
	j.add("d", d)
	return nil
}

func (k *key) rsaJWK(j *jwk) {
	j.add("kty", "RSA")
	j.add("n", k.rsaPublic.N.Bytes())
	j.add("e", exponent(k.rsaPublic))
	if p := k.rsaPrivate; p != nil && len(p.Primes) == 2 {
		j.add("d", p.D.Bytes())
		j.add("p", p.Primes[0].Bytes())
		j.add("q", p.Primes[1].Bytes())
		j.add("dp", p.Precomputed.Dp.Bytes())
		j.add("dq", p.Precomputed.Dq.Bytes())
		j.add("qi", p.Precomputed.Qinv.Bytes())
	}
}

// jwkObject gives the JSON Web Key at i, checked against the key that it is to become.
func (a args) jwkObject(i int, kty string, k *key) (*goja.Object, error) {
	o, ok := a.at(i).(*goja.Object)
	if !ok {
		return nil, failf(typeError, "the key's data must be an object for the format jwk")
	}
	if got := text(o, "kty"); got != kty {
		return nil, failf(dataError, "kty is %q: want %q", got, kty)
	}
	if ext := o.Get("ext"); ext != nil && !goja.IsUndefined(ext) && !ext.ToBoolean() && k.extractable {
		return nil, failf(dataError, "ext says that the key may not be extractable")
	}
	ops, ok := o.Get("key_ops").(*goja.Object)
	if !ok {
		return o, nil
	}
	var allowed []string
	a.rt.ForOf(ops, func(v goja.Value) bool {
		allowed = append(allowed, v.String())
		return true
	})
	for _, u := range k.usages {
		if !slices.Contains(allowed, u) {
			return nil, failf(dataError, "key_ops does not allow %s", u)
		}
	}
	return o, nil
}

// text gives a member that is a string; empty when it is none.
func text(o *goja.Object, name string) string {
	v := o.Get(name)
	if v == nil || !goja.IsString(v) {
		return ""
	}
	return v.String()
}

// number gives a member that is a base64url of bytes.
func number(o *goja.Object, name string) ([]byte, error) {
	data, err := base64.RawURLEncoding.DecodeString(text(o, name))
	if err != nil {
		return nil, failf(dataError, "%s: %v", name, err)
	}
	if len(data) == 0 {
		return nil, failf(dataError, "%s is missing", name)
	}
	return data, nil
}

func (a args) jwkSecret(i int, alg algorithm, k *key) ([]byte, error) {
	o, err := a.jwkObject(i, "oct", k)
	if err != nil {
		return nil, err
	}
	secret, err := number(o, "k")
	if err != nil {
		return nil, err
	}
	probe := key{algorithm: alg.name, secret: secret}
	if alg.name == "HMAC" {
		if probe.hash, err = alg.hash(); err != nil {
			return nil, err
		}
	}
	if got, want := text(o, "alg"), probe.jwkAlgorithm(); got != "" && got != want {
		return nil, failf(dataError, "alg is %q: want %q", got, want)
	}
	return secret, nil
}

func (a args) jwkEC(i int, c elliptic.Curve, k *key) error {
	o, err := a.jwkObject(i, "EC", k)
	if err != nil {
		return err
	}
	if crv := text(o, "crv"); crv != c.Params().Name {
		return failf(dataError, "crv is %q: want %q", crv, c.Params().Name)
	}
	n := coordinate(c)
	point := []byte{4}
	for _, name := range []string{"x", "y"} {
		v, err := number(o, name)
		if err != nil {
			return err
		}
		if len(v) != n {
			return failf(dataError, "%s has %d bytes: want %d", name, len(v), n)
		}
		point = append(point, v...)
	}
	if k.ecPublic, err = ecdsa.ParseUncompressedPublicKey(c, point); err != nil {
		return failf(dataError, "%v", err)
	}
	k.kind = publicKey
	if text(o, "d") == "" {
		return nil
	}
	d, err := number(o, "d")
	if err != nil {
		return err
	}
	if k.ecPrivate, err = ecdsa.ParseRawPrivateKey(c, d); err != nil {
		return failf(dataError, "d: %v", err)
	}
	if !k.ecPrivate.PublicKey.Equal(k.ecPublic) {
		return failf(dataError, "d does not belong to x and y")
	}
	k.kind = privateKey
	return nil
}

func (a args) jwkRSA(i int, k *key) error {
	o, err := a.jwkObject(i, "RSA", k)
	if err != nil {
		return err
	}
	if got := text(o, "alg"); got != "" && got != k.jwkAlgorithm() {
		return failf(dataError, "alg is %q: want %q", got, k.jwkAlgorithm())
	}
	n, err := number(o, "n")
	if err != nil {
		return err
	}
	e, err := number(o, "e")
	if err != nil {
		return err
	}
	exp := new(big.Int).SetBytes(e)
	if exp.BitLen() > 31 || exp.Sign() == 0 {
		return failf(dataError, "e is too large or 0")
	}
	public := rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exp.Int64())}
	k.kind, k.rsaPublic = publicKey, &public
	if text(o, "d") == "" {
		return nil
	}
	private := &rsa.PrivateKey{PublicKey: public}
	for _, name := range []string{"d", "p", "q"} {
		v, err := number(o, name)
		if err != nil {
			return err
		}
		if name == "d" {
			private.D = new(big.Int).SetBytes(v)
		} else {
			private.Primes = append(private.Primes, new(big.Int).SetBytes(v))
		}
	}
	if err := private.Validate(); err != nil {
		return failf(dataError, "%v", err)
	}
	private.Precompute()
	k.kind, k.rsaPrivate, k.rsaPublic = privateKey, private, &private.PublicKey
	return nil
}
