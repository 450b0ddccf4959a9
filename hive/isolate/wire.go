package isolate

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
)

// A frame on the wire:
//
//	4 bytes  length of the head, big endian
//	4 bytes  length of the payload, big endian
//	n bytes  head: JSON
//	m bytes  payload: what is binary or large, as the head's method has it; may be empty
//
// The parent sends requests and cancellations, the child replies and notes. Requests with an id of 0 get no reply.

const (
	// maxHead bounds a frame's head; the largest are shares of very many scenarios.
	maxHead = 64 << 20
	// maxPayload bounds a frame's payload: an archive of the largest size that is read, and some more.
	maxPayload = 1<<30 + 64<<20
	// atOnce is how much is made room for before it has arrived.
	atOnce = 1 << 20
)

// kind says what a frame is.
type kind string

const (
	request kind = "request" // of the parent
	cancel  kind = "cancel"  // the parent gives up waiting for the request of that id
	reply   kind = "reply"   // to the request of that id
	note    kind = "note"    // of the child, unasked
)

// head is the JSON part of a frame.
type head struct {
	Kind   kind            `json:"kind"`
	ID     uint64          `json:"id,omitempty"`
	Method string          `json:"method,omitempty"` // of requests and notes
	Args   json.RawMessage `json:"args,omitempty"`   // or results
	Error  *wireError      `json:"error,omitempty"`  // of replies
}

// frame is one message.
type frame struct {
	head
	Payload []byte
}

// readFrame reads one frame. It gives io.EOF when there is none any more, and refuses what is too large before it makes
// room for it.
func readFrame(r io.Reader) (f frame, err error) {
	var sizes [8]byte
	if _, err := io.ReadFull(r, sizes[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return f, io.EOF
		}
		return f, fmt.Errorf("read a frame: %w", err)
	}
	heads, payload := binary.BigEndian.Uint32(sizes[:4]), binary.BigEndian.Uint32(sizes[4:])
	if heads > maxHead || payload > maxPayload {
		return f, fmt.Errorf("a frame with a head of %d and a payload of %d bytes: want at most %d and %d", heads, payload, maxHead, maxPayload)
	}
	data, err := readBytes(r, int(heads))
	if err != nil {
		return f, fmt.Errorf("read a frame's head: %w", err)
	}
	if err := json.Unmarshal(data, &f.head); err != nil {
		return f, fmt.Errorf("a frame's head: %w", err)
	}
	if f.Payload, err = readBytes(r, int(payload)); err != nil {
		return f, fmt.Errorf("read a frame's payload: %w", err)
	}
	return f, nil
}

// readBytes reads n bytes, nil for none.
func readBytes(r io.Reader, n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if n <= atOnce {
		data := make([]byte, n)
		_, err := io.ReadFull(r, data)
		return data, err
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, int64(n)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b.Bytes(), nil
}

// appendHead writes everything of a frame but its payload.
func appendHead(b []byte, f frame) ([]byte, error) {
	data, err := json.Marshal(f.head)
	if err != nil {
		return nil, fmt.Errorf("write a frame: %w", err)
	}
	if len(data) > maxHead || len(f.Payload) > maxPayload {
		return nil, fmt.Errorf("a frame with a head of %d and a payload of %d bytes: want at most %d and %d", len(data), len(f.Payload), maxHead, maxPayload)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.Payload)))
	return append(b, data...), nil
}

// sender writes frames without ever making the giver wait, in the order in which they are given to it, but that those
// sent at leisure let the others go first.
type sender struct {
	w    io.Writer
	done chan struct{} // closed when nothing is written any more

	mu     sync.Mutex // guards what follows
	wake   *sync.Cond
	prompt lane
	slow   lane
	closed bool
}

// lane is a queue of frames, in parts that are written one after the other.
type lane struct {
	frames [][][]byte
	bytes  int
}

func (l *lane) push(head, payload []byte) {
	parts := [][]byte{head}
	if len(payload) > 0 {
		parts = append(parts, payload)
	}
	l.frames = append(l.frames, parts)
	l.bytes += len(head) + len(payload)
}

// pop takes frames of at least so many bytes in all, or all that there are.
func (l *lane) pop(most int) (parts [][]byte) {
	n, size := 0, 0
	for ; n < len(l.frames) && size < most; n++ {
		for _, p := range l.frames[n] {
			parts = append(parts, p)
			size += len(p)
		}
	}
	l.frames, l.bytes = l.frames[n:], l.bytes-size
	if len(l.frames) == 0 {
		l.frames = nil
	}
	return parts
}

// newSender starts a sender; close ends it.
func newSender(w io.Writer) *sender {
	s := &sender{w: w, done: make(chan struct{})}
	s.wake = sync.NewCond(&s.mu)
	go s.run()
	return s
}

// send queues a frame. Its payload must not be changed after that. A frame that is sent after close is dropped.
func (s *sender) send(f frame) error { return s.put(&s.prompt, f) }

// sendAtLeisure queues a frame behind all others: log lines, and what has to come after them.
func (s *sender) sendAtLeisure(f frame) error { return s.put(&s.slow, f) }

func (s *sender) put(to *lane, f frame) error {
	data, err := appendHead(nil, f)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	to.push(data, f.Payload)
	s.wake.Signal()
	return nil
}

// backlog is how many bytes wait to be written, and how many of them at leisure.
func (s *sender) backlog() (all, slow int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prompt.bytes + s.slow.bytes, s.slow.bytes
}

// close lets the sender end once everything is written, or the other side is gone.
func (s *sender) close() {
	s.mu.Lock()
	s.closed = true
	s.wake.Signal()
	s.mu.Unlock()
}

func (s *sender) run() {
	defer close(s.done)
	w := bufio.NewWriterSize(s.w, 64<<10)
	for {
		parts, ok := s.take()
		if !ok {
			return
		}
		if err := write(w, parts); err != nil {
			s.discard() // the other side is gone, which its reader notices
			return
		}
	}
}

// slowAtOnce is how many bytes are written at leisure before it is looked whether there is anything else.
const slowAtOnce = 32 << 10

// take waits for something to write.
func (s *sender) take() (parts [][]byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.prompt.frames)+len(s.slow.frames) == 0 && !s.closed {
		s.wake.Wait()
	}
	if parts = s.prompt.pop(math.MaxInt); len(parts) == 0 {
		parts = s.slow.pop(slowAtOnce)
	}
	return parts, len(parts) > 0
}

func (s *sender) discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.prompt, s.slow = true, lane{}, lane{}
}

func write(w *bufio.Writer, parts [][]byte) error {
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return w.Flush()
}
