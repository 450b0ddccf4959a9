package webcrypto

import (
	"errors"
	"fmt"

	"github.com/dop251/goja"
)

// The names of errors in the Web Cryptography API.
const (
	dataError     = "DataError"          // what is given cannot be a key
	accessError   = "InvalidAccessError" // the key is not for that
	notSupported  = "NotSupportedError"
	operationFail = "OperationError"
	syntaxError   = "SyntaxError" // of usages
	typeError     = "TypeError"
)

// fault is an error with one of these names.
type fault struct{ name, message string }

func (f *fault) Error() string { return f.name + ": " + f.message }

func failf(name, format string, a ...any) error {
	return &fault{name, fmt.Sprintf(format, a...)}
}

// exception makes the reason of a rejected promise: an Error with the name of the fault. Errors of
// Go's library are OperationErrors.
func exception(rt *goja.Runtime, operation string, err error) goja.Value {
	f := &fault{operationFail, err.Error()}
	errors.As(err, &f)
	message := operation + ": " + f.message
	if f.name == typeError {
		return rt.NewTypeError(message)
	}
	class, ok := rt.GlobalObject().Get("Error").(*goja.Object)
	if !ok {
		return rt.NewGoError(err)
	}
	o, err := rt.New(class, rt.ToValue(message))
	if err != nil {
		return rt.NewGoError(f)
	}
	_ = o.DefineDataProperty("name", rt.ToValue(f.name), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
	return o
}
