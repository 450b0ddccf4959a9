package http

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// jsBatch is http.batch(requests): an array or object of requests, made at the same time, to one of responses.
func (s *State) jsBatch(args goja.FunctionCall) goja.Value {
	s.vu.NotIn("http.batch()", js.StageInit)
	requests, err := batchArgument(args)
	if err != nil {
		s.throw(err)
	}
	isArray := requests.ClassName() == "Array"
	keys := batchKeys(requests, isArray)
	calls := make([]*call, 0, len(keys))
	for _, key := range keys {
		c, err := s.batchElement(key, requests.Get(key))
		if err != nil {
			return s.batchRefused(keys, len(calls), isArray, err)
		}
		calls = append(calls, c)
	}
	s.together(calls)
	return s.batchResult(keys, calls, isArray)
}

func batchArgument(call goja.FunctionCall) (*goja.Object, error) {
	switch len(call.Arguments) {
	case 0:
		return nil, errors.New("http.batch() needs an array or an object of requests")
	case 1:
	default:
		return nil, fmt.Errorf("http.batch() takes one array or object of requests, but got %d arguments", len(call.Arguments))
	}
	obj, ok := call.Argument(0).(*goja.Object)
	if !ok {
		return nil, fmt.Errorf("http.batch() takes an array or an object of requests, not %s", call.Argument(0))
	}
	return obj, nil
}

func batchKeys(requests *goja.Object, isArray bool) []string {
	if !isArray {
		return requests.Keys()
	}
	keys := make([]string, requests.Get("length").ToInteger())
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	return keys
}

// batchElement reads one request: a URL, [method, url, body?, params?], or {method, url, body, params}.
func (s *State) batchElement(key string, v goja.Value) (*call, error) {
	none := goja.Undefined()
	obj, ok := v.(*goja.Object)
	if ok && obj.ClassName() == "Array" {
		if obj.Get("length").ToInteger() < 2 {
			return nil, fmt.Errorf("batch request %s is an array of less than a method and a URL", key)
		}
		return s.newCall(methodArgument(obj.Get("0")), obj.Get("1"), or(obj.Get("2"), none), or(obj.Get("3"), none))
	}
	if !ok || obj.ExportType() != typeObject {
		return s.newCall("GET", v, none, none)
	}
	url := obj.Get("url")
	if url == nil {
		return nil, fmt.Errorf("batch request %s has no url", key)
	}
	method := strings.ToUpper(methodArgument(or(obj.Get("method"), none)))
	body := or(obj.Get("body"), none)
	if method == "" || method == "GET" || method == "HEAD" {
		body = none
	}
	return s.newCall(method, url, body, or(obj.Get("params"), none))
}

func or(v, other goja.Value) goja.Value {
	if v == nil {
		return other
	}
	return v
}

// batchRefused is what a batch gives when request number bad cannot be made: nothing is sent, and the responses up to
// that one say nothing.
func (s *State) batchRefused(keys []string, bad int, isArray bool, err error) goja.Value {
	if s.vu.Throws() {
		s.throw(err)
	}
	s.vu.Log().Warn("A batch request failed", "error", err)
	responses := make([]any, len(keys)) // an array's missing ones are null
	for i := range bad {
		responses[i] = s.unsent(nil)
	}
	responses[bad] = s.unsent(err)
	return s.keyed(keys[:bad+1], responses, isArray)
}

// batchResult records all that was measured before it throws, if anything is to be thrown.
func (s *State) batchResult(keys []string, calls []*call, isArray bool) goja.Value {
	responses := make([]any, len(calls))
	var first error
	for i, c := range calls {
		if c.cut {
			s.interrupt()
		}
		v, err := s.finish(c)
		if err != nil && first == nil {
			first = err
		}
		responses[i] = v
	}
	if first != nil {
		s.throw(first)
	}
	return s.keyed(keys, responses, isArray)
}

// keyed gives responses the shape of the requests, of which an object has those with keys.
func (s *State) keyed(keys []string, responses []any, isArray bool) goja.Value {
	if isArray {
		return s.rt.NewArray(responses...)
	}
	obj := s.rt.NewObject()
	for i, key := range keys {
		s.put(obj, key, responses[i])
	}
	return obj
}

// together performs calls at the same time, as far as the limits of a batch allow, and returns when the last has ended.
func (s *State) together(calls []*call) {
	ctx, t := s.vu.Context(), s.transport()
	all, perHost := s.run.cfg.Batch, s.run.cfg.BatchPerHost
	if all > 0 && all < len(calls) || perHost > 0 && perHost < len(calls) {
		newQueue(calls, all, perHost).run(ctx, t)
		return
	}
	var others sync.WaitGroup
	for i := 1; i < len(calls); i++ {
		others.Go(func() { calls[i].perform(ctx, t) })
	}
	if len(calls) > 0 {
		calls[0].perform(ctx, t)
	}
	others.Wait()
}

// queue hands out the calls of a batch in their order, as limits allow.
type queue struct {
	workers, perHost int

	mu      sync.Mutex
	ended   *sync.Cond // an exchange has ended, which may have been what another waits for
	waiting []*call    // guarded by mu, like busy
	busy    map[string]int
}

// newQueue limits calls that are performed at a time to all, and for one host to perHost; 0 is no limit.
func newQueue(calls []*call, all, perHost int) *queue {
	q := &queue{workers: len(calls), perHost: perHost, waiting: calls, busy: make(map[string]int)}
	q.waiting = append(make([]*call, 0, len(calls)), calls...)
	if all > 0 {
		q.workers = min(q.workers, all)
	}
	q.ended = sync.NewCond(&q.mu)
	return q
}

// run performs all calls and returns when the last has ended.
func (q *queue) run(ctx context.Context, t transport) {
	var others sync.WaitGroup
	for range q.workers - 1 {
		others.Go(func() { q.work(ctx, t) })
	}
	q.work(ctx, t)
	others.Wait()
}

func (q *queue) work(ctx context.Context, t transport) {
	for c := q.take(); c != nil; c = q.take() {
		c.perform(ctx, t)
		q.release(c)
	}
}

// take returns the first call whose host is free, waiting for one; nil when none is left.
func (q *queue) take() *call {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) > 0 {
		for i, c := range q.waiting {
			host := c.to.host()
			if q.perHost > 0 && q.busy[host] >= q.perHost {
				continue
			}
			q.busy[host]++
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return c
		}
		q.ended.Wait()
	}
	return nil
}

func (q *queue) release(c *call) {
	q.mu.Lock()
	q.busy[c.to.host()]--
	q.mu.Unlock()
	q.ended.Broadcast()
}
