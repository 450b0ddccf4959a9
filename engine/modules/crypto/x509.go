package crypto

import (
	//lint:ignore SA1019 old certificates have such keys
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// certificates are the exports of k6/crypto/x509.
var certificates = js.NewTable(
	certificate("getAltNames", func(rt *goja.Runtime, c *x509.Certificate) (goja.Value, error) {
		return list(rt, altNames(c)), nil
	}),
	certificate("getIssuer", func(rt *goja.Runtime, c *x509.Certificate) (goja.Value, error) {
		return issuer(rt, c.Issuer), nil
	}),
	certificate("getSubject", func(rt *goja.Runtime, c *x509.Certificate) (goja.Value, error) {
		return subject(rt, c.Subject), nil
	}),
	certificate("parse", parse),
)

// NewX509 returns the module k6/crypto/x509.
func NewX509() js.Module {
	return js.Module{
		Path:  "k6/crypto/x509",
		Names: certificates.Names(),
		Open:  func(vu *js.VU) *goja.Object { return certificates.Object(vu.Runtime(), vu) },
	}
}

// certificate is the entry of a function of a certificate in PEM.
func certificate(name string, f func(*goja.Runtime, *x509.Certificate) (goja.Value, error)) js.Entry[*js.VU] {
	return js.Method(name, func(vu *js.VU, call goja.FunctionCall) goja.Value {
		rt := vu.Runtime()
		c, err := decode(call.Argument(0))
		if err != nil {
			js.Throw(rt, fmt.Errorf("%s: %w", name, err))
		}
		v, err := f(rt, c)
		if err != nil {
			js.Throw(rt, fmt.Errorf("%s: %w", name, err))
		}
		return v
	})
}

func decode(v goja.Value) (*x509.Certificate, error) {
	data, err := js.Input(v)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("this is not a certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

func parse(rt *goja.Runtime, c *x509.Certificate) (goja.Value, error) {
	key, err := publicKey(rt, c)
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum(c.Raw)
	print := make([]any, len(sum))
	for i, b := range sum {
		print[i] = int(b)
	}
	return object(rt,
		"subject", subject(rt, c.Subject),
		"issuer", issuer(rt, c.Issuer),
		"notBefore", c.NotBefore.UTC().Format(time.RFC3339),
		"notAfter", c.NotAfter.UTC().Format(time.RFC3339),
		"altNames", list(rt, altNames(c)),
		"signatureAlgorithm", c.SignatureAlgorithm.String(),
		"fingerPrint", rt.NewArray(print...),
		"publicKey", key,
	), nil
}

func publicKey(rt *goja.Runtime, c *x509.Certificate) (*goja.Object, error) {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return object(rt, "algorithm", "RSA", "key", object(rt, "n", key.N, "e", key.E)), nil
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 4, x, y
		if err != nil {
			return nil, err
		}
		half := len(point) / 2
		x, y := new(big.Int).SetBytes(point[1:1+half]), new(big.Int).SetBytes(point[1+half:])
		return object(rt, "algorithm", "ECDSA", "key", object(rt,
			"curve", object(rt, "name", key.Curve.Params().Name), "x", x, "y", y)), nil
	case *dsa.PublicKey:
		return object(rt, "algorithm", "DSA", "key", object(rt,
			"parameters", object(rt, "p", key.P, "q", key.Q, "g", key.G), "y", key.Y)), nil
	}
	return nil, fmt.Errorf("the public key is of type %s: only RSA, ECDSA and DSA are known", c.PublicKeyAlgorithm)
}

func subject(rt *goja.Runtime, n pkix.Name) *goja.Object {
	return object(rt,
		"commonName", n.CommonName,
		"country", first(n.Country),
		"postalCode", first(n.PostalCode),
		"stateOrProvinceName", first(n.Province),
		"localityName", first(n.Locality),
		"streetAddress", first(n.StreetAddress),
		"organizationName", first(n.Organization),
		"organizationalUnitName", list(rt, n.OrganizationalUnit),
		"names", names(rt, n),
	)
}

func issuer(rt *goja.Runtime, n pkix.Name) *goja.Object {
	return object(rt,
		"commonName", n.CommonName,
		"country", first(n.Country),
		"stateOrProvinceName", first(n.Province),
		"localityName", first(n.Locality),
		"organizationName", first(n.Organization),
		"names", names(rt, n),
	)
}

func names(rt *goja.Runtime, n pkix.Name) *goja.Object {
	all := make([]any, len(n.Names))
	for i, a := range n.Names {
		all[i] = object(rt, "type", a.Type.String(), "value", fmt.Sprint(a.Value))
	}
	return rt.NewArray(all...)
}

func altNames(c *x509.Certificate) []string {
	all := append([]string{}, c.DNSNames...)
	all = append(all, c.EmailAddresses...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	for _, u := range c.URIs {
		all = append(all, u.String())
	}
	return all
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func list(rt *goja.Runtime, values []string) *goja.Object {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return rt.NewArray(all...)
}

// object makes an object of names and values in turn.
func object(rt *goja.Runtime, pairs ...any) *goja.Object {
	o := rt.NewObject()
	for i := 0; i+1 < len(pairs); i += 2 {
		// Set fails only for objects that refuse properties.
		_ = o.Set(pairs[i].(string), pairs[i+1])
	}
	return o
}
