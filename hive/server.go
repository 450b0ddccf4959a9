package hive

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

const (
	maxSubmission = 1 << 20   // options and settings of a run
	maxArchive    = 256 << 20 // one packed archive
	maxCheckpoint = 64 << 20  // the metrics of one node
	maxSummary    = 64 << 20  // what goes through handleSummary
)

// apiError is the body of every answer that is not a success.
type apiError struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// The codes of errors of the API.
const (
	codeBadRequest   = "bad_request"
	codeUnauthorized = "unauthorized"
	codeForbidden    = "forbidden"
	codeNotFound     = "not_found"
	codeConflict     = "conflict"
	codeTooLarge     = "too_large"
	codeCapacity     = "capacity"
	codeNoArchive    = "no_archive"
	codeNotLeader    = "not_leader"
	codeUnavailable  = "unavailable"
	codeInternal     = "internal"
)

// statusError is an error with an answer of its own.
type statusError struct {
	status  int
	code    string
	message string
}

func (e *statusError) Error() string { return e.message }

func refuse(status int, code, format string, args ...any) error {
	return &statusError{status, code, fmt.Sprintf(format, args...)}
}

// handler is an endpoint that returns its error in the place of an answer.
type handler func(w http.ResponseWriter, r *http.Request) error

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		writeError(w, r, err)
	}
}

// errorHeader carries the body of an error in an answer to HEAD, which has none.
const errorHeader = "Hive-Error"

func writeError(w http.ResponseWriter, r *http.Request, err error) {
	se, ok := errors.AsType[*statusError](err)
	if tooBig, big := errors.AsType[*http.MaxBytesError](err); big {
		se, ok = &statusError{http.StatusRequestEntityTooLarge, codeTooLarge, fmt.Sprintf("the body is larger than %d bytes", tooBig.Limit)}, true
	}
	if errors.Is(err, rpctypes.ErrNoSpace) {
		se, ok = &statusError{http.StatusInsufficientStorage, codeUnavailable,
			"the database of the hive's etcd is full and takes no writes; an embedded one is cleared in a moment, of one of your own (--etcd): " + fullRemedy}, true
	}
	if !ok {
		se = &statusError{http.StatusInternalServerError, codeInternal, err.Error()}
	}
	var body apiError
	body.Error.Code, body.Error.Message = se.code, se.message
	if r.Method == http.MethodHead {
		if data, err := json.Marshal(body); err == nil {
			w.Header().Set(errorHeader, string(data))
		}
	}
	writeJSON(w, se.status, body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"the answer cannot be encoded"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // a client that is gone needs no answer
}

// readJSON decodes a body of at most limit bytes.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return refuse(http.StatusBadRequest, codeBadRequest, "the body is not what is expected here: %v", err)
	}
	return nil
}

// guarded lets calls through that bear the token; with no token, all. The
// comparison takes the same time whatever was sent.
func guarded(token string, next http.Handler) http.Handler {
	if token == "" {
		return next
	}
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(bearer))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 && ok {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="hive"`)
		msg := "this node asks for a token: give the one it was started with (Authorization: Bearer TOKEN)"
		if r.Header.Get("Authorization") != "" {
			msg = "the token is not the one this node was started with"
		}
		writeError(w, r, refuse(http.StatusUnauthorized, codeUnauthorized, "%s", msg))
	})
}

// listen opens the API's port: the address asked for, or the first free one on
// loopback from the default on.
func listen(address string) (net.Listener, error) {
	if address != "" {
		l, err := net.Listen("tcp", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("address %s is in use by another process: choose another, or none to get a free one: %w", address, err)
		}
		if err != nil {
			return nil, fmt.Errorf("listen at %s: %w", address, err)
		}
		return l, nil
	}
	var last error
	for port := DefaultPort; port < DefaultPort+portsTried; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err == nil {
			return l, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no port from %d to %d is free: %w", DefaultPort, DefaultPort+portsTried-1, last)
}

// advertised is the URL that others reach a listener at.
func advertised(l net.Listener, advertise string) string {
	addr := l.Addr().(*net.TCPAddr)
	host, port := addr.IP.String(), strconv.Itoa(addr.Port)
	if addr.IP.IsUnspecified() {
		host = outboundHost()
	}
	if advertise != "" {
		host = advertise
		if h, p, err := net.SplitHostPort(advertise); err == nil {
			host, port = h, p
		}
	}
	return "http://" + net.JoinHostPort(host, port)
}

// outboundHost is this machine's first address that other hosts may reach, or
// its name.
func outboundHost() string {
	addrs, err := net.InterfaceAddrs()
	if err == nil {
		for _, a := range addrs {
			if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
				return ip.IP.String()
			}
		}
	}
	return hostName()
}

// background is work that calls have begun and that goes on after their answer, for as long as the node serves.
type background struct {
	ctx  context.Context
	work sync.WaitGroup
}

type backgroundKey struct{}

// inBackground does something that outlives the call r. serve waits for it.
func inBackground(r *http.Request, do func(context.Context)) {
	b, ok := r.Context().Value(backgroundKey{}).(*background)
	if !ok {
		do(r.Context())
		return
	}
	b.work.Go(func() { do(b.ctx) })
}

// serve answers on l until ctx ends, then gives open calls a moment.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	b := &background{ctx: base}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return context.WithValue(base, backgroundKey{}, b) }}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("api: %w", err)
	case <-ctx.Done():
	}
	l.Close() // so that whoever sees a stream end is refused when it asks again
	cancel()  // ends streams
	closing, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer stop()
	if srv.Shutdown(closing) != nil {
		srv.Close()
	}
	<-done
	b.work.Wait()
	return ctx.Err()
}
