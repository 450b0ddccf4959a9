package hive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// ErrUnauthorized is in the error of a call with no token, or the wrong one.
var ErrUnauthorized = errors.New("the hive refuses the token")

// UnreachableError is the error of a call that got no answer.
type UnreachableError struct {
	URL string
	Err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no hive answers at %s: %v", e.URL, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// APIError is an answer of a node that is not a success.
type APIError struct {
	Status  int    // of HTTP
	Code    string // such as "not_found"
	Message string
}

func (e *APIError) Error() string { return e.Message }

func (e *APIError) Is(target error) bool {
	return target == ErrUnauthorized && e.Status == http.StatusUnauthorized
}

// connectTimeout bounds how long a host that does not answer at all is tried.
const connectTimeout = 3 * time.Second

// caller makes calls to nodes' APIs, bearing the token.
type caller struct {
	http  *http.Client
	token string
}

func newCaller(token string) *caller {
	dialer := &net.Dialer{Timeout: connectTimeout}
	return &caller{token: token, http: &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
	}}}
}

func (c *caller) close() { c.http.CloseIdleConnections() }

// open makes a call and returns the answer if it is a success.
func (c *caller) open(ctx context.Context, method, url string, body []byte, header http.Header) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", url, err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &UnreachableError{URL: baseOf(url), Err: plainError(err)}
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, answerError(url, resp)
	}
	return resp, nil
}

// call makes a call with a JSON body (nil for none) and decodes the answer
// into out (nil to drop it).
func (c *caller) call(ctx context.Context, method, url string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("call %s: %w", url, err)
		}
	}
	return c.send(ctx, method, url, body, out)
}

// send is call with a body that is encoded already.
func (c *caller) send(ctx context.Context, method, url string, body []byte, out any) error {
	resp, err := c.open(ctx, method, url, body, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	} else {
		err = json.NewDecoder(resp.Body).Decode(out)
	}
	if err != nil {
		return fmt.Errorf("call %s: read the answer: %w", url, err)
	}
	return nil
}

func answerError(url string, resp *http.Response) error {
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is of it serves the message
	if len(data) == 0 {
		data = []byte(resp.Header.Get(errorHeader))
	}
	var body apiError
	if json.Unmarshal(data, &body) != nil || body.Error.Message == "" {
		return &APIError{Status: resp.StatusCode, Code: codeInternal,
			Message: fmt.Sprintf("%s answered %s, which no hive does: is it the API of a node?", baseOf(url), resp.Status)}
	}
	return &APIError{Status: resp.StatusCode, Code: body.Error.Code, Message: body.Error.Message}
}

// baseOf cuts a URL to its scheme and host.
func baseOf(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// plainError takes the method and URL away that net/http puts before an error.
func plainError(err error) error {
	type wrapped interface{ Unwrap() error }
	if w, ok := err.(wrapped); ok {
		if inner := w.Unwrap(); inner != nil {
			return inner
		}
	}
	return err
}

// nodeURL makes the base URL of a node from what people write: host:port or a URL.
func nodeURL(s string) (string, error) {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	req, err := http.NewRequest(http.MethodGet, s, nil)
	if err != nil || req.URL.Host == "" || (req.URL.Scheme != "http" && req.URL.Scheme != "https") {
		return "", fmt.Errorf("%q is not the address of a node: want host:port or http://host:port", s)
	}
	return req.URL.Scheme + "://" + req.URL.Host, nil
}
