// Package js runs scripts: it compiles a program once per process and gives
// every virtual user (VU) a goja runtime with an event loop of its own.
//
// A VU is made by [NewVU], which runs the script's init code; after that its
// exported functions are called with [VU.Call] (setup, teardown, summary) or,
// once [VU.Activate] has chosen one, with [VU.Iterate]. Both return when the
// function has returned and its event loop has nothing left to wait for.
//
//	prg, err := js.Compile("file:///s.js", code, sourceMap)
//	vu, err := js.NewVU(ctx, &js.Config{Program: prg, Modules: mods}, js.VUID{InTest: 1, InInstance: 1}, rec)
//	err = vu.Activate(js.Activation{Exec: "default"})
//	err = vu.Iterate(ctx, nil)
//
// A VU belongs to one goroutine at a time; only [Loop.Hold]'s done function may
// be called from others. What the import paths of scripts mean is not known
// here: modules come in as values (see [Module]), and so do files ([Opener]).
package js
