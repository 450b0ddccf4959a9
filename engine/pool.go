package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"hive/engine/executor"
)

// pool owns the virtual users of this engine, one for each slot that has been initialised and not been given up.
type pool struct {
	eng    *Engine
	mu     sync.Mutex
	seats  map[int]*seat // by slot; a seat that was made stays, with or without a VU
	number int64         // VUs made so far: idInInstance
	ready  atomic.Int64  // initialised VUs
	moved  atomic.Bool   // there may be VUs of slots that are not wanted any more
}

// seat is the place of one slot. Its turn is held while the VU is being made or closed and from Get to Put, so that a
// scenario that begins when another ends waits for the VU to be free.
type seat struct {
	turn chan struct{} // of size 1
	vu   *vu           // nil until initialised; guarded by turn
}

func newPool(eng *Engine) *pool { return &pool{eng: eng, seats: map[int]*seat{}} }

func (p *pool) seat(slot int) *seat {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.seats[slot]
	if s == nil {
		s = &seat{turn: make(chan struct{}, 1)}
		p.seats[slot] = s
	}
	return s
}

// numbers reserves n ids in the instance and returns the one before them.
func (p *pool) numbers(n int) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number += int64(n)
	return p.number - int64(n)
}

// init makes the VUs of slots, as many at once as there are processors. Ids in the instance follow the order of slots.
func (p *pool) init(ctx context.Context, slots []int) error {
	before := p.numbers(len(slots))
	return each(ctx, runtime.GOMAXPROCS(0), slots, func(ctx context.Context, i, slot int) error {
		s := p.seat(slot)
		s.turn <- struct{}{} // nobody has it yet
		defer func() { <-s.turn }()
		return p.fill(ctx, s, slot, before+int64(i)+1)
	})
}

// warm makes the VUs of slots that have none, and leaves half of the processors to the VUs that run. A seat that is taken
// has a VU, or whoever took it is making one.
func (p *pool) warm(ctx context.Context, slots []int) error {
	return each(ctx, max(1, runtime.GOMAXPROCS(0)/2), slots, func(ctx context.Context, _, slot int) error {
		s := p.seat(slot)
		select {
		case s.turn <- struct{}{}:
		default:
			return nil
		}
		defer func() { <-s.turn }()
		if s.vu != nil {
			return nil
		}
		if err := p.fill(ctx, s, slot, p.numbers(1)+1); err != nil {
			return about(err, "VU %d cannot be initialised on this node", slot+1)
		}
		return nil
	})
}

// each calls f for every slot, so many at once, until one fails or ctx ends.
func each(ctx context.Context, atOnce int, slots []int, f func(ctx context.Context, i, slot int) error) error {
	var next atomic.Int64
	g, all := errgroup.WithContext(ctx)
	for range min(atOnce, len(slots)) {
		g.Go(func() error {
			for i := next.Add(1) - 1; i < int64(len(slots)) && all.Err() == nil; i = next.Add(1) - 1 {
				if err := f(all, int(i), slots[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// about puts words before an error that keeps its kind.
func about(err error, format string, args ...any) error {
	err = fmt.Errorf(format+": %w", append(args, err)...)
	var known *Error
	if errors.As(err, &known) {
		return &Error{known.Kind, err}
	}
	return err
}

// fill makes the VU of a slot, whose turn the caller holds.
func (p *pool) fill(ctx context.Context, s *seat, slot int, number int64) error {
	v, err := p.eng.newVU(ctx, slot, number)
	if err != nil {
		return err
	}
	s.vu = v
	p.ready.Add(1)
	return nil
}

// empty closes the VU of a slot, whose turn the caller holds.
func (p *pool) empty(s *seat) {
	if s.vu == nil {
		return
	}
	s.vu.close()
	s.vu = nil
	p.ready.Add(-1)
}

// Get implements executor.Pool.
func (p *pool) Get(ctx context.Context, scenario, slot int) (executor.VU, error) {
	s := p.seat(slot)
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if s.vu == nil {
		if err := p.fill(ctx, s, slot, p.numbers(1)+1); err != nil {
			<-s.turn
			return nil, about(err, "VU %d cannot be initialised", slot+1)
		}
	}
	if err := s.vu.activate(scenario); err != nil {
		<-s.turn
		return nil, err
	}
	return s.vu, nil
}

// Put implements executor.Pool.
func (p *pool) Put(_, slot int) { <-p.seat(slot).turn }

// Release implements executor.Pool. Another scenario may hold the VU still, or the slot be expected back; what is not
// wanted is found by shed.
func (p *pool) Release(int) { p.sift() }

// sift says that slots may have left.
func (p *pool) sift() { p.moved.Store(true) }

// shed closes the VUs of slots that the node neither has nor expects, as far as nobody uses them. What is left is for the
// next time.
func (p *pool) shed() {
	if !p.moved.Swap(false) {
		return
	}
	wanted, changes := p.eng.tenure.wanted(p.eng.ensemble.Load().clock.Now(), p.eng.share.Plan().Slots)
	if changes {
		p.sift()
	}
	var left []*seat
	p.mu.Lock()
	for slot, s := range p.seats {
		if !wanted[slot] {
			left = append(left, s)
		}
	}
	p.mu.Unlock()
	for _, s := range left {
		select {
		case s.turn <- struct{}{}:
			p.empty(s)
			<-s.turn
		default:
			p.sift()
		}
	}
}

// speaksHTTP says that the init code of the VUs imports HTTP.
func (p *pool) speaksHTTP() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.seats {
		if s.vu != nil {
			return s.vu.http != nil // all run the same code
		}
	}
	return false
}

// close ends all VUs but those whose iteration cannot be ended.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.seats {
		select {
		case s.turn <- struct{}{}:
			if s.vu != nil {
				s.vu.close()
			}
		default:
		}
	}
	clear(p.seats)
}
