package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	fetchTimeout  = 60 * time.Second // for one module, as in k6
	maxModuleSize = 64 << 20         // bytes of one https module
	maxRedirects  = 10
)

// remote reads https URLs from the network and file URLs from the disk.
type remote struct {
	disk   Disk
	client *http.Client
}

func newRemote(client *http.Client) remote {
	if client == nil {
		client = http.DefaultClient
	}
	c := *client
	c.CheckRedirect = onlyHTTPS
	return remote{client: &c}
}

func onlyHTTPS(req *http.Request, via []*http.Request) error {
	if req.URL.Scheme != "https" {
		return fmt.Errorf("redirected to %s, which is not https", req.URL.Redacted())
	}
	if len(via) >= maxRedirects {
		return fmt.Errorf("redirected more than %d times", maxRedirects)
	}
	return nil
}

// ReadFile reads the file of a URL.
func (r remote) ReadFile(ctx context.Context, rawURL string) ([]byte, error) {
	if !strings.HasPrefix(rawURL, "https://") {
		return r.disk.ReadFile(ctx, rawURL)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, fmt.Errorf("no complete answer within %s", fetchTimeout))
	defer cancel()
	data, err := r.get(ctx, rawURL)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", rawURL, err)
	}
	return data, nil
}

// get asks with _k6=1 in the query first, by which a server can give load testers a script rather
// than a web page, and then without.
func (r remote) get(ctx context.Context, rawURL string) ([]byte, error) {
	marked, err := withMark(rawURL)
	if err != nil {
		return nil, err
	}
	data, err := r.once(ctx, marked)
	if err == nil || ctx.Err() != nil {
		return data, err
	}
	return r.once(ctx, rawURL)
}

func withMark(rawURL string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "_k6=1"
	return u.String(), nil
}

func (r remote) once(ctx context.Context, rawURL string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return nil, err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		if wrapped := new(url.Error); errors.As(err, &wrapped) {
			err = wrapped.Err // the URL is named once, by ReadFile
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxModuleSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxModuleSize {
		return nil, fmt.Errorf("the module is larger than %d bytes", maxModuleSize)
	}
	return data, nil
}
