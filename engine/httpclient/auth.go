package httpclient

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/Azure/go-ntlmssp"
	"github.com/icholy/digest"
)

// BasicAuth returns the Authorization value of basic authentication.
func BasicAuth(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// ErrNoChallenge says that a response did not ask for the kind of authentication that the caller can give.
var ErrNoChallenge = errors.New("no authentication challenge in the response")

// DigestAuth answers the digest challenge (RFC 7616) of a 401 response: it returns the Authorization value with which
// the request is to be sent again. ErrNoChallenge if the response has none.
func DigestAuth(challenge *Response, req *Request, user, password string) (string, error) {
	header := http.Header{}
	for _, f := range challenge.Header {
		if f.Name == "Www-Authenticate" {
			header.Add(f.Name, f.Value)
		}
	}
	c, err := digest.FindChallenge(header)
	if errors.Is(err, digest.ErrNoChallenge) {
		return "", fmt.Errorf("digest: %w", ErrNoChallenge)
	}
	if err != nil {
		return "", fmt.Errorf("digest: %w", err)
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	credentials, err := digest.Digest(c, digest.Options{
		Method:   method,
		URI:      req.URL.RequestURI(),
		GetBody:  req.openBody,
		Count:    1,
		Username: user,
		Password: password,
	})
	if err != nil {
		return "", fmt.Errorf("digest: %w", err)
	}
	return credentials.String(), nil
}

func (req *Request) openBody() (io.ReadCloser, error) {
	if req.Body == nil {
		return http.NoBody, nil
	}
	return io.NopCloser(req.Body.NewReader()), nil
}

// NTLMNegotiate returns the Authorization value that opens NTLM authentication. All exchanges of it must be on one
// connection: see Affinity.
func NTLMNegotiate() (string, error) {
	message, err := ntlmssp.NewNegotiateMessage("", "") // the domain and name would be this machine's
	if err != nil {
		return "", fmt.Errorf("ntlm: %w", err)
	}
	return "NTLM " + base64.StdEncoding.EncodeToString(message), nil
}

// NTLMAuth answers the challenge of the 401 response to NTLMNegotiate: it returns the Authorization value with which
// the request is to be sent again. The user may be written "DOMAIN\name". ErrNoChallenge if the response has none.
func NTLMAuth(challenge *Response, user, password string) (string, error) {
	for _, f := range challenge.Header {
		scheme, token, _ := strings.Cut(f.Value, " ")
		if f.Name != "Www-Authenticate" || token == "" || !ntlmScheme(scheme) {
			continue
		}
		message, err := base64.StdEncoding.DecodeString(strings.TrimSpace(token))
		if err != nil {
			return "", fmt.Errorf("ntlm: challenge: %w", err)
		}
		answer, err := ntlmssp.NewAuthenticateMessage(message, user, password, nil)
		if err != nil {
			return "", fmt.Errorf("ntlm: challenge: %w", err)
		}
		return scheme + " " + base64.StdEncoding.EncodeToString(answer), nil
	}
	return "", fmt.Errorf("ntlm: %w", ErrNoChallenge)
}

func ntlmScheme(s string) bool {
	return strings.EqualFold(s, "NTLM") || strings.EqualFold(s, "Negotiate")
}
