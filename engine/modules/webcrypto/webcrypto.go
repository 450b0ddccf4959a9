// Package webcrypto is the global `crypto` of scripts: random values, and the part of the Web
// Cryptography API that k6 has. It stands on Go's standard library alone.
//
// Functions of crypto.subtle give promises. What is quick is done at once; making RSA keys and
// PBKDF2 happen beside the VU, whose event loop waits for them.
package webcrypto

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/dop251/goja"

	"hive/engine/js"
)

// maxRandom is how many bytes getRandomValues fills at most.
const maxRandom = 65536

// members are the properties of crypto.
var members = js.NewTable(
	js.Method("getRandomValues", getRandomValues),
	js.Method("randomUUID", randomUUID),
	js.Property("subtle", func(vu *js.VU) goja.Value { return subtleMembers.Object(vu.Runtime(), vu) }),
)

// subtleMembers are the functions of crypto.subtle.
var subtleMembers = js.NewTable(
	operation("decrypt", decrypt),
	operation("deriveBits", deriveBits),
	operation("deriveKey", deriveKey),
	operation("digest", digest),
	operation("encrypt", encrypt),
	operation("exportKey", exportKey),
	operation("generateKey", generateKey),
	operation("importKey", importKey),
	operation("sign", sign),
	operation("verify", verify),
)

// Global returns the global variable crypto, made in a VU when its script first touches it.
func Global() js.Global {
	return js.Global{Name: "crypto", Open: func(vu *js.VU) goja.Value { return members.Object(vu.Runtime(), vu) }}
}

// getRandomValues fills an integer typed array and returns it.
func getRandomValues(vu *js.VU, call goja.FunctionCall) goja.Value {
	array, ok := call.Argument(0).(*goja.Object)
	if !ok || !isIntegers(array) {
		js.Throw(vu.Runtime(), errors.New("TypeMismatchError: getRandomValues: want a typed array of integers"))
	}
	data, _ := js.Bytes(array)
	if len(data) > maxRandom {
		js.Throw(vu.Runtime(), fmt.Errorf("QuotaExceededError: getRandomValues: %d bytes are more than %d", len(data), maxRandom))
	}
	rand.Read(data) // never fails
	return array
}

func isIntegers(o *goja.Object) bool {
	tag := o.GetSymbol(goja.SymToStringTag)
	if tag == nil {
		return false
	}
	switch tag.String() {
	case "Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array", "BigInt64Array", "BigUint64Array":
		_, ok := js.Bytes(o)
		return ok
	}
	return false
}

// randomUUID gives a UUID of version 4.
func randomUUID(vu *js.VU, _ goja.FunctionCall) goja.Value {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return vu.Runtime().ToValue(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// later is what an operation returns that takes long: it runs on another goroutine and touches
// nothing of the runtime. It ends soon after ctx.
type later func(ctx context.Context) (any, error)

// operation is the entry of a function of crypto.subtle. Whatever goes wrong in it rejects its promise.
func operation(name string, f func(a args) (any, error)) js.Entry[*js.VU] {
	return js.Method(name, func(vu *js.VU, call goja.FunctionCall) goja.Value {
		rt := vu.Runtime()
		promise, resolve, reject := rt.NewPromise()
		settle := func(result any, err error) {
			// Settling fails only when the VU is being interrupted, which ends the activity anyway.
			if err != nil {
				_ = reject(exception(rt, name, err))
				return
			}
			_ = resolve(value(rt, result))
		}
		var result any
		var err error
		if ex := rt.Try(func() { result, err = f(args{rt, call.Arguments}) }); ex != nil {
			_ = reject(ex.Value()) // a getter of the script's own threw
			return rt.ToValue(promise)
		}
		if slow, ok := result.(later); ok && err == nil {
			done, ctx := vu.Loop().Hold(), vu.Context()
			go func() {
				result, err := slow(ctx)
				done(func() { settle(result, err) })
			}()
		} else {
			settle(result, err)
		}
		return rt.ToValue(promise)
	})
}

// value gives a result to the script.
func value(rt *goja.Runtime, result any) goja.Value {
	switch v := result.(type) {
	case []byte:
		return rt.ToValue(rt.NewArrayBuffer(v))
	case *key:
		return v.object(rt)
	case *pair:
		o := rt.NewObject()
		set(o, "publicKey", v.public.object(rt))
		set(o, "privateKey", v.private.object(rt))
		return o
	case jwk:
		return v.object(rt)
	}
	return rt.ToValue(result)
}

// set puts a property into an object of ours, which cannot refuse it.
func set(o *goja.Object, name string, v any) { _ = o.Set(name, v) }
