package http

import (
	"sync"
	"sync/atomic"

	"github.com/dop251/goja"

	"hive/engine/httpclient"
	"hive/engine/js"
)

// State is what one VU keeps for HTTP: its client and connections, cookie jar and response callback. It resets itself
// after each iteration and closes with the VU. It is used on the VU's goroutine.
type State struct {
	run *run
	vu  *js.VU
	rt  *goja.Runtime

	client  *httpclient.Client // made by the first request
	jar     *jar
	expect  *expectation // nil: failures are not tracked
	targets targets
	samples sampler
	fields  int     // of the last response's header: about as many as the next one has
	debug   *dumper // nil unless asked for

	asking sync.WaitGroup // asynchronous requests in flight
	cut    atomic.Bool    // a request was given up since Cut was asked last
}

func newState(r *run, vu *js.VU) *State {
	return &State{
		run: r, vu: vu, rt: vu.Runtime(),
		jar:     new(jar),
		expect:  defaultExpectation,
		samples: newSampler(vu),
		debug:   newDumper(r.cfg.HTTPDebug, vu),
	}
}

// Bytes returns the bytes sent and received on the wire since the last call: the VU's data_sent and data_received.
func (s *State) Bytes() (sent, received int64) {
	if s.client == nil {
		return 0, 0
	}
	return s.client.Bytes()
}

// Cut reports whether a request was interrupted since the last call. It is asked after an interruption, of which
// asynchronous requests have had word, too: it waits for them.
func (s *State) Cut() bool {
	s.asking.Wait()
	return s.cut.Swap(false)
}

// interrupt ends the iteration in whose request the VU was interrupted.
func (s *State) interrupt() {
	s.cut.Store(true)
	s.vu.Interrupt(nil)
}

// endIteration makes the VU as new for the next iteration.
func (s *State) endIteration() {
	if !s.run.cfg.NoCookiesReset && s.jar.used() {
		s.jar = new(jar)
	}
	if s.run.cfg.NoVUConnectionReuse && s.client != nil {
		s.client.CloseIdle()
	}
}

// close ends what is in flight, waits for it and closes the connections.
func (s *State) close() {
	if s.client != nil {
		s.client.Close()
	}
	s.asking.Wait()
}

// connections returns the VU's client; there is one from the first request on, so that a VU that makes none costs none.
func (s *State) connections() *httpclient.Client {
	if s.client == nil {
		s.client = s.run.cfg.Transport.Client(s.vu.ID().InInstance)
	}
	return s.client
}

// responseTypeDefault is what a request without a responseType gets.
func (s *State) responseTypeDefault() responseType {
	if s.run.cfg.DiscardResponseBodies {
		return responseNone
	}
	return responseText
}

// throw raises err as an exception of the script.
func (s *State) throw(err error) { js.Throw(s.rt, err) }
