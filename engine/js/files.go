package js

import (
	"errors"
	"net/url"
	"strings"
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
	files, name := &vu.cfg.Program.files, vu.resolve(path.String())
	if mode := call.Argument(1); goja.IsUndefined(mode) || mode.String() != "b" {
		v, err := files.text(vu.cfg.Files, name)
		if err != nil {
			Throw(vu.rt, err)
		}
		return v
	}
	data, err := files.binary(vu.cfg.Files, name)
	if err != nil {
		Throw(vu.rt, err)
	}
	return vu.fileBuffer(data)
}

// moduleFunction begins the name of the function that a bundle makes of a CommonJS module; the module's URL follows.
const moduleFunction = "script:"

// resolve gives the name of a file that the script opens. As in k6, a relative one starts from the folder of the module
// whose top-level code is running, wherever the function that calls open() stands. Names that start from the entry
// script, and all that are not relative, are left for the Opener.
func (vu *VU) resolve(name string) string {
	if strings.HasPrefix(name, "/") || strings.Contains(name, "://") {
		return name
	}
	module := vu.runningModule()
	if module == vu.cfg.Program.name || !strings.HasPrefix(module, "file://") {
		return name
	}
	return module[:strings.LastIndexByte(module, '/')+1] + (&url.URL{Path: name}).EscapedPath()
}

// runningModule is the URL of the module that is being loaded: the innermost CommonJS one, or the one at the bottom of
// the call stack.
func (vu *VU) runningModule() (url string) {
	for _, f := range vu.rt.CaptureCallStack(0, nil) {
		if module, ok := strings.CutPrefix(f.FuncName(), moduleFunction); ok {
			return module
		}
		if file := f.Position().Filename; strings.Contains(file, "://") {
			url = file
		}
	}
	return url
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
