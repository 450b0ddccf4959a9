package data

import (
	"context"
	"sync"
)

// arrays are the shared arrays of a process by name.
type arrays struct {
	mu     sync.Mutex
	byName map[string]*array
}

// array is one shared array: its elements as JSON.
type array struct {
	maker    any           // who makes it
	made     chan struct{} // closed when it is made or has failed
	elements []string
	err      error
}

// get returns the array of that name, which the first caller makes; who asks
// meanwhile waits until ctx ends. One that could not be made is made by the
// next who asks.
func (a *arrays) get(ctx context.Context, name string, maker any, make func() ([]string, error)) ([]string, error) {
	for {
		arr, mine := a.claim(name, maker)
		if mine {
			return a.fill(name, arr, make)
		}
		if arr.busy() && arr.maker == maker {
			return nil, errNested
		}
		select {
		case <-arr.made:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if arr.err == nil {
			return arr.elements, nil
		}
	}
}

func (a *arrays) claim(name string, maker any) (arr *array, mine bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if arr, ok := a.byName[name]; ok {
		return arr, false
	}
	arr = &array{maker: maker, made: make(chan struct{}), err: errUnfinished}
	a.byName[name] = arr
	return arr, true
}

// fill makes the array; also when make leaves with a panic, nobody is left
// waiting.
func (a *arrays) fill(name string, arr *array, make func() ([]string, error)) ([]string, error) {
	defer func() {
		if arr.err != nil {
			a.mu.Lock()
			delete(a.byName, name)
			a.mu.Unlock()
		}
		close(arr.made)
	}()
	arr.elements, arr.err = make()
	return arr.elements, arr.err
}

func (arr *array) busy() bool {
	select {
	case <-arr.made:
		return false
	default:
		return true
	}
}
