package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"hive/engine/executor"
)

// pool owns the virtual users of this share, one for each slot that has been initialised.
type pool struct {
	eng    *Engine
	mu     sync.Mutex
	seats  map[int]*seat // by slot
	number int64         // VUs made so far: idInInstance
	ready  atomic.Int64  // initialised VUs
}

// seat is the place of one slot. Its turn is held while the VU is being made and from Get to Put, so that a scenario
// that begins when another ends waits for the VU to be free.
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

// init makes the VUs of slots, as many at once as there are processors. Ids in the instance follow the order of slots.
func (p *pool) init(ctx context.Context, slots []int) error {
	p.number = int64(len(slots))
	var next atomic.Int64
	g, each := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), len(slots)) {
		g.Go(func() error {
			for i := next.Add(1); i <= p.number && each.Err() == nil; i = next.Add(1) {
				if err := p.make(each, slots[i-1], i); err != nil {
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

// make makes the VU of a slot before anybody asks for it.
func (p *pool) make(ctx context.Context, slot int, number int64) error {
	v, err := p.eng.newVU(ctx, slot, number)
	if err != nil {
		return err
	}
	p.seat(slot).vu = v
	p.ready.Add(1)
	return nil
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
		p.mu.Lock()
		p.number++
		number := p.number
		p.mu.Unlock()
		v, err := p.eng.newVU(ctx, slot, number)
		if err != nil {
			<-s.turn
			return nil, fmt.Errorf("initialise VU %d: %w", slot+1, err)
		}
		s.vu = v
		p.ready.Add(1)
	}
	if err := s.vu.activate(scenario); err != nil {
		<-s.turn
		return nil, err
	}
	return s.vu, nil
}

// Put implements executor.Pool.
func (p *pool) Put(_, slot int) { <-p.seat(slot).turn }

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

// close ends all VUs. Nothing may use them any more.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.seats {
		if s.vu != nil {
			s.vu.close()
		}
	}
	clear(p.seats)
}
