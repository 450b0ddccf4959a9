package timers

import (
	"context"
	"testing"

	"hive/engine/js"
)

func TestTimers(t *testing.T) {
	prg, err := js.Compile("file:///s.js", []byte(`const t = require('k6/timers'); let out = '';
		exports.default = () => {
			t.setTimeout((x) => { out += x }, 1, 'a');
			t.clearTimeout(t.setTimeout(() => { out += 'no' }, 1));
			const id = t.setInterval(() => { out += 'i'; t.clearInterval(id) }, 3);
		}; exports.out = () => out + Object.keys(t)`), nil)
	if err != nil {
		t.Fatal(err)
	}
	vu, err := js.NewVU(context.Background(), &js.Config{Program: prg, Modules: []js.Module{New()}}, js.VUID{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer vu.Close()
	if err := vu.Activate(js.Activation{}); err != nil {
		t.Fatal(err)
	}
	if err := vu.Iterate(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	v, err := vu.Call(context.Background(), js.StageVU, "out")
	if want := "aisetTimeout,clearTimeout,setInterval,clearInterval"; err != nil || v.String() != want {
		t.Errorf("got %v, %v, want %s", v, err, want)
	}
}
