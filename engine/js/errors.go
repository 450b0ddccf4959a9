package js

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/dop251/goja"
)

// ErrInterrupted is what a call returns when its context ended before it.
var ErrInterrupted = errors.New("js: interrupted")

// Exception is an exception that no script code caught.
type Exception struct {
	Message string // "Error: boom"
	Stack   string // lines of the form "\tat f (file:///s.js:3:9(4))", "" when unknown
	cause   error
}

// Error gives the message and below it the stack.
func (e *Exception) Error() string {
	if e.Stack == "" {
		return e.Message
	}
	return e.Message + "\n" + e.Stack
}

// Unwrap returns the Go error that a native function threw, if it was one.
func (e *Exception) Unwrap() error { return e.cause }

// Throw leaves a native function with an exception: the one that err already
// is, when it comes from a call of script code, else a GoError made of it.
// It is the only place where errors become exceptions.
func Throw(rt *goja.Runtime, err error) {
	var ex *goja.Exception
	var cut *goja.InterruptedError
	var deep *goja.StackOverflowError
	switch {
	case errors.As(err, &cut):
		panic(cut)
	case errors.As(err, &deep):
		panic(deep)
	case errors.As(err, &ex):
		panic(ex)
	default:
		panic(rt.NewGoError(err))
	}
}

// failure turns what a goja call returned into the errors of this package.
func (vu *VU) failure(err error) error {
	var cut *goja.InterruptedError
	var deep *goja.StackOverflowError
	var ex *goja.Exception
	switch {
	case errors.As(err, &cut) && vu.cut != nil: // the end of the context may have come on top of it
		return interruption(vu.cut)
	case errors.As(err, &cut):
		return interruption(cut.Value())
	case errors.As(err, &deep):
		return &Exception{Message: "RangeError: Maximum call stack size exceeded", Stack: vu.stack(head(deep.Stack()))}
	case errors.As(err, &ex):
		return &Exception{Message: describe(vu.rt, ex.Value()), Stack: vu.stack(ex.Stack()), cause: ex.Unwrap()}
	default:
		return err
	}
}

// interruption gives the error for an interrupt that was raised with value v.
func interruption(v any) error {
	if err, ok := v.(error); ok && !errors.Is(err, ErrInterrupted) {
		return fmt.Errorf("%w: %w", ErrInterrupted, err)
	}
	return ErrInterrupted
}

// stackLines bounds the stack that is shown for an endless recursion.
const stackLines = 20

func head(frames []goja.StackFrame) []goja.StackFrame {
	return frames[:min(len(frames), stackLines)]
}

// stack formats frames one a line, without a newline at the end.
func (vu *VU) stack(frames []goja.StackFrame) string {
	var b bytes.Buffer
	bundled := vu.defaultName()
	for i := range frames {
		f := &frames[i]
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("\tat ")
		at := b.Len()
		f.Write(&b)
		switch name := f.FuncName(); {
		case name == bundled:
			rest := string(b.Bytes()[at+len(name):])
			b.Truncate(at)
			b.WriteString("default" + rest)
		case strings.HasPrefix(name, moduleFunction):
			place := strings.TrimPrefix(string(b.Bytes()[at+len(name):]), " (")
			b.Truncate(at)
			b.WriteString(strings.TrimSuffix(place, ")"))
		}
	}
	return b.String()
}

// defaultName is the name that the bundler made up for an anonymous default
// export ("script_default"), "" when the author named it.
func (vu *VU) defaultName() string {
	if vu.exports == nil {
		return ""
	}
	fn, ok := vu.own(vu.exports, "default").(*goja.Object)
	if !ok {
		return ""
	}
	name := vu.own(fn, "name")
	if name == nil || !strings.HasSuffix(name.String(), "_default") {
		return ""
	}
	return name.String()
}

// rejection describes the reason of a promise that nobody handled.
func (vu *VU) rejection(reason goja.Value) *Exception {
	e := &Exception{Message: "Uncaught (in promise) " + describe(vu.rt, reason)}
	obj, ok := reason.(*goja.Object)
	if !ok {
		return e
	}
	if stack := vu.own(obj, "stack"); stack != nil {
		if i := strings.Index(stack.String(), "\tat "); i >= 0 {
			e.Stack = strings.TrimRight(stack.String()[i:], "\n")
		}
	}
	if v := vu.own(obj, "value"); v != nil {
		e.cause, _ = v.Export().(error)
	}
	return e
}

// describe is String(v), which may run code of the script and so may fail.
func describe(rt *goja.Runtime, v goja.Value) string {
	s := "exception"
	if ex := rt.Try(func() { s = v.String() }); ex != nil {
		return "exception that cannot be shown as a string"
	}
	return s
}

// own reads a property; nil when there is none or its getter throws.
func (vu *VU) own(obj *goja.Object, name string) (v goja.Value) {
	if ex := vu.rt.Try(func() { v = obj.Get(name) }); ex != nil || v == nil || goja.IsUndefined(v) {
		return nil
	}
	return v
}
