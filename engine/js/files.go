package js

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/dop251/goja"
)

// minShared is the size in bytes from which the binary content of a file is
// held once for all VUs; of smaller ones each VU has a copy.
const minShared = 64 << 10

// fileCache holds the content of the files that a program opens, once per
// process.
type fileCache struct {
	// sharing says that some file's binary content is shared, so that new VUs
	// must be prepared for it before they run any code (see guardViews).
	sharing atomic.Bool

	mu    sync.Mutex
	bytes map[string][]byte
	texts map[string]goja.Value
}

func (c *fileCache) binary(files Opener, path string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.load(files, path)
}

func (c *fileCache) load(files Opener, path string) ([]byte, error) {
	if data, ok := c.bytes[path]; ok {
		return data, nil
	}
	data, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	if c.bytes == nil {
		c.bytes = make(map[string][]byte)
	}
	c.bytes[path] = data
	return data, nil
}

func (c *fileCache) text(files Opener, path string) (goja.Value, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.texts[path]; ok {
		return v, nil
	}
	data, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	if c.texts == nil {
		c.texts = make(map[string]goja.Value)
	}
	c.texts[path] = text(string(data))
	return c.texts[path], nil
}

// open is the script's open(path[, "b"]).
func (vu *VU) open(call goja.FunctionCall) goja.Value {
	vu.OnlyInInit("open()")
	path := call.Argument(0)
	if goja.IsUndefined(path) || goja.IsNull(path) || path.String() == "" {
		Throw(vu.rt, errors.New("open() needs the name of a file"))
	}
	if vu.cfg.Files == nil {
		Throw(vu.rt, errors.New("open(): there are no files here"))
	}
	files := &vu.cfg.Program.files
	if mode := call.Argument(1); goja.IsUndefined(mode) || mode.String() != "b" {
		v, err := files.text(vu.cfg.Files, path.String())
		if err != nil {
			Throw(vu.rt, err)
		}
		return v
	}
	data, err := files.binary(vu.cfg.Files, path.String())
	if err != nil {
		Throw(vu.rt, err)
	}
	return vu.fileBuffer(data)
}

// fileBuffer is an ArrayBuffer of a file's content: a copy, or the shared bytes
// themselves when this VU is prepared to copy them before it can write.
func (vu *VU) fileBuffer(data []byte) goja.Value {
	if len(data) >= minShared && canSwap {
		vu.cfg.Program.files.sharing.Store(true)
		if vu.guarded != nil {
			buffer := vu.rt.ToValue(vu.rt.NewArrayBuffer(data)).(*goja.Object)
			vu.guarded[buffer] = struct{}{}
			return buffer
		}
	}
	return vu.rt.ToValue(vu.rt.NewArrayBuffer(append([]byte(nil), data...)))
}
