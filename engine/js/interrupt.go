package js

import (
	"context"
	"sync"

	"github.com/dop251/goja"
)

// watch interrupts a runtime when the context of its activity ends. It stays
// registered with a context for as long as activities use the same one, so
// that a VU that iterates pays for it once.
type watch struct {
	mu    sync.Mutex
	epoch uint64 // number of the last registration; callbacks of older ones do nothing

	ctx  context.Context // used by the VU's goroutine only
	stop func() bool
}

// arm makes ctx the one whose end interrupts rt. When it returns nil, no
// interrupt of an earlier context is pending or can still come.
func (w *watch) arm(ctx context.Context, rt *goja.Runtime) error {
	if w.ctx != ctx {
		w.disarm(rt)
		w.ctx = ctx
		if ctx.Done() != nil {
			epoch := w.epoch
			w.stop = context.AfterFunc(ctx, func() { w.interrupt(rt, epoch) })
		}
	}
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return nil
}

// disarm forgets the context and whatever interrupt came of it.
func (w *watch) disarm(rt *goja.Runtime) {
	if w.stop != nil {
		w.stop()
	}
	w.mu.Lock()
	w.epoch++
	rt.ClearInterrupt()
	w.mu.Unlock()
	w.ctx, w.stop = nil, nil
}

func (w *watch) interrupt(rt *goja.Runtime, epoch uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.epoch == epoch {
		rt.Interrupt(ErrInterrupted)
	}
}
