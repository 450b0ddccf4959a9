package http

import (
	"github.com/dop251/goja"

	"hive/engine/js"
)

// jsAsyncRequest is http.asyncRequest(method, url, body?, params?): a promise of the response.
func (s *State) jsAsyncRequest(args goja.FunctionCall) goja.Value {
	s.vu.NotIn("http.asyncRequest()", js.StageInit)
	promise, resolve, reject := s.rt.NewPromise()
	settle := func(v goja.Value, err error) {
		if err != nil {
			err = reject(s.rt.NewGoError(err))
		} else {
			err = resolve(v)
		}
		if err != nil {
			s.throw(err)
		}
	}
	c, err := s.newCall(methodArgument(args.Argument(0)), args.Argument(1), args.Argument(2), args.Argument(3))
	switch {
	case err == nil:
		s.perform(c, func() {
			if c.cut {
				s.interrupt()
			}
			settle(s.finish(c))
		})
	case s.vu.Throws():
		settle(nil, err)
	default:
		settle(s.refused(err, false), nil)
	}
	return s.rt.ToValue(promise)
}

// perform performs a call elsewhere while the VU goes on; then runs on the VU's event loop when it has ended.
func (s *State) perform(c *call, then func()) {
	ctx, t := s.vu.Context(), s.transport()
	done := s.vu.Loop().Hold()
	s.asking.Go(func() {
		if c.perform(ctx, t); c.cut {
			s.cut.Store(true) // even if nobody is left to hear of it
		}
		done(then)
	})
}
